"""Google Ads: what one event becomes, and what Google would refuse."""

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from edge.consent import Purpose
from edge.delivery import Request
from edge.destinations.base import first_request
from edge.destinations.google_ads import GoogleAds
from edge.destinations.google_identifiers import hashed_email, hashed_name, hashed_phone
from edge.errors import ConfigErrors
from edge.mapping import apply
from edge.pipeline import compile_pipeline
from edge.sandbox.google_oauth import AUTHORIZED_USER
from edge.settings import Problems, Reader
from edge.yamlfile import load_yaml
from tests.golden_cases import ENVIRON
from tests.google_ads_events import (
    ACTION,
    NOW_MS,
    ORDER,
    TIME_MS,
    account,
    event,
    payload,
    refusal,
    robot_credentials,
    user,
)

ROOT = Path(__file__).parents[2]
HASHED = {"emailAddress": hashed_email("visitor@shop.example")}
NOBODY = "profile: has neither one of gclid, gbraid, wbraid nor an e-mail, phone or address in form"


def test_an_order_becomes_one_request() -> None:
    google = account(login_customer_id="9876543210", quota_project="shop-example-1", is_validate_only=True)
    request = first_request(google, payload(), NOW_MS)
    headers = {
        "Authorization": "Bearer sandbox-access-token",
        "Content-Type": "application/json",
        "x-goog-user-project": "shop-example-1",
    }
    url = "https://datamanager.googleapis.com/v1/events:ingest"
    assert request == Request("POST", url, headers, request.body)
    assert orjson.loads(request.body) == {
        "destinations": [
            {
                "reference": ACTION,
                "operatingAccount": {"accountType": "GOOGLE_ADS", "accountId": "1234567890"},
                "loginAccount": {"accountType": "GOOGLE_ADS", "accountId": "9876543210"},
                "productDestinationId": ACTION,
            }
        ],
        "encoding": "HEX",
        "validateOnly": True,
        "events": [
            {
                "destinationReferences": [ACTION],
                "transactionId": "70311",
                "eventTimestamp": "2026-11-20T14:03:09Z",
                "eventSource": "WEB",
                "currency": "EUR",
                "conversionValue": 84.5,
                "adIdentifiers": {"gclid": "Cj0KCQiA-abc"},
                "userData": {"userIdentifiers": [HASHED]},
                "consent": {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_GRANTED"},
            }
        ],
    }


def test_looking_at_a_request_asks_for_no_token_and_keeps_none() -> None:
    google = user()
    shown = first_request(google, payload(), NOW_MS)
    assert (shown.url, shown.headers["Authorization"]) == (
        "https://datamanager.googleapis.com/v1/events:ingest",
        "Bearer token",
    )
    first = next(google.deliver([payload()], NOW_MS))
    assert first.url == "https://oauth2.googleapis.com/token"
    assert "sandbox-client-secret" not in repr(google) + repr(first) + repr(google.tokens)


def test_only_a_purchase_may_leave_its_action_to_the_parameters() -> None:
    assert event()["destinationReferences"] == [ACTION]
    assert event(metric="5")["destinationReferences"] == ["5"]
    for metric in ("sign_up", "0", "", "7a", "1" * 20):
        assert refusal(metric=metric) == "metric: is no conversion action; accepted is its id, such as 700123456"


@pytest.mark.parametrize(
    ("profile", "told"),
    [
        ({"gclid": "a", "gbraid": "b", "wbraid": "c"}, {"gclid": "a"}),
        ({"gbraid": "b", "wbraid": "c"}, {"gbraid": "b"}),
        ({"wbraid": " c "}, {"wbraid": "c"}),
        ({"gclid": "<a>", "wbraid": "c"}, {"wbraid": "c"}),
        ({"gclid": 5, "gbraid": "b"}, {"gbraid": "b"}),
    ],
)
def test_one_click_id_is_sent_and_only_one_in_form(profile: dict[str, object], told: dict[str, str]) -> None:
    assert event(profile=profile)["adIdentifiers"] == told


def test_person_is_hashed_and_what_is_not_in_form_left_out() -> None:
    profile: dict[str, object] = {
        "email": "First.Last+x@gmail.com",
        "phone_number": "+4915112345678",
        "first_name": " Moon Teapot ",
        "last_name": "Tea",
        "country": "gb",
        "postal_code": " EH6 7AA ",
    }
    address = {"givenName": hashed_name("moon teapot"), "familyName": hashed_name("tea")}
    assert event(profile=profile)["userData"] == {
        "userIdentifiers": [
            {"emailAddress": hashed_email("firstlast@gmail.com")},
            {"phoneNumber": hashed_phone("+4915112345678")},
            {"address": address | {"regionCode": "GB", "postalCode": "EH6 7AA"}},
        ]
    }
    half = {"email": "x", "phone_number": "0151", "first_name": "a", "last_name": "b", "country": "England"}
    assert refusal(profile=half) == NOBODY
    wrong = {
        "email": ["visitor@shop.example"],
        "first_name": {"a": 1},
        "last_name": 5,
        "country": "GB",
        "postal_code": "1",
    }
    assert refusal(profile=wrong) == NOBODY


def test_without_the_purpose_no_identifier_of_a_person_leaves() -> None:
    told = event(granted=Purpose.ANALYTICS)
    assert "userData" not in told
    assert told["consent"] == {"adUserData": "CONSENT_DENIED", "adPersonalization": "CONSENT_DENIED"}
    assert refusal(granted=Purpose.ANALYTICS, profile={"email": "visitor@shop.example"}) == NOBODY
    assert b"encoding" not in first_request(account(), payload(granted=Purpose.ANALYTICS), NOW_MS).body


def test_browser_is_told_and_its_address_only_where_it_is_mapped() -> None:
    seen = {"context": {"user_agent": " Mozilla/5.0 ", "ip": "203.0.113.7"}}
    assert event(event=seen)["eventDeviceInfo"] == {"userAgent": "Mozilla/5.0"}
    mapped = {"gclid": "a", "ip_address": "2001:DB8::1", "user_agent": "Other"}
    assert event(event=seen, profile=mapped)["eventDeviceInfo"] == {"userAgent": "Other", "ipAddress": "2001:db8::1"}
    assert "eventDeviceInfo" not in event(event=seen, is_from_server=True)
    assert "eventDeviceInfo" not in event(
        event={"context": {"user_agent": 5}}, profile={"gclid": "a", "ip_address": "x"}
    )


def test_cart_names_merchant_discount_and_lines() -> None:
    google = account(cart={"merchantId": "5", "merchantFeedLabel": "GB"})
    items = [
        {"item_id": 501, "quantity": "2", "price": "42.25"},
        {"item_name": "no id"},
        {"item_id": "x", "quantity": 0.5},
    ]
    made: Any = google.render(replace(ORDER, properties={"items": items, "discount": "5", "coupon": " SPRING "}))
    assert orjson.loads(made.body)["cartData"] == {
        "merchantId": "5",
        "merchantFeedLabel": "GB",
        "transactionDiscount": 5,
        "couponCodes": ["SPRING"],
        "items": [{"merchantProductId": "501", "quantity": 2, "unitPrice": 42.25}, {"merchantProductId": "x"}],
    }


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"profile": {}}, NOBODY),
        ({"profile": {"gclid": "a", "mail": "b"}}, "profile: a target that Google Ads does not know; accepted are "),
        ({"properties": {"tax": 1}}, "properties: a target that Google Ads does not know; accepted are "),
        ({"properties": {"value": "12,50"}}, "value: Google Ads takes a number"),
        ({"properties": {"value": 1, "currency": "euro"}, "currency": None}, "currency: is missing beside a value"),
        ({"properties": {"transaction_id": ["a"]}}, "transaction_id: Google Ads takes a text, not a list"),
        ({"properties": {"transaction_id": "x" * 513}}, "transaction_id: accepted are 1 to 512 characters"),
        ({"properties": {}, "unique_id": ""}, "transaction_id: accepted are 1 to 512 characters"),
        (
            {"properties": {"transaction_id": "a visitor@shop.example"}},
            "transaction_id: holds what looks like an e-mail",
        ),
        ({"properties": {"event_source": "SHOP"}}, "event_source: accepted are WEB, APP, "),
        ({"properties": {"items": {}}}, "items: Google Ads takes a list of objects"),
        ({"properties": {"items": [{"item_id": "a"}] * 201}}, "items: accepted are 200, not 201"),
        ({"time_ms": -1}, "time: Google Ads takes moments from 1970 to 9999"),
    ],
)
def test_what_google_would_refuse_is_said_with_its_target(changes: Any, reason: str) -> None:
    assert refusal(**changes).startswith(reason)


def test_event_of_tomorrow_happens_now() -> None:
    ahead = replace(payload(), time_ms=NOW_MS + 60_000)
    told = orjson.loads(first_request(account(), ahead, NOW_MS).body)
    assert told["events"][0]["eventTimestamp"] == "2026-11-20T14:03:11Z"


def test_same_event_gives_the_same_bytes_and_an_account_its_own_budget() -> None:
    assert payload() == payload()
    assert account().account != account("another-token").account
    assert account().account.startswith("datamanager.googleapis.com:")
    assert (TIME_MS, GoogleAds.max_event_age_s) == (ORDER.time_ms, 89 * 86_400)


def test_shipped_pipeline_maps_click_ids_and_sends_no_event_without_an_action() -> None:
    text = (ROOT / "pipelines/google-ads.yaml").read_text("utf-8")
    pipeline = compile_pipeline(text, "p.yaml", {k: v for k, v in ENVIRON.items() if "SIGN_UP" not in k})
    source = {"context": {"ids": {"gclid": "a", "gbraid": "b", "wbraid": "c"}, "traits": {}}, "properties": {}}
    assert apply(pipeline.profile, source) == {"gclid": "a", "gbraid": "b", "wbraid": "c"}
    asked = {name: plan.when(source) for name, plan in pipeline.events.items() if plan.when is not None}
    assert {name for name, answer in asked.items() if answer} == pipeline.events.keys() - {"sign_up"}
    assert (asked["sign_up"], asked["purchase"], pipeline.warnings) == (False, "a", ())


OF_GOOGLE = "accepted is the JSON of a service account's key or of an authorized user"
NO_KEY = "this value holds a private_key that does not sign"
NO_ACTION, NO_PROJECT = "is not a conversion action's id", "is not a Cloud project's id"
BAD_KEY = '{"type":"service_account","client_email":"a","private_key":"b"}'
GOOD = "customer_id: 123-456-7890\nconversion_action: '5'"


@pytest.mark.parametrize(
    ("text", "credentials", "problems"),
    [
        (GOOD, "sandbox-access-token", []),
        (GOOD, AUTHORIZED_USER, []),
        (GOOD, base64.b64encode(AUTHORIZED_USER.encode()).decode(), []),
        (GOOD, "robot", []),
        (GOOD, "{}", [f"credentials: this value is no credential of Google's; {OF_GOOGLE}"]),
        (GOOD, '{"type": "authorized_user"}', [f"credentials: this value is no credential of Google's; {OF_GOOGLE}"]),
        (GOOD, "{not json", [f"credentials: this value is no credential of Google's; {OF_GOOGLE}"]),
        (GOOD, BAD_KEY, [f"credentials: {NO_KEY}"]),
        ("customer_id: a\nconversion_action: '5'", "t", ["customer_id: 'a' is not an account's id"]),
        (
            "conversion_action: '0'\nquota_project: A B",
            "t",
            ["customer_id: is missing", f"conversion_action: '0' {NO_ACTION}", f"quota_project: 'A B' {NO_PROJECT}"],
        ),
        (
            GOOD + "\ntoken_url: ftp://x\nmerchant_id: a b",
            "t",
            ["token_url: 'ftp://x' is not an address", "merchant_id: 'a b' is not in form"],
        ),
    ],
)
def test_parameters_are_read_or_refused(text: str, credentials: str, problems: list[str]) -> None:
    found = Problems("p")
    told = robot_credentials() if credentials == "robot" else credentials
    reader = Reader(load_yaml(f"credentials: ${{C}}\n{text}", "p", {"C": told}, found), "", found)
    GoogleAds.from_reader(reader)
    said = []
    try:
        found.raise_if_any()
    except ConfigErrors as errors:
        said = [str(problem).split(": ", 1)[1] for problem in errors.problems]
    assert len(said) == len(problems)
    assert all(any(one.startswith(problem) for one in said) for problem in problems), said
