"""Klaviyo's other calls: profiles of who identified, subscriptions, lines of an order, and what is left to others."""

from dataclasses import replace
from typing import Any

import pytest

from edge.consent import Purpose
from edge.delivery import Delivered, Payload, Refused, Rejected, Rendered, Response, Retry, Skipped, Throttled
from tests.conversations import with_answers
from tests.klaviyo_events import CUT, KLAVIYO, NOW_MS, ORDER, TAKEN, WHO, payload, resources, told

IMPORT, SUBSCRIBE, SINGLE = "/api/profile-import", "/api/profile-subscription-bulk-create-jobs", "/api/events"
IDENTIFY = {"metric": "identify", "event": {"name": "identify"}, "properties": {}}
EMAIL = {"subscribe": {"email": True}}
ITEMS = [
    {"item_id": "501", "sku": "TP-1", "item_name": "Teapot", "quantity": 2, "price": 42.25, "value": 84.5},
    {"item_id": "502", "item_brand": "Oku", "categories": ["Kitchen"], "image_url": "https://shop.example/i/502.jpg"},
]


def lines(items: Any, **changes: Any) -> list[Any]:
    """Give the attributes of an order's Ordered Product events."""
    event = {"name": "purchase", "properties": {"items": items}}
    made = resources(payload(own={"ordered_product": True}, event=event, **changes))
    return [one["attributes"] for one in made[1:]]


def subscribed(**changes: Any) -> list[Any]:
    return [one for one in resources(payload(**changes)) if one["type"] != "event"]


def test_identify_is_the_profiles_import_with_what_is_mapped_and_no_null() -> None:
    profile = {"$email": " User@Shop.example", "$first_name": None, "$last_name": " ", "$city": "Kiel", "tea": "green"}
    made = payload(**IDENTIFY | {"profile": profile, "properties": {"plan": "gold", "old": None}})
    told_ = {"email": "user@shop.example", "location": {"city": "Kiel"}, "properties": {"tea": "green", "plan": "gold"}}
    assert resources(made) == [{"type": "profile", "attributes": told_}]
    for status in (200, 201):
        requests, outcomes = with_answers(KLAVIYO.deliver([made], NOW_MS), Response(status, {}, b"{}"))
        assert (told(requests), requests[0].budget, outcomes) == ([(IMPORT, [""])], "profile", [Delivered(status)])


def test_identify_with_a_metric_of_its_own_stays_an_event() -> None:
    assert [one["type"] for one in resources(payload(metric="Signed In", event={"name": "identify"}))] == ["event"]


def test_profile_is_imported_without_its_anonymous_id_and_never_with_that_alone() -> None:
    both = {"anonymous_id": "a" * 32, "external_id": "c-19"}
    assert resources(payload(**IDENTIFY | {"profile": both}))[0]["attributes"] == {"external_id": "c-19"}
    made = KLAVIYO.render(replace(ORDER, **IDENTIFY | {"profile": {"anonymous_id": "a" * 32}}))
    assert made == Rejected("profile: has none of email, phone_number, external_id, _kx")


def test_profile_beyond_its_size_is_rejected() -> None:
    profile = {"$email": "user@shop.example", "a": "x" * 60_000, "b": "x" * 60_000}
    made = KLAVIYO.render(replace(ORDER, **IDENTIFY | {"profile": profile}))
    assert isinstance(made, Rejected)
    assert made.reason.endswith("Klaviyo takes 100000")


def test_who_asked_for_it_is_subscribed_after_the_event() -> None:
    profile = {"$email": "user@shop.example", "$phone_number": "+4915112345678", "external_id": "c-19"}
    own = {"subscribe": {"email": True, "sms": True, "list": "XyZ123", "source": "Footer form"}}
    made = payload(profile=profile, own=own)
    consent = {"marketing": {"consent": "SUBSCRIBED"}}
    attributes = {
        "email": "user@shop.example",
        "phone_number": "+4915112345678",
        "subscriptions": {"email": consent, "sms": consent},
    }
    assert resources(made)[1] == {
        "type": "profile-subscription-bulk-create-job",
        "attributes": {
            "custom_source": "Footer form",
            "profiles": {"data": [{"type": "profile", "attributes": attributes}]},
        },
        "relationships": {"list": {"data": {"type": "list", "id": "XyZ123"}}},
    }
    requests, outcomes = with_answers(KLAVIYO.deliver([made], NOW_MS), TAKEN, TAKEN)
    assert (told(requests), outcomes) == ([(SINGLE, ["70311"]), (SUBSCRIBE, [""])], [Delivered(202)])
    assert [request.budget for request in requests] == ["", "subscription"]


@pytest.mark.parametrize(
    "changes",
    [
        {"own": {}},
        {"own": {"subscribe": {}}},
        {"own": {"subscribe": {"list": "XyZ123"}}},
        *({"own": {"subscribe": {"email": word}}} for word in (False, "true", "yes", 1, None, ["email"])),
        {"own": {"subscribe": {"sms": True}}},
        {"own": EMAIL, "profile": {"external_id": "c-19"}},
        {"own": EMAIL, "granted": Purpose.ANALYTICS},
    ],
)
def test_nobody_is_subscribed_without_an_explicit_true_an_address_and_consent(changes: Any) -> None:
    assert subscribed(**changes) == []


def test_metric_alone_subscribes_nobody() -> None:
    assert subscribed(metric="Subscribed to Newsletter", profile={"$email": "a@shop.example", "$consent": True}) == []


def test_lists_id_in_a_wrong_form_is_told() -> None:
    made = KLAVIYO.render(replace(ORDER, own={"subscribe": {"email": True, "list": "a list"}}))
    assert made == Rejected("subscribe.list: is not a list's id")


def test_event_that_subscribes_or_imports_never_shares_a_job() -> None:
    alone = [payload(own=EMAIL), payload(**IDENTIFY)]
    assert [KLAVIYO.goes_alone(one) for one in alone] == [True, True]


def test_order_has_an_event_a_line_with_derived_ids() -> None:
    assert lines(ITEMS, properties={"$value": 99, "$currency": "EUR"}) == [
        {
            "unique_id": "70311_TP-1",
            "time": "2026-11-20T14:03:09Z",
            "value": 84.5,
            "value_currency": "EUR",
            "metric": {"data": {"type": "metric", "attributes": {"name": "Ordered Product"}}},
            "profile": WHO,
            "properties": {
                "OrderId": "70311",
                "ProductID": "501",
                "SKU": "TP-1",
                "ProductName": "Teapot",
                "Quantity": 2,
            },
        },
        {
            "unique_id": "70311_502",
            "time": "2026-11-20T14:03:09Z",
            "metric": {"data": {"type": "metric", "attributes": {"name": "Ordered Product"}}},
            "profile": WHO,
            "properties": {
                "OrderId": "70311",
                "ProductID": "502",
                "ImageURL": "https://shop.example/i/502.jpg",
                "Categories": ["Kitchen"],
                "ProductBrand": "Oku",
            },
        },
    ]


@pytest.mark.parametrize(
    ("items", "ids"),
    [
        ([{"line_item_id": 7, "sku": "a"}], ["70311_7"]),
        ([{"sku": "a"}, {"sku": "a"}, {"sku": "b"}], ["70311_a", "70311_a_2", "70311_b"]),
        ([{"item_name": "Teapot"}, {"sku": ""}], ["70311_1", "70311_2"]),
        (["Teapot", None, {"sku": "a"}], ["70311_a"]),
        ("Teapot", []),
        (None, []),
    ],
)
def test_line_is_known_by_its_id_its_sku_or_its_place(items: Any, ids: list[str]) -> None:
    assert [one["unique_id"] for one in lines(items)] == ids


def test_lines_are_told_only_where_the_file_says_so() -> None:
    event = {"name": "purchase", "properties": {"items": ITEMS}}
    assert len(resources(payload(own={"ordered_product": False}, event=event))) == 1


def with_lines() -> Payload:
    return payload(own={"ordered_product": True}, event={"name": "purchase", "properties": {"items": ITEMS}})


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ([TAKEN, TAKEN, TAKEN], Delivered(202)),
        ([TAKEN, Response(400, {}, b""), TAKEN], Rejected("400", Response(400, {}, b""))),
        ([TAKEN, CUT], Retry("the answer was cut")),
        ([TAKEN, Response(500, {}, b"")], Retry("500")),
        ([TAKEN, Response(400, {}, b""), Response(503, {}, b"")], Retry("503")),
        ([TAKEN, Response(429, {}, b"")], Throttled(1.0)),
        ([Response(403, {}, b"")], Refused("403")),
    ],
)
def test_event_counts_as_its_worst_call(answers: list[Any], outcome: object) -> None:
    assert with_answers(KLAVIYO.deliver([with_lines()], NOW_MS), *answers)[1] == [outcome]


def test_further_requests_are_those_of_the_conversation() -> None:
    made = replace(with_lines(), is_backfill=True)
    requests, _ = with_answers(KLAVIYO.deliver([made], NOW_MS), TAKEN, TAKEN, TAKEN)
    assert KLAVIYO.further_requests(made) == requests[1:]
    assert KLAVIYO.further_requests(payload()) == []


def test_backfill_marks_every_event_of_a_payload() -> None:
    requests, _ = with_answers(KLAVIYO.deliver([replace(with_lines(), is_backfill=True)], NOW_MS), TAKEN, TAKEN, TAKEN)
    assert all(b'"backfill":true' in request.body for request in requests)


@pytest.mark.parametrize("platform", ["shopify", "woocommerce", "magento"])
def test_orders_are_left_to_the_shops_own_integration(platform: str) -> None:
    native = replace(KLAVIYO, native_integration=platform)
    skipped = Skipped(f"parameters.native_integration: {platform} sends the shop's orders")
    assert native.render(ORDER) == skipped
    assert native.render(replace(ORDER, metric="Web Order", event={"name": "purchase"})) == skipped
    assert native.render(replace(ORDER, metric="Refunded Order", event={"name": "refund"})) == skipped
    assert isinstance(native.render(replace(ORDER, metric="Viewed Product", event={"name": "view_item"})), Payload)


def test_without_one_orders_are_sent() -> None:
    assert isinstance(KLAVIYO.render(Rendered(**{name: getattr(ORDER, name) for name in ORDER.__slots__})), Payload)
