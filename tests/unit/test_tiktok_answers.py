"""What TikTok's answers mean, row by row of docs/destinations/tiktok.md; nothing it says breaks a conversation."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.delivery import Delivered, Outcome, Payload, Refused, Rejected, Request, Response, Retry, Throttled, Unclear
from edge.destinations.tiktok import TikTok, read
from edge.secret import Secret
from tests.conversations import converse

TIKTOK = TikTok("C4ABCDEF0123456789", Secret("token"))
NOW_MS = 1_795_183_391_990


def answer(status: int, code: Any = None, **headers: str) -> Response:
    body = {"code": code, "message": "visitor@shop.example", "request_id": "1", "data": {}}
    return Response(status, {name.replace("_", "-"): text for name, text in headers.items()}, orjson.dumps(body))


@pytest.mark.parametrize(
    ("response", "outcome"),
    [
        (answer(200, 0), Delivered(200)),
        (answer(200, 20_001), Delivered(200)),
        (answer(401, 40_100), Throttled(300.0)),
        (answer(200, 40_100), Throttled(300.0)),
        (answer(429), Throttled(300.0)),
        (answer(401, 40_100, retry_after="90"), Throttled(90.0)),
        (answer(401, 40_104), Refused("401 code 40104")),
        (answer(401, 40_105), Refused("401 code 40105")),
        (answer(200, 40_001), Refused("200 code 40001")),
        (answer(403, 40_002), Refused("403 code 40002")),
        (answer(401), Refused("401")),
        (Response(403, {}, b"<html>"), Refused("403 and no JSON")),
        (answer(200, 50_000), Retry("200 code 50000")),
        (answer(503, 0), Retry("503 code 0")),
        (answer(408), Retry("408")),
        (Response(500, {}, b""), Retry("500 and no JSON")),
        (Response(200, {}, b"<html>"), Retry("200 and no JSON")),
    ],
)
def test_answer_means_its_outcome(response: Response, outcome: Outcome) -> None:
    assert read(response, 2) == outcome


@pytest.mark.parametrize(
    ("status", "code"), [(200, 40_002), (400, 40_002), (200, 40_000), (200, 40_300), (404, 40_000)]
)
def test_invalid_event_is_rejected_and_the_answer_kept(status: int, code: int) -> None:
    response = answer(status, code)
    assert read(response, 1) == Rejected(f"{status} code {code}", response)


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (answer(200), "200"),
        (answer(200, "0"), "200"),
        (answer(200, False), "200"),
        (answer(200, -1), "200"),
        (answer(200, 7), "200 code 7"),
        (answer(302, 0), "302 code 0"),
        (answer(404), "404"),
        (Response(200, {}, b"[0]"), "200"),
    ],
)
def test_answer_nobody_understands_is_unclear(response: Response, reason: str) -> None:
    assert read(response, 2) == Unclear(reason, response)


def test_only_the_bad_event_of_a_request_is_rejected() -> None:
    def judge(request: Request) -> Response:
        return answer(200, 40_002 if {"bad": 1} in orjson.loads(request.body)["data"] else 0)

    payloads = [Payload(b'{"bad":1}' if number == 5 else b"{}", 0) for number in range(8)]
    requests, outcomes = converse(TIKTOK.deliver(payloads, NOW_MS), judge)
    assert [type(outcome) for outcome in outcomes] == [Rejected if number == 5 else Delivered for number in range(8)]
    assert len(requests) == 7


def test_a_request_has_at_most_a_thousand_events() -> None:
    requests, outcomes = converse(TIKTOK.deliver([Payload(b"{}", 0)] * 1_001, NOW_MS), lambda _: answer(200, 0))
    assert [len(orjson.loads(one.body)["data"]) for one in requests] == [1_000, 1]
    assert outcomes == [Delivered(200)] * 1_001


@pytest.mark.parametrize(
    ("response", "outcome"),
    [
        (answer(200, 40_002), Delivered(200)),
        (answer(401, 40_105), Refused("401 code 40105")),
        (answer(200, 40_001), Refused("200 code 40001")),
        (answer(401, 40_100), Throttled(300.0)),
        (answer(503), Retry("503")),
    ],
)
def test_probe_sends_no_event_and_tells_whether_the_credentials_work(response: Response, outcome: Outcome) -> None:
    talk = TIKTOK.probe(NOW_MS)
    assert talk is not None
    [request], outcomes = converse(talk, lambda _: response)
    assert (orjson.loads(request.body)["data"], outcomes) == ([], [outcome])


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "code", "data"]), inner),
    max_leaves=8,
)
CODES = st.sampled_from([0, 20_001, 40_001, 40_002, 40_100, 40_105, 50_000]).map(lambda code: {"code": code})
BODIES = st.binary(max_size=60) | (ANYTHING | CODES).map(orjson.dumps)
HEADERS = st.dictionaries(st.sampled_from(["retry-after", "x"]), st.text(max_size=8))
RESPONSES = st.builds(Response, st.integers(100, 599) | st.sampled_from([200, 401]), HEADERS, BODIES)


@settings(max_examples=150)
@given(st.lists(RESPONSES, min_size=1, max_size=4), st.integers(1, 9))
def test_no_answer_breaks_a_conversation_and_each_payload_has_one_outcome(said: list[Response], count: int) -> None:
    def play() -> tuple[list[Request], list[Outcome]]:
        turns = iter(said * 20)
        return converse(TIKTOK.deliver([Payload(b"{}", 0)] * count, NOW_MS), lambda _: next(turns))

    requests, outcomes = play()
    assert len(outcomes) == count
    assert all(isinstance(one, Delivered | Retry | Throttled | Refused | Rejected | Unclear) for one in outcomes)
    assert play() == (requests, outcomes)
