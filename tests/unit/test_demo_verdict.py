"""The demonstration's verdict: silent when all is as it should be, and a word for everything that is not."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import sha256

import pytest

from edge.demo.arrivals import Arrival
from edge.demo.vendors import CREDENTIALS
from edge.demo.verdict import ADVERTISERS, EXPECTED, Visitor, complaints_of
from edge.destinations import BUILTIN
from edge.pipeline import compile_pipeline
from tests.golden_cases import ENVIRON, ROOT

EVERYTHING = dict.fromkeys(("functional", "analytics", "marketing", "advertising"), True)
NO_ADVERTISING = {**EVERYTHING, "advertising": False}
ACCEPTS = Visitor("accepts", "visitor@shop.example", "TK-1", EVERYTHING)
DENIES = Visitor("denies ads", "reader@shop.example", "TK-2", NO_ADVERTISING)
DECLINES = Visitor("declines", "declined@shop.example", "TK-3", dict.fromkeys(EVERYTHING, False))
VISITORS = [ACCEPTS, DENIES, DECLINES]
World = dict[str, list[Arrival]]


def hashed(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def names_of(visitor: Visitor, pipeline: str) -> frozenset[str]:
    """Give what a destination knows a visitor by; the visitor's id is the order's number here."""
    own = f"id-{visitor.order}"
    return {
        "klaviyo_events": frozenset({visitor.email}),
        "ga4_events": frozenset({f"client-{visitor.order}"}),
        "google_ads": frozenset({hashed(visitor.email)}),
        "meta_conversions": frozenset({hashed(visitor.email), hashed(own)}),
        "tiktok_events": frozenset({hashed(visitor.email), hashed(own)}),
        "archive": frozenset({own}),
    }.get(pipeline, frozenset({visitor.email, own}))


def arrivals_of(visitor: Visitor, pipeline: str) -> list[Arrival]:
    words = visitor.expected(pipeline)
    told: Mapping[str, bool] = visitor.consent if pipeline in ("webhook", "segment", "archive") else {}
    made = [Arrival(word, "", names_of(visitor, pipeline), told) for word in words]
    return [*made[:-1], *(replace(last, order=visitor.order) for last in made[-1:])]


@pytest.fixture
def world() -> World:
    return {pipeline: [one for who in VISITORS for one in arrivals_of(who, pipeline)] for pipeline in EXPECTED}


def test_all_is_well_where_everything_arrived_once(world: World) -> None:
    assert complaints_of(VISITORS, world, b"", {}) == []
    assert {pipeline for pipeline in EXPECTED if len(world[pipeline]) == len(EXPECTED[pipeline])} == ADVERTISERS


@pytest.mark.parametrize("pipeline", EXPECTED)
@pytest.mark.parametrize(
    "spoil",
    [
        lambda told: told[1:] if len(told) > 1 else [],
        lambda told: [*told, told[-1]],
        lambda told: [replace(told[0], word="Other"), *told[1:]],
    ],
    ids=["missing", "twice", "otherwise"],
)
def test_delivery_that_is_missing_repeated_or_another_is_told_with_its_pipeline(
    world: World, pipeline: str, spoil: Callable[[list[Arrival]], list[Arrival]]
) -> None:
    world[pipeline] = spoil(world[pipeline])
    [complaint, *_] = complaints_of(VISITORS, world, b"", {})
    assert complaint.startswith(f"{pipeline}, of the visitor who ")


def test_order_of_events_counts(world: World) -> None:
    first, second, *rest = world["webhook"]
    world["webhook"] = [second, first, *rest]
    assert complaints_of(VISITORS, world, b"", {}) == [
        "webhook, of the visitor who accepts: expected view_item, add_to_cart, sign_up, started_checkout, purchase; "
        "received add_to_cart, view_item, sign_up, started_checkout, purchase"
    ]


@pytest.mark.parametrize("pipeline", sorted(ADVERTISERS))
def test_event_of_who_denied_advertising_at_an_ad_platform_is_told(world: World, pipeline: str) -> None:
    world[pipeline] += [Arrival("Purchase", DENIES.order, frozenset({hashed(DENIES.email)}))]
    found = complaints_of(VISITORS, world, b"", {})
    assert f"{pipeline}, of the visitor who denies ads: expected nothing; received Purchase" in found


def test_event_of_nobody_known_is_told(world: World) -> None:
    world["segment"] += [Arrival("page", "", frozenset({"id-of-somebody"}))]
    assert complaints_of(VISITORS, world, b"", {}) == [
        "segment: of 25 arrivals 24 belong to somebody who placed an order"
    ]


@pytest.mark.parametrize("name", [DECLINES.email, hashed(DECLINES.email)])
def test_word_of_who_declined_in_anything_that_left_is_told(world: World, name: str) -> None:
    found = complaints_of(VISITORS, world, f'{{"em":"{name}"}}'.encode(), {})
    assert found == ["something of the visitor who declines has left"]
    assert complaints_of(VISITORS, world, hashed(ACCEPTS.email).encode(), {}) == []


@pytest.mark.parametrize("pipeline", [name for name in EXPECTED if name != "ga4_events"])
def test_order_under_another_name_is_told(world: World, pipeline: str) -> None:
    stranger = frozenset({"id-of-somebody"})
    world[pipeline] = [replace(one, names=stranger) if one.order == "TK-1" else one for one in world[pipeline]]
    assert any("by another name" in told for told in complaints_of(VISITORS, world, b"", {}))


def test_other_consent_than_was_given_is_told(world: World) -> None:
    *others, order = world["archive"]
    world["archive"] = [*others, replace(order, consent=EVERYTHING)]
    assert complaints_of(VISITORS, world, b"", {}) == ["archive was told another consent of TK-2 than was given"]


def test_paused_pipeline_is_told_with_its_variable(world: World) -> None:
    assert complaints_of(VISITORS, world, b"", {"tiktok_events": "401"}) == [
        "tiktok_events is paused, its credentials were refused (401): see TIKTOK_ACCESS_TOKEN"
    ]


def test_demo_knows_every_destination_there_is() -> None:
    shipped = [compile_pipeline(file.read_text("utf-8"), file.name, ENVIRON) for file in ROOT.glob("pipelines/*.yaml")]
    assert {pipeline.name for pipeline in shipped} == EXPECTED.keys() == {*CREDENTIALS, "archive"}
    assert {pipeline.integration for pipeline in shipped} == BUILTIN.keys()
