"""Servers' calls: what each becomes, what is refused, and with which code."""

import string
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import RequestRefused
from edge.event import Event, decode, encode
from edge.identity import normal
from edge.server_wire import (
    KINDS,
    MAX_MESSAGE_BYTES,
    MAX_MESSAGES,
    MAX_SHARED_BYTES,
    MESSAGE_CODES,
    NOBODY,
    event_id,
    parse_calls,
    read_calls,
)
from tests.browser_batch import nested
from tests.server_messages import MOMENT, RECEIVED_MS, SOURCE, TRACK, code_of, key_of, parse, parse_one


def refusal_of(body: Any, address: str = "batch") -> tuple[int, str]:
    with pytest.raises(RequestRefused) as raised:
        read_calls(body, address)
    return raised.value.status, raised.value.code


# What each call becomes


def test_a_track_is_an_event_with_ours_beside_its_own_names() -> None:
    event = parse_one(
        anonymousId="7d9f",
        properties={"order_id": "70311", "total": 84.5, "products": [{"product_id": "501", "quantity": 2}]},
        context={
            "ip": "2001:db8::7",
            "userAgent": "Mozilla/5.0",
            "locale": "en-GB",
            "traits": {"email": "user@shop.example"},
            "page": {"url": "https://shop.example/thanks"},
            "library": {"name": "analytics-python", "version": "2.4.0"},
        },
    )
    assert event == Event(
        id="m-1",
        name="Order Completed",
        time_ms=RECEIVED_MS,
        received_at_ms=RECEIVED_MS,
        source=SOURCE,
        browser=key_of("anonymous:7d9f"),
        properties={
            "order_id": "70311",
            "total": 84.5,
            "products": [{"product_id": "501", "quantity": 2}],
            "transaction_id": "70311",
            "value": 84.5,
            "items": [{"item_id": "501", "quantity": 2}],
        },
        traits={"email": "user@shop.example", "customer_id": "c-19"},
        context={
            "ip": "2001:db8::7",
            "user_agent": "Mozilla/5.0",
            "locale": "en-GB",
            "page": {"url": "https://shop.example/thanks"},
            "library": {"name": "analytics-python", "version": "2.4.0"},
        },
    )
    assert (event.canonical_name, event.order_id) == ("purchase", "70311")


def test_an_identify_says_who_somebody_is() -> None:
    event = parse_one(type="identify", event=None, traits={"email": "user@shop.example", "customer_id": "other"})
    assert (event.name, event.properties) == ("identify", {})
    assert event.traits == {"email": "user@shop.example", "customer_id": "c-19"}
    assert event.browser == key_of("user:c-19")


def test_a_page_is_a_page_view_and_tells_its_page() -> None:
    properties = {"url": "https://shop.example/cups", "title": "Cups", "extra": 1}
    event = parse_one(type="page", event=None, name="Cups", category="Shop", properties=properties)
    assert event.name == "page_view"
    assert event.properties == {"name": "Cups", "category": "Shop", **properties}
    assert event.context == {"page": {"url": "https://shop.example/cups", "title": "Cups"}}


def test_a_page_of_the_context_is_not_replaced() -> None:
    event = parse_one(type="page", properties={"path": "/a"}, context={"page": {"path": "/b"}})
    assert event.context == {"page": {"path": "/b"}}


def test_a_screen_is_a_screen_view() -> None:
    event = parse_one(type="screen", name="Basket")
    assert (event.name, event.properties) == ("screen_view", {"name": "Basket", "screen_name": "Basket"})


def test_the_traits_of_a_group_are_not_the_persons() -> None:
    """A company's address would else become the identity of everyone in it."""
    event = parse_one(type="group", groupId="g-1", traits={"name": "Tea Ltd", "email": "office@tea.example"})
    assert event.name == "group"
    assert event.properties == {"group_id": "g-1", "name": "Tea Ltd", "email": "office@tea.example"}
    assert event.traits == {"customer_id": "c-19"}


def test_an_alias_is_known_and_not_supported() -> None:
    assert code_of({"type": "alias", "userId": "a", "previousId": "b"}) == "unsupported"


def test_the_address_says_what_a_single_call_is() -> None:
    message = {**TRACK, "type": "identify", "writeKey": "a secret"}
    taken = parse_calls(read_calls(message, "track"), SOURCE, RECEIVED_MS)
    assert [event.name for event in taken.kept] == ["Order Completed"]
    assert b"a secret" not in encode(taken.kept[0])


# Who


@pytest.mark.parametrize(
    ("ids", "whom"),
    [
        ({"userId": "c-19"}, "user:c-19"),
        ({"userId": 19}, "user:19"),
        ({"anonymousId": "7d9f"}, "anonymous:7d9f"),
        ({"userId": "c-19", "anonymousId": "7d9f"}, "anonymous:7d9f"),
        ({"userId": "c-19", "anonymousId": "undefined"}, "user:c-19"),
        ({"userId": "c-19", "anonymousId": ""}, "user:c-19"),
        ({"userId": "c-19", "anonymousId": "x" * 256}, "user:c-19"),
    ],
)
def test_the_key_of_order_is_the_anonymous_id_or_else_the_user(ids: dict[str, Any], whom: str) -> None:
    assert parse_one(**{"userId": None, **ids}).browser == key_of(whom)


@pytest.mark.parametrize("nobody", [None, "", " ", "null", "undefined", "0", 0, True, [], {}, 1.5, "x" * 256])
def test_a_message_about_nobody_is_refused(nobody: Any) -> None:
    """Else all who share a placeholder would be one visitor."""
    assert code_of({**TRACK, "userId": nobody, "anonymousId": nobody}) == "no_user"


@pytest.mark.parametrize("word", sorted(NOBODY))
def test_a_placeholder_here_is_no_customer_id_to_identity_either(word: str) -> None:
    assert normal("customer_id", word, "GB") is None
    assert code_of({**TRACK, "userId": word.upper()}) == "no_user"


# The id


@pytest.mark.parametrize("given", ["m-1", "a.b:c_D-9", "x" * 100, 17])
def test_a_plain_message_id_is_the_events_id(given: Any) -> None:
    assert parse_one(messageId=given).id == str(given)


@pytest.mark.parametrize("given", ["x" * 101, "order/70311", "ä", "#7", " m"])
def test_another_message_id_becomes_a_hash_that_is_always_the_same(given: str) -> None:
    assert parse_one(messageId=given).id == event_id(given) == key_of(given)


@pytest.mark.parametrize("given", [True, 1.5, [], {}])
def test_a_message_id_that_is_no_text_is_refused(given: Any) -> None:
    assert code_of({**TRACK, "messageId": given}) == "bad_id"


def test_without_a_message_id_a_repeated_post_is_the_same_event_and_another_message_is_not() -> None:
    bare = {key: value for key, value in TRACK.items() if key != "messageId"}
    first, again = (parse(bare, {**bare, "event": "x"}, bare, sentAt=MOMENT) for _ in range(2))
    assert first == again
    assert len({event.id for event in first.kept}) == 3
    assert parse(bare, sentAt="2026-11-21T18:00:00.121Z").kept[0].id != first.kept[0].id
    other = parse_calls(read_calls({"batch": [bare]}, "batch"), "server:till", RECEIVED_MS)
    assert other.kept[0].id != parse(bare).kept[0].id


# What is refused


@pytest.mark.parametrize(
    ("body", "address", "code"),
    [
        ([], "track", "bad_batch"),
        (None, "batch", "bad_batch"),
        ({}, "batch", "bad_batch"),
        ({"batch": {}}, "batch", "bad_batch"),
        ({"batch": []}, "batch", "no_events"),
        ({"batch": [0] * (MAX_MESSAGES + 1)}, "batch", "too_many_events"),
        ({"batch": [0], "context": []}, "batch", "bad_context"),
        ({"batch": [0], "context": {"a": "x" * MAX_SHARED_BYTES}}, "batch", "too_large"),
        ({"batch": [0], "context": {"a": nested(10)}}, "batch", "too_deep"),
    ],
)
def test_a_body_that_is_no_call_is_refused_whole(body: Any, address: str, code: str) -> None:
    assert refusal_of(body, address) == (400, code)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("track", "bad_event"),
        (None, "bad_event"),
        ({**TRACK, "type": "purchase"}, "bad_type"),
        ({**TRACK, "type": ["track"]}, "bad_type"),
        ({"userId": "a", "event": "x"}, "bad_type"),
        ({**TRACK, "event": ""}, "bad_name"),
        ({**TRACK, "event": "<b>"}, "bad_name"),
        ({**TRACK, "event": "x" * 65}, "bad_name"),
        ({**TRACK, "timestamp": "yesterday"}, "bad_time"),
        ({**TRACK, "timestamp": 1_795_284_000}, "bad_time"),
        ({**TRACK, "properties": []}, "bad_properties"),
        ({**TRACK, "traits": "x"}, "bad_traits"),
        ({**TRACK, "context": "x"}, "bad_context"),
        ({**TRACK, "context": {"traits": []}}, "bad_traits"),
        ({**TRACK, "properties": {"a": nested(9)}}, "too_deep"),
        ({**TRACK, "properties": {f"k{n}": n for n in range(301)}}, "too_many_keys"),
    ],
)
def test_a_message_that_breaks_a_rule_is_refused_alone(message: Any, code: str) -> None:
    assert code_of(message) == code
    assert code in MESSAGE_CODES
    assert [event.id for event in parse(message, TRACK).kept] == ["m-1"]


def test_limits_hold_at_both_sides() -> None:
    bare = {**TRACK, "properties": {"text": ""}}
    room = MAX_MESSAGE_BYTES - len(orjson.dumps(bare))
    assert parse({**TRACK, "properties": {"text": "x" * room}}).accepted == 1
    assert code_of({**TRACK, "properties": {"text": "x" * (room + 1)}}) == "too_large"
    assert len(read_calls({"batch": [0] * MAX_MESSAGES}, "batch").messages) == MAX_MESSAGES
    assert parse_one({"context": {"a": "x" * (MAX_SHARED_BYTES - len('{"a":""}'))}}).context["a"] != ""


def test_spans_of_a_batch_give_what_the_whole_gives() -> None:
    calls = read_calls({"batch": [TRACK, 1, {**TRACK, "messageId": "m-2"}, 2]}, "batch")
    whole = parse_calls(calls, SOURCE, RECEIVED_MS)
    spans = [parse_calls(calls, SOURCE, RECEIVED_MS, start=start, stop=start + 2) for start in (0, 2)]
    assert [event for one in spans for event in one.kept] == whole.kept
    assert [found for one in spans for found in one.rejected] == whole.rejected
    assert sum(one.accepted for one in spans) == whole.accepted == 2


WORDS = st.sampled_from([*KINDS, "type", "userId", "anonymousId", "messageId", "context", "consent", "ip", "traits"])
KEYS = st.one_of(WORDS, st.sampled_from(["properties", "products", "event", "timestamp", "sentAt", "batch"]))
TREES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(string.printable), WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=6)),
    max_leaves=30,
)
HOSTILE = st.dictionaries(KEYS, TREES, max_size=10).map(lambda tree: {"userId": "c-19", "event": "x", **tree})


@given(st.one_of(TREES, HOSTILE), st.sampled_from([*KINDS, "batch"]))
def test_whatever_comes_is_an_event_that_can_be_stored_or_one_of_our_refusals(body: Any, address: str) -> None:
    try:
        calls = read_calls({"batch": [body]} if address == "batch" else body, address)
    except RequestRefused as why:
        assert why.status == 400
        return
    taken = parse_calls(calls, SOURCE, RECEIVED_MS)
    assert taken == parse_calls(calls, SOURCE, RECEIVED_MS)
    assert {one.code for one in taken.rejected} <= MESSAGE_CODES
    assert taken.accepted + len(taken.rejected) == len(calls.messages)
    assert [decode(encode(event)) for event in taken.kept] == taken.kept
