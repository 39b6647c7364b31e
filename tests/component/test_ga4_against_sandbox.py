"""Every golden request is one that the fake GA4, written from Google's rules alone, counts without a remark."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
import pytest

from edge.clock import SystemClock
from edge.delivery import Delivered, Payload, Request, Response, Unclear
from edge.sandbox import start
from edge.transport import HttpTransport
from tests import conversations, golden_cases
from tests.clock import FakeClock
from tests.ga4_events import DEBUG, NOW_MS, ORDER, STREAM, TIME_MS, VIEW, payload
from tests.ga4_requests import Property

FILES = sorted((golden_cases.GOLDEN / "ga4").glob("*.yaml"))
CASES = [case for case in map(golden_cases.load_case, FILES) if case["becomes"].keys() & {"body", "requests"}]
HARMLESS = {"without a session_id it belongs to no session"}


def answered(account: Property, request: Request) -> tuple[Response, list[str]]:
    """Give the fake's answer, and what it noticed without saying so."""
    url = urlsplit(request.url)
    headers = dict(request.headers)
    answer = account.send(
        request.body, url.path, method=request.method, query=dict(parse_qsl(url.query)), headers=headers
    )
    return Response(answer.status, {}, answer.body), [note.text for note in answer.notes]


@pytest.fixture
def account() -> Property:
    return Property(clock=FakeClock(NOW_MS))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["says"])
def test_fake_ga4_counts_the_golden_request(account: Property, case: Any) -> None:
    request = golden_cases.request_of(case, golden_cases.pipeline_of(case))
    response, notes = answered(account, request)
    assert response.status == 204
    assert set(notes) <= HARMLESS
    told = orjson.loads(request.body)
    [event] = account.events()
    assert (event["name"], event["params"]) == (told["events"][0]["name"], told["events"][0]["params"])
    assert (event["client_id"], event["consent"], event["time_ms"]) == (told["client_id"], told["consent"], TIME_MS)
    assert account.validated(told) == []


def test_repeated_order_counts_once(account: Property) -> None:
    for _ in range(2):
        conversations.converse(STREAM.deliver([payload(ORDER)], NOW_MS), lambda asked: answered(account, asked)[0])
    assert len(account.events()) == 1


def test_full_conversation_counts_every_event_in_order(account: Property) -> None:
    payloads = [payload(properties={"n": n}) for n in range(30)]
    payloads.insert(5, payload(ORDER))
    _, outcomes = conversations.converse(STREAM.deliver(payloads, NOW_MS), lambda asked: answered(account, asked)[0])
    assert outcomes == [Delivered(204)] * 31
    assert [one["params"].get("n") for one in account.events()] == [*range(5), None, *range(5, 30)]


def test_debug_endpoint_keeps_nothing(account: Property) -> None:
    _, outcomes = conversations.converse(
        DEBUG.deliver([payload(VIEW)], NOW_MS), lambda asked: answered(account, asked)[0]
    )
    assert outcomes == [Delivered(200)]
    assert account.ga4.taken() == {"events": [], "ignored": []}


async def test_answer_that_was_lost_repeats_an_order_and_no_other_event() -> None:
    """Over real HTTP: the vendor takes the request, and the connection closes before it answers."""
    sandbox, transport = await start(clock=SystemClock()), HttpTransport(timeout_s=10.0)
    await transport.open()
    try:
        stream = type(STREAM)("G-SANDBOX01", STREAM.api_secret, base_url=sandbox.base_url("ga4"))
        outcomes: list[Any] = []
        for one in (payload(), payload(ORDER)):
            await _lose_an_answer(transport, sandbox.url)
            outcomes += await conversations.over(transport, stream.deliver([Payload(one.body, 0)], NOW_MS))
        assert outcomes[0] == Unclear(
            "the connection was reset; it may have been counted, and GA4 would count a repeat", None, is_final=True
        )
        assert type(outcomes[1]).__name__ == "Retry"
        again = stream.deliver([Payload(payload(ORDER).body, 0)], NOW_MS)
        assert await conversations.over(transport, again) == [Delivered(204)]
        events: Any = sandbox.sandbox.vendor("ga4").taken()["events"]
        assert [event["name"] for event in events] == ["view_item", "purchase"]
    finally:
        await transport.close()
        await sandbox.close()


async def _lose_an_answer(transport: HttpTransport, url: str) -> None:
    fault = orjson.dumps({"vendor": "ga4", "fault": "drop", "after_processing": True})
    answer = await transport.send(Request("POST", f"{url}/control/faults", {}, fault))
    assert answer.status == 201
