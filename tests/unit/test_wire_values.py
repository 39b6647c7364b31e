"""The browser batch: hostile values and keys, and that whatever is taken reads back the same."""

import functools
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import RequestRefused
from edge.event import decode, encode
from edge.jsontree import POISON_KEYS, Proof
from edge.wire import EVENT_CODES, MAX_CONTEXT_BYTES, Arrival, parse_events, read_batch, shared_context
from tests.browser_batch import ARRIVAL, EVENT, OURS, RECEIVED_MS, batch_bytes, parse, parse_one

# Values that break others


def test_a_huge_integer_is_kept_as_text_and_a_safe_one_as_a_number() -> None:
    assert parse_one(properties={"a": 2**53, "b": 2**53 - 1, "c": -(2**63)}).properties == {
        "a": "9007199254740992",
        "b": 2**53 - 1,
        "c": "-9223372036854775808",
    }


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**40 + 1])
def test_an_integer_of_any_length_keeps_each_digit(number: int) -> None:
    sent = batch_bytes({**EVENT, "properties": {"transaction_id": "?", "value": 0.1, "of": "9" * 30}})
    batch = read_batch(sent.replace(b'"?"', str(number).encode()))
    (event,), _ = parse_events(batch, ARRIVAL)
    assert event.properties == {"transaction_id": str(number), "value": 0.1, "of": "9" * 30}


def test_a_number_of_thousands_of_digits_costs_nobody_anything() -> None:
    sent = batch_bytes({**EVENT, "properties": {"value": "?"}})
    batch = read_batch(sent.replace(b'"?"', b"0." + b"1" * 10_000))
    assert batch.events[0]["properties"] == {"value": pytest.approx(1 / 9)}


def test_control_characters_are_stripped_and_line_ends_stay() -> None:
    properties = parse_one(properties={"a\x00b": "x\x00\x1b[31m\x85y\n\tz\x7f"}).properties
    assert properties == {"ab": "x[31my\n\tz"}


@pytest.mark.parametrize("key", sorted(POISON_KEYS))
def test_keys_that_poison_objects_are_dropped_at_any_depth(key: str) -> None:
    found = parse_one(properties={key: {"x": 1}, "items": [{key: 1, "ok": 2}]}, context={key: 1})
    assert found.properties == {"items": [{"ok": 2}]}
    assert found.context == OURS


def test_dotted_and_dollar_keys_are_only_names() -> None:
    assert parse_one(properties={"$where": 1, "a.b": 2}).properties == {"$where": 1, "a.b": 2}


def test_of_a_doubled_key_the_last_one_counts() -> None:
    body = b'{"events":[{"id":"a","id":"b","name":"x","properties":{"p":1,"p":2}}]}'
    events, _ = parse_events(read_batch(body), ARRIVAL)
    assert (events[0].id, events[0].properties) == ("b", {"p": 2})


# Context


def test_an_events_context_overrides_its_batchs_key_by_key() -> None:
    context = parse_one(
        top={"context": {"locale": "en", "page": {"path": "/a", "title": "A"}}}, context={"page": {"path": "/b"}}
    ).context
    assert context == {"locale": "en", "page": {"path": "/b"}, **OURS}


def test_an_events_context_stays_its_own() -> None:
    events, _ = parse({**EVENT, "context": {"page": 1}}, {**EVENT, "id": "e-2"}, context={"page": 0})
    assert [event.context["page"] for event in events] == [1, 0]


@pytest.mark.parametrize("arrival", [ARRIVAL, Arrival(RECEIVED_MS, "browser", "ab" * 16, None, None, has_gpc=False)])
def test_a_client_cannot_write_our_keys(arrival: Arrival) -> None:
    lie = {"ip": "6.6.6.6", "user_agent": "liar", "gpc": True, "locale": "en"}
    context = parse_one(arrival, {"context": lie}, context=lie).context
    assert context == {"locale": "en", **(OURS if arrival.ip else {})}


def test_the_privacy_header_is_marked_and_the_pages_own_signal_stays() -> None:
    arrival = Arrival(RECEIVED_MS, "browser", "ab" * 16, None, None, has_gpc=True)
    assert parse_one(arrival, {"context": {"consent": {"gpc": True}}}).context == {
        "gpc": True,
        "consent": {"gpc": True},
    }


@pytest.mark.parametrize(
    ("header", "kept"),
    [("x" * 600, "x" * 512), ("a\x1b[0mb", "a[0mb"), ("caf\udcc3\udca9", "caf??"), ("müller", "müller")],
)
def test_a_user_agent_is_cut_and_made_text(header: str, kept: str) -> None:
    """A header's foreign bytes arrive as lone surrogates, which no JSON can hold."""
    event = parse_one(Arrival(RECEIVED_MS, "browser", "ab" * 16, None, header, has_gpc=False))
    assert decode(encode(event)).context == {"user_agent": kept}


def test_the_session_id_is_read_when_it_is_one() -> None:
    def session_id(context: Any) -> str | None:
        return read_batch(batch_bytes(1, context=context)).session_id

    assert session_id({"session": {"id": "a1_-Z"}}) == "a1_-Z"
    assert [session_id(bad) for bad in ({}, {"session": 1}, {"session": {"id": 7}}, {"session": {"id": "a b"}})] == [
        None
    ] * 4


# Round trip

SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text()
TREES = st.recursive(
    SCALARS.filter(lambda value: value not in (float("inf"), float("-inf"))),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(max_size=8), TREES, max_size=5)


@given(OBJECTS, OBJECTS, OBJECTS, OBJECTS)
def test_whatever_is_taken_reads_back_the_same(properties: Any, traits: Any, own: Any, shared: Any) -> None:
    event = {"name": "x", "properties": properties, "traits": traits, "context": own}
    try:
        events, rejected = parse(event, context=shared)
    except RequestRefused as refusal:
        assert refusal.code in EVENT_CODES
        return
    assert [decode(encode(event)) for event in events] == events
    assert len(events) + len(rejected) == 1
    assert all(one.code in EVENT_CODES for one in rejected)


@given(TREES, st.sampled_from(["id", "name", "time", "properties", "traits", "context"]))
def test_any_value_anywhere_is_taken_or_refused_with_a_code(value: Any, key: str) -> None:
    events, rejected = parse({**EVENT, key: value})
    assert [decode(encode(event)) for event in events] == events
    assert all(one.code in EVENT_CODES for one in rejected)
    assert len(events) + len(rejected) == 1


POISON = ({"__proto__": 1}, {"constructor": {}}, {"prototype": 1}, {"a\x7f": 1})
HARD = st.sampled_from([2**53, "a\x00b", "\x85", "£5", "back\\slash", *POISON])
DEEP = st.integers(1, 12).map(lambda depth: functools.reduce(lambda tree, _: [tree], range(depth), "leaf"))
WIDE = st.sampled_from([150, 299, 301]).map(lambda size: dict.fromkeys(map(str, range(size)), 0))
LARGE = st.sampled_from([9_000, 60_000, 70_000]).map(lambda size: "x" * size)
PARTS = st.dictionaries(st.sampled_from("abc"), TREES | HARD | DEEP | WIDE | LARGE, max_size=3)


@given(st.lists(PARTS, min_size=1, max_size=3), PARTS)
def test_what_is_proved_of_a_whole_body_is_what_a_look_at_each_part_finds(parts: list[Any], context: Any) -> None:
    raw = {"context": context, "events": [{"name": "x", "properties": part} for part in parts]}
    try:
        quick = read_batch(orjson.dumps(raw))
    except RequestRefused as refusal:
        with pytest.raises(RequestRefused) as slowly:
            shared_context(orjson.loads(orjson.dumps(raw))["context"], MAX_CONTEXT_BYTES)
        assert slowly.value.code == refusal.code
        return
    cleaned, size_bytes = shared_context(orjson.loads(orjson.dumps(raw))["context"], MAX_CONTEXT_BYTES)
    assert quick.context == cleaned
    slow = quick._replace(context_bytes=size_bytes, proof=Proof.NONE)
    assert parse_events(quick, ARRIVAL) == parse_events(slow, ARRIVAL)


def test_a_small_body_is_proved_to_be_shallow_and_no_more() -> None:
    taken = []
    for depth in range(1, 13):
        nested = functools.reduce(lambda tree, _: [tree], range(depth), "leaf")
        body = {"context": {}, "events": [{"name": "x", "properties": {"a": nested}}]}
        taken.append(not parse_events(read_batch(orjson.dumps(body)), ARRIVAL)[1])
    assert taken == [True] * 8 + [False] * 4  # the event and its properties are two levels of ten


def test_an_order_of_many_items_is_no_deeper_for_them() -> None:
    items = [{"item_id": str(number), "tags": ["a", "b"]} for number in range(40)]
    batch = read_batch(orjson.dumps({"events": [{"name": "purchase", "properties": {"items": items}}]}))
    assert batch.proof is Proof.SMALL
