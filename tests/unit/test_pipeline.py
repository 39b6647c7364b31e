"""Planning: the users' own files run as they are, and one event gives one payload or a reason."""

import copy
from dataclasses import replace
from typing import Any

import orjson
import pytest

from edge.consent import Purpose
from edge.delivery import Payload
from edge.event import Event
from edge.person import FIRST_EPOCH, Identifiers, anonymous_id
from edge.pipeline import (
    Dead,
    Pipeline,
    Planned,
    SkippedBy,
    Unmapped,
    plan,
    source_of,
)
from edge.pipeline.compiled import ROOTS
from tests.pipeline_files import MINIMAL, compiled, event

USER = Identifiers(email="user@shop.example", phone="+4915112345678", customer_id="c-19")
FLOW = """
name: klaviyo_events
integration: klaviyo-events-api
parameters:
  private_api_key: "${KLAVIYO_PRIVATE_API_KEY}"
  endpoint: create_event
global:
  profile:
    "$email":        {source: context.traits.email, mode: direct}
    "$phone_number": {source: context.traits.phone, mode: direct}
    external_id:     {source: context.traits.customer_id, mode: direct}
events:
  view_item:
    metric: "Viewed Product"
    properties:
      ProductName: {source: properties.item_name, mode: direct}
  purchase:
    metric: "Placed Order"
    properties:
      "$event_id": {source: properties.transaction_id, mode: direct}
      "$value":    {source: properties.value, mode: direct}
      Items:
        source: properties.items
        mode: array_map
        fields:
          - {source: item_name, target: ProductName}
          - {source: quantity, target: Quantity}
"""

BLOCK = """
name: klaviyo_events
integration: klaviyo-events-api
parameters:
  private_api_key: ${KLAVIYO_PRIVATE_API_KEY}
  endpoint: create_event
global:
  profile:
    $email:
      source: context.traits.email
      mode: direct
    $phone_number:
      source: context.traits.phone
      mode: direct
    external_id:
      source: context.traits.customer_id
      mode: direct
events:
  view_item:
    event_name: Viewed Product
    properties:
      ProductName:
        source: properties.item_name
        mode: direct
  purchase:
    event_name: Placed Order
    properties:
      $event_id:
        source: properties.transaction_id
        mode: direct
      $value:
        source: properties.value
        mode: direct
      Items:
        source: properties.items
        mode: array_map
        fields:
        - source: item_name
          target: ProductName
        - source: quantity
          target: Quantity
"""


def told(pipeline: Pipeline, one: Event, identifiers: Identifiers = USER) -> Any:
    planned = plan(pipeline, one, identifiers)
    assert isinstance(planned, Planned), planned
    return orjson.loads(planned.payload.body)["data"]["attributes"]


@pytest.mark.parametrize("text", [FLOW, BLOCK])
def test_users_own_file_runs_as_it_is_in_both_spellings(text: str) -> None:
    items = [{"item_name": "Teapot", "quantity": 2}, {"item_name": "Cup", "quantity": 1}]
    order = event("purchase", properties={"transaction_id": "70311", "value": 84.5, "currency": "EUR", "items": items})
    body = (
        b'{"data":{"type":"event","attributes":{"unique_id":"70311","time":"2026-11-20T14:03:09Z","value":84.5,'
        b'"value_currency":"EUR","metric":{"data":{"type":"metric","attributes":{"name":"Placed Order"}}},'
        b'"profile":{"data":{"type":"profile","attributes":{"email":"user@shop.example",'
        b'"phone_number":"+4915112345678","external_id":"c-19"}}},'
        b'"properties":{"Items":[{"ProductName":"Teapot","Quantity":2},{"ProductName":"Cup","Quantity":1}]}}}}'
    )
    payload = Payload(body, 1_795_183_389_120)
    assert plan(compiled(text), order, USER) == Planned(payload, "Placed Order", "live")
    view = told(compiled(text), event("view_item", properties={"items": [{"item_name": "Teapot"}]}))
    assert (view["unique_id"], view["properties"]) == ("e-1", {"ProductName": "Teapot"})
    assert plan(compiled(text), event("search"), USER) == Unmapped()


def test_begin_checkout_and_started_checkout_are_one_event() -> None:
    for written in ("begin_checkout", "started_checkout"):
        pipeline = compiled(MINIMAL.replace("search:", f"{written}:"))
        for sent in ("begin_checkout", "started_checkout"):
            assert told(pipeline, event(sent))["metric"]["data"]["attributes"]["name"] == "Searched Site"


def test_star_stands_for_events_not_listed_but_not_for_our_own() -> None:
    pipeline = compiled(MINIMAL.replace("search: {metric: Searched Site,", '"*": {'))
    planned = plan(pipeline, event("wish"), USER)
    assert isinstance(planned, Planned)
    assert (planned.metric, planned.lane) == ("wish", "background")
    assert isinstance(plan(pipeline, event("page_view"), USER), Planned)
    for name in ("identify", "group", "consent", "reset"):
        assert plan(pipeline, event(name), USER) == Unmapped()
    listed = compiled(MINIMAL.replace("search:", "identify:"))
    assert isinstance(plan(listed, event("identify"), USER), Planned)


def test_six_shop_events_are_live_unless_the_file_says_otherwise() -> None:
    live, background = compiled(MINIMAL), compiled(MINIMAL.replace("metric:", "lane: background, metric:"))
    lanes = [plan(pipeline, event("search"), USER) for pipeline in (live, background)]
    assert [planned.lane for planned in lanes if isinstance(planned, Planned)] == ["live", "background"]


def test_mappings_read_the_completed_event_and_the_known_visitor() -> None:
    one = event(
        "purchase",
        properties={"items": [{"item_id": "501", "price": "5", "quantity": 2}]},
        traits={"email": "claimed@else.example", "first_name": "User", "address": {"city": "Kiel"}},
        context={"locale": "de-DE", "traits": {"phone": "+491", "plan": "gold", "first_name": "L."}},
    )
    before = copy.deepcopy(one)
    line = {"item_id": "501", "price": 5, "quantity": 2, "value": 10}
    assert source_of(one, Identifiers(email="user@shop.example")) == {
        "id": "e-1",
        "name": "purchase",
        "time": "2026-11-20T14:03:09.120Z",
        "properties": {"items": [line], **line, "num_items": 2},
        "traits": {"email": "user@shop.example", "first_name": "User", "address": {"city": "Kiel"}},
        "context": {
            "locale": "de-DE",
            "ids": {"anonymous_id": anonymous_id(bytes.fromhex(one.browser), FIRST_EPOCH)},
            "traits": {"plan": "gold", "first_name": "User", "email": "user@shop.example"},
        },
        "consent": {"functional": False, "analytics": False, "marketing": False, "advertising": False},
    }
    assert one == before


@pytest.mark.parametrize(
    ("when", "is_sent"),
    [
        ("properties.n", True),
        ("properties.zero", True),
        ("properties.nothing", False),
        ("properties.empty", False),
        ("properties.n > `4`", True),
        ("properties.n > `5`", False),
        ("context.locale == 'de' || name == 'search'", True),
    ],
)
def test_when_decides_as_jmespath_does(when: str, is_sent: bool) -> None:
    pipeline = compiled(MINIMAL.replace("metric:", f'when: "{when}", metric:'))
    planned = plan(pipeline, event("search", properties={"n": 5, "zero": 0, "empty": []}), USER)
    assert isinstance(planned, Planned) if is_sent else planned == SkippedBy("when is false")


def test_when_that_cannot_be_evaluated_is_dead_without_quoting_the_event() -> None:
    pipeline = compiled(MINIMAL.replace("metric:", "when: length(properties.n), metric:"))
    planned = plan(pipeline, event("search", properties={"n": 5}), USER)
    assert planned == Dead("when: cannot be evaluated (JMESPathTypeError)")


def test_stranger_is_deliverable_only_where_the_file_says_send() -> None:
    held, sent = compiled(MINIMAL), compiled(MINIMAL + "anonymous: send\n")
    assert [held.is_deliverable(who) for who in (Identifiers(), USER)] == [False, True]
    assert [sent.is_deliverable(who) for who in (Identifiers(), USER)] == [True, True]


def test_a_mapping_and_a_condition_read_what_was_decided_of_consent() -> None:
    text = MINIMAL.replace("metric:", 'when: "consent.analytics && !(consent.advertising)", metric:')
    pipeline = compiled(text)
    answers = [
        plan(pipeline, event("search"), USER, granted)
        for granted in (Purpose.ANALYTICS, Purpose.ANALYTICS | Purpose.ADVERTISING, Purpose.NONE)
    ]
    assert [isinstance(one, Planned) for one in answers] == [True, False, False]
    assert source_of(event("search"), USER, granted=Purpose.ANALYTICS)["consent"] == {
        "functional": False,
        "analytics": True,
        "marketing": False,
        "advertising": False,
    }


def test_a_browsers_event_is_never_given_another_browsers_address() -> None:
    known = Identifiers(vendor_ids=(("device", "192.0.2.1 Mozilla/5.0 (X11)"), ("fbp", "f")))
    given = {"vendor_ids": {"fbp": "its-own"}, "ids": {"fbp": "forged"}}
    contexts = [
        source_of(replace(event("search", context=given), source=source), known, granted=Purpose.ADVERTISING)["context"]
        for source in ("browser", "server:shop", "hook:shopify")
    ]
    device = {"ip": "192.0.2.1", "user_agent": "Mozilla/5.0 (X11)"}
    assert [one["ids"].pop("fbp") for one in contexts] == ["f"] * 3
    assert [{key: one[key] for key in one if key not in ("ids", "traits")} for one in contexts] == [{}, device, device]


def test_what_mappings_may_read_is_what_there_is_to_read():
    assert set(ROOTS) == set(source_of(event("search"), USER))
