"""Google Ads: tokens, what answers mean, and how one bad event is taken out of a request."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import cycle
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.delivery import Delivered, Outcome, Payload, Refused, Rejected, Request, Response, Retry, Throttled, Unclear
from edge.errors import TransportFailed
from tests.conversations import Heard, converse, in_turn
from tests.google_ads_events import NOW_MS, account, payload, robot_credentials, user

HOUR_MS = 3_600_000
TAKEN, QUEUED = Response(200, {}, b'{"requestId":"r-1"}'), Delivered(200, "r-1")
LOST = TransportFailed("no answer in time")


def token(name: str = "t-1", lasts_s: Any = 3_600) -> Response:
    return Response(200, {}, orjson.dumps({"access_token": name, "expires_in": lasts_s}))


def error(status: int, *reasons: str, word: str = "INVALID_ARGUMENT", quota: str = "", **places: str) -> Response:
    """Give Google's error; places are events by index, "0": "REASON at field"."""
    details: list[Any] = [{"reason": reason, "metadata": {"quota_limit": quota}} for reason in reasons]
    violations = [
        {
            "field": f"events.events[{at[1:]}]{told.partition(' ')[2]}",
            "reason": told.partition(" ")[0],
            "description": "x@y.z",
        }
        for at, told in places.items()
    ]
    details.append({"fieldViolations": violations})
    return Response(status, {}, orjson.dumps({"error": {"status": word, "message": "x@y.z", "details": details}}))


def order(number: int, metric: str = "purchase") -> Payload:
    return payload(metric=metric, properties={"transaction_id": f"o-{number}"})


def orders(request: Request) -> list[int]:
    return [int(event["transactionId"][2:]) for event in orjson.loads(request.body)["events"]]


def told(payloads: Sequence[Payload], answer: Callable[[Request], Heard]) -> tuple[list[list[int]], Sequence[Outcome]]:
    asked, outcomes = converse(account().deliver(payloads, NOW_MS), answer)
    return [orders(request) for request in asked], outcomes


HTML = Response(200, {}, b"<html>x@y.z")


@pytest.mark.parametrize(
    ("heard", "outcome"),
    [
        (TAKEN, QUEUED),
        (HTML, Unclear("200 without a request id", HTML)),
        (error(429, "RATE_LIMIT_EXCEEDED", quota="WritesPerMinutePerProject"), Throttled(60.0)),
        (error(429, "RATE_LIMIT_EXCEEDED", quota="WritesPerDayPerProject"), Throttled(3_600.0)),
        (Response(429, {"retry-after": "7"}, b""), Throttled(7.0)),
        (
            error(401, "ACCESS_TOKEN_EXPIRED", word="UNAUTHENTICATED"),
            Refused("401 UNAUTHENTICATED ACCESS_TOKEN_EXPIRED"),
        ),
        (error(403, word="PERMISSION_DENIED"), Refused("403 PERMISSION_DENIED")),
        (error(404, word="NOT_FOUND"), Refused("404 NOT_FOUND")),
        (error(400, "NOT_ALLOWLISTED"), Refused("400 INVALID_ARGUMENT NOT_ALLOWLISTED")),
        (error(400, "INVALID_CONVERSION_ACTION_ID"), Refused("400 INVALID_ARGUMENT INVALID_CONVERSION_ACTION_ID")),
        (error(400, "INVALID_CONVERSION_ACTION_TYPE"), Refused("400 INVALID_ARGUMENT INVALID_CONVERSION_ACTION_TYPE")),
        (
            error(400, "TERMS_AND_CONDITIONS_NOT_SIGNED"),
            Refused("400 INVALID_ARGUMENT TERMS_AND_CONDITIONS_NOT_SIGNED"),
        ),
        (
            error(400, "DESTINATION_ACCOUNT_ENHANCED_CONVERSIONS_TERMS_NOT_SIGNED"),
            Refused("400 INVALID_ARGUMENT DESTINATION_ACCOUNT_ENHANCED_CONVERSIONS_TERMS_NOT_SIGNED"),
        ),
        (error(500, word="INTERNAL"), Retry("500 INTERNAL")),
        (error(503, word="UNAVAILABLE"), Retry("503 UNAVAILABLE")),
        (error(504, word="DEADLINE_EXCEEDED"), Retry("504 DEADLINE_EXCEEDED")),
        (Response(408, {}, b""), Retry("408")),
        (Response(302, {}, b""), Unclear("302", Response(302, {}, b""))),
        (LOST, Retry("no answer in time")),
    ],
)
def test_answer_means_its_outcome(heard: Heard, outcome: Outcome) -> None:
    assert told([order(1)], in_turn([heard]))[1] == [outcome]


@pytest.mark.parametrize(
    "reason",
    [
        "REQUIRED_FIELD_MISSING",
        "INVALID_FORMAT",
        "INVALID_HEX_ENCODING",
        "INVALID_SHA256_FORMAT",
        "INVALID_CURRENCY_CODE",
        "EVENT_TIME_INVALID",
        "NO_IDENTIFIERS_PROVIDED",
    ],
)
def test_event_that_google_will_never_take_is_rejected_with_code_and_field(reason: str) -> None:
    answer = error(400, "INVALID_ARGUMENT", _0=f"{reason} .currency")
    assert told([order(1)], in_turn([answer]))[1] == [Rejected(f"400 {reason} at currency", answer)]


def test_bad_events_that_google_names_are_taken_out_and_the_rest_is_sent_again() -> None:
    answers = [error(400, _1="INVALID_FORMAT .currency", _3="x@y.z .x@y.z"), error(400, _0="INVALID_FORMAT "), TAKEN]
    assert told([order(n) for n in range(5)], in_turn(answers)) == (
        [[0, 1, 2, 3, 4], [0, 2, 3, 4], [2, 3, 4]],
        [
            Rejected("400 INVALID_FORMAT"),
            Rejected("400 INVALID_FORMAT at currency"),
            QUEUED,
            QUEUED,
            QUEUED,
        ],
    )


def test_bad_event_that_google_does_not_name_is_found_by_halving() -> None:
    bad = error(400, "INVALID_ARGUMENT")
    asked, outcomes = told([order(n) for n in range(4)], lambda request: bad if 2 in orders(request) else TAKEN)
    assert asked == [[0, 1, 2, 3], [0, 1], [2, 3], [2], [3]]
    assert outcomes == [QUEUED, QUEUED, Rejected("400 INVALID_ARGUMENT", bad), QUEUED]


def test_what_is_not_about_an_event_ends_the_conversation_and_keeps_what_was_taken() -> None:
    bad = error(400, "INVALID_ARGUMENT")
    for answer, rest in (
        (error(503, word="UNAVAILABLE"), Retry("503 UNAVAILABLE")),
        (LOST, Retry("no answer in time")),
    ):
        asked, outcomes = told([order(1), order(2)], in_turn([bad, TAKEN, answer]))
        assert (asked, outcomes) == ([[1, 2], [1], [2]], [QUEUED, rest])


def test_request_has_at_most_2000_events_and_ten_actions() -> None:
    asked, outcomes = told([order(n) for n in range(2_001)], lambda _: TAKEN)
    assert ([len(one) for one in asked], set(outcomes)) == ([2_000, 1], {QUEUED})
    assert [len(one) for one in told([order(n, str(n + 1)) for n in range(21)], lambda _: TAKEN)[0]] == [10, 10, 1]


def test_token_is_fetched_kept_and_fetched_again_shortly_before_it_ends() -> None:
    google = user()
    first, _ = converse(google.deliver([order(1)], NOW_MS), in_turn([token(), TAKEN]))
    assert first[0] == Request(
        "POST",
        "https://oauth2.googleapis.com/token",
        {"Content-Type": "application/x-www-form-urlencoded"},
        b"client_id=sandbox-client&client_secret=sandbox-client-secret&grant_type=refresh_token"
        b"&refresh_token=sandbox-refresh-token",
    )
    assert first[1].headers["Authorization"] == "Bearer t-1"
    later, _ = converse(google.deliver([order(2)], NOW_MS + HOUR_MS - 121_000), in_turn([TAKEN]))
    assert [request.headers["Authorization"] for request in later] == ["Bearer t-1"]
    ended, _ = converse(google.deliver([order(3)], NOW_MS + HOUR_MS - 120_000), in_turn([token("t-2"), TAKEN]))
    assert ended[1].headers["Authorization"] == "Bearer t-2"


def test_token_that_is_refused_before_its_time_is_fetched_anew_once() -> None:
    google = user()
    expired = error(401, word="UNAUTHENTICATED")
    asked, outcomes = converse(google.deliver([order(1)], NOW_MS), in_turn([token(), expired, token("t-2"), TAKEN]))
    assert [request.headers.get("Authorization") for request in asked] == [None, "Bearer t-1", None, "Bearer t-2"]
    assert outcomes == [QUEUED]
    again = [expired, token("t-3"), expired]
    assert converse(google.deliver([order(1)], NOW_MS), in_turn(again))[1] == [Refused("401 UNAUTHENTICATED")]


@pytest.mark.parametrize(
    ("heard", "outcome"),
    [
        (
            Response(400, {}, b'{"error":"invalid_grant","error_description":"x@y.z"}'),
            Refused("token: 400 invalid_grant"),
        ),
        (Response(401, {}, b'{"error":"invalid_client"}'), Refused("token: 401 invalid_client")),
        (Response(403, {}, b'{"error":"x@y.z"}'), Refused("token: 403")),
        (Response(429, {}, b""), Throttled(30.0)),
        (Response(429, {"retry-after": "4"}, b""), Throttled(4.0)),
        (Response(503, {}, b""), Retry("token: 503")),
        (Response(200, {}, b"<html>"), Retry("token: 200, and no token in it")),
        (token("a\r\nb"), Retry("token: 200, and no token in it")),
        (token(""), Retry("token: 200, and no token in it")),
        (Response(302, {}, b""), Retry("token: 302")),
        (LOST, Retry("no answer in time")),
    ],
)
def test_failure_to_get_a_token_costs_no_event(heard: Heard, outcome: Outcome) -> None:
    assert converse(user().deliver([order(1), order(2)], NOW_MS), in_turn([heard]))[1] == [outcome] * 2


@pytest.mark.parametrize("lasts_s", [None, "3600", -5, 0, True, 1e400])
def test_token_that_does_not_say_how_long_it_holds_is_used_once(lasts_s: Any) -> None:
    google = user()
    answers = [token("t-1", None if lasts_s == 1e400 else lasts_s), TAKEN, token("t-2"), TAKEN]
    asked, _ = converse(google.deliver([order(1)], NOW_MS), in_turn(answers[:2]))
    again, _ = converse(google.deliver([order(2)], NOW_MS), in_turn(answers[2:]))
    assert [request.headers.get("Authorization") for request in (*asked, *again)] == [
        None,
        "Bearer t-1",
        None,
        "Bearer t-2",
    ]


def test_service_account_signs_the_same_assertion_at_the_same_moment() -> None:
    google = account(robot_credentials())
    first, again = next(google.deliver([order(1)], NOW_MS)), next(google.deliver([order(1)], NOW_MS))
    assert first == again
    assert first.body.startswith(b"grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=ey")
    assert first != next(google.deliver([order(1)], NOW_MS + 1_000))


def test_probe_only_lets_google_validate() -> None:
    for google, answers in ((account(), [Response(200, {}, b"{}")]), (user(), [token(), Response(200, {}, b"{}")])):
        conversation = google.probe(NOW_MS)
        assert conversation is not None
        asked, outcomes = converse(conversation, in_turn(answers))
        assert orjson.loads(asked[-1].body)["validateOnly"] is True
        assert outcomes == [Delivered(200)]


NAMES = st.sampled_from(
    [
        "error",
        "details",
        "status",
        "reason",
        "fieldViolations",
        "field",
        "metadata",
        "access_token",
        "expires_in",
        "requestId",
    ]
)
WORDS = st.sampled_from(["events.events[0]", "events.events[7].x", "INVALID_FORMAT", "NOT_ALLOWLISTED", "t", "x@y.z"])
JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
).map(orjson.dumps)
STATUS = st.sampled_from([200, 400, 401, 403, 429, 500]) | st.integers(100, 700)
HEADERS = st.dictionaries(st.just("retry-after"), st.text(max_size=6))
ANSWERS = st.builds(Response, STATUS, HEADERS, JSONISH | st.binary(max_size=9)) | st.just(LOST)


@settings(max_examples=60, deadline=None)
@given(st.lists(ANSWERS, min_size=1, max_size=6))
def test_any_answer_gives_one_outcome_a_payload_and_the_same_requests_again(answers: list[Heard]) -> None:
    payloads = [order(n, metric) for n, metric in enumerate(("purchase", "5", "purchase", "6"))]
    for make in (account, user):
        first, again = (converse(make().deliver(payloads, NOW_MS), in_turn(cycle(answers))) for _ in range(2))
        assert first == again
        assert len(first[1]) == len(payloads)


def test_backfill_changes_nothing_that_is_said() -> None:
    marked = replace(order(1), is_backfill=True)
    assert next(account().deliver([marked], NOW_MS)) == next(account().deliver([order(1)], NOW_MS))
