"""Every golden request is one that the fake Klaviyo, written from Klaviyo's rules alone, takes without a remark."""

from typing import Any
from urllib.parse import urlsplit

import pytest

from edge.delivery import Conversation, Delivered, Outcome, Rejected, Request, Response
from edge.destinations.klaviyo import read
from tests.golden_cases import NOW_MS, pipeline_of, planned, requests_of, sent_cases
from tests.klaviyo_events import KLAVIYO, event, payload
from tests.klaviyo_requests import Account

CASES = list(sent_cases("klaviyo"))


def answer_of(account: Account, request: Request) -> tuple[Response, list[str]]:
    """Give the fake's answer, and what it noticed without saying so."""
    path = "/api/" + urlsplit(request.url).path.partition("/api/")[2]
    headers: Any = {**request.headers, "Authorization": "Klaviyo-API-Key sandbox-private-key"}
    answer = account.send(request.body, path, method=request.method, **headers)
    named = {name.lower(): value for name, value in answer.headers.items()}
    return Response(answer.status, named, answer.body), [note.text for note in answer.notes]


def talk(account: Account, conversation: Conversation) -> list[Outcome]:
    request = next(conversation)
    while True:
        try:
            request = conversation.send(answer_of(account, request)[0])
        except StopIteration as end:
            return list(end.value)


def send(account: Account, case: Any) -> list[tuple[Response, list[str]]]:
    return [answer_of(account, request) for request in requests_of(case, pipeline_of(case))]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["says"])
def test_fake_klaviyo_takes_the_golden_requests(case: Any) -> None:
    account = Account()
    for response, notes in send(account, case):
        assert (response.status, notes) in ((202, []), (201, []))
    attributes = [one["body"]["data"] for one in case["becomes"]["requests"]]
    told = [one["attributes"] for one in attributes if one["type"] == "event"]
    events = account.events()
    assert [(one["unique_id"], one["properties"]) for one in events] == [
        (one["unique_id"], one["properties"]) for one in told
    ]
    assert [one["backfill"] for one in events] == [one.get("backfill", False) for one in told]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["says"])
def test_conversation_of_a_golden_case_ends_delivered(case: Any) -> None:
    pipeline = pipeline_of(case)
    made: Any = planned(case, pipeline)
    assert talk(Account(), pipeline.destination.deliver([made.payload], NOW_MS)) in ([Delivered(202)], [Delivered(201)])


def test_repeated_request_is_recorded_once() -> None:
    account, case = Account(), CASES[0]
    [first], [again] = send(account, case), send(account, case)
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
        requests_of(told[says], pipeline_of(told[says]))[0].body
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


def test_job_of_two_thousand_events_is_taken_as_two_and_each_is_recorded() -> None:
    account = Account()
    payloads = [event(n, f"v{n % 7}") for n in range(2_000)]
    assert talk(account, KLAVIYO.deliver(payloads, NOW_MS)) == [Delivered(202)] * 2_000
    assert len({one["unique_id"] for one in account.events()}) == 2_000


def test_only_the_events_that_the_fake_klaviyo_points_at_die() -> None:
    """A latitude beyond the pole is not looked at before it is sent."""
    account = Account()
    far = payload(unique_id="e-far", profile={"$email": "far@shop.example", "$latitude": 91})
    payloads = [event(1), far, event(2, "max"), event(3)]
    outcomes = talk(account, KLAVIYO.deliver(payloads, NOW_MS))
    assert [type(outcome) for outcome in outcomes] == [Delivered, Rejected, Delivered, Delivered]
    assert sorted(one["unique_id"] for one in account.events()) == ["e-1", "e-2", "e-3"]
    assert b"far@" not in outcomes[1].response.body  # type: ignore[union-attr]


def test_subscription_is_kept_beside_the_event() -> None:
    account = Account()
    made = payload(own={"subscribe": {"email": True, "list": "XyZ123"}})
    assert talk(account, KLAVIYO.deliver([made], NOW_MS)) == [Delivered(202)]
    profile = account.klaviyo.find_profile("user@shop.example")
    assert profile is not None
    assert profile.subscriptions == [{"channels": ["email"], "list": "XyZ123", "source": None}]


def test_import_leaves_what_is_not_mapped() -> None:
    account = Account()
    identify = {"metric": "identify", "event": {"name": "identify"}, "properties": {}}
    for profile in (
        {"$first_name": "User", "plan": "gold"},
        {"$first_name": None, "$last_name": "Visitor", "plan": " "},
    ):
        made = payload(**identify | {"profile": {"$email": "user@shop.example", **profile}})
        talk(account, KLAVIYO.deliver([made], NOW_MS))
    found = account.klaviyo.find_profile("user@shop.example")
    assert found is not None
    assert found.attributes == {"first_name": "User", "last_name": "Visitor", "properties": {"plan": "gold"}}
