"""Every golden request is one that the fake Klaviyo, written from Klaviyo's rules alone, takes without a remark."""

from typing import Any
from urllib.parse import urlsplit

import pytest

from edge.delivery import Delivered, Rejected, Response
from edge.destinations.klaviyo import read
from tests.golden_cases import pipeline_of, request_of, sent_cases
from tests.klaviyo_requests import Account

CASES = list(sent_cases("klaviyo"))


def send(account: Account, case: Any) -> tuple[Response, list[str]]:
    """Give the fake's answer, and what it noticed without saying so."""
    request = request_of(case, pipeline_of(case))
    path = "/api/" + urlsplit(request.url).path.partition("/api/")[2]
    headers: Any = request.headers
    answer = account.send(request.body, path, method=request.method, **headers)
    named = {name.lower(): value for name, value in answer.headers.items()}
    return Response(answer.status, named, answer.body), [note.text for note in answer.notes]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["says"])
def test_fake_klaviyo_takes_the_golden_request(case: Any) -> None:
    account = Account()
    response, notes = send(account, case)
    assert (read(response), notes) == (Delivered(202), [])
    [event] = account.events()
    told = case["becomes"]["requests"][0]["body"]["data"]["attributes"]
    assert (event["unique_id"], event["properties"]) == (told["unique_id"], told["properties"])
    assert event["backfill"] is told.get("backfill", False)


def test_repeated_request_is_recorded_once() -> None:
    account, case = Account(), CASES[0]
    first, again = send(account, case), send(account, case)
    assert (read(first[0]), read(again[0])) == (Delivered(202), Delivered(202))
    assert (first[1], again[1]) == ([], ["a duplicate: the profile has this event already"])
    assert len(account.events()) == 1


def test_refusal_of_the_fake_klaviyo_is_read_with_its_pointers() -> None:
    answer = Account().post({"data": {"type": "event", "attributes": {"properties": {}}}})
    outcome = read(Response(answer.status, answer.headers, answer.body))
    assert isinstance(outcome, Rejected)
    assert "at /data/attributes/metric" in outcome.reason


def test_the_event_that_says_who_a_stranger_was_joins_the_strangers_profile() -> None:
    """Source: contract of Klaviyo's Create Event: identifiers that come together belong to one profile."""
    account = Account()
    told = {case["says"]: case for case in CASES}
    stranger, both = [
        request_of(told[says], pipeline_of(told[says])).body
        for says in (
            "a stranger whom a file sends is told by an id of the visitor's own",
            "the event that tells who a stranger was carries both identifiers",
        )
    ]
    for number, body in enumerate((stranger, both, both.replace(b'"anonymous_id":', b'"title":'))):
        account.send(body.replace(b'"e-1"', f'"e-{number}"'.encode()))
    taken: Any = account.klaviyo.taken(None)
    [profile] = taken["profiles"]
    assert profile["identifiers"].keys() == {"anonymous_id", "email"}
    assert [event["unique_id"] for event in profile["events"]] == ["e-0", "e-1", "e-2"]
