"""What Meta's answers mean, row by row of docs/destinations/meta.md; nothing it says breaks a conversation."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.delivery import Delivered, Outcome, Payload, Refused, Rejected, Request, Response, Retry, Throttled, Unclear
from edge.destinations.meta import Meta, read
from edge.secret import Secret
from tests.conversations import converse

META = Meta("1234567890", Secret("token"))
NOW_MS = 1_795_183_391_990


def answer(status: int, body: Any = None, **headers: str) -> Response:
    return Response(status, {name.replace("_", "-"): text for name, text in headers.items()}, orjson.dumps(body))


def error(code: Any, subcode: Any = None, status: int = 400, **more: Any) -> Response:
    told = {"message": "visitor@shop.example", "code": code, "error_subcode": subcode, **more}
    return answer(status, {"error": told})


@pytest.mark.parametrize(
    ("response", "outcome"),
    [
        (answer(200, {"events_received": 2, "messages": []}), Delivered(200)),
        (answer(200, {"events_received": 3}), Delivered(200)),
        *[(error(code), Throttled(300.0)) for code in (4, 17, 32, 341, 613, 80_000, 80_004, 80_014)],
        (answer(429), Throttled(300.0)),
        (answer(429, {}, retry_after="90"), Throttled(90.0)),
        (answer(429, {}, retry_after="1"), Throttled(60.0)),
        (answer(429, {}, retry_after="9" * 400), Throttled(3600.0)),
        (answer(429, {}, retry_after="soon"), Throttled(300.0)),
        (error(190, status=429), Throttled(300.0)),
        *[(error(code), Refused(f"400 code {code}")) for code in (3, 10, 102, 190, 200, 299, 368)],
        (error(190, 460, status=401), Refused("401 code 190/460")),
        (error(100, 33), Refused("400 code 100/33")),
        (answer(401, {}), Refused("401")),
        (error(803, status=403), Refused("403 code 803")),
        (error(1), Retry("400 code 1")),
        (error(2, status=500), Retry("500 code 2")),
        (error(100, status=503), Retry("503 code 100")),
        (error(12, is_transient=True), Retry("400 code 12")),
        (answer(408, {}), Retry("408")),
        (answer(500, {}), Retry("500")),
        (Response(200, {}, b"<html>"), Retry("200 and no JSON")),
        (Response(400, {}, b""), Retry("400 and no JSON")),
    ],
)
def test_answer_means_its_outcome(response: Response, outcome: Outcome) -> None:
    assert read(response, 2) == outcome


@pytest.mark.parametrize(
    ("subcode", "reason"),
    [
        (2_804_003, "400 code 100/2804003"),
        (2_804_009, "400 code 100/2804009"),
        (None, "400 code 100"),
        ("x", "400 code 100"),
    ],
)
def test_invalid_event_is_rejected_and_the_answer_kept(subcode: Any, reason: str) -> None:
    response = error(100, subcode)
    assert read(response, 1) == Rejected(reason, response)


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (answer(200, {"events_received": 1}), "200, of 2 events 1 were received"),
        (answer(200, {"events_received": -5}), "200, of 2 events 0 were received"),
        (answer(200, {"events_received": True}), "200"),
        (answer(200, {"events_received": "2"}), "200"),
        (answer(200, []), "200"),
        (answer(201, {"events_received": 2}), "201"),
        (answer(302, {}), "302"),
        (answer(404, {"error": "gone"}), "404"),
        (error(2500), "400 code 2500"),
        (error("190"), "400 code None"),
        (error(True), "400 code None"),
        (error(10**15), "400 code None"),
    ],
)
def test_answer_nobody_understands_is_unclear(response: Response, reason: str) -> None:
    assert read(response, 2) == Unclear(reason, response)


def test_only_the_bad_event_of_a_request_is_rejected() -> None:
    def judge(request: Request) -> Response:
        events = orjson.loads(request.body)["data"]
        return error(100, 2_804_009) if {"bad": 1} in events else answer(200, {"events_received": len(events)})

    payloads = [Payload(b'{"bad":1}' if number == 5 else b"{}", 0) for number in range(8)]
    requests, outcomes = converse(META.deliver(payloads, NOW_MS), judge)
    assert [type(outcome) for outcome in outcomes] == [Rejected if number == 5 else Delivered for number in range(8)]
    assert len(requests) == 7


def test_a_request_has_at_most_a_thousand_events_and_a_megabyte() -> None:
    def judge(request: Request) -> Response:
        return answer(200, {"events_received": len(orjson.loads(request.body)["data"])})

    requests, outcomes = converse(META.deliver([Payload(b"{}", 0)] * 1_001, NOW_MS), judge)
    assert [len(orjson.loads(one.body)["data"]) for one in requests] == [1_000, 1]
    assert outcomes == [Delivered(200)] * 1_001
    large = Payload(orjson.dumps({"a": "x" * 60_000}), 0)
    assert max(len(one.body) for one in converse(META.deliver([large] * 40, NOW_MS), judge)[0]) <= 1_000_020


@pytest.mark.parametrize(
    ("response", "outcome"),
    [
        (error(100), Delivered(400)),
        (error(190), Refused("400 code 190")),
        (error(100, 33), Refused("400 code 100/33")),
        (error(4), Throttled(300.0)),
        (answer(503, {}), Retry("503")),
    ],
)
def test_probe_sends_no_event_and_tells_whether_the_credentials_work(response: Response, outcome: Outcome) -> None:
    talk = META.probe(NOW_MS)
    assert talk is not None
    [request], outcomes = converse(talk, lambda _: response)
    assert (request.body, outcomes) == (b'{"data":[]}', [outcome])


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "code", "error"]), inner),
    max_leaves=8,
)
SAID = st.fixed_dictionaries(
    {},
    optional={
        "events_received": ANYTHING,
        "error": ANYTHING
        | st.fixed_dictionaries({}, optional={"code": ANYTHING, "error_subcode": ANYTHING, "is_transient": ANYTHING}),
    },
)
BODIES = st.binary(max_size=60) | ANYTHING.map(orjson.dumps) | SAID.map(orjson.dumps)
HEADERS = st.dictionaries(st.sampled_from(["retry-after", "x"]), st.text(max_size=8))
RESPONSES = st.builds(Response, st.integers(100, 599) | st.sampled_from([200, 400]), HEADERS, BODIES)


@settings(max_examples=150)
@given(st.lists(RESPONSES, min_size=1, max_size=4), st.integers(1, 9))
def test_no_answer_breaks_a_conversation_and_each_payload_has_one_outcome(said: list[Response], count: int) -> None:
    def play() -> tuple[list[Request], list[Outcome]]:
        turns = iter(said * 20)
        return converse(META.deliver([Payload(b"{}", 0)] * count, NOW_MS), lambda _: next(turns))

    requests, outcomes = play()
    assert len(outcomes) == count
    assert all(isinstance(one, Delivered | Retry | Throttled | Refused | Rejected | Unclear) for one in outcomes)
    assert play() == (requests, outcomes)


def test_deeply_nested_answer_is_no_json_to_us() -> None:
    assert read(Response(400, {}, b"[" * 100_000), 1) == Retry("400 and no JSON")
