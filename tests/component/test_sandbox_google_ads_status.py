"""What the fake Data Manager API says of a request afterwards: which events count for nothing, and why."""

from typing import Any

import pytest

from edge.sandbox import GoogleAds
from edge.sandbox.google_ads import PROCESSING_S
from edge.sandbox.vendor import Rate
from tests.google_ads_events import NOW_MS
from tests.google_ads_requests import DESTINATION, HASH, Api, body, event

HOUR_MS = 3_600_000
STATUS = "/v1/requestStatus:retrieve"
GRANTED = {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_GRANTED"}
DENIED = {"adUserData": "CONSENT_DENIED"}
HERS = {"userIdentifiers": [{"emailAddress": HASH}]}


@pytest.fixture
def api() -> Api:
    return Api()


def test_repeated_transaction_counts_once_and_only_the_status_says_so(api: Api) -> None:
    first, again = api.post(body()), api.post(body(event(), event(transactionId="o-2")))
    assert (first.status, again.status, len(api.events())) == (200, 200, 2)
    assert [note.text for note in again.notes] == ["PROCESSING_ERROR_REASON_DUPLICATE_TRANSACTION_ID"]
    api.clock.advance(PROCESSING_S)
    [status] = api.status(2)
    assert status["requestStatus"] == "PARTIAL_SUCCESS"
    assert status["errorInfo"]["errorCounts"] == [
        {"recordCount": "1", "reason": "PROCESSING_ERROR_REASON_DUPLICATE_TRANSACTION_ID"}
    ]


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (body(event(userData=HERS, consent=DENIED)), "DENIED_CONSENT"),
        (body(event(userData=HERS, consent=DENIED), consent=GRANTED), "DENIED_CONSENT"),
        (body(event(userData=HERS)), "NO_CONSENT"),
        (body(event(adIdentifiers={"gclid": "unheard-of"})), "INVALID_GCLID"),
        (body(event(adIdentifiers={"gclid": "later"})), "CONVERSION_PRECEDES_CLICK"),
        (body(event(adIdentifiers={"gclid": "recent"})), "TOO_RECENT_CLICK"),
        (body(event(adIdentifiers={"gclid": "long-ago"})), "EVENT_TOO_OLD"),
    ],
)
def test_conversion_that_counts_for_nothing_is_taken_and_its_status_says_why(document: Any, reason: str) -> None:
    ago_ms = {"later": -1_000, "recent": HOUR_MS, "long-ago": 91 * 24 * HOUR_MS}
    api = Api(GoogleAds(clicks={click: NOW_MS - 2_000 - ms for click, ms in ago_ms.items()}, processing_s=0))
    answer = api.post(document)
    assert (answer.status, [note.text for note in answer.notes]) == (200, [f"PROCESSING_ERROR_REASON_{reason}"])
    assert api.events() == []
    [status] = api.status(1)
    counts = [{"recordCount": "1", "reason": f"PROCESSING_ERROR_REASON_{reason}"}]
    assert (status["requestStatus"], status["errorInfo"]) == ("FAILED", {"errorCounts": counts})


def test_consent_of_the_request_stands_for_events_without_their_own() -> None:
    api = Api(GoogleAds(clicks={"abc": NOW_MS - 7 * HOUR_MS}))
    assert api.post(body(event(userData=HERS), consent=GRANTED)).notes == ()
    assert len(api.events()) == 1


def test_conversion_without_a_transaction_is_known_by_its_click_and_moment(api: Api) -> None:
    plain = event(transactionId=None)
    notes = api.post(body(plain, plain, event(transactionId=None, eventTimestamp="2026-11-20T14:03:08Z"))).notes
    assert [(note.pointer, note.text) for note in notes] == [
        ("events.events[1]", "PROCESSING_ERROR_REASON_DUPLICATE_GCLID")
    ]


def test_status_is_told_by_destination_in_their_order(api: Api) -> None:
    other = DESTINATION | {"reference": "8", "productDestinationId": "8"}
    api.post(body(event(), event(destinationReferences=["8"]), event(), destinations=[DESTINATION, other]))
    api.clock.advance(PROCESSING_S)
    assert [(one["destination"]["reference"], one["requestStatus"]) for one in api.status(1)] == [
        ("7", "PARTIAL_SUCCESS"),
        ("8", "SUCCESS"),
    ]
    assert [one["eventsIngestionStatus"]["recordCount"] for one in api.status(1)] == ["2", "1"]


def test_status_has_a_rate_of_its_own() -> None:
    api = Api(GoogleAds(rates={"status": Rate(1, 1)}))
    api.post(body())
    statuses = [api.send(path=STATUS, method="GET", query=(("requestId", "sandbox-request-1"),)) for _ in range(2)]
    assert [answer.status for answer in statuses] == [200, 429]
    assert b"ReadsPerMinutePerProject" in statuses[1].body
    assert api.post(body(event(transactionId="o-2"))).status == 200


def test_nothing_is_told_of_what_was_only_validated_refused_or_never_sent(api: Api) -> None:
    assert b"requestId" not in api.post(body(validateOnly=True)).body
    assert b"requestId" not in api.post(body(event(currency="x"))).body
    for asked in ((("requestId", "sandbox-request-1"),), (("requestId", ""),), ()):
        assert api.send(path=STATUS, method="GET", query=asked).status == 404
    assert api.send(path=STATUS, method="GET", Authorization="Bearer x").status == 401
    assert api.send(path=STATUS).status == 404
