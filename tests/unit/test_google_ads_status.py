"""Google Ads afterwards: what a request's status says of its events, and how it is asked for."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.delivery import (
    Delivered,
    Outcome,
    Refused,
    Rejected,
    Request,
    Response,
    Retry,
    Throttled,
    Told,
    Unclear,
    Undecided,
)
from edge.destinations.google_ads import GoogleAds
from edge.destinations.google_ads_status import LATE_REASONS, MAX_COUNT, read_status
from edge.errors import TransportFailed
from tests.google_ads_events import NOW_MS, account, payload, user

PREFIX = "PROCESSING_ERROR_REASON_"
# Those that the vendor's contract names as worth surfacing.
DOCUMENTED = (
    *("DENIED_CONSENT", "NO_CONSENT", "DUPLICATE_GCLID", "DUPLICATE_TRANSACTION_ID", "INVALID_GCLID"),
    *("CONVERSION_PRECEDES_CLICK", "TOO_RECENT_CLICK", "EVENT_TOO_OLD"),
    "OPERATING_ACCOUNT_MISMATCH_FOR_AD_IDENTIFIER",
)
Heard = Response | TransportFailed
LOST = TransportFailed("no answer in time")
TOKEN = Response(200, {}, b'{"access_token":"t-1","expires_in":3600}')


def status(word: Any = "SUCCESS", *errors: Any, warnings: Any = (), records: Any = "10") -> dict[str, Any]:
    """Give what is said of one destination; errors and warnings are (reason, count)."""
    listed = {
        kind: [{"reason": reason, "recordCount": count} for reason, count in counts]
        for kind, counts in (("error", errors), ("warning", warnings))
    }
    return {
        "destination": {"productDestinationId": "7"},
        "requestStatus": word,
        **{f"{kind}Info": {f"{kind}Counts": counts} for kind, counts in listed.items() if counts},
        "eventsIngestionStatus": {"recordCount": records},
    }


def answer(*statuses: Any) -> Response:
    return Response(200, {}, orjson.dumps({"requestStatusPerDestination": statuses}))


def told(*statuses: Any) -> Told | Undecided | Outcome:
    return read_status(answer(*statuses))


@pytest.mark.parametrize(
    ("statuses", "said"),
    [
        ([status()], Told()),
        ([status("SUCCESS"), status("SUCCESS")], Told()),
        ([status("PARTIAL_SUCCESS", (f"{PREFIX}INVALID_GCLID", "2"))], Told({"INVALID_GCLID": 2})),
        ([status("FAILED", (f"{PREFIX}NO_CONSENT", 10))], Told({"NO_CONSENT": 10})),
        ([status("FAILURE", (f"{PREFIX}NO_CONSENT", 10))], Told({"NO_CONSENT": 10})),
        (
            [
                status("FAILED", (f"{PREFIX}NO_CONSENT", 1), (f"{PREFIX}EVENT_TOO_OLD", "2")),
                status("PARTIAL_SUCCESS", (f"{PREFIX}NO_CONSENT", "3")),
            ],
            Told({"NO_CONSENT": 4, "EVENT_TOO_OLD": 2}),
        ),
        (
            [status("SUCCESS", warnings=[("PROCESSING_WARNING_REASON_INTERNAL_ERROR", "3"), ("OF_NEXT_YEAR", 1)])],
            Told({}, {"INTERNAL_ERROR": 3, "other": 1}),
        ),
        ([status("PROCESSING")], Undecided()),
        ([status("REQUEST_STATUS_UNKNOWN")], Undecided()),
        ([status("OF_NEXT_YEAR", (f"{PREFIX}NO_CONSENT", 1))], Undecided()),
        ([status("FAILED", (f"{PREFIX}NO_CONSENT", 1)), status("PROCESSING")], Undecided()),
        ([], Undecided()),
        ([{}], Undecided()),
        ([status("FAILED")], Told({"other": 10})),
        ([status("FAILED", records=None)], Told({"other": 1})),
        ([status("PARTIAL_SUCCESS")], Told({"other": 1})),
        ([status("FAILED", (f"{PREFIX}OF_NEXT_YEAR", "2"), ("visitor@shop.example", 3))], Told({"other": 5})),
        ([status("FAILED", ("NO_CONSENT", 1), (f"x{PREFIX}NO_CONSENT", 1))], Told({"NO_CONSENT": 1, "other": 1})),
        ([status("FAILED", (f"{PREFIX}NO_CONSENT", "0"))], Told({"other": 10})),
    ],
)
def test_status_of_a_request_says_what_became_of_its_events(statuses: list[Any], said: Any) -> None:
    assert told(*statuses) == said


@pytest.mark.parametrize("reason", sorted({*DOCUMENTED, *LATE_REASONS}))
def test_documented_reason_is_passed_on_by_name(reason: str) -> None:
    for prefix in (PREFIX, "PROCESSING_ERROR_", ""):  # the library's types have one name without REASON
        assert told(status("FAILED", (prefix + reason, "1"))) == Told({reason: 1})


@pytest.mark.parametrize(
    ("count", "read"),
    [
        ("2", 2),
        (2, 2),
        ("999999999999", MAX_COUNT),
        (2**63, 1),
        (2.0, 1),
        (-1, 1),
        ("-1", 1),
        ("\u0663", 1),
        ("9" * 5_000, 1),
        (True, 1),
        (None, 1),
        ([], 1),
        ("", 1),
    ],
)
def test_count_is_a_text_or_an_integer_and_bounded(count: Any, read: int) -> None:
    assert told(status("FAILED", (f"{PREFIX}NO_CONSENT", count))) == Told({"NO_CONSENT": read})


def test_no_more_destinations_and_reasons_are_read_than_a_request_can_have() -> None:
    many = [status("FAILED", (f"{PREFIX}NO_CONSENT", 1))] * 500
    assert told(*many) == Told({"NO_CONSENT": 10})
    assert told(status("FAILED", *[(f"{PREFIX}NO_CONSENT", 1)] * 500)) == Told({"NO_CONSENT": 100})


def error(code: int, *reasons: str) -> Response:
    told = {"status": "X_STATUS", "message": "visitor@shop.example", "details": [{"reason": one} for one in reasons]}
    return Response(code, {}, orjson.dumps({"error": told}))


HTML = Response(200, {}, b"<html>visitor@shop.example")


@pytest.mark.parametrize(
    ("heard", "said"),
    [
        (HTML, Unclear("200 without a status", HTML)),
        (answer(5), Unclear("200 without a status", answer(5))),
        (Response(200, {}, b"{}"), Unclear("200 without a status", Response(200, {}, b"{}"))),
        (error(404), Rejected("404")),
        (error(400, "INVALID_FORMAT"), Rejected("400 X_STATUS INVALID_FORMAT", error(400, "INVALID_FORMAT"))),
        (error(401, "ACCESS_TOKEN_EXPIRED"), Refused("401 X_STATUS ACCESS_TOKEN_EXPIRED")),
        (error(403), Refused("403 X_STATUS")),
        (Response(429, {"retry-after": "7"}, b""), Throttled(7.0)),
        (error(500), Retry("500 X_STATUS")),
        (error(504), Retry("504 X_STATUS")),
    ],
)
def test_other_answer_leaves_it_open_or_ends_it(heard: Response, said: Any) -> None:
    assert read_status(heard) == said


def inquiry(google: GoogleAds, *heard: Heard, receipt: str = "r-1") -> tuple[list[Request], Any]:
    """Ask about a receipt; give the requests and what came of it."""
    asked, turns, conversation = [], iter(heard), google.inquire(receipt, NOW_MS)
    try:
        request = next(conversation)
        while True:
            asked.append(request)
            one = next(turns)
            request = conversation.send(one) if isinstance(one, Response) else conversation.throw(one)
    except StopIteration as end:
        return asked, end.value


def test_status_is_asked_for_by_the_requests_name() -> None:
    google = account(quota_project="shop-1")
    headers = {"Authorization": "Bearer sandbox-access-token", "Content-Type": "application/json"}
    headers["x-goog-user-project"] = "shop-1"
    url = "https://datamanager.googleapis.com/v1/requestStatus:retrieve?requestId=a%2Fb%2B1%3D"
    assert inquiry(google, answer(status()), receipt="a/b+1=") == ([Request("GET", url, headers, b"")], Told())


def test_token_that_ended_is_fetched_anew_and_one_that_cannot_be_had_leaves_it_open() -> None:
    asked, said = inquiry(user(), TOKEN, error(401), TOKEN, answer(status()))
    assert ([request.method for request in asked], said) == (["POST", "GET", "POST", "GET"], Told())
    assert inquiry(user(), Response(400, {}, b'{"error":"invalid_grant"}'))[1] == Refused("token: 400 invalid_grant")
    assert inquiry(account(), LOST)[1] == Retry("no answer in time")


@pytest.mark.parametrize(
    ("name", "receipt"),
    [
        ("r-1", "r-1"),
        ("Zm9v/+b_a=.~:", "Zm9v/+b_a=.~:"),
        ("", ""),
        ("visitor@shop.example", ""),
        ("a b", ""),
        ("a\r\nb", ""),
        ("r-1\n", ""),
        ("\u0663", ""),
        ("x" * 201, ""),
    ],
)
def test_name_in_form_is_kept_as_a_receipt_and_any_other_delivers_without_one(name: str, receipt: str) -> None:
    conversation = account().deliver([payload()], NOW_MS)
    next(conversation)
    with pytest.raises(StopIteration) as ended:
        conversation.send(Response(200, {}, orjson.dumps({"requestId": name})))
    assert ended.value.value == [Delivered(200, receipt)]


NAMES = st.sampled_from(
    [
        *("requestStatusPerDestination", "requestStatus", "errorInfo", "errorCounts", "warningInfo", "warningCounts"),
        *("recordCount", "reason", "eventsIngestionStatus"),
    ]
)
WORDS = st.sampled_from(["FAILED", "SUCCESS", "PROCESSING", f"{PREFIX}NO_CONSENT", "visitor@shop.example", "7"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 2**63) | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
LISTED = st.lists(st.dictionaries(NAMES, JSON), max_size=3).map(lambda listed: {"requestStatusPerDestination": listed})


@settings(max_examples=200, deadline=None)
@given(JSON | LISTED)
def test_no_answer_whatever_raises_or_is_believed_beyond_its_shape(body: Any) -> None:
    match read_status(Response(200, {}, orjson.dumps(body, default=str))):
        case Told(refused, warned):
            assert {*refused, *warned} <= LATE_REASONS | {"other"}
            assert all(0 < count <= MAX_COUNT * 1_000 for count in (*refused.values(), *warned.values()))
        case said:
            assert said == Undecided() or isinstance(said, Unclear)
