"""Klaviyo: what is said, what its answers mean, and what is never sent."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from edge import __version__
from edge.delivery import (
    Delivered,
    Payload,
    Rejected,
    Rendered,
    Request,
    Response,
    Retry,
    Throttled,
)
from edge.destinations.base import first_request
from edge.destinations.klaviyo import Klaviyo
from edge.errors import ConfigErrors
from edge.secret import Secret
from edge.settings import Problems, Reader
from edge.yamlfile import load_yaml
from tests.conversations import with_answers

KLAVIYO = Klaviyo(Secret("pk_test"))
SINGLE = replace(KLAVIYO, endpoint="create_event")
HEADERS = {
    "Authorization": "Klaviyo-API-Key pk_test",
    "revision": "2026-10-15",
    "Content-Type": "application/vnd.api+json",
    "Accept": "application/vnd.api+json",
    "X-Klaviyo-User-Agent": f"datafly-edge/{__version__}",
}
TIME_MS = 1_795_183_389_990  # 2026-11-20T14:03:09.990Z
NOW_MS = TIME_MS + 2_000
ORDER = Rendered(
    metric="Placed Order",
    profile={"$email": "user@shop.example"},
    properties={"OrderId": "70311"},
    unique_id="70311",
    time_ms=TIME_MS,
)


def attributes(**changes: Any) -> Any:
    """What Klaviyo would be told of ORDER with other properties, profile …"""
    payload = KLAVIYO.render(replace(ORDER, **changes))
    assert isinstance(payload, Payload), payload
    told = orjson.loads(payload.body)["data"]
    return (told[0] if isinstance(told, list) else told)["attributes"]


def rendered_order(**changes: Any) -> Payload:
    payload = KLAVIYO.render(replace(ORDER, **changes))
    assert isinstance(payload, Payload), payload
    return payload


def person(**profile: Any) -> Any:
    return attributes(profile=profile)["profile"]["data"]["attributes"]


def refusal(**changes: Any) -> str:
    rejected = KLAVIYO.render(replace(ORDER, **changes))
    assert isinstance(rejected, Rejected), rejected
    return rejected.reason


def test_event_is_one_create_event_request() -> None:
    payload = KLAVIYO.render(
        Rendered(
            metric="Placed Order",
            profile={
                "$email": " User@Shop.example",
                "$phone_number": "+4915112345678",
                "external_id": 19,
                "$first_name": "User",
                "$city": "Kiel",
                "$zip": 24103,
                "$latitude": 54.3,
                "tea": "green",
                "$last_name": " ",
                "$consent": ["email"],
            },
            properties={
                "$event_id": 70311,
                "$value": "84.50",
                "OrderId": "70311",
                "Note": None,
                "Items": [{"A": None}],
            },
            unique_id="e-1",
            time_ms=TIME_MS,
            currency="eur",
        )
    )
    assert isinstance(payload, Payload)
    profile = (
        b'{"email":"user@shop.example","phone_number":"+4915112345678","external_id":"19","first_name":"User",'
        b'"location":{"city":"Kiel","zip":"24103","latitude":54.3},"properties":{"tea":"green"}}'
    )
    body = (
        b'{"data":{"type":"event","attributes":{"unique_id":"70311","time":"2026-11-20T14:03:09Z","value":84.5,'
        b'"value_currency":"EUR","metric":{"data":{"type":"metric","attributes":{"name":"Placed Order"}}},'
        b'"profile":{"data":{"type":"profile","attributes":' + profile + b"}},"
        b'"properties":{"OrderId":"70311","Items":[{}]}}}}'
    )
    request = Request("POST", "https://a.klaviyo.com/api/events", HEADERS, body)
    assert payload == Payload(b'{"alone":true,' + body[1:], TIME_MS)  # its unique id is not the event's own
    assert first_request(KLAVIYO, payload, NOW_MS) == request
    assert with_answers(KLAVIYO.deliver([payload], NOW_MS), Response(202, {}, b"")) == ([request], [Delivered(202)])


def test_backfill_is_marked_when_sent_and_never_in_the_stored_bytes() -> None:
    payload = KLAVIYO.render(ORDER)
    assert isinstance(payload, Payload)
    assert b"backfill" not in payload.body
    fresh, late = (first_request(KLAVIYO, replace(payload, is_backfill=mark), NOW_MS).body for mark in (False, True))
    assert fresh == payload.body
    told = orjson.loads(late)
    assert told["data"]["attributes"].pop("backfill") is True
    assert told == orjson.loads(fresh)


def test_same_event_gives_the_same_bytes() -> None:
    assert KLAVIYO.render(ORDER) == KLAVIYO.render(ORDER)


@pytest.mark.parametrize(
    ("mapped", "unique_id"),
    [
        ({}, "70311"),
        ({"$event_id": "a"}, "a"),
        ({"event_id": "b"}, "b"),
        ({"$event_id": " a ", "event_id": "b"}, "a"),
        ({"$event_id": "  "}, "70311"),
        ({"$event_id": None}, "70311"),
        ({"$event_id": 12}, "12"),
    ],
)
def test_unique_id_is_always_set_and_leaves_the_properties(mapped: dict[str, object], unique_id: str) -> None:
    told = attributes(properties=mapped)
    assert (told["unique_id"], told["properties"]) == (unique_id, {})


@pytest.mark.parametrize(
    ("mapped", "currency", "money"),
    [
        ({"$value": 5}, None, {"value": 5}),
        ({"$value": " 5.50"}, "EUR", {"value": 5.5, "value_currency": "EUR"}),
        ({"$value": 0}, "gbp", {"value": 0, "value_currency": "GBP"}),
        ({"$value": 5, "$currency": "usd"}, "EUR", {"value": 5, "value_currency": "USD"}),
        ({"$value": 5, "value_currency": "usd"}, "EUR", {"value": 5, "value_currency": "USD"}),
        ({"$value": 5, "$currency": "euro"}, "€", {"value": 5}),
        ({"value_currency": "usd"}, "EUR", {}),
        ({"$value": ""}, "EUR", {}),
    ],
)
def test_value_is_a_number_and_brings_its_currency(mapped: Any, currency: str | None, money: Any) -> None:
    told = attributes(properties=mapped, currency=currency)
    assert {key: told[key] for key in ("value", "value_currency") if key in told} == money
    assert told["properties"] == {}


@pytest.mark.parametrize(
    ("mapped", "told"),
    [
        ({"$id": "c-19"}, {"external_id": "c-19"}),
        ({"$exchange_id": "aBc.D"}, {"_kx": "aBc.D"}),
        ({"_kx": "aBc.D", "email": "user@shop.example"}, {"email": "user@shop.example"}),
        ({"anonymous_id": "v1", "email": "USER@SHOP.EXAMPLE"}, {"anonymous_id": "v1", "email": "user@shop.example"}),
        ({"$email": "no address", "$phone_number": "+4915112345678"}, {"phone_number": "+4915112345678"}),
        ({"$email": "user@shop.example", "$phone_number": "0151 123"}, {"email": "user@shop.example"}),
        (
            {"$id": "c", "$organization": "Kiln", "locale": "en-GB"},
            {"external_id": "c", "organization": "Kiln", "locale": "en-GB"},
        ),
        (
            {"$id": "c", "$address1": "1 Quay", "region": "SH"},
            {"external_id": "c", "location": {"address1": "1 Quay", "region": "SH"}},
        ),
        ({"$id": "c", "plan": {"tier": 2, "old": None}}, {"external_id": "c", "properties": {"plan": {"tier": 2}}}),
    ],
)
def test_profile_is_told_in_todays_words(mapped: dict[str, object], told: Any) -> None:
    assert sorted(person(**mapped).items()) == sorted(told.items())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"profile": {}}, "profile: has none of email, phone_number, external_id, anonymous_id, _kx"),
        (
            {"profile": {"$email": "", "tea": "green"}},
            "profile: has none of email, phone_number, external_id, anonymous_id, _kx",
        ),
        ({"profile": {"$email": "user@shop"}}, "profile: not in the form Klaviyo takes: email"),
        (
            {"profile": {"$email": "a b@shop.example", "phone_number": "004915112345678"}},
            "profile: not in the form Klaviyo takes: email, phone_number",
        ),
        ({"profile": {"$id": "x" * 256}}, "profile: not in the form Klaviyo takes: external_id"),
        ({"profile": {"$email": ["user@shop.example"]}}, "profile.email: Klaviyo takes a text, not a list"),
        ({"properties": {"$value": "much"}}, "$value: Klaviyo takes a number"),
        ({"properties": {"$value": True}}, "$value: Klaviyo takes a number"),
        ({"properties": {"$event_id": ["a"]}}, "$event_id: Klaviyo takes a text, not a list"),
        ({"unique_id": ""}, "unique_id: the event has none"),
        ({"metric": "m" * 128}, "metric: Klaviyo takes 1 to 127 characters, not 128"),
        ({"metric": ""}, "metric: Klaviyo takes 1 to 127 characters, not 0"),
        ({"time_ms": 946_684_800_000}, "time: Klaviyo takes moments after the year 2000"),
        ({"time_ms": 10**15}, "time: Klaviyo takes moments after the year 2000"),
        ({"properties": {str(n): n for n in range(401)}}, "properties: Klaviyo takes 400, not 401"),
        ({"properties": {"A": "ä" * 50_001}}, "properties.A: a text has more than 100000 bytes"),
        ({"properties": {"A": {"b": list(range(4_001))}}}, "properties.A: a list has more than 4000 entries"),
        ({"properties": {"A": [[[[[[[[[[]]]]]]]]]]}}, "properties.A: is nested more than 10 levels deep"),
        ({"properties": {"A": 2**70}}, "the event cannot be written as JSON"),
    ],
)
def test_what_klaviyo_would_refuse_is_rejected_before_it_is_sent(changes: Any, reason: str) -> None:
    assert refusal(**changes) == reason


def test_limits_themselves_are_still_taken() -> None:
    deep: Any = [[[[[[[[[]]]]]]]]]
    full: dict[str, object] = {"A": "ä" * 50_000, "B": list(range(4_000)), "C": deep} | {str(n): n for n in range(397)}
    full |= {"$value": 1, "$event_id": "a", "$currency": "EUR"}
    assert len(attributes(properties=full, metric="m" * 127)["properties"]) == 400


def test_event_beyond_the_size_limit_is_rejected() -> None:
    assert refusal(properties={str(n): "x" * 90_000 for n in range(60)}).endswith("Klaviyo takes 5000000")


def test_rest_of_single_events_is_not_tried_after_the_account_was_refused() -> None:
    payloads = [rendered_order()] * 3
    taken, failed, slow = Response(202, {}, b""), Response(500, {}, b""), Response(429, {"retry-after": "7"}, b"")
    requests, outcomes = with_answers(SINGLE.deliver(payloads, NOW_MS), taken, slow)
    assert (len(requests), outcomes) == (2, [Delivered(202), Throttled(7.0), Throttled(7.0)])
    requests, outcomes = with_answers(SINGLE.deliver(payloads, NOW_MS), failed, taken, failed)
    assert (len(requests), outcomes) == (3, [Retry("500"), Delivered(202), Retry("500")])


def read_parameters(text: str, **environ: str) -> Klaviyo:
    problems = Problems("p.yaml")
    root = Reader(load_yaml(text, "p.yaml", {"KEY": "pk_test", **environ}, problems), "", problems)
    destination = Klaviyo.from_reader(root.section("parameters"))
    problems.raise_if_any()
    return destination


def test_parameters_have_defaults() -> None:
    assert read_parameters('parameters: {private_api_key: "${KEY}"}') == KLAVIYO


@pytest.mark.parametrize("endpoint", ["create_event", "bulk_create_events", "auto"])
def test_every_endpoint_word_is_accepted(endpoint: str) -> None:
    text = f'parameters: {{private_api_key: "${{KEY}}", endpoint: {endpoint}, revision: 2026-07-15}}'
    assert read_parameters(text) == replace(KLAVIYO, revision="2026-07-15", endpoint=endpoint)


def test_base_url_leads_to_another_host() -> None:
    destination = read_parameters('parameters: {private_api_key: "${KEY}", base_url: "http://127.0.0.1:9/klaviyo/"}')
    assert first_request(destination, rendered_order(), NOW_MS).url == "http://127.0.0.1:9/klaviyo/api/events"


def test_account_names_host_and_key_without_telling_the_key() -> None:
    other = replace(KLAVIYO, private_api_key=Secret("pk_other"))
    assert KLAVIYO.account == "a.klaviyo.com:4cd87eb8bb26"
    assert replace(KLAVIYO, revision="2026-07-15").account == KLAVIYO.account
    assert other.account != KLAVIYO.account
    assert "pk_test" not in repr(KLAVIYO)


def test_wrong_parameters_are_all_named() -> None:
    text = 'parameters: {endpoint: bulk, base_url: "ftp://user:pw@klaviyo", revision: now, private_key: x}'
    with pytest.raises(ConfigErrors) as caught:
        read_parameters(text)
    assert [str(problem) for problem in caught.value.problems] == [
        "p.yaml:1:24: parameters.endpoint: 'bulk' is not one of create_event, bulk_create_events, auto "
        "(did you mean bulk_create_events?)",
        "p.yaml:1:40: parameters.base_url: 'ftp://user:pw@klaviyo' is not a base address; "
        "accepted is one such as https://host:8443/path, no login, no query",
        "p.yaml:1:75: parameters.revision: 'now' is not a revision; accepted is a date such as 2026-10-15",
        "p.yaml:1:80: parameters.private_key: unknown key (did you mean private_api_key?); "
        "accepted here: endpoint, native_integration, revision, private_api_key, base_url",
    ]
