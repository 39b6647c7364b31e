"""The webhook: what is said, how it is signed, and what answers mean."""

import base64
import hashlib
import hmac
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge import __version__
from edge.consent import Purpose
from edge.delivery import (
    Delivered,
    Outcome,
    Payload,
    Refused,
    Rejected,
    Rendered,
    Request,
    Response,
    Retry,
    Throttled,
    Unclear,
)
from edge.destinations.base import first_request
from edge.destinations.webhook import MAX_BODY_BYTES, Webhook, read
from edge.errors import TransportFailed
from edge.secret import Secret
from tests.conversations import RESPONSES, converse, in_turn, payloads_of, read_parameters, with_answers

KEY = b"k" * 24
SECRET = "whsec_" + base64.b64encode(KEY).decode()
HOOK = Webhook("https://hooks.example/shop", (Secret(SECRET),))
TIME_MS = 1_795_183_389_120  # 2026-11-20T14:03:09.120Z
NOW_MS = TIME_MS + 2_000
ORDER = Rendered(
    metric="Placed Order",
    profile={"email": "visitor@shop.example"},
    properties={"order_id": "70311", "value": 84.5},
    unique_id="70311",
    time_ms=TIME_MS,
    event={"id": "e-1", "name": "purchase", "properties": {}, "context": {}},
    granted=Purpose.ANALYTICS | Purpose.MARKETING,
    anonymous_id="0" * 32,
)
CANONICAL = (
    b'{"type":"Placed Order","timestamp":"2026-11-20T14:03:09.120Z","data":{"id":"e-1","key":"70311",'
    b'"event":"purchase","anonymous_id":"00000000000000000000000000000000","consent":["analytics","marketing"],'
    b'"profile":{"email":"visitor@shop.example"},"properties":{"order_id":"70311","value":84.5}}}'
)


def rendered(hook: Webhook = HOOK, **changes: Any) -> Payload:
    payload = hook.render(replace(ORDER, **changes))
    assert isinstance(payload, Payload), payload
    return payload


def body_of(hook: Webhook = HOOK, **changes: Any) -> Any:
    return orjson.loads(first_request(hook, rendered(hook, **changes), NOW_MS).body)


def numbered(count: int, hook: Webhook = HOOK) -> list[Payload]:
    return payloads_of(count, lambda number: hook.render(replace(ORDER, event={"id": f"e-{number}"})))


def with_body(text: str) -> Webhook:
    made: Webhook = read_parameters(
        Webhook, f'{{url: "https://hooks.example/", secret: "${{S}}", body: {text}}}', {"S": SECRET}
    )
    return made


def test_event_is_one_signed_request() -> None:
    digest = hmac.new(KEY, b"e-1.1795183391." + CANONICAL, hashlib.sha256).digest()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"datafly-edge/{__version__}",
        "webhook-id": "e-1",
        "webhook-timestamp": "1795183391",
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }
    request = Request("POST", "https://hooks.example/shop", headers, CANONICAL, is_private_allowed=False)
    assert rendered() == Payload(b'{"id":"e-1","body":' + CANONICAL + b"}", TIME_MS)
    asked = with_answers(HOOK.deliver([rendered()], NOW_MS), Response(204, {}, b""))
    assert asked == ([request], [Delivered(204)])


def test_id_stays_at_a_repeat_and_only_the_moment_moves() -> None:
    first, later = (first_request(HOOK, rendered(), NOW_MS + wait) for wait in (0, 60_000))
    assert (first.body, first.headers["webhook-id"]) == (later.body, later.headers["webhook-id"])
    assert int(later.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 60


@pytest.mark.parametrize("event_id", ["a.b", "a b", "x" * 129, "ä\r\nX: 1"])
def test_id_that_is_unfit_for_a_header_is_hashed(event_id: str) -> None:
    made = first_request(HOOK, rendered(event={"id": event_id}), NOW_MS).headers["webhook-id"]
    assert made == "h_" + hashlib.sha256(event_id.encode()).hexdigest()[:32]


def test_mapped_event_id_becomes_the_key() -> None:
    told = body_of(properties={"event_id": 7, "a": 1})["data"]
    assert (told["key"], told["properties"]) == ("7", {"a": 1})


def test_tree_of_templates_is_filled_with_values_and_texts() -> None:
    hook = with_body(
        """{text: "{type} {data.properties.order_id}!", total: "{data.properties.value}", all: "{data.properties}",
        list: ["{data.id}", "{data.properties.none}", 5, true, null], gone: "{data.none}", half: "a {data.none}",
        braces: "{{x}}", deep: {consent: "{data.consent.1}", none: "{data.none}"}, empty: ""}"""
    )
    assert body_of(hook) == {
        "text": "Placed Order 70311!",
        "total": 84.5,
        "all": {"order_id": "70311", "value": 84.5},
        "list": ["e-1", 5, True],
        "braces": "{x}",
        "deep": {"consent": "marketing"},
        "empty": "",
    }


def test_what_a_value_holds_is_no_template() -> None:
    hook = with_body('{text: "{data.properties.order_id}"}')
    assert body_of(hook, properties={"order_id": "{data.id}"}) == {"text": "{data.id}"}


def test_several_events_go_together_up_to_the_batch() -> None:
    hook = replace(HOOK, batch=2)
    requests, outcomes = with_answers(hook.deliver(numbered(3), NOW_MS), *[Response(200, {}, b"")] * 2)
    told = [[one["data"]["id"] for one in orjson.loads(request.body)["events"]] for request in requests]
    assert (told, outcomes) == ([["e-0", "e-1"], ["e-2"]], [Delivered(200)] * 3)
    again, _ = with_answers(hook.deliver(numbered(3), NOW_MS), *[Response(200, {}, b"")] * 2)
    assert again == requests
    assert requests[0].headers["webhook-id"] != requests[1].headers["webhook-id"]


def test_batch_stays_below_the_size_of_a_request() -> None:
    hook, large = replace(HOOK, batch=100), {"text": "x" * (MAX_BODY_BYTES // 3)}
    payloads = payloads_of(4, lambda number: hook.render(replace(ORDER, properties=large)))
    requests, _ = with_answers(hook.deliver(payloads, NOW_MS), *[Response(200, {}, b"")] * 2)
    assert [len(orjson.loads(request.body)["events"]) for request in requests] == [2, 2]
    assert all(len(request.body) <= MAX_BODY_BYTES for request in requests)


def test_refused_batch_is_halved_until_the_bad_event_is_alone() -> None:
    hook, bad = replace(HOOK, batch=8), Response(422, {}, b"")
    requests, outcomes = converse(
        hook.deliver(numbered(8), NOW_MS), lambda request: bad if b'"e-5"' in request.body else Response(200, {}, b"")
    )
    assert outcomes == [*[Delivered(200)] * 5, Rejected("422", bad), *[Delivered(200)] * 2]
    assert len(requests) == 7


def test_nothing_overtakes_what_has_to_be_repeated() -> None:
    hook = replace(HOOK, batch=2)
    requests, outcomes = with_answers(hook.deliver(numbered(5), NOW_MS), Response(200, {}, b""), Response(503, {}, b""))
    behind = Retry("behind a request that failed")
    assert len(requests) == 2
    assert outcomes == [Delivered(200), Delivered(200), Retry("503"), Retry("503"), behind]


@pytest.mark.parametrize("status", [401, 429])
def test_word_about_the_account_holds_for_the_rest(status: int) -> None:
    requests, outcomes = with_answers(HOOK.deliver(numbered(3), NOW_MS), Response(status, {"retry-after": "7"}, b""))
    assert (len(requests), outcomes) == (1, [Refused("401") if status == 401 else Throttled(7.0)] * 3)


ELSEWHERE = "leads elsewhere, which is not followed; set url to where it leads"


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        *[(status, Delivered(status)) for status in (200, 201, 202, 204, 299)],
        *[(status, Refused(f"{status}: {ELSEWHERE}")) for status in (301, 302, 303, 307, 308)],
        *[(status, Refused(str(status))) for status in (401, 403, 410)],
        *[(status, Retry(str(status))) for status in (408, 425, 500, 502, 503, 504, 599)],
        *[(status, Rejected(str(status), Response(status, {}, b"no"))) for status in (400, 404, 405, 409, 413, 422)],
        *[(status, Unclear(str(status), Response(status, {}, b"no"))) for status in (100, 199, 600)],
    ],
)
def test_answer_means(status: int, outcome: Outcome) -> None:
    assert read(NOW_MS, Response(status, {}, b"no")) == outcome


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        ("7", 7.0),
        ("0", 1.0),
        ("999999999999", 3600.0),
        ("Fri, 20 Nov 2026 14:04:11 GMT", 60.0),
        ("Fri, 20 Nov 2020 14:04:11 GMT", 1.0),
        ("soon", 30.0),
        ("-5", 30.0),
        ("٣", 30.0),
        ("", 30.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str, wait_s: float) -> None:
    outcome = read(NOW_MS, Response(429, {"retry-after": header}, b""))
    assert isinstance(outcome, Throttled)
    assert outcome.after_s == pytest.approx(wait_s, abs=1.0)
    assert read(NOW_MS, Response(429, {}, b"")) == Throttled(30.0)


@settings(max_examples=60, deadline=None)
@given(st.lists(RESPONSES, min_size=1, max_size=6), st.integers(1, 6), st.integers(1, 4))
def test_any_answers_give_one_outcome_a_payload(responses: list[Response], count: int, batch: int) -> None:
    hook, payloads = replace(HOOK, batch=batch), numbered(count)
    told = [converse(hook.deliver(payloads, NOW_MS), in_turn(responses * 12)) for _ in range(2)]
    assert told[0] == told[1]
    assert len(told[0][1]) == count


def test_event_that_no_json_can_say_is_rejected() -> None:
    assert HOOK.render(replace(ORDER, properties={"a": "\ud800"})) == Rejected("the event cannot be written as JSON")
    assert HOOK.render(replace(ORDER, time_ms=-1)) == Rejected("time: is not one that ISO 8601 can say")
    large = HOOK.render(replace(ORDER, properties={"a": "x" * MAX_BODY_BYTES}))
    assert isinstance(large, Rejected)
    assert large.reason.endswith("a request has at most 1000000")


def test_request_without_an_answer_leaves_what_was_answered_before() -> None:
    conversation = replace(HOOK, batch=1).deliver(numbered(3), NOW_MS)
    next(conversation)
    conversation.send(Response(200, {}, b""))
    with pytest.raises(StopIteration) as ended:
        conversation.throw(TransportFailed("no answer in time"))
    assert ended.value.value == [
        Delivered(200),
        Retry("no answer in time"),
        Retry("behind a request that failed"),
    ]


def test_answer_to_several_events_is_kept_with_none_of_them() -> None:
    answer = Response(600, {}, b"visitor@shop.example")
    together, alone = (with_answers(replace(HOOK, batch=2).deliver(numbered(n), NOW_MS), answer)[1] for n in (2, 1))
    assert (together, alone) == ([Unclear("600")] * 2, [Unclear("600", answer)])


def test_conversation_holds_no_more_events_than_a_batch() -> None:
    assert [replace(HOOK, batch=batch).batch_size(is_backlog=True) for batch in (1, 7)] == [1, 7]
    assert not HOOK.goes_alone(rendered())
