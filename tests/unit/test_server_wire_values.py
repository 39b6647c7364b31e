"""Servers' calls: times, context and consent, as a server tells them."""

from typing import Any

import pytest

from edge.consent import ALL_PURPOSES, Answer, Purpose, find_answer
from tests.server_messages import RECEIVED_MS, TRACK, key_of, parse, parse_one

DAY_MS = 86_400_000

# Times


@pytest.mark.parametrize(
    ("told", "sent_at", "time_ms", "is_moved"),
    [
        ({}, None, RECEIVED_MS, False),
        ({"timestamp": "2026-11-21T17:00:00Z"}, None, RECEIVED_MS - 3_600_120, False),
        ({"timestamp": "2026-11-21T19:00:00+01:00"}, "2026-11-21T18:00:59Z", RECEIVED_MS - 120, False),
        ({"timestamp": "2026-11-21T15:00:00.120Z"}, "2026-11-21T16:00:00.120Z", RECEIVED_MS - 3_600_000, True),
        ({"timestamp": "2020-01-01T00:00:00Z"}, None, RECEIVED_MS - 7 * DAY_MS, True),
        ({"timestamp": "2030-01-01T00:00:00Z"}, None, RECEIVED_MS + 300_000, True),
        ({"originalTimestamp": "2026-11-21T17:00:00.120Z"}, None, RECEIVED_MS - 3_600_000, False),
        (
            {"timestamp": "2026-11-21T17:30:00Z", "originalTimestamp": "2026-11-21T15:00:00.120Z"},
            "2026-11-21T16:00:00.120Z",
            RECEIVED_MS - 3_600_000,
            True,
        ),
        (
            {"timestamp": "2026-11-21T17:00:00.120Z", "originalTimestamp": "2026-11-21T15:00:00.120Z"},
            None,
            RECEIVED_MS - 3_600_000,
            False,
        ),
    ],
)
def test_the_time_is_by_our_clock(told: dict[str, str], sent_at: str | None, time_ms: int, is_moved: bool) -> None:
    for top, own in (({"sentAt": sent_at}, {}), ({}, {"sentAt": sent_at})):
        event = parse_one(top, **{"timestamp": None, **told, **own})
        assert (event.time_ms, event.is_time_moved) == (time_ms, is_moved)


# Context and consent


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"ip": "::ffff:192.0.2.1"}, {"ip": "192.0.2.1"}),
        ({"ip": "nowhere"}, {}),
        ({"ip": ["192.0.2.1"]}, {}),
        ({"userAgent": "x" * 600}, {"user_agent": "x" * 512}),
        ({"userAgent": 7}, {}),
        ({"gpc": True}, {"gpc": True}),
        ({"gpc": "yes"}, {}),
        ({"traits": {"a": 1}}, {}),
        ({"campaign": {"source": "mail"}, "timezone": "Europe/London"}, None),
    ],
)
def test_the_visitors_address_and_device_are_what_the_server_says(given: Any, kept: Any) -> None:
    assert parse_one(context=given).context == (given if kept is None else kept)


def test_a_batchs_context_holds_where_a_message_says_nothing_else() -> None:
    shared = {"locale": "en-GB", "ip": "192.0.2.1", "traits": {"email": "user@shop.example"}}
    event = parse_one({"context": shared, "integrations": {"All": False}}, context={"locale": "de-DE"})
    assert event.context == {"locale": "de-DE", "ip": "192.0.2.1", "integrations": {"All": False}}
    assert event.traits == {"email": "user@shop.example", "customer_id": "c-19"}


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        (
            {"categoryPreferences": {"Advertising": True, "marketing": False, "Fonts": True, "analytics": "yes"}},
            Answer(Purpose.ADVERTISING, Purpose.MARKETING, "server"),
        ),
        ({"marketing": "granted", "source": "till"}, Answer(Purpose.MARKETING, Purpose.NONE, "till")),
        (
            {"marketing": "denied", "categoryPreferences": {"Marketing": True}},
            Answer(Purpose.NONE, Purpose.MARKETING, "server"),
        ),
        (
            {"marketing": True, "categoryPreferences": {"Marketing": False}},
            Answer(Purpose.NONE, Purpose.MARKETING, "server"),
        ),
        (
            {"categoryPreferences": {"Marketing": False, "MARKETING": True}},
            Answer(Purpose.NONE, Purpose.MARKETING, "server"),
        ),
        (
            {"categoryPreferences": dict.fromkeys(("functional", "analytics", "marketing", "advertising"), True)},
            Answer(ALL_PURPOSES, Purpose.NONE, "server"),
        ),
        ({"categoryPreferences": ["Advertising"]}, None),
        ("granted", None),
        ({}, None),
    ],
)
def test_consent_is_read_in_both_forms(given: Any, answer: Answer | None) -> None:
    assert find_answer(parse_one(context={"consent": given}).context.get("consent")) == answer


def test_what_a_refused_message_says_about_consent_is_kept_in_its_place() -> None:
    refused = {"type": "track", "userId": "c-19", "context": {"consent": {"marketing": "denied"}}}
    taken = parse(refused, TRACK)
    assert [(event.name, event.browser) for event in taken.kept] == [
        ("consent", key_of("user:c-19")),
        ("Order Completed", key_of("user:c-19")),
    ]
    assert (taken.accepted, [(one.index, one.code) for one in taken.rejected]) == (1, [(0, "bad_name")])
    assert find_answer(taken.kept[0].context.get("consent")) == Answer(Purpose.NONE, Purpose.MARKETING, "server")
    assert taken.kept[0].id == parse(refused, TRACK).kept[0].id
