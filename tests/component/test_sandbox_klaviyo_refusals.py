"""The fake Klaviyo refuses what Klaviyo refuses, and points at the place: keys, headers, envelope and names."""

from typing import Any

import orjson
import pytest

from edge.sandbox import Klaviyo
from tests.klaviyo_requests import EVENTS, IMPORT, Account, errors, event, pointers, profile

PROFILE = "/data/attributes/profile/data"


@pytest.fixture
def account() -> Account:
    return Account(Klaviyo(rates=None))


@pytest.mark.parametrize(
    ("header", "detail"),
    [
        ("", "Authorization: Klaviyo-API-Key"),
        ("Bearer sandbox-private-key", "Authorization: Klaviyo-API-Key"),
        ("sandbox-private-key", "Authorization: Klaviyo-API-Key"),
        ("Klaviyo-API-Key another-key", "not known"),
        ("Klaviyo-API-Key ", "not known"),
    ],
)
def test_a_missing_or_wrong_key_is_401(account: Account, header: str, detail: str) -> None:
    answer = account.post(event(), Authorization=header)
    assert (answer.status, errors(answer)[0]["status"]) == (401, 401)
    assert detail in errors(answer)[0]["detail"]


def test_a_key_without_the_scope_is_403() -> None:
    account = Account()
    account.klaviyo.accept_keys({"sandbox-private-key": frozenset({"profiles:write"})})
    answer = account.post(event())
    assert (answer.status, errors(answer)[0]["code"]) == (403, "permission_denied")
    assert "events:write" in errors(answer)[0]["detail"]
    imported = {"data": {"type": "profile", "attributes": {"email": "a@shop.example"}}}
    assert account.post(imported, IMPORT).status == 201


@pytest.mark.parametrize("revision", ["", "2026-7-15", "20260715", "2026-13-01", "latest", "2026-07-15T00:00:00Z"])
def test_a_missing_or_malformed_revision_is_400(account: Account, revision: str) -> None:
    answer = account.post(event(), revision=revision)
    assert (answer.status, errors(answer)[0]["source"]) == (400, {"parameter": "revision"})


def test_a_revision_that_does_not_exist_yet_is_refused(account: Account) -> None:
    assert account.post(event(), revision="2026-10-16").status == 400


def test_both_newest_revisions_are_accepted(account: Account) -> None:
    assert account.post(event(unique_id="1"), revision="2026-10-15").status == 202
    assert account.post(event(unique_id="2"), revision="2026-07-15").status == 202


def test_a_revision_is_refused_when_two_years_are_over(account: Account) -> None:
    """The clock stands at 2026-11-18."""
    assert account.post(event(), revision="2024-11-18").status == 202
    assert account.post(event(), revision="2024-11-17").status == 410


def test_backfill_is_not_known_before_revision_2026_07_15(account: Account) -> None:
    assert pointers(account.post(event(backfill=True), revision="2026-04-15")) == ["/data/attributes/backfill"]
    assert account.post(event(backfill=True), revision="2026-07-15").status == 202


def test_meta_moved_beside_the_attributes_in_revision_2026_10_15(account: Account) -> None:
    meta = {"patch_properties": {"append": {"skus": "1"}, "unset": ["old"]}, "patch_identifiers": {}}
    inside = event(profile=profile({"email": "a@shop.example", "meta": meta}))
    beside = event(profile=profile(meta=meta))
    assert account.post(beside).status == 202
    assert account.post(inside, revision="2026-07-15").status == 202
    assert pointers(account.post(inside)) == [f"{PROFILE}/attributes/meta"]


@pytest.mark.parametrize(
    "content_type", ["application/vnd.api+json", "application/json", "application/json; charset=utf-8"]
)
def test_both_content_types_are_accepted(account: Account, content_type: str) -> None:
    assert account.post(event(), Content_Type=content_type).status == 202


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_another_content_type_is_415(account: Account, content_type: str) -> None:
    assert account.post(event(), Content_Type=content_type).status == 415


def test_the_path_may_end_in_a_slash(account: Account) -> None:
    assert account.post(event(), "/api/events/").status == 202


@pytest.mark.parametrize("path", ["/api/event", "/events", "/api/events/1", "/client/events", "/"])
def test_another_path_is_404(account: Account, path: str) -> None:
    assert account.post(event(), path).status == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_another_method_is_405_and_says_which_is_allowed(account: Account, method: str) -> None:
    answer = account.send(b"", EVENTS, method=method)
    assert (answer.status, answer.headers["Allow"]) == (405, "POST")


def test_a_query_parameter_is_refused(account: Account) -> None:
    """A public key in the URL (`company_id`) belongs to the client endpoints."""
    answer = account.send(orjson.dumps(event()), query=(("company_id", "PUBLIC"),))
    assert (answer.status, errors(answer)[0]["source"]) == (400, {"parameter": "company_id"})


@pytest.mark.parametrize("body", [b"", b"{", b'{"data":NaN}', b'\xff{"data":{}}'])
def test_a_body_that_is_not_json_is_400(account: Account, body: bytes) -> None:
    assert pointers(account.send(body)) == ["/data"]


def test_a_body_of_five_megabytes_is_taken_and_one_byte_more_is_413(account: Account) -> None:
    body = orjson.dumps(event())
    assert account.send(body + b" " * (5_000_000 - len(body))).status == 202
    assert account.send(body + b" " * (5_000_001 - len(body))).status == 413


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ([], ""),
        ({}, "/data"),
        ({"data": []}, "/data"),
        ({"data": {"type": "event"}}, "/data/attributes"),
        ({**event(), "included": []}, "/included"),
        ({"data": {**event()["data"], "type": "events"}}, "/data/type"),
        ({"data": {**event()["data"], "id": "1"}}, "/data/id"),
    ],
)
def test_the_envelope_is_json_api(account: Account, document: Any, expected: str) -> None:
    assert pointers(account.post(document)) == [expected]


@pytest.mark.parametrize(
    "change",
    [
        {"$value": 5},
        {"$event_id": "1"},
        {"event_id": "1"},
        {"token": "PUBLIC"},
        {"customer_properties": {}},
        {"a/b~c": 1},
    ],
)
def test_an_unknown_attribute_of_an_event_is_refused(account: Account, change: dict[str, Any]) -> None:
    key = next(iter(change)).replace("~", "~0").replace("/", "~1")
    assert pointers(account.post(event(**change))) == [f"/data/attributes/{key}"]


def test_dollar_keys_are_free_inside_properties(account: Account) -> None:
    assert account.post(event(properties={"$value": 5, "$event_id": "1", "$extra": {"html": "<p>"}})).status == 202


@pytest.mark.parametrize("key", ["$email", "$phone_number", "$id", "$exchange_id", "phone", "address1", "$consent"])
def test_an_unknown_attribute_of_a_profile_is_refused(account: Account, key: str) -> None:
    answer = account.post(event(profile=profile({"email": "a@shop.example", key: "x"})))
    assert pointers(answer) == [f"{PROFILE}/attributes/{key}"]


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("Placed Order", ""),
        ({"name": "Placed Order"}, "/data"),
        ({"data": {"type": "metrics", "attributes": {"name": "A"}}}, "/data/type"),
        ({"data": {"type": "metric", "attributes": {}}}, "/data/attributes/name"),
        ({"data": {"type": "metric", "attributes": {"name": ""}}}, "/data/attributes/name"),
        ({"data": {"type": "metric", "attributes": {"name": 5}}}, "/data/attributes/name"),
        ({"data": {"type": "metric", "attributes": {"name": None}}}, "/data/attributes/name"),
        ({"data": {"type": "metric", "attributes": {"name": "a" * 128}}}, "/data/attributes/name"),
        ({"data": {"type": "metric", "attributes": {"name": "A", "id": "1"}}}, "/data/attributes/id"),
        ({"data": {"type": "metric", "attributes": {"name": "A", "service": 1}}}, "/data/attributes/service"),
    ],
)
def test_a_wrong_metric_is_refused(account: Account, metric: Any, expected: str) -> None:
    assert f"/data/attributes/metric{expected}" in pointers(account.post(event(metric=metric)))


def test_a_metric_name_has_fewer_than_128_characters(account: Account) -> None:
    assert account.post(event(metric_name="ä" * 127)).status == 202
