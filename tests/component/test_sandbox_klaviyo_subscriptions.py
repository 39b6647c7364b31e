"""The fake Klaviyo's subscribe call: an explicit consent with its channel, its address and its list."""

from typing import Any

import pytest

from edge.sandbox import Klaviyo
from tests.klaviyo_requests import Account, errors, event, pointers

PATH = "/api/profile-subscription-bulk-create-jobs"
PROFILES = "/data/attributes/profiles/data"
EMAIL = {"email": {"marketing": {"consent": "SUBSCRIBED"}}}
USER = {"email": "user@shop.example", "subscriptions": EMAIL}

NO_LIST = {"list": {"data": {"type": "lists", "id": "X"}}}


@pytest.fixture
def account() -> Account:
    return Account(Klaviyo(rates=None, new_id=lambda: "error-id"))


def job(*profiles: Any, relationships: Any = None, **attributes: Any) -> dict[str, Any]:
    """The body; profiles are given by their attributes."""
    data = [{"type": "profile", "attributes": one} for one in profiles]
    beside = {} if relationships is None else {"relationships": relationships}
    inner = {"profiles": {"data": data}, **attributes}
    return {"data": {"type": "profile-subscription-bulk-create-job", "attributes": inner, **beside}}


def at(index: int, rest: str) -> str:
    return f"{PROFILES}/{index}/attributes/{rest}"


def subscriptions(account: Account, identifier: str = "user@shop.example") -> Any:
    found = account.klaviyo.find_profile(identifier)
    return found and found.to_json()["subscriptions"]


def test_consent_is_kept_with_its_list_and_its_source(account: Account) -> None:
    lists = {"list": {"data": {"type": "list", "id": "XyZ123"}}}
    answer = account.post(job(USER, relationships=lists, custom_source="Footer"), PATH)
    assert (answer.status, answer.body) == (202, b"")
    assert subscriptions(account) == [{"channels": ["email"], "list": "XyZ123", "source": "Footer"}]


def test_several_profiles_subscribe_at_once_each_to_its_channels(account: Account) -> None:
    both = {**EMAIL, "sms": {"marketing": {"consent": "SUBSCRIBED"}}}
    other = {"email": "max@shop.example", "phone_number": "+4915112345678", "subscriptions": both}
    assert account.post(job(USER, other), PATH).status == 202
    assert subscriptions(account)[0]["channels"] == ["email"]
    assert subscriptions(account, "+4915112345678")[0]["channels"] == ["email", "sms"]


def test_event_alone_subscribes_nobody(account: Account) -> None:
    account.post(event(metric_name="Subscribed to Newsletter"))
    assert subscriptions(account) == []


@pytest.mark.parametrize(
    ("profile", "pointer"),
    [
        ({"email": "user@shop.example"}, at(0, "subscriptions")),
        ({"email": "user@shop.example", "subscriptions": {}}, at(0, "subscriptions")),
        ({"email": "user", "subscriptions": EMAIL}, at(0, "email")),
        ({"phone_number": "+4915112345678", "subscriptions": EMAIL}, at(0, "email")),
        (
            {"email": "user@shop.example", "subscriptions": {"sms": {"marketing": {"consent": "SUBSCRIBED"}}}},
            at(0, "phone_number"),
        ),
        (
            {"email": "user@shop.example", "subscriptions": {"email": {"marketing": {"consent": "YES"}}}},
            at(0, "subscriptions/email/marketing/consent"),
        ),
        ({**USER, "subscriptions": {"email": {}}}, at(0, "subscriptions/email/marketing")),
        ({**USER, "subscriptions": {**EMAIL, "fax": {}}}, at(0, "subscriptions/fax")),
        ({**USER, "first_name": "User"}, at(0, "first_name")),
    ],
)
def test_profile_of_a_wrong_shape_is_refused_and_pointed_at(account: Account, profile: Any, pointer: str) -> None:
    assert pointers(account.post(job(profile), PATH)) == [pointer]
    assert account.klaviyo.taken()["profiles"] == []


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        (job(), PROFILES),
        (job(*[USER] * 1_001), PROFILES),
        (job(USER, list="XyZ123"), "/data/attributes/list"),
        (job(USER, relationships=NO_LIST), "/data/relationships/list/data/type"),
        (job(USER, historical_import=True), at(0, "subscriptions")),
    ],
)
def test_job_of_a_wrong_shape_is_refused(account: Account, document: Any, pointer: str) -> None:
    assert pointers(account.post(document, PATH)) == [pointer]


def test_historical_import_says_when_somebody_agreed(account: Account) -> None:
    marketing = {"consent": "SUBSCRIBED", "consented_at": "2026-01-02T03:04:05Z"}
    agreed = {"email": "user@shop.example", "subscriptions": {"email": {"marketing": marketing}}}
    assert account.post(job(agreed, historical_import=True), PATH).status == 202


@pytest.mark.parametrize("missing", ["lists:write", "profiles:write", "subscriptions:write"])
def test_key_needs_all_three_scopes(account: Account, missing: str) -> None:
    scopes = {"lists:write", "profiles:write", "subscriptions:write"}
    account.klaviyo.accept_keys({"sandbox-private-key": frozenset(scopes - {missing})})
    answer = account.post(job(USER), PATH)
    assert answer.status == 403
    assert missing in errors(answer)[0]["detail"]
    account.klaviyo.accept_keys({"sandbox-private-key": frozenset(scopes)})
    assert account.post(job(USER), PATH).status == 202
