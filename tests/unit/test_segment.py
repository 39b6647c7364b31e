"""Segment's API as a client: which messages, in whose words, in what batches, and what answers mean."""

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
from edge.destinations.segment import Segment, read
from edge.errors import ConfigErrors, TransportFailed
from edge.person import Identifiers
from edge.secret import Secret
from tests.conversations import RESPONSES, converse, in_turn, payloads_of, read_parameters, with_answers

SOURCE = Segment(Secret("w-key"))
JITSU = replace(SOURCE, base_url="https://jitsu.shop.example", api="jitsu")
TIME_MS = 1_795_183_389_120  # 2026-11-20T14:03:09.120Z
NOW_MS = TIME_MS + 2_000
YES = Response(200, {}, b'{"success":true}')
SEARCH = Rendered(
    metric="search",
    profile={},
    properties={"search_term": "tea"},
    unique_id="e-1",
    time_ms=TIME_MS,
    event={"id": "e-1", "name": "search", "context": {}},
    granted=Purpose.ANALYTICS,
    anonymous_id="a" * 32,
)
CONSENT = {"categoryPreferences": {"functional": False, "analytics": True, "marketing": False, "advertising": False}}
CONTEXT = {"library": {"name": "datafly-edge"}, "consent": CONSENT}
HEAD = {
    "messageId": "e-1",
    "timestamp": "2026-11-20T14:03:09.120Z",
    "originalTimestamp": "2026-11-20T14:03:09.120Z",
    "anonymousId": "a" * 32,
    "channel": "server",
}


def messages(source: Segment = SOURCE, **changes: Any) -> Any:
    payload = source.render(replace(SEARCH, **changes))
    assert isinstance(payload, Payload), payload
    return orjson.loads(payload.body)


def refusal(**changes: Any) -> str:
    rejected = SOURCE.render(replace(SEARCH, **changes))
    assert isinstance(rejected, Rejected), rejected
    return rejected.reason


def named(name: str, **context: Any) -> dict[str, Any]:
    return {"event": {"id": "e-1", "name": name, "context": context}, "metric": name}


def numbered(count: int, source: Segment = SOURCE, text: str = "tea") -> list[Payload]:
    return payloads_of(
        count,
        lambda number: source.render(replace(SEARCH, event={"id": f"e-{number}"}, properties={"query": text})),
    )


def test_event_is_a_track_in_a_batch_of_one() -> None:
    payload = SOURCE.render(SEARCH)
    assert isinstance(payload, Payload)
    track = {"type": "track", **HEAD, "event": "Products Searched", "properties": {"query": "tea"}, "context": CONTEXT}
    body = orjson.dumps({"batch": [track], "sentAt": "2026-11-20T14:03:11.120Z"})
    headers = {
        "Authorization": "Basic dy1rZXk6",
        "Content-Type": "application/json",
        "User-Agent": f"datafly-edge/{__version__}",
    }
    request = Request("POST", "https://api.segment.io/v1/batch", headers, body)
    assert payload == Payload(orjson.dumps([track]), TIME_MS)
    assert with_answers(SOURCE.deliver([payload], NOW_MS), YES) == ([request], [Delivered(200)])


def test_repeat_differs_in_the_moment_of_sending_only() -> None:
    payload = SOURCE.render(SEARCH)
    assert isinstance(payload, Payload)
    first, later = (orjson.loads(first_request(SOURCE, payload, NOW_MS + wait).body) for wait in (0, 60_000))
    assert (first["batch"], later["sentAt"]) == (later["batch"], "2026-11-20T14:04:11.120Z")


def test_page_view_is_a_page_with_what_the_page_said() -> None:
    url = "https://shop.example/a?utm_source=news&utm_campaign=autumn&utm_term=&x=1"
    page = {"url": url, "path": "/a", "title": "Tea", "referrer": "", "other": 1}
    [told] = messages(**named("page_view", page=page, ip="203.0.113.7", user_agent="M", locale="en"), properties={})
    shown = {"url": url, "path": "/a", "title": "Tea", "referrer": "", "search": url[len("https://shop.example/a") :]}
    context = {"ip": "203.0.113.7", "userAgent": "M", "locale": "en", "page": shown}
    assert told == {
        "type": "page",
        **HEAD,
        "properties": shown,
        "context": {**context, "campaign": {"source": "news", "name": "autumn"}, **CONTEXT},
    }
    [mapped] = messages(**{**named("page_view", page=page), "metric": "Home"}, properties={"path": "/"})
    assert (mapped["name"], mapped["properties"]["path"]) == ("Home", "/")


def test_identify_and_group_carry_traits() -> None:
    profile = {"email": "visitor@shop.example", "firstName": None}
    [identify] = messages(**named("identify"), profile=profile, properties={"plan": "tea"})
    assert identify == {
        "type": "identify",
        **HEAD,
        "traits": {"email": "visitor@shop.example", "plan": "tea"},
        "context": CONTEXT,
    }
    [group] = messages(**named("group"), properties={"group_id": 7, "size": 3})
    assert group == {"type": "group", **HEAD, "groupId": "7", "traits": {"size": 3}, "context": CONTEXT}
    assert refusal(**named("group"), properties={"size": 3}) == "properties: a group event needs groupId"


def test_sign_up_brings_an_identify_when_something_is_known() -> None:
    profile = {"email": "visitor@shop.example"}
    track, identify = messages(**named("sign_up"), profile=profile, properties={})
    assert (track["event"], track["context"]["traits"]) == ("Signed Up", profile)
    assert (identify["type"], identify["messageId"], identify["traits"]) == ("identify", "e-1-identify", profile)
    assert [one["type"] for one in messages(**named("sign_up"), properties={})] == ["track"]


def test_ids_are_those_that_are_mapped_then_those_that_are_known() -> None:
    known = Identifiers(customer_id="c-19")
    [told] = messages(identifiers=known)
    assert (told["userId"], told["anonymousId"]) == ("c-19", "a" * 32)
    mapped = {"userId": 5, "anonymous_id": "b"}
    [told] = messages(identifiers=known, profile=mapped, properties={"event_id": "o-1"})
    assert (told["userId"], told["anonymousId"], told["messageId"]) == ("5", "b", "o-1")
    assert (told["properties"], "traits" in told["context"]) == ({}, False)
    [long] = messages(properties={"messageId": "x" * 101})
    assert len(long["messageId"]) == 66


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (
            {"anonymous_id": ""},
            "profile: has neither userId nor anonymousId, and Segment drops such messages in silence",
        ),
        ({"metric": " "}, "metric: Segment drops events without a name in silence"),
        ({"profile": {"userId": ["a"]}}, "profile.userId: Segment takes a text, not a list"),
        ({"properties": {"event_id": True}}, "properties.event_id: Segment takes a text, not a bool"),
        ({"time_ms": -1}, "time: is not one that ISO 8601 can say"),
        ({"properties": {"a": "\ud800"}}, "the event cannot be written as JSON"),
    ],
)
def test_what_segment_would_drop_or_refuse_is_rejected(changes: dict[str, Any], why: str) -> None:
    assert refusal(**changes) == why


def test_message_of_32_kilobytes_is_taken_and_one_byte_more_is_not() -> None:
    size = len(orjson.dumps(messages(properties={"a": ""})[0]))
    assert isinstance(SOURCE.render(replace(SEARCH, properties={"a": "x" * (32_768 - size)})), Payload)
    why = refusal(properties={"a": "x" * (32_769 - size)})
    assert why == "the event has 32769 bytes; Segment takes 32768"


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("view_item", "Product Viewed"),
        ("view_item_list", "Product List Viewed"),
        ("search", "Products Searched"),
        ("add_to_cart", "Product Added"),
        ("remove_from_cart", "Product Removed"),
        ("view_cart", "Cart Viewed"),
        ("started_checkout", "Checkout Started"),
        ("add_payment_info", "Payment Info Entered"),
        ("purchase", "Order Completed"),
        ("refund", "Order Refunded"),
        ("sign_up", "Signed Up"),
        ("own_word", "own_word"),
    ],
)
def test_events_have_the_names_of_the_specification(name: str, event: str) -> None:
    assert messages(**named(name))[0]["event"] == event
    assert messages(replace(SOURCE, names="ga4"), **named(name))[0]["event"] == name
    assert messages(**{**named(name), "metric": "Own"})[0]["event"] == "Own"


def test_properties_have_the_names_of_the_specification() -> None:
    item = {
        "item_id": "1",
        "item_name": "Pot",
        "item_brand": "K",
        "item_category": "T",
        "item_variant": "B",
        "index": 1,
    }
    given = {"transaction_id": "o-1", "value": 5, "items": [item, "odd"], "url": "kept", "item_url": "passed over"}
    product = {"product_id": "1", "name": "Pot", "brand": "K", "category": "T", "variant": "B", "position": 1}
    told = messages(**named("purchase"), properties=given)[0]["properties"]
    assert told == {"order_id": "o-1", "value": 5, "revenue": 5, "products": [product, "odd"], "url": "kept"}
    assert messages(replace(SOURCE, names="ga4"), **named("purchase"), properties=given)[0]["properties"] == given


@pytest.mark.parametrize(
    "context",
    [
        {"page": {"url": "https://[bad", "path": 1}, "ip": 5, "user_agent": {}, "locale": ["en"]},
        {"page": "text"},
        {"page": {"url": "https://shop.example/?" + "a=1&" * 500}},
    ],
)
def test_context_of_any_shape_is_no_reason_to_reject(context: dict[str, Any]) -> None:
    [told] = messages(event={"id": "e-1", "name": "search", "context": context})
    assert told["context"].keys() <= {"page", "library", "consent"}


def test_batches_stay_below_the_limits() -> None:
    payloads = numbered(60, text="x" * 20_000)
    requests, outcomes = converse(SOURCE.deliver(payloads, NOW_MS), lambda request: YES)
    assert outcomes == [Delivered(200)] * 60
    assert [len(orjson.loads(request.body)["batch"]) for request in requests] == [23, 23, 14]
    assert all(len(request.body) <= 475_000 for request in requests)
    small, _ = converse(SOURCE.deliver(numbered(60), NOW_MS), lambda request: YES)
    assert [len(orjson.loads(request.body)["batch"]) for request in small] == [50, 10]


@pytest.mark.parametrize("status", [400, 413])
def test_refused_batch_is_halved_until_the_bad_event_is_alone(status: int) -> None:
    bad = Response(status, {}, b"")
    requests, outcomes = converse(
        SOURCE.deliver(numbered(8), NOW_MS), lambda request: bad if b'"e-2"' in request.body else YES
    )
    assert outcomes == [*[Delivered(200)] * 2, Rejected(str(status), bad), *[Delivered(200)] * 5]
    assert len(requests) == 7


def test_jitsu_takes_each_message_alone() -> None:
    sign_up = replace(SEARCH, **named("sign_up"), profile={"email": "visitor@shop.example"}, properties={})
    payloads = payloads_of(2, lambda number: JITSU.render(sign_up if number == 0 else SEARCH))
    requests, outcomes = converse(JITSU.deliver(payloads, NOW_MS), lambda request: Response(200, {}, b'{"ok":true}'))
    assert outcomes == [Delivered(200)] * 2
    assert [request.url.removeprefix("https://jitsu.shop.example") for request in requests] == [
        "/api/s/s2s/track",
        "/api/s/s2s/identify",
        "/api/s/s2s/track",
    ]
    assert requests[0].headers["X-Write-Key"] == "w-key"
    assert requests[0].secret_headers == {"x-write-key"}
    assert orjson.loads(requests[0].body)["sentAt"] == "2026-11-20T14:03:11.120Z"
    _, held = with_answers(JITSU.deliver(payloads, NOW_MS), Response(503, {}, b""))
    assert held == [Retry("503"), Retry("behind a request that failed")]


MOVED = "leads elsewhere, which is not followed; set base_url to where it leads"


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        *[(200, body, Delivered(200)) for body in (b'{"success":true}', b'{"ok":true}', b"OK", b'"OK"', b"", b"{}")],
        *[
            (200, body, Unclear("200: says no or nothing", Response(200, {}, body)))
            for body in (b"<html>", b'{"success":false}', b'{"ok":0}', b"[]", b"null", b"[" * 5_000, b"\xff")
        ],
        *[(status, b"", Rejected(str(status), Response(status, {}, b""))) for status in (400, 402, 405, 413, 422)],
        *[(status, b"", Refused(str(status))) for status in (401, 403, 404)],
        *[(status, b"", Refused(f"{status}: {MOVED}")) for status in (301, 302, 308)],
        *[(status, b"", Retry(str(status))) for status in (408, 500, 502, 503, 504)],
        (429, b"", Throttled(30.0)),
        *[(status, b"", Unclear(str(status), Response(status, {}, b""))) for status in (101, 600)],
    ],
)
def test_answer_means(status: int, body: bytes, outcome: Outcome) -> None:
    assert read(NOW_MS, Response(status, {}, body)) == outcome


@settings(max_examples=60, deadline=None)
@given(st.lists(RESPONSES, min_size=1, max_size=6), st.integers(1, 6), st.sampled_from([SOURCE, JITSU]))
def test_any_answers_give_one_outcome_a_payload(responses: list[Response], count: int, source: Segment) -> None:
    payloads = numbered(count, source)
    told = [converse(source.deliver(payloads, NOW_MS), in_turn(responses * 12)) for _ in range(2)]
    assert told[0] == told[1]
    assert len(told[0][1]) == count


def test_jitsu_needs_its_own_address() -> None:
    with pytest.raises(ConfigErrors) as caught:
        read_parameters(Segment, 'write_key: "${K}"\napi: jitsu', {"K": "id:secret"})
    assert [problem.what for problem in caught.value.problems] == [
        "is Segment's own; accepted with api: jitsu is the address of your Jitsu"
    ]
    text = 'write_key: "${K}"\napi: jitsu\nbase_url: https://jitsu.shop.example/\nnames: ga4'
    assert read_parameters(Segment, text, {"K": "w-key"}) == replace(JITSU, names="ga4")


def test_conversation_holds_what_fits_a_batch() -> None:
    assert (SOURCE.batch_size(is_backlog=True), JITSU.batch_size(is_backlog=True)) == (50, 1)
    assert not SOURCE.goes_alone(numbered(1)[0])


def test_message_without_an_answer_leaves_what_was_answered_before() -> None:
    conversation = JITSU.deliver(numbered(2, JITSU), NOW_MS)
    next(conversation)
    conversation.send(YES)
    with pytest.raises(StopIteration) as ended:
        conversation.throw(TransportFailed("no answer in time"))
    assert ended.value.value == [Delivered(200), Retry("no answer in time")]
