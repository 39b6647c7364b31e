"""TikTok: what is said, of whom, and what is never sent."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from edge.consent import Purpose
from edge.delivery import Delivered, Payload, Rejected, Rendered, Request, Response
from edge.destinations.base import first_request
from edge.destinations.matching import hashed
from edge.destinations.tiktok import TikTok
from edge.errors import ConfigErrors
from edge.secret import Secret
from edge.settings import Problems, Reader
from edge.yamlfile import load_yaml
from tests.conversations import converse

TIKTOK = TikTok("C4ABCDEF0123456789", Secret("token"))
URL = "https://business-api.tiktok.com/open_api/v1.3/event/track/"
HEADERS = {"Access-Token": "token", "Content-Type": "application/json"}
TIME_MS = 1_795_183_389_990  # 2026-11-20T14:03:09.990Z
NOW_MS = TIME_MS + 2_000
PAGE = {"url": "https://shop.example/thanks?ttclid=E.C.P", "referrer": "https://shop.example/cart"}
EVENT = {"context": {"ip": "203.0.113.9", "user_agent": "Mozilla/5.0", "locale": "de-DE", "page": PAGE}}
BROWSER = {"ip": "203.0.113.9", "user_agent": "Mozilla/5.0", "locale": "de-DE"}
EMAIL = hashed("visitor@shop.example")
ORDER = Rendered(
    metric="Purchase",
    profile={"email": "visitor@shop.example"},
    properties={"value": 84.5, "currency": "EUR"},
    unique_id="70311",
    time_ms=TIME_MS,
    event=EVENT,
    granted=Purpose.ADVERTISING,
)


def told(tiktok: TikTok = TIKTOK, **changes: Any) -> Any:
    """What TikTok would be told of ORDER with other properties, profile …"""
    payload = tiktok.render(replace(ORDER, **changes))
    assert isinstance(payload, Payload), payload
    return orjson.loads(payload.body)


def refusal(**changes: Any) -> str:
    rejected = TIKTOK.render(replace(ORDER, **changes))
    assert isinstance(rejected, Rejected), rejected
    return rejected.reason


def test_events_are_one_request_with_the_token_in_its_own_header() -> None:
    body = (
        b'{"event":"Purchase","event_time":1795183389,"event_id":"70311","user":{"ip":"203.0.113.9",'
        b'"user_agent":"Mozilla/5.0","locale":"de-DE","email":["' + EMAIL.encode() + b'"]},'
        b'"page":{"url":"https://shop.example/thanks?ttclid=E.C.P","referrer":"https://shop.example/cart"},'
        b'"properties":{"value":84.5,"currency":"EUR"}}'
    )
    payload = TIKTOK.render(ORDER)
    assert payload == TIKTOK.render(ORDER) == Payload(body, TIME_MS)
    frame = b'{"event_source":"web","event_source_id":"C4ABCDEF0123456789","data":['
    request = Request("POST", URL, HEADERS, frame + body + b"," + body + b"]}")
    talk = TIKTOK.deliver([Payload(body, TIME_MS)] * 2, NOW_MS)
    answer = Response(200, {}, b'{"code":0,"message":"OK","request_id":"1","data":{}}')
    assert converse(talk, lambda _: answer) == ([request], [Delivered(200)] * 2)


def test_test_code_goes_along_when_it_is_set() -> None:
    request = first_request(replace(TIKTOK, test_event_code="TEST1"), Payload(b"{}", 0), NOW_MS)
    assert orjson.loads(request.body)["test_event_code"] == "TEST1"


def test_event_ahead_of_the_moment_of_sending_has_that_moment() -> None:
    payload = TIKTOK.render(ORDER)
    assert isinstance(payload, Payload)
    early = orjson.loads(first_request(TIKTOK, payload, TIME_MS - 5_000).body)["data"][0]
    assert early == orjson.loads(payload.body) | {"event_time": 1_795_183_384}


@pytest.mark.parametrize(
    ("mapped", "event_id"),
    [({}, "70311"), ({"event_id": " a "}, "a"), ({"event_id": 12}, "12"), ({"event_id": " "}, "70311")],
)
def test_event_id_is_the_mapped_one_else_that_of_order_or_event(mapped: Any, event_id: str) -> None:
    assert told(properties=mapped)["event_id"] == event_id


@pytest.mark.parametrize(
    ("profile", "user"),
    [
        ({"email": [" Visitor@Shop.example", "nobody"]}, {"email": [EMAIL]}),
        ({"phone": "0049 151 12345678"}, {"phone": [hashed("+4915112345678")]}),
        ({"phone": "0151 12345678", "country": "Germany"}, {}),
        ({"external_id": ["c-19", None, "f00d"]}, {"external_id": [hashed("c-19"), hashed("f00d")]}),
        (
            {"first_name": "Anna Maria", "last_name": "O'Neil"},
            {"first_name": hashed("annamaria"), "last_name": hashed("oneil")},
        ),
        ({"zip": "94043-1234"}, {"zip_code": hashed("94043")}),
        ({"city": "New York", "state": "NY", "country": "US"}, {"city": "newyork", "state": "ny", "country": "us"}),
        ({"ttclid": "E.C.P.v3fQ2", "ttp": "2fG7aQ"}, {"ttclid": "E.C.P.v3fQ2", "ttp": "2fG7aQ"}),
        ({"ttclid": "x" * 1_001, "ttp": "a b"}, {}),
        ({"ip": "198.51.100.7", "locale": "en-GB"}, {"ip": "198.51.100.7", "locale": "en-GB"}),
    ],
)
def test_person_is_hashed_and_what_is_in_no_form_is_left_out(profile: Any, user: Any) -> None:
    assert told(profile=profile)["user"] == BROWSER | user


@pytest.mark.parametrize(
    "ip",
    ["127.0.0.1", "::1", "10.1.2.3", "172.20.0.1", "192.168.1.4", "169.254.1.1", "fd00::1", "fe80::1", "0.0.0.0", 7],
)
def test_address_that_no_visitor_comes_from_is_left_out(ip: Any) -> None:
    assert "ip" not in told(event={"context": {"ip": ip, "user_agent": "M", "page": PAGE}})["user"]


@pytest.mark.parametrize(
    ("properties", "about"),
    [
        ({}, None),
        ({"value": "84.50"}, {"value": 84.5, "currency": "GBP"}),
        ({"value": 5, "currency": "usd"}, {"value": 5, "currency": "USD"}),
        ({"currency": "euro", "query": " tea "}, {"query": "tea"}),
        ({"query": "  ", "content_ids": []}, None),
        ({"content_ids": [501, "A", None]}, {"content_ids": ["501", "A"]}),
        ({"content_type": "product_group", "num_items": "3"}, {"content_type": "product_group", "num_items": 3}),
        (
            {"contents": [{"content_id": 5, "content_name": " Pot ", "price": "4.5", "quantity": 2, "brand": ""}]},
            {"contents": [{"content_id": "5", "content_name": "Pot", "price": 4.5, "quantity": 2}]},
        ),
        ({"contents": [{"content_name": "Pot"}, {"content_id": "A"}]}, {"contents": [{"content_id": "A"}]}),
        ({"gift": True, "order_id": 70311}, {"gift": True, "order_id": "70311"}),
    ],
)
def test_properties_have_tiktoks_types(properties: Any, about: Any) -> None:
    assert told(properties=properties, currency="GBP").get("properties") == about


@pytest.mark.parametrize(
    ("mapped", "page"),
    [
        ({}, PAGE),
        ({"page_url": "https://shop.example/"}, PAGE | {"url": "https://shop.example/"}),
        (
            {"page_url": "javascript:alert(1)", "page_referrer": "https://t.example/"},
            PAGE | {"referrer": "https://t.example/"},
        ),
    ],
)
def test_page_is_the_mapped_one_else_the_events_own_with_its_query(mapped: Any, page: Any) -> None:
    assert told(properties=mapped)["page"] == page


@pytest.mark.parametrize(
    ("when", "granted", "mapped", "is_limited"),
    [
        ("unless_granted", Purpose.ADVERTISING, None, False),
        ("unless_granted", Purpose.FUNCTIONAL, None, True),
        ("unless_granted", Purpose.NONE, False, True),
        ("always", Purpose.ADVERTISING, None, True),
        ("never", Purpose.NONE, None, False),
        ("never", Purpose.ADVERTISING, True, True),
    ],
)
def test_limited_data_use_follows_consent_as_the_parameter_says(
    when: str, granted: Purpose, mapped: bool | None, is_limited: bool
) -> None:
    tiktok = replace(TIKTOK, limited_data_use=when)
    event = told(tiktok, granted=granted, properties={"limited_data_use": mapped})
    assert event.get("limited_data_use", False) is is_limited


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"metric": " "}, "metric: TikTok takes a name"),
        ({"time_ms": 0}, "time: TikTok takes moments after 1970"),
        ({"unique_id": ""}, "event_id: the event has none"),
        ({"event": {}}, "page_url: TikTok needs the page of each event"),
        ({"event": {"context": {"page": PAGE}}, "profile": {}}, "profile: nothing to find anybody by"),
        ({"profile": {"emial": "a"}}, "profile.emial: TikTok has no such parameter"),
        ({"properties": {"value": "much"}}, "properties.value: a number is needed"),
        ({"properties": {"num_items": True}}, "properties.num_items: a number is needed"),
        ({"properties": {"order_id": ["a"]}}, "properties.order_id: a text is needed, not a list"),
        ({"properties": {"event_id": {}}}, "event_id: a text is needed, not a dict"),
        ({"properties": {"limited_data_use": "no"}}, "limited_data_use: true or false is needed"),
        (
            {"properties": {"content_type": "thing"}},
            "properties.content_type: accepted is one of product, product_group",
        ),
        ({"properties": {"contents": "A"}}, "properties.contents: TikTok takes a list of objects"),
        (
            {"properties": {"contents": [{"content_id": "A", "sku": 1}]}},
            "properties.contents.0.sku: TikTok has no such key",
        ),
        (
            {"properties": {"contents": [{"content_id": "A", "price": "x"}]}},
            "properties.contents.0.price: a number is needed",
        ),
        ({"properties": {"A": 2**70}}, "the event cannot be written as JSON"),
        ({"properties": {"A": "x" * 1_000_000}}, "the event has 1000331 bytes, a request may have 1000000"),
    ],
)
def test_what_tiktok_would_refuse_is_rejected_before_it_is_sent(changes: Any, reason: str) -> None:
    assert refusal(**changes) == reason


def read_parameters(text: str) -> TikTok:
    problems = Problems("p.yaml")
    root = Reader(load_yaml(text, "p.yaml", {"KEY": "token"}, problems), "", problems)
    destination = TikTok.from_reader(root.section("parameters"))
    problems.raise_if_any()
    return destination


def test_parameters_have_defaults_and_an_empty_test_code_is_none() -> None:
    text = 'parameters: {pixel_code: C4ABCDEF0123456789, access_token: "${KEY}", test_event_code: "${CODE:-}"}'
    assert read_parameters(text) == TIKTOK


def test_wrong_parameters_are_all_named() -> None:
    text = 'parameters: {pixel_code: "my pixel", test_event_code: "a b", limited_data_use: sometimes, pixel: 1}'
    with pytest.raises(ConfigErrors) as caught:
        read_parameters(text)
    assert [problem.path for problem in caught.value.problems] == [
        "parameters.access_token",
        "parameters.pixel_code",
        "parameters.test_event_code",
        "parameters.limited_data_use",
        "parameters.pixel",
    ]


def test_account_names_host_and_token_without_telling_the_token() -> None:
    assert TIKTOK.account == "business-api.tiktok.com:3c469e9d6c58"
    assert "'token'" not in repr(TIKTOK)
