"""The fake Klaviyo checks every value: its type, its form and its limit."""

from typing import Any

import pytest

from edge.sandbox import Klaviyo
from tests.klaviyo_requests import Account, event, pointers, profile

PROFILE = "/data/attributes/profile/data"


@pytest.fixture
def account() -> Account:
    return Account(Klaviyo(rates=None))


def nested(levels: int) -> Any:
    """A value of so many levels, the last one empty."""
    value: Any = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ([], ""),
        (None, ""),
        ({str(number): 1 for number in range(401)}, ""),
        ({"html": "a" * 100_001}, "/html"),
        ({"html": "ä" * 50_001}, "/html"),
        ({"Items": [{"html": "a" * 100_001}]}, "/Items/0/html"),
        ({"list": [0] * 4_001}, "/list"),
        ({"deep": nested(10)}, "/deep" + "/a" * 9),
        ({"deep": [[[[[[[[[[]]]]]]]]]]}, "/deep" + "/0" * 9),
    ],
)
def test_properties_beyond_a_limit_are_refused(account: Account, properties: Any, expected: str) -> None:
    assert pointers(account.post(event(properties=properties))) == [f"/data/attributes/properties{expected}"]


@pytest.mark.parametrize(
    "properties",
    [
        {str(number): 1 for number in range(400)},
        {"html": "a" * 100_000},
        {"list": [0] * 4_000},
        {"deep": nested(9)},
    ],
)
def test_properties_at_a_limit_are_accepted(account: Account, properties: Any) -> None:
    assert account.post(event(properties=properties)).status == 202


@pytest.mark.parametrize(
    "time",
    [
        1_795_000_000,
        True,
        "",
        "yesterday",
        "1795000000",
        "2026-11-18",
        "2026-11-18 10:00:00Z",
        "2026-11-18T10:00:00",
        "2026-11-18T10:00Z",
        "20261118T100000Z",
        "2026-02-30T10:00:00Z",
        "2026-11-18T25:00:00Z",
        "1999-12-31T23:59:59Z",
        "2000-01-01T00:00:00Z",
        "2027-11-18T11:06:41Z",
    ],
)
def test_a_wrong_time_is_refused(account: Account, time: Any) -> None:
    assert pointers(account.post(event(time=time))) == ["/data/attributes/time"]


@pytest.mark.parametrize("time", ["2000-01-01T00:00:01Z", "2027-11-18T11:06:40Z", "2026-11-18T10:00:00.123456+00:00"])
def test_a_time_after_2000_and_within_a_year_is_accepted(account: Account, time: str) -> None:
    """The clock stands at 2026-11-18T11:06:40Z."""
    assert account.post(event(time=time)).status == 202


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("value", "84.50"),
        ("value", True),
        ("value", {"amount": 1}),
        ("value_currency", "eur"),
        ("value_currency", "EURO"),
        ("value_currency", "€"),
        ("value_currency", 978),
        ("unique_id", 70311),
        ("unique_id", ""),
        ("unique_id", ["a"]),
        ("backfill", "true"),
        ("backfill", 1),
    ],
)
def test_a_wrong_value_of_an_attribute_is_refused(account: Account, key: str, value: Any) -> None:
    assert pointers(account.post(event(**{key: value}))) == [f"/data/attributes/{key}"]


@pytest.mark.parametrize("value", [0, -5, 84.5, 10**12])
def test_any_number_is_a_value(account: Account, value: float) -> None:
    assert account.post(event(value=value)).status == 202


@pytest.mark.parametrize("key", ["time", "value", "value_currency", "unique_id", "backfill"])
def test_null_for_an_optional_attribute_is_accepted_and_noted(account: Account, key: str) -> None:
    answer = account.post(event(**{key: None}))
    assert (answer.status, [note.pointer for note in answer.notes]) == (202, [f"/data/attributes/{key}"])


@pytest.mark.parametrize("attributes", [{}, {"first_name": "User"}, {"properties": {"email": "a@shop.example"}}])
def test_a_profile_needs_an_identifier(account: Account, attributes: dict[str, Any]) -> None:
    assert pointers(account.post(event(profile=profile(attributes)))) == [f"{PROFILE}/attributes"]


@pytest.mark.parametrize(
    "identifier",
    [
        {"email": "a@shop.example"},
        {"external_id": "c"},
        {"anonymous_id": "b"},
        {"_kx": "k"},
        {"phone_number": "+4915112345678"},
    ],
)
def test_each_identifier_alone_is_enough(account: Account, identifier: dict[str, str]) -> None:
    assert account.post(event(profile=profile(identifier))).status == 202


@pytest.mark.parametrize(
    "email",
    [
        "",
        "user",
        "user@",
        "@shop.example",
        "user@shop",
        "le na@shop.example",
        " user@shop.example",
        "user@shop..example",
        "user@@shop.example",
        ".user@shop.example",
        "le..na@shop.example",
        "user@-shop.example",
        "user@shop.example\n",
        "a" * 65 + "@shop.example",
        "user@" + "a." * 125 + "example",
        5,
        ["user@shop.example"],
    ],
)
def test_an_invalid_email_is_refused(account: Account, email: Any) -> None:
    assert f"{PROFILE}/attributes/email" in pointers(account.post(event(profile=profile({"email": email}))))


@pytest.mark.parametrize("email", ["user+news@shop.example", "L.O'Kiln@sub.shop-1.example", "x@xn--bcher-kva.example"])
def test_a_valid_email_is_accepted(account: Account, email: str) -> None:
    assert account.post(event(profile=profile({"email": email}))).status == 202


@pytest.mark.parametrize(
    "phone",
    [
        "",
        "4915112345678",
        "0049151123456",
        "+49 151 1234567",
        "+0151123456",
        "+49",
        "+4915112345678901",
        "+1500555\u0660\u0660\u0660\u0666",
        15,
    ],
)
def test_a_phone_number_that_is_not_e164_is_refused(account: Account, phone: Any) -> None:
    answer = account.post(event(profile=profile({"email": "a@shop.example", "phone_number": phone})))
    assert pointers(answer) == [f"{PROFILE}/attributes/phone_number"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"external_id": 19}, "external_id"),
        ({"external_id": "a" * 256}, "external_id"),
        ({"anonymous_id": ""}, "anonymous_id"),
        ({"_kx": 1}, "_kx"),
        ({"first_name": 1}, "first_name"),
        ({"image": {}}, "image"),
        ({"locale": "en_GB"}, "locale"),
        ({"properties": []}, "properties"),
        ({"location": "Leith"}, "location"),
        ({"location": {"street": "x"}}, "location/street"),
        ({"location": {"zip": 12345}}, "location/zip"),
        ({"location": {"latitude": 91}}, "location/latitude"),
        ({"location": {"longitude": "west"}}, "location/longitude"),
        ({"location": {"ip": "300.0.0.1"}}, "location/ip"),
    ],
)
def test_a_wrong_profile_attribute_is_refused(account: Account, change: dict[str, Any], expected: str) -> None:
    answer = account.post(event(profile=profile({"email": "a@shop.example", **change})))
    assert pointers(answer) == [f"{PROFILE}/attributes/{expected}"]


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        ({"email": "a@shop.example"}, "/data/attributes/profile/data"),
        ({"data": {"attributes": {"email": "a@shop.example"}}}, f"{PROFILE}/type"),
        ({"data": {"type": "person", "attributes": {"email": "a@shop.example"}}}, f"{PROFILE}/type"),
        ({"data": {"type": "profile", "id": "1"}}, f"{PROFILE}/attributes"),
        ({"data": {"type": "profile", "id": 1, "attributes": {"email": "a@shop.example"}}}, f"{PROFILE}/id"),
        (profile(meta={"patch": {}}), f"{PROFILE}/meta/patch"),
        (
            profile(meta={"patch_identifiers": {"append": {"phone_number": ["+1"]}}}),
            f"{PROFILE}/meta/patch_identifiers/append/phone_number",
        ),
    ],
)
def test_the_profile_is_a_json_api_resource(account: Account, who: Any, expected: str) -> None:
    assert expected in pointers(account.post(event(profile=who)))
