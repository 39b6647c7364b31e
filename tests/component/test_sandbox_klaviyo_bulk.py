"""The fake Klaviyo's bulk call: all or nothing, with the place of what is wrong."""

from typing import Any

import pytest

from tests.klaviyo_requests import BULK, Account, attributes, bulk, event, group, pointers, profile

GROUPS = "/data/attributes/events-bulk-create/data"
MAX = {"email": "max@shop.example"}


@pytest.fixture
def account() -> Account:
    return Account()


def many(count: int, *, start: int = 0) -> list[dict[str, Any]]:
    return [attributes(unique_id=f"order-{number}") for number in range(start, start + count)]


def test_a_good_job_is_accepted_without_a_body_and_recorded_in_order(account: Account) -> None:
    answer = account.post(bulk(group(*many(2)), group(*many(1, start=2), who=profile(MAX))), BULK)
    assert (answer.status, answer.body) == (202, b"")
    assert [one["unique_id"] for one in account.events()] == ["order-0", "order-1", "order-2"]
    assert [one["unique_id"] for one in account.events("max@shop.example")] == ["order-2"]


def test_a_thousand_events_are_a_job_and_one_more_is_refused(account: Account) -> None:
    """The limit counts events over all groups."""
    other = group(*many(500, start=500), who=profile(MAX))
    assert account.post(bulk(group(*many(500)), other), BULK).status == 202
    assert pointers(account.post(bulk(group(*many(501, start=2_000)), other), BULK)) == [GROUPS]


def test_one_bad_event_refuses_the_whole_job_and_is_pointed_at(account: Account) -> None:
    wrong = attributes(unique_id="x", value="1")
    answer = account.post(bulk(group(*many(2)), group(*many(1), wrong, who=profile(MAX))), BULK)
    assert pointers(answer) == [f"{GROUPS}/1/attributes/events/data/1/attributes/value"]
    assert account.events() == []


def test_a_bad_profile_is_pointed_at(account: Account) -> None:
    answer = account.post(bulk(group(*many(1)), group(*many(1), who=profile({"email": "max"}))), BULK)
    assert pointers(answer) == [f"{GROUPS}/1/attributes/profile/data/attributes/email"]


def test_the_profile_stands_once_a_group_and_not_in_its_events(account: Account) -> None:
    answer = account.post(bulk(group(attributes(profile=profile()))), BULK)
    assert pointers(answer) == [f"{GROUPS}/0/attributes/events/data/0/attributes/profile"]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (bulk(), GROUPS),
        (bulk(group()), f"{GROUPS}/0/attributes/events/data"),
        (event(), "/data/type"),
        (bulk({"type": "event", "attributes": group(attributes())["attributes"]}), f"{GROUPS}/0/type"),
        (bulk(group(attributes(), metric={})), f"{GROUPS}/0/attributes/metric"),
    ],
)
def test_a_job_of_a_wrong_shape_is_refused(account: Account, document: Any, expected: str) -> None:
    assert expected in pointers(account.post(document, BULK))


def test_a_unique_id_repeated_inside_a_job_refuses_it(account: Account) -> None:
    again = group(*many(1), who=profile({"email": "user@shop.example"}))
    answer = account.post(bulk(group(*many(2)), again), BULK)
    assert pointers(answer) == [f"{GROUPS}/1/attributes/events/data/0/attributes/unique_id"]
    assert account.events() == []


def test_a_unique_id_may_stand_under_two_profiles_and_two_metrics_of_a_job(account: Account) -> None:
    lines = [attributes(), attributes(metric_name="Refunded Order")]
    assert account.post(bulk(group(*lines), group(*lines, who=profile(MAX))), BULK).status == 202
    assert len(account.events()) == 4


def test_a_job_that_repeats_a_recorded_unique_id_is_accepted_and_records_nothing(account: Account) -> None:
    """That is why a bulk call whose outcome is unknown is repeated as single events."""
    account.post(event(unique_id="order-1"))
    answer = account.post(bulk(group(*many(3))), BULK)
    assert (answer.status, len(answer.notes)) == (202, 3)
    assert [one["unique_id"] for one in account.events()] == ["order-1"]
    ignored = account.klaviyo.taken()["ignored"]
    assert isinstance(ignored, list)
    assert len(ignored) == 3


def test_backfill_of_a_group_holds_for_events_that_do_not_say(account: Account) -> None:
    lines = [attributes(unique_id="1"), attributes(unique_id="2", backfill=False)]
    account.post(bulk(group(*lines, backfill=True)), BULK)
    assert [one["backfill"] for one in account.events()] == [True, False]
