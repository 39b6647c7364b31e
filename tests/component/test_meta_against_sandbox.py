"""What we send to Meta is what the fake Meta, written from Meta's rules alone, takes; over HTTP on loopback."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from edge.consent import Purpose
from edge.delivery import Delivered, Payload, Refused, Rejected, Rendered, Response, Retry, Throttled
from edge.destinations import meta as ours
from edge.sandbox.meta import PIXEL_ID, TOKEN, Meta
from edge.sandbox.vendor import Rate
from edge.secret import Secret
from tests.golden_cases import NOW_MS, pipeline_of, request_of, sent_cases
from tests.meta_requests import App
from tests.real_sandbox import Line, line_to

CASES = list(sent_cases("meta"))
PAGE = {"url": "https://shop.example/thanks"}
ORDER = Rendered(
    metric="Purchase",
    profile={"em": "visitor@shop.example", "ph": "+4915112345678", "fn": "Ada", "zp": "24103", "country": "DE"},
    properties={"value": 84.5, "currency": "EUR", "contents": [{"id": "501", "quantity": 2, "item_price": 42.25}]},
    unique_id="70311",
    time_ms=1_795_000_000_000 - 60_000,
    event={"context": {"ip": "2001:db8::7", "user_agent": "Mozilla/5.0", "page": PAGE}},
    granted=Purpose.ADVERTISING,
)
BAD = replace(ORDER, unique_id="bad", time_ms=ORDER.time_ms - 8 * 86_400_000)


def orders(count: int) -> list[Rendered]:
    return [replace(ORDER, unique_id=f"order-{number}") for number in range(count)]


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    async with line_to(Meta()) as opened:
        yield opened


def destination(line: Line, token: str = TOKEN, pixel_id: str = PIXEL_ID, **more: Any) -> ours.Meta:
    return ours.Meta(pixel_id, Secret(token), base_url=line.base_url, **more)


def ids(line: Line) -> list[str]:
    return [event["event_id"] for event in line.taken()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["says"])
def test_fake_meta_takes_the_golden_request(case: Any) -> None:
    app = App()
    app.clock.advance((NOW_MS - app.clock.now_ms()) / 1_000)
    url = urlsplit(request_of(case, pipeline_of(case)).url)
    answer = app.send(request_of(case, pipeline_of(case)).body, url.path, query=tuple(parse_qsl(url.query)))
    assert (answer.status, answer.notes) == (200, ())
    assert ours.read(Response(answer.status, {}, answer.body), 1) == Delivered(200)
    [event], [told] = app.events(), case["becomes"]["requests"][0]["body"]["data"]
    assert event == {"number": 1, **told}


async def test_many_events_are_one_request(line: Line) -> None:
    assert await line.deliver(destination(line), orders(1_000)) == [Delivered(200)] * 1_000
    assert (line.sandbox_requests, len(ids(line))) == (1, 1_000)


async def test_bad_events_of_a_request_are_found_and_the_others_delivered(line: Line) -> None:
    rendered = orders(40)
    rendered[7], rendered[30] = BAD, replace(BAD, unique_id="bad-2")
    outcomes = await line.deliver(destination(line), rendered)
    assert [index for index, one in enumerate(outcomes) if isinstance(one, Rejected)] == [7, 30]
    assert {one.reason for one in outcomes if isinstance(one, Rejected)} == {"400 code 100/2804003"}
    assert outcomes.count(Delivered(200)) == 38
    assert ids(line) == [f"order-{number}" for number in range(40) if number not in (7, 30)]


async def test_request_that_was_taken_and_never_answered_counts_once_when_it_is_repeated(line: Line) -> None:
    line.break_it(fault="drop", after_processing=True)
    assert await line.deliver(destination(line), orders(3)) == [Retry("the connection was reset")] * 3
    assert await line.deliver(destination(line), orders(3)) == [Delivered(200)] * 3
    assert ids(line) == ["order-0", "order-1", "order-2"]


async def test_request_that_times_out_after_it_was_taken_is_tried_again() -> None:
    async with line_to(Meta(), timeout_s=0.3) as line:
        line.break_it(fault="hang", after_processing=True)
        assert await line.deliver(destination(line), orders(2)) == [Retry("no answer in time")] * 2
        assert await line.deliver(destination(line), orders(2)) == [Delivered(200)] * 2
        assert ids(line) == ["order-0", "order-1"]


async def test_id_that_comes_twice_in_one_request_counts_once(line: Line) -> None:
    assert await line.deliver(destination(line), [ORDER, ORDER]) == [Delivered(200)] * 2
    assert ids(line) == ["70311"]


async def test_wrong_credentials_pause_and_lose_nothing(line: Line) -> None:
    assert await line.deliver(destination(line, "another"), orders(2)) == [Refused("401 code 190/460")] * 2
    assert await line.deliver(destination(line, pixel_id="99999"), orders(2)) == [Refused("400 code 100/33")] * 2


async def test_throttled_account_waits_and_a_failing_meta_is_asked_again(line: Line) -> None:
    line.vendor.set_rates({"events": Rate(1, 1)})
    assert await line.deliver(destination(line), orders(2)) == [Delivered(200)] * 2
    assert await line.deliver(destination(line), orders(2)) == [Throttled(300.0)] * 2
    line.break_it(fault="rate_limit")
    line.break_it(fault="status", status=503)
    line.break_it(fault="garbage")
    line.break_it(fault="truncate")
    told = [await line.deliver(destination(line), [ORDER]) for _ in range(4)]
    assert told[:3] == [[Throttled(300.0)], [Retry("503 code 2")], [Retry("200 and no JSON")]]
    assert told[3] == [Retry("the answer was cut")]


async def test_event_of_a_clock_ahead_is_taken(line: Line) -> None:
    ahead = replace(ORDER, time_ms=line.clock.now_ms() + 240_000)
    assert await line.deliver(destination(line), [ahead]) == [Delivered(200)]
    assert line.taken()[0]["event_time"] == line.clock.now_ms() // 1_000


async def test_proof_and_limited_data_use_are_what_meta_expects() -> None:
    async with line_to(Meta(app_secret="app")) as line:
        told = destination(line, app_secret=Secret("app"), limited_data_use="always", limited_data_use_state="CA")
        assert await line.deliver(destination(line), [ORDER]) == [Refused("400 code 10")]
        assert await line.deliver(told, [ORDER]) == [Delivered(200)]
        assert line.taken()[0]["data_processing_options_state"] == 1000


async def test_probe_tells_good_credentials_from_bad_ones_and_leaves_nothing_behind(line: Line) -> None:
    for one, outcome in (
        (destination(line), Delivered(400)),
        (destination(line, "another"), Refused("401 code 190/460")),
        (destination(line, pixel_id="99999"), Refused("400 code 100/33")),
    ):
        talk = one.probe(line.clock.now_ms())
        assert talk is not None
        assert await line.converse(talk, 1) == [outcome]
    assert line.taken() == []


async def test_token_is_kept_by_nobody(line: Line) -> None:
    await line.deliver(destination(line), [ORDER])
    [exchange] = line.running.sandbox.received
    assert exchange.request.query == (("access_token", "valid"),)
    assert TOKEN not in repr(destination(line))
    assert isinstance(destination(line).render(ORDER), Payload)
