"""The browser batch: what is taken, what is refused, and with which code."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.consent import Answer, Purpose, find_answer
from edge.errors import RequestRefused
from edge.event import Event
from edge.jsontree import MAX_BYTES, MAX_DEPTH
from edge.wire import (
    EVENT_CODES,
    MAX_CONTEXT_BYTES,
    MAX_EVENTS,
    Arrival,
    consent_event,
    parse_events,
    read_batch,
)
from tests.browser_batch import (
    ARRIVAL,
    EVENT,
    MOMENT,
    OURS,
    RECEIVED_MS,
    batch_bytes,
    code_of,
    nested,
    parse,
    parse_one,
)


def refusal_of(body: bytes) -> tuple[int, str]:
    with pytest.raises(RequestRefused) as raised:
        read_batch(body)
    return raised.value.status, raised.value.code


# The whole request


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "bad_json"),
        (b"{", "bad_json"),
        (b'{"events":[NaN]}', "bad_json"),
        (b'{"events":[1e400]}', "bad_json"),
        (b'\xef\xbb\xbf{"events":[]}', "bad_json"),
        (b'{"events":["\\ud800"]}', "bad_json"),
        (b'{"events":["\xff"]}', "bad_json"),
        (b'{"events":["\x00"]}', "bad_json"),
        (b"[" * 2_000, "bad_json"),
        (b"[]", "bad_batch"),
        (b"1", "bad_batch"),
        (b"null", "bad_batch"),
        (b"{}", "bad_batch"),
        (b'{"events":{}}', "bad_batch"),
        (b'{"events":[]}', "no_events"),
        (b'{"events":[' + b",".join([b"1"] * (MAX_EVENTS + 1)) + b"]}", "too_many_events"),
        (b'{"context":[],"events":[1]}', "bad_context"),
        (b'{"context":"x","events":[1]}', "bad_context"),
    ],
)
def test_a_body_that_is_no_batch_is_refused_whole(body: bytes, code: str) -> None:
    assert refusal_of(body) == (400, code)


def test_a_context_over_the_limits_refuses_the_batch() -> None:
    """It would be stored with every event: 500 times."""
    assert refusal_of(batch_bytes(1, context={"x": "y" * MAX_CONTEXT_BYTES})) == (400, "too_large")
    assert refusal_of(batch_bytes(1, context={"x": nested(MAX_DEPTH)})) == (400, "too_deep")
    assert refusal_of(batch_bytes(1, context={str(n): n for n in range(301)})) == (400, "too_many_keys")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_batch_or_refused(body: bytes) -> None:
    try:
        parse_events(read_batch(body), ARRIVAL)
    except RequestRefused as refusal:
        assert refusal.status == 400


def test_five_hundred_events_are_taken_in_their_order() -> None:
    events, rejected = parse(*({**EVENT, "id": f"e{n}"} for n in range(MAX_EVENTS)))
    assert ([event.id for event in events], rejected) == ([f"e{n}" for n in range(MAX_EVENTS)], [])


# One event


def test_a_plain_event_becomes_exactly_this() -> None:
    top = {"context": {"page": {"path": "/"}, "session": {"id": "s1"}}}
    assert parse_one(top=top, traits={"email": "a@b.example"}) == Event(
        id="e-1",
        name="add_to_cart",
        time_ms=RECEIVED_MS,
        received_at_ms=RECEIVED_MS,
        source="browser",
        browser="ab" * 16,
        properties={"value": 48.5},
        traits={"email": "a@b.example"},
        context={"page": {"path": "/"}, "session": {"id": "s1"}, **OURS},
    )


REFUSED: list[tuple[Any, str]] = [
    (1, "bad_event"),
    (None, "bad_event"),
    ([], "bad_event"),
    ("purchase", "bad_event"),
    ({}, "bad_name"),
    ({**EVENT, "name": None}, "bad_name"),
    ({**EVENT, "name": 7}, "bad_name"),
    ({**EVENT, "name": ""}, "bad_name"),
    ({**EVENT, "name": "1st"}, "bad_name"),
    ({**EVENT, "name": "_x"}, "bad_name"),
    ({**EVENT, "name": "$where"}, "bad_name"),
    ({**EVENT, "name": "a<b>"}, "bad_name"),
    ({**EVENT, "name": "view_item\n"}, "bad_name"),
    ({**EVENT, "name": "ends "}, "bad_name"),
    ({**EVENT, "name": "a" * 65}, "bad_name"),
    ({**EVENT, "id": ""}, "bad_id"),
    ({**EVENT, "id": 5}, "bad_id"),
    ({**EVENT, "id": "a b"}, "bad_id"),
    ({**EVENT, "id": "ü"}, "bad_id"),
    ({**EVENT, "id": "x" * 65}, "bad_id"),
    ({**EVENT, "time": 1_795_284_000}, "bad_time"),
    ({**EVENT, "time": ""}, "bad_time"),
    ({**EVENT, "time": "yesterday"}, "bad_time"),
    ({**EVENT, "time": "2026-13-01T00:00:00Z"}, "bad_time"),
    ({**EVENT, "time": "2026-11-21T18:00:00Z" + " " * 40}, "bad_time"),
    ({**EVENT, "properties": []}, "bad_properties"),
    ({**EVENT, "properties": "x"}, "bad_properties"),
    ({**EVENT, "traits": 1}, "bad_traits"),
    ({**EVENT, "context": [1]}, "bad_context"),
    ({**EVENT, "properties": {"x": "y" * MAX_BYTES}}, "too_large"),
    ({**EVENT, "properties": {"x": nested(MAX_DEPTH - 1)}}, "too_deep"),
    ({**EVENT, "properties": {"x": nested(240)}}, "too_deep"),
    ({**EVENT, "properties": {f"k{n}": 1 for n in range(301)}}, "too_many_keys"),
    ({**EVENT, "properties": {"x": [{f"k{n}": 1 for n in range(250)}] * 21}}, "too_many_keys"),
]


@pytest.mark.parametrize(("event", "code"), REFUSED)
def test_a_bad_event_has_this_code(event: Any, code: str) -> None:
    assert code_of(event) == code


def test_every_code_of_the_closed_set_has_a_case() -> None:
    assert {code for _, code in REFUSED} == EVENT_CODES


def test_an_event_that_could_be_read_but_never_written_again_is_refused() -> None:
    """orjson reads 1,024 levels and writes 254: such an event would be stored and then break every reader."""
    body = b'{"events":[{"name":"x","properties":{"x":' + b"[" * 900 + b"]" * 900 + b"}}]}"
    assert [one.code for one in parse_events(read_batch(body), ARRIVAL)[1]] == ["too_deep"]


def test_one_bad_event_never_takes_its_batch_along() -> None:
    events, rejected = parse({**EVENT, "id": "a"}, {"name": ""}, {**EVENT, "id": "b"}, 9)
    assert [event.id for event in events] == ["a", "b"]
    assert [(one.index, one.code) for one in rejected] == [(1, "bad_name"), (3, "bad_event")]


def test_messages_repeat_nothing_a_client_sent() -> None:
    _, rejected = parse(*({"name": "canary", key: "canary"} for key in ("id", "time", "properties", "context")))
    assert len(rejected) == 3
    assert all("canary" not in one.message for one in rejected)


@pytest.mark.parametrize("name", ["a", "page_view", "Order Completed", "v2.cart-add", "x" * 64])
def test_good_names_are_kept_as_they_are(name: str) -> None:
    assert parse_one(name=name).name == name


def test_an_event_and_its_batchs_context_share_one_limit() -> None:
    half = {"x": "y" * 16_000}
    assert code_of({**EVENT, "properties": {"x": "y" * 49_500}}, context=half) == "too_large"
    assert parse_one(top={"context": half}, properties={"x": "y" * 49_000}).properties["x"] == "y" * 49_000


@pytest.mark.parametrize("missing", [{}, {"properties": None, "traits": None, "context": None}])
def test_missing_parts_are_empty(missing: dict[str, None]) -> None:
    events, _ = parse({"id": "e", "name": "x", **missing})
    assert (events[0].properties, events[0].traits, events[0].context) == ({}, {}, OURS)


# Ids


def test_a_missing_id_is_the_same_for_the_same_body_and_another_for_any_other() -> None:
    bare = {"name": "x", "properties": {"n": 1}}
    events, _ = parse(bare, bare)
    again, _ = parse(bare, bare)
    other_browser = Arrival(RECEIVED_MS, "browser", "cd" * 16, None, None, has_gpc=False)
    others = [
        *parse(bare, arrival=other_browser)[0],
        *parse(bare, sent_at="2026-11-21T18:00:01.000Z")[0],
        *parse({"name": "x", "properties": {"n": 2}})[0],
    ]
    assert [event.id for event in events] == [event.id for event in again]
    assert len({event.id for event in [*events, *others]}) == 5
    assert len(events[0].id) == 32


def test_a_later_arrival_of_the_same_body_keeps_its_derived_ids() -> None:
    later = Arrival(RECEIVED_MS + 9_000, "browser", "ab" * 16, "198.51.100.1", None, has_gpc=True)
    bare = {"name": "x"}
    assert parse(bare)[0][0].id == parse(bare, arrival=later)[0][0].id


# Times


@pytest.mark.parametrize(
    ("sent_at", "time", "moved_by_ms", "is_moved"),
    [
        (MOMENT, MOMENT, 0, False),
        ("2026-11-21T17:59:00.120Z", MOMENT, 0, False),  # 60 s: not more
        ("2026-11-21T17:59:00.119Z", "2026-11-21T17:59:00.119Z", 0, True),
        ("2026-11-21T19:00:00.120Z", "2026-11-21T18:59:30.120Z", -30_000, True),
        ("1970-01-01T00:00:10Z", "1970-01-01T00:00:00Z", -10_000, True),  # a clock that never was set
        (None, "2026-11-21T17:00:00.120Z", -3_600_000, False),
        (None, "2026-11-21T19:00:00+02:00", -3_600_120, False),
        (None, "2026-11-21T17:00:00", -3_600_120, False),
        ("nonsense", "2026-11-21T17:00:00.120Z", -3_600_000, False),
        (None, "2020-01-01T00:00:00Z", -7 * 86_400_000, True),
        (None, "2099-01-01T00:00:00Z", 300_000, True),
        (None, "0001-01-01T00:00:00+14:00", -7 * 86_400_000, True),
        (None, "9999-12-31T23:59:59-14:00", 300_000, True),
    ],
)
def test_a_time_is_corrected_then_bounded_then_marked(
    sent_at: str | None, time: str, moved_by_ms: int, is_moved: bool
) -> None:
    event = parse_one(top={"sent_at": sent_at}, time=time)
    assert (event.time_ms - RECEIVED_MS, event.is_time_moved) == (moved_by_ms, is_moved)


def test_a_missing_time_is_when_it_came() -> None:
    event = parse_one(top={"sent_at": "2020-01-01T00:00:00Z"}, time=None)
    assert (event.time_ms, event.is_time_moved) == (RECEIVED_MS, False)


# Consent


@pytest.mark.parametrize(
    ("consent", "answer"),
    [
        (None, None),
        ("granted", None),
        ({}, None),
        ({"marketing": True}, None),
        ({"marketing": "yes", "source": "x"}, None),
        ({"marketing": "granted"}, Answer(Purpose.MARKETING, Purpose.NONE, "page")),
        ({"marketing": "granted", "analytics": 1}, Answer(Purpose.MARKETING, Purpose.NONE, "page")),
        (
            {"functional": "granted", "analytics": "denied", "source": "banner"},
            Answer(Purpose.FUNCTIONAL, Purpose.ANALYTICS, "banner"),
        ),
        (
            {"marketing": "denied", "version": "2026-11"},
            Answer(Purpose.NONE, Purpose.MARKETING, "page", banner="2026-11"),
        ),
        ({"marketing": "denied", "version": "a\nb"}, Answer(Purpose.NONE, Purpose.MARKETING, "page")),
        ({"marketing": "denied", "source": "<b>"}, Answer(Purpose.NONE, Purpose.MARKETING, "page")),
    ],
)
def test_consent_is_read_word_by_word(consent: Any, answer: Answer | None) -> None:
    assert find_answer(consent) == answer


def test_a_consent_answer_outlives_a_batch_of_bad_events() -> None:
    batch = read_batch(batch_bytes(1, context={"consent": {"marketing": "denied"}, "session": {"id": "s1"}}))
    event = consent_event(batch, ARRIVAL)
    assert (event.name, event.properties) == ("consent", {"events_refused": 1})
    assert event.context == {"consent": {"marketing": "denied"}, "session": {"id": "s1"}, **OURS}
    assert event.id == consent_event(batch, ARRIVAL).id


def test_the_consent_platforms_cookies_are_kept_and_none_from_the_body() -> None:
    arrival = ARRIVAL._replace(consent_cookies={"CookieConsent": "0"})
    forged = {"context": {"consent_cookies": {"CookieConsent": "-1"}}}
    assert parse_one(arrival, forged, **forged).context == {**OURS, "consent_cookies": {"CookieConsent": "0"}}
    assert parse_one(ARRIVAL, forged, **forged).context == OURS
