"""Meta: what is said, of whom, and what is never sent."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from edge.consent import Purpose
from edge.delivery import Delivered, Payload, Rejected, Rendered, Request, Response
from edge.destinations.base import first_request
from edge.destinations.matching import hashed
from edge.destinations.meta import Meta
from edge.errors import ConfigErrors
from edge.secret import Secret
from edge.settings import Problems, Reader
from edge.yamlfile import load_yaml
from tests.conversations import converse

META = Meta("1234567890", Secret("token"))
URL = "https://graph.facebook.com/v26.0/1234567890/events?access_token=token"
TIME_MS = 1_795_183_389_990  # 2026-11-20T14:03:09.990Z
NOW_MS = TIME_MS + 2_000
PAGE = {"url": "https://shop.example/thanks", "referrer": "https://shop.example/cart"}
EVENT = {"context": {"ip": "2001:DB8::7", "user_agent": "Mozilla/5.0", "page": PAGE}}
EMAIL = hashed("visitor@shop.example")
ORDER = Rendered(
    metric="Purchase",
    profile={"em": "visitor@shop.example"},
    properties={"value": 84.5, "currency": "EUR"},
    unique_id="70311",
    time_ms=TIME_MS,
    event=EVENT,
    granted=Purpose.ADVERTISING,
)


def told(meta: Meta = META, **changes: Any) -> Any:
    """What Meta would be told of ORDER with other properties, profile …"""
    payload = meta.render(replace(ORDER, **changes))
    assert isinstance(payload, Payload), payload
    return orjson.loads(payload.body)


def person(**profile: Any) -> Any:
    return told(profile=profile)["user_data"]


def custom(properties: dict[str, Any], metric: str = "ViewContent", currency: str | None = None) -> Any:
    return told(metric=metric, properties=properties, currency=currency).get("custom_data")


def refusal(meta: Meta = META, **changes: Any) -> str:
    rejected = meta.render(replace(ORDER, **changes))
    assert isinstance(rejected, Rejected), rejected
    return rejected.reason


def test_events_are_one_request_with_the_token_in_its_query() -> None:
    body = (
        b'{"event_name":"Purchase","event_time":1795183389,"event_id":"70311","action_source":"website",'
        b'"event_source_url":"https://shop.example/thanks","referrer_url":"https://shop.example/cart",'
        b'"user_data":{"client_ip_address":"2001:db8::7","client_user_agent":"Mozilla/5.0","em":["'
        + EMAIL.encode()
        + b'"]},"custom_data":{"value":84.5,"currency":"EUR"}}'
    )
    payload = META.render(ORDER)
    assert payload == META.render(ORDER) == Payload(body, TIME_MS)
    request = Request("POST", URL, {"Content-Type": "application/json"}, b'{"data":[' + body + b"," + body + b"]}")
    answer = Response(200, {}, b'{"events_received":2,"messages":[],"fbtrace_id":"A"}')
    talk = META.deliver([Payload(body, TIME_MS)] * 2, NOW_MS)
    assert converse(talk, lambda _: answer) == ([request], [Delivered(200)] * 2)


def test_test_code_and_proof_go_along_when_they_are_set() -> None:
    meta = replace(META, app_secret=Secret("app"), test_event_code="TEST1", access_token=Secret("to&ken"))
    request = first_request(meta, Payload(b"{}", 0), NOW_MS)
    proof = "cce5ce6371f9a85308d2bce224898400d2280de2e4fd1e61d4dcd7cfd419b4bf"  # openssl dgst -sha256 -hmac app
    assert request.url == URL.replace("token=token", f"token=to%26ken&appsecret_proof={proof}")
    assert request.body == b'{"data":[{}],"test_event_code":"TEST1"}'


def test_event_ahead_of_the_moment_of_sending_has_that_moment() -> None:
    payload = META.render(ORDER)
    assert isinstance(payload, Payload)
    early = orjson.loads(first_request(META, payload, TIME_MS - 5_000).body)["data"][0]
    assert early == orjson.loads(payload.body) | {"event_time": 1_795_183_384}


@pytest.mark.parametrize(
    ("mapped", "event_id"),
    [({}, "70311"), ({"event_id": " a "}, "a"), ({"event_id": 12}, "12"), ({"event_id": " "}, "70311")],
)
def test_event_id_is_the_mapped_one_else_that_of_order_or_event(mapped: Any, event_id: str) -> None:
    assert told(properties={"value": 1, "currency": "EUR", **mapped})["event_id"] == event_id


@pytest.mark.parametrize(
    ("profile", "user_data"),
    [
        ({"email": "visitor@shop.example"}, {"em": [EMAIL]}),
        ({"phone": "+49 151 12345678", "fn": "Ada"}, {"ph": [hashed("4915112345678")], "fn": [hashed("ada")]}),
        ({"external_id": ["c-19", None, "f00d"]}, {"external_id": [hashed("c-19"), hashed("f00d")]}),
        ({"em": "nobody", "ge": "x", "country": "Germany"}, {}),
        ({"fbp": "fb.1.1795180000000.1234567890"}, {"fbp": "fb.1.1795180000000.1234567890"}),
        ({"fbc": "fb.1.1795180000000.IwAR0abc-D_F.AQ"}, {"fbc": "fb.1.1795180000000.IwAR0abc-D_F.AQ"}),
        ({"fbp": "fb.1.abc", "fbc": "<script>"}, {}),
        ({"lead_id": "123", "fb_login_id": 5}, {"lead_id": 123, "fb_login_id": 5}),
        ({"ip": "203.0.113.9"}, {"client_ip_address": "203.0.113.9"}),
        ({"client_user_agent": "Till/1"}, {"client_user_agent": "Till/1"}),
    ],
)
def test_person_is_hashed_and_what_is_in_no_form_is_left_out(profile: Any, user_data: Any) -> None:
    browser = {"client_ip_address": "2001:db8::7", "client_user_agent": "Mozilla/5.0"}
    assert person(**profile) == browser | user_data


@pytest.mark.parametrize(
    ("properties", "custom_data"),
    [
        ({}, None),
        ({"value": "84.50"}, {"value": 84.5, "currency": "GBP"}),
        ({"value": 5, "currency": "usd"}, {"value": 5, "currency": "USD"}),
        ({"currency": "euro", "search_string": " tea "}, {"search_string": "tea"}),
        ({"search_string": "  ", "content_ids": []}, None),
        ({"content_ids": [501, "A", None, True], "content_type": "product"}, "ids"),
        ({"contents": [{"id": 5, "quantity": "2", "item_price": 4.5, "brand": "Kiln"}]}, "contents"),
        ({"contents": [{"quantity": 1}, {"id": "A", "quantity": None}]}, {"contents": [{"id": "A"}]}),
        ({"gift": True, "wrap": {"paper": "red"}}, {"gift": True, "wrap": {"paper": "red"}}),
        ({"num_items": "3", "order_id": 70311}, {"num_items": 3, "order_id": "70311"}),
    ],
)
def test_custom_data_has_metas_types_and_the_shops_own_properties(properties: Any, custom_data: Any) -> None:
    named = {
        "ids": {"content_ids": ["501", "A"], "content_type": "product"},
        "contents": {"contents": [{"id": "5", "quantity": 2, "item_price": 4.5, "brand": "Kiln"}]},
    }
    assert custom(properties, currency="GBP") == (named[custom_data] if isinstance(custom_data, str) else custom_data)


SERVER: dict[str, Any] = {"is_from_server": True}
NO_PAGE = {"context": {"ip": "203.0.113.9", "user_agent": "Mozilla/5.0"}}
NO_AGENT = {"context": {"page": PAGE}}


@pytest.mark.parametrize(
    ("changes", "source", "url"),
    [
        ({}, "website", PAGE["url"]),
        (SERVER, "website", PAGE["url"]),
        (SERVER | {"event": NO_PAGE}, "other", None),
        (SERVER | {"event": NO_AGENT}, "other", PAGE["url"]),
        (
            {"event": NO_PAGE, "mapped": {"event_source_url": "https://shop.example/"}},
            "website",
            "https://shop.example/",
        ),
        ({"mapped": {"action_source": "physical_store"}}, "physical_store", PAGE["url"]),
        ({"mapped": {"event_source_url": "javascript:alert(1)"}}, "website", PAGE["url"]),
    ],
)
def test_place_is_a_website_where_page_and_browser_are_known(changes: Any, source: str, url: str | None) -> None:
    mapped = {"value": 1, "currency": "EUR", **changes.get("mapped", {})}
    event = told(properties=mapped, **{key: value for key, value in changes.items() if key != "mapped"})
    assert (event["action_source"], event.get("event_source_url")) == (source, url)


LDU = {"data_processing_options": ["LDU"]}
ANYWHERE = LDU | {"data_processing_options_country": 0, "data_processing_options_state": 0}
CALIFORNIA = LDU | {"data_processing_options_country": 1, "data_processing_options_state": 1000}


@pytest.mark.parametrize(
    ("when", "state", "granted", "mapped", "marks"),
    [
        ("unless_granted", "geolocate", Purpose.ADVERTISING, None, {}),
        ("unless_granted", "geolocate", Purpose.FUNCTIONAL, None, ANYWHERE),
        ("unless_granted", "CA", Purpose.NONE, False, CALIFORNIA),
        ("always", "CA", Purpose.ADVERTISING, None, CALIFORNIA),
        ("never", "CA", Purpose.NONE, None, {}),
        ("never", "CA", Purpose.ADVERTISING, True, CALIFORNIA),
    ],
)
def test_limited_data_use_follows_consent_as_the_parameter_says(
    when: str, state: str, granted: Purpose, mapped: bool | None, marks: Any
) -> None:
    meta = replace(META, limited_data_use=when, limited_data_use_state=state)
    event = told(meta, granted=granted, properties={"value": 1, "currency": "EUR", "limited_data_use": mapped})
    assert {key: value for key, value in event.items() if key.startswith("data_processing")} == marks


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"metric": " "}, "metric: Meta takes a name"),
        ({"time_ms": 0}, "time: Meta takes moments after 1970"),
        ({"unique_id": ""}, "event_id: the event has none"),
        ({"event": {}}, "event_source_url: Meta needs it where action_source is website"),
        ({"event": NO_AGENT}, "client_user_agent: Meta needs it where action_source is website"),
        ({"profile": {"emial": "a"}}, "profile.emial: Meta has no such parameter"),
        (
            {"profile": {"ct": "Kiel"}, "event": {"context": {"user_agent": "M", "page": PAGE}}},
            "profile: too little to find anybody by: client_user_agent, ct",
        ),
        ({"profile": {}, "event": {}, "is_from_server": True}, "profile: too little to find anybody by: nothing"),
        ({"properties": {"currency": "EUR"}}, "custom_data.value: Meta needs it for a Purchase"),
        ({"properties": {"value": 5}}, "custom_data.currency: Meta needs it for a Purchase"),
        ({"properties": {"value": "much"}}, "custom_data.value: a number is needed"),
        ({"properties": {"value": True}}, "custom_data.value: a number is needed"),
        ({"properties": {"order_id": ["a"]}}, "custom_data.order_id: a text is needed, not a list"),
        ({"properties": {"value": 1, "currency": "EUR", "event_id": {}}}, "event_id: a text is needed, not a dict"),
        ({"properties": {"value": 1, "currency": "EUR", "opt_out": "yes"}}, "opt_out: true or false is needed"),
        (
            {"properties": {"value": 1, "currency": "EUR", "limited_data_use": 1}},
            "limited_data_use: true or false is needed",
        ),
        (
            {"properties": {"content_type": "thing"}},
            "custom_data.content_type: accepted is one of product, product_group",
        ),
        ({"properties": {"contents": "A"}}, "custom_data.contents: Meta takes a list of objects"),
        ({"properties": {"contents": ["A"]}}, "custom_data.contents: Meta takes a list of objects"),
        ({"properties": {"contents": [{"id": "A", "sku": 1}]}}, "custom_data.contents.0.sku: Meta has no such key"),
        (
            {"properties": {"contents": [{"id": "A", "quantity": "two"}]}},
            "custom_data.contents.0.quantity: a number is needed",
        ),
        ({"properties": {"value": 1, "currency": "EUR", "A": 2**70}}, "the event cannot be written as JSON"),
        (
            {"properties": {"value": 1, "currency": "EUR", "A": "x" * 1_000_000}},
            "the event has 1000392 bytes, a request may have 1000000",
        ),
        (
            {"granted": Purpose.NONE, "event": {"context": {"user_agent": "M", "page": PAGE}}},
            "limited_data_use: without an IP address Meta needs the parameter limited_data_use_state",
        ),
    ],
)
def test_what_meta_would_refuse_is_rejected_before_it_is_sent(changes: Any, reason: str) -> None:
    assert refusal(**changes) == reason


def test_word_of_no_action_source_is_rejected_with_those_that_are() -> None:
    assert refusal(metric="Search", properties={"action_source": "shop"}).startswith(
        "action_source: accepted is one of website, app,"
    )


def read_parameters(text: str, **environ: str) -> Meta:
    problems = Problems("p.yaml")
    root = Reader(load_yaml(text, "p.yaml", {"KEY": "token", **environ}, problems), "", problems)
    destination = Meta.from_reader(root.section("parameters"))
    problems.raise_if_any()
    return destination


def test_parameters_have_defaults_and_an_empty_test_code_is_none() -> None:
    text = 'parameters: {pixel_id: 1234567890, access_token: "${KEY}"%s}'
    assert read_parameters(text % "") == META
    assert read_parameters(text % ', test_event_code: "${CODE:-}"') == META


def test_wrong_parameters_are_all_named() -> None:
    text = (
        'parameters: {pixel_id: "my pixel", test_event_code: "a b", limited_data_use: no, api_version: 26,\n'
        'limited_data_use_state: NY, access_token: "${KEY}", app_secret: "${NONE:-}", pixel: 1}'
    )
    with pytest.raises(ConfigErrors) as caught:
        read_parameters(text.replace("use: no", 'use: "no"'))
    assert [problem.path for problem in caught.value.problems] == [
        "parameters.pixel_id",
        "parameters.test_event_code",
        "parameters.limited_data_use",
        "parameters.api_version",
        "parameters.limited_data_use_state",
        "parameters.app_secret",
        "parameters.pixel",
    ]


def test_account_names_host_and_token_without_telling_the_token() -> None:
    assert META.account == "graph.facebook.com:3c469e9d6c58"
    assert replace(META, pixel_id="99999").account == META.account
    assert "token'" not in repr(META) and Secret("token").reveal() not in META.account
