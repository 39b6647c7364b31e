"""GA4: what one event becomes, and what Google Analytics would not count."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge.consent import Purpose
from edge.delivery import Request
from edge.destinations.base import first_request
from edge.destinations.ga4 import GA4
from edge.errors import ConfigErrors
from edge.mapping import apply
from edge.person import Identifiers
from edge.pipeline import compile_pipeline
from edge.secret import Secret
from edge.settings import Problems, Reader
from edge.yamlfile import load_yaml
from tests.ga4_events import NOW_MS, ORDER, STREAM, TIME_MS, VIEW, body, params, payload, refusal

ROOT = Path(__file__).parents[2]
A_MAIL = "holds what looks like an e-mail address, which GA4 forbids"
NO_STREAM = "is not a web stream's id; accepted is one such as G-ABC1234567"
REFERENCE = "accepted is a reference to an environment variable, ${NAME}"


def test_an_event_becomes_one_request_of_its_stream() -> None:
    expected = (
        b'{"client_id":"1893726451.1795170000","consent":{"ad_user_data":"GRANTED","ad_personalization":"GRANTED"},'
        b'"events":[{"name":"purchase","params":{"engagement_time_msec":1,"session_id":"1795182000",'
        b'"transaction_id":"70311","value":84.5,"currency":"EUR"},"timestamp_micros":1795183389120000}]}'
    )
    url = "https://www.google-analytics.com/mp/collect?measurement_id=G-SANDBOX01&api_secret=sandbox-api-secret"
    request = first_request(STREAM, payload(ORDER), NOW_MS)
    assert request == Request("POST", url, {"Content-Type": "application/json"}, expected)
    assert "sandbox-api-secret" not in repr(request) + repr(STREAM)


def test_a_secret_is_quoted_in_the_address() -> None:
    stream = replace(STREAM, api_secret=Secret("a&b=c/d é"))
    url = first_request(stream, payload(), NOW_MS).url
    assert url.endswith("&api_secret=a%26b%3Dc%2Fd%20%C3%A9")


@pytest.mark.parametrize("mapped", [None, "", "x", "1893726451", "1.2.3", 5, ["1.2"], "GA1.1.1.2"])
def test_visitor_without_the_tags_id_has_one_in_its_form_that_stays(mapped: object) -> None:
    ours = [
        body(profile={"client_id": mapped}, anonymous_id=one)["client_id"] for one in ("a" * 32, "a" * 32, "b" * 32)
    ]
    assert ours == ["163254495.1150585580", "163254495.1150585580", ours[2]]
    assert ours[2] != ours[0]


def test_visitor_of_whom_nothing_stands_cannot_be_sent() -> None:
    assert refusal(profile={}, anonymous_id="") == "client_id: the event has none"


def test_session_without_the_tags_id_is_made_from_our_own() -> None:
    event = {"context": {"session": {"id": "5b1e0c0f9a", "number": 1}}}
    assert params(profile={}, event=event)["session_id"] == "1970330680"
    assert params(profile={"session_id": "17"}, event=event)["session_id"] == "17"
    assert "session_id" not in params(profile={"session_id": "a"}, event={"context": {"session": []}})


def test_mapped_parameters_win_over_what_is_filled_in() -> None:
    event = {"context": {"page": {"url": "https://shop.example/a", "title": "A", "referrer": "https://b.example/"}}}
    told = params(event=event, properties={"page_title": "Mine", "engagement_time_msec": 250})
    assert told == {
        "engagement_time_msec": 250,
        "session_id": "1795182000",
        "page_location": "https://shop.example/a",
        "page_referrer": "https://b.example/",
        "page_title": "Mine",
    }


@pytest.mark.parametrize(
    ("granted", "told"),
    [
        (Purpose.ANALYTICS, "DENIED"),
        (Purpose.ANALYTICS | Purpose.MARKETING, "DENIED"),
        (Purpose.ANALYTICS | Purpose.ADVERTISING, "GRANTED"),
    ],
)
def test_consent_is_told_as_it_was_decided(granted: Purpose, told: str) -> None:
    assert body(granted=granted)["consent"] == {"ad_user_data": told, "ad_personalization": told}


def test_hashes_of_a_person_go_only_where_the_file_and_the_visitor_allow_it() -> None:
    willing = replace(STREAM, has_user_data=True)
    known = Identifiers(email="First.Last+tag@gmail.com", phone="+4915112345678")
    hashed = {
        "sha256_email_address": [hashlib.sha256(b"firstlast@gmail.com").hexdigest()],
        "sha256_phone_number": [hashlib.sha256(b"+4915112345678").hexdigest()],
    }
    assert body(stream=willing, identifiers=known)["user_data"] == hashed
    assert "user_data" not in body(identifiers=known)
    assert "user_data" not in body(stream=willing, identifiers=known, granted=Purpose.ANALYTICS)
    assert "user_data" not in body(stream=willing, identifiers=Identifiers())


def test_profile_has_user_id_place_device_and_properties_of_its_own() -> None:
    profile: dict[str, object] = {
        "user_id": " c-19 ",
        "ip_override": "203.0.113.7",
        "country_id": "GB",
        "device_language": "en-GB",
        "plan": "gold" * 20,
        "is_trade": True,
        "orders": 3,
        "nothing": None,
    }
    told = body(profile=profile)
    assert {key: told[key] for key in told.keys() - {"client_id", "consent", "events"}} == {
        "user_id": "c-19",
        "ip_override": "203.0.113.7",
        "user_location": {"country_id": "GB"},
        "device": {"language": "en-GB"},
        "user_properties": {"plan": {"value": ("gold" * 20)[:36]}, "is_trade": {"value": 1}, "orders": {"value": 3}},
    }


@pytest.mark.parametrize("user_id", ["visitor@shop.example", "x" * 257, "", None, "a%40shop.example", ["c-19"], True])
def test_user_id_that_is_an_address_or_too_long_is_left_out(user_id: object) -> None:
    assert "user_id" not in body(profile={"user_id": user_id})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"metric": "session_start"}, "metric: the name is reserved by GA4"),
        ({"metric": "Viewed Product"}, "metric: GA4 takes names of 40 letters, digits and _, beginning with a letter"),
        ({"metric": "x" * 41}, "metric: GA4 takes names of 40 letters, digits and _, beginning with a letter"),
        ({"properties": {"ga_x": 1}}, "params.ga_x: the name is reserved by GA4"),
        ({"properties": {"firebase_conversion": 1}}, "params.firebase_conversion: the name is reserved by GA4"),
        ({"properties": {f"p{n}": n for n in range(24)}}, "params: GA4 takes 25, not 26"),
        ({"properties": {"x": ["a"]}}, "params.x: GA4 takes a text or a number, not a list"),
        ({"properties": {"value": "12,50"}, "currency": "EUR"}, "params.value: GA4 takes a number"),
        ({"properties": {"engagement_time_msec": 0}}, "params.engagement_time_msec: GA4 takes a number"),
        ({"properties": {"items": "a"}}, "params.items: GA4 takes a list of objects"),
        ({"properties": {"items": [{"item_id": "a"}] * 201}}, "params.items: GA4 takes 200, not 201"),
        ({"properties": {"items": [{"price": 1}]}}, "params.items[0]: has neither item_id nor item_name"),
        ({"profile": {"first_open_time": 1}}, "profile.first_open_time: the name is reserved by GA4"),
        ({"profile": {"x" * 25: 1}}, f"profile.{'x' * 25}: GA4 takes 24 characters for a user property"),
        ({"profile": {f"p{n}": n for n in range(26)}}, "profile: GA4 takes 25 user properties, not 26"),
        ({"profile": {"p": []}}, "profile.p: GA4 takes a text or a number, not a list"),
        ({"properties": {"x": "a visitor@shop.example b"}}, f"params.x: {A_MAIL}"),
    ],
)  # fmt: skip
def test_what_google_would_silently_drop_is_refused_with_its_place(changes: Any, reason: str) -> None:
    assert refusal(**changes) == reason


def test_item_has_at_most_ten_parameters_of_ones_own() -> None:
    item = {"item_id": "a", "price": 1} | {f"own{n}": n for n in range(10)}
    assert params(properties={"items": [item]})["items"] == [item]
    assert refusal(properties={"items": [item | {"own10": 1}]}) == (
        "params.items[0]: GA4 takes 10 parameters of one's own"
    )


def test_order_id_too_long_to_tell_orders_apart_is_refused() -> None:
    assert refusal(ORDER, properties={"transaction_id": "7" * 101}) == (
        "params.transaction_id: GA4 takes 100 characters; cut, it could name two orders"
    )
    assert params(ORDER, properties={"transaction_id": 7})["transaction_id"] == "7"
    assert params(ORDER, properties={"transaction_id": ""})["transaction_id"] == "70311"


def test_texts_are_cut_where_google_cuts_them() -> None:
    page = {
        "url": "https://shop.example/" + "a" * 2_000,
        "title": "t" * 400,
        "referrer": "https://b.example/" + "b" * 500,
    }
    told = params(properties={"method": "m" * 200}, event={"context": {"page": page}})
    assert {name: len(text) for name, text in told.items() if isinstance(text, str)} == {
        "session_id": 10,
        "page_location": 1_000,
        "page_referrer": 420,
        "page_title": 300,
        "method": 100,
    }


def test_address_in_a_pages_query_goes_with_the_query() -> None:
    page = {
        "url": "https://shop.example/thanks?m=visitor%40shop.example#x",
        "referrer": "https://mail.example/visitor@shop.example/1",
        "title": "visitor@shop.example",
    }
    told = params(event={"context": {"page": page}})
    assert {name: told.get(name) for name in ("page_location", "page_referrer", "page_title")} == {
        "page_location": "https://shop.example/thanks",
        "page_referrer": None,
        "page_title": None,
    }


def test_value_without_a_currency_is_left_out_but_never_of_an_order() -> None:
    assert "value" not in params(properties={"value": 5})
    assert params(properties={"value": 5, "currency": " eur "})["currency"] == "EUR"
    assert refusal(ORDER, currency="euro") == "params.currency: is missing, GA4 counts no value without it"


def test_event_too_large_for_a_request_is_refused() -> None:
    items = [{"item_id": "x" * 100} | {f"own{n}": "y" * 100 for n in range(10)}] * 130
    assert refusal(properties={"items": items}).endswith("bytes, GA4 takes less than 130000")


def test_same_event_gives_the_same_bytes() -> None:
    assert payload(ORDER) == payload(ORDER)


def test_shipped_pipeline_takes_the_tags_ids_and_leaves_its_events_to_it() -> None:
    text = (ROOT / "pipelines/ga4-events.yaml").read_text("utf-8")
    environ = {"GA4_ENABLED": "true", "GA4_MEASUREMENT_ID": "G-1", "GA4_API_SECRET": "s"}
    pipeline = compile_pipeline(text, "p.yaml", environ)
    ids = {"ga_client_id": "1.2", "ga_session_id": "3"}
    mapped = apply(pipeline.profile, {"context": {"ids": ids}, "properties": {}, "traits": {}})
    assert mapped == {"client_id": "1.2", "session_id": "3"}
    assert [name for name, plan in pipeline.events.items() if plan.when is None] == ["purchase"]
    assert pipeline.warnings == ()


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("measurement_id: G-1\napi_secret: s", []),
        ("measurement_id: G-1\napi_secret: s\nendpoint: debug\ndebug_mode: true\nuser_data: true", []),
        ("api_secret: s", ["measurement_id: is missing; accepted is a text"]),
        ("measurement_id: UA-1\napi_secret: s", [f"measurement_id: 'UA-1' {NO_STREAM}"]),
        ("measurement_id: G-1", [f"api_secret: is missing; {REFERENCE}"]),
    ],
)
def test_parameters_are_read_or_refused(text: str, problems: list[str]) -> None:
    found = Problems("p")
    reader = Reader(load_yaml(text, "p", {}, found), "", found)
    GA4.from_reader(reader)
    try:
        found.raise_if_any()
    except ConfigErrors as errors:
        assert [str(problem).split(": ", 1)[1] for problem in errors.problems] == problems
    else:
        assert problems == []


def test_streams_have_budgets_of_their_own() -> None:
    other = replace(STREAM, measurement_id="G-2")
    assert STREAM.account != other.account
    assert STREAM.account.startswith("www.google-analytics.com:")
    assert STREAM.probe(NOW_MS) is None
    assert VIEW.time_ms == TIME_MS and GA4.max_event_age_s == 71 * 3_600
