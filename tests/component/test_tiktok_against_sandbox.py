"""What we send to TikTok is what the fake TikTok, written from TikTok's rules alone, takes; over HTTP on loopback."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest

from edge.consent import Purpose
from edge.delivery import Delivered, Refused, Rejected, Rendered, Response, Retry, Throttled
from edge.destinations import tiktok as ours
from edge.sandbox.tiktok import PIXEL_CODE, TOKEN, TikTok
from edge.sandbox.vendor import Rate
from edge.secret import Secret
from tests.golden_cases import NOW_MS, pipeline_of, request_of, sent_cases
from tests.real_sandbox import Line, line_to
from tests.tiktok_requests import App

CASES = list(sent_cases("tiktok"))
PAGE = {"url": "https://shop.example/thanks?ttclid=E.C.P"}
ORDER = Rendered(
    metric="Purchase",
    profile={
        "email": "visitor@shop.example",
        "phone": "+4915112345678",
        "city": "New York",
        "zip": "24103",
        "ttclid": "E.C",
    },
    properties={"value": 84.5, "currency": "EUR", "contents": [{"content_id": "501", "quantity": 2, "price": 42.25}]},
    unique_id="70311",
    time_ms=1_795_000_000_000 - 60_000,
    event={"context": {"ip": "203.0.113.9", "user_agent": "Mozilla/5.0", "locale": "de-DE", "page": PAGE}},
    granted=Purpose.ADVERTISING,
)


class Strict(TikTok):
    """One that knows a rule of which nobody has written."""

    def answer(self, request: Any) -> Any:
        return self.refusal(200) if b'"bad' in request.body else super().answer(request)


def orders(count: int) -> list[Rendered]:
    return [replace(ORDER, unique_id=f"order-{number}") for number in range(count)]


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    async with line_to(TikTok()) as opened:
        yield opened


def destination(line: Line, token: str = TOKEN, pixel_code: str = PIXEL_CODE, **more: Any) -> ours.TikTok:
    return ours.TikTok(pixel_code, Secret(token), base_url=line.base_url, **more)


def ids(line: Line) -> list[str]:
    return [event["event_id"] for event in line.taken()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["says"])
def test_fake_tiktok_takes_the_golden_request(case: Any) -> None:
    app = App()
    app.clock.advance((NOW_MS - app.clock.now_ms()) / 1_000)
    request = request_of(case, pipeline_of(case))
    answer = app.send(request.body, urlsplit(request.url).path, headers=dict(request.headers))
    assert ours.read(Response(answer.status, {}, answer.body), 1) == Delivered(200)
    [event], [told] = app.events(), case["becomes"]["requests"][0]["body"]["data"]
    assert (event, answer.notes) == ({"number": 1, **told}, ())


async def test_many_events_are_one_request(line: Line) -> None:
    assert await line.deliver(destination(line), orders(1_000)) == [Delivered(200)] * 1_000
    assert (line.sandbox_requests, len(ids(line))) == (1, 1_000)


async def test_bad_events_of_a_request_are_found_and_the_others_delivered() -> None:
    async with line_to(Strict()) as line:
        rendered = orders(40)
        rendered[7], rendered[30] = (replace(ORDER, unique_id=f"bad-{number}") for number in (7, 30))
        outcomes = await line.deliver(destination(line), rendered)
        assert [index for index, one in enumerate(outcomes) if isinstance(one, Rejected)] == [7, 30]
        assert {one.reason for one in outcomes if isinstance(one, Rejected)} == {"200 code 40002"}
        assert ids(line) == [f"order-{number}" for number in range(40) if number not in (7, 30)]


async def test_request_that_was_taken_and_never_answered_counts_once_when_it_is_repeated(line: Line) -> None:
    line.break_it(fault="drop", after_processing=True)
    assert await line.deliver(destination(line), orders(3)) == [Retry("the connection was reset")] * 3
    assert await line.deliver(destination(line), orders(3)) == [Delivered(200)] * 3
    assert ids(line) == ["order-0", "order-1", "order-2"]


async def test_request_that_times_out_after_it_was_taken_is_tried_again() -> None:
    async with line_to(TikTok(), timeout_s=0.3) as line:
        line.break_it(fault="hang", after_processing=True)
        assert await line.deliver(destination(line), orders(2)) == [Retry("no answer in time")] * 2
        assert await line.deliver(destination(line), orders(2)) == [Delivered(200)] * 2
        assert ids(line) == ["order-0", "order-1"]


async def test_id_that_comes_twice_in_one_request_counts_once(line: Line) -> None:
    assert await line.deliver(destination(line), [ORDER, ORDER]) == [Delivered(200)] * 2
    assert ids(line) == ["70311"]


async def test_wrong_credentials_pause_and_lose_nothing(line: Line) -> None:
    assert await line.deliver(destination(line, "another"), orders(2)) == [Refused("401 code 40105")] * 2
    assert await line.deliver(destination(line, pixel_code="C5"), orders(2)) == [Refused("200 code 40001")] * 2


async def test_rate_limit_in_a_401_does_not_pause_and_a_failing_tiktok_is_asked_again(line: Line) -> None:
    line.vendor.set_rates({"track": Rate(1, 1)})
    assert await line.deliver(destination(line), orders(2)) == [Delivered(200)] * 2
    assert await line.deliver(destination(line), orders(2)) == [Throttled(300.0)] * 2
    line.break_it(fault="rate_limit")
    line.break_it(fault="status", status=503)
    line.break_it(fault="garbage")
    line.break_it(fault="truncate")
    told = [await line.deliver(destination(line), [ORDER]) for _ in range(4)]
    assert told[:3] == [[Throttled(300.0)], [Retry("503 code 50000")], [Retry("200 and no JSON")]]
    assert told[3] == [Retry("the answer was cut")]


async def test_event_of_a_clock_ahead_is_taken(line: Line) -> None:
    ahead = replace(ORDER, time_ms=line.clock.now_ms() + 240_000)
    assert await line.deliver(destination(line), [ahead]) == [Delivered(200)]
    assert line.taken()[0]["event_time"] == line.clock.now_ms() // 1_000


async def test_address_of_the_house_itself_is_left_out(line: Line) -> None:
    local = replace(ORDER, event={"context": {"ip": "127.0.0.1", "user_agent": "Mozilla/5.0", "page": PAGE}})
    assert await line.deliver(destination(line), [local]) == [Delivered(200)]
    assert "ip" not in line.taken()[0]["user"]


async def test_probe_tells_good_credentials_from_bad_ones_and_leaves_nothing_behind(line: Line) -> None:
    for one, outcome in (
        (destination(line), Delivered(200)),
        (destination(line, "another"), Refused("401 code 40105")),
        (destination(line, pixel_code="C5"), Refused("200 code 40001")),
    ):
        talk = one.probe(line.clock.now_ms())
        assert talk is not None
        assert await line.converse(talk, 1) == [outcome]
    assert line.taken() == []
