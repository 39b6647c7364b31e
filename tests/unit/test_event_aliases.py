"""Other names of the shop's events: the same event, in whichever spelling, and with its order id."""

from typing import Any

import pytest

from edge.event import ALIASES, OTHER_NAMES
from edge.person import Identifiers
from edge.pipeline import Planned, plan
from edge.wire import Arrival, parse_events, read_batch
from tests.pipeline_files import MINIMAL, compiled, event, problems_of

KNOWN = Identifiers(email="visitor@shop.example")


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("begin_checkout", "started_checkout"),
        ("Product Viewed", "view_item"),
        ("product_viewed", "view_item"),
        ("Product Added to Wishlist", "add_to_wishlist"),
        ("product_added_to_wishlist", "add_to_wishlist"),
        ("Checkout Started", "started_checkout"),
        ("Order Completed", "purchase"),
        ("order_completed", "purchase"),
        ("Signed Up", "sign_up"),
        ("view_item", "view_item"),
        ("Product viewed", "Product viewed"),
        ("PRODUCT_VIEWED", "PRODUCT_VIEWED"),
    ],
)
def test_event_is_known_by_one_name(name: str, canonical: str) -> None:
    assert event(name).canonical_name == canonical


def test_every_name_stands_for_one_that_is_no_alias_itself() -> None:
    assert set(ALIASES.values()).isdisjoint(ALIASES)
    assert set(OTHER_NAMES) <= set(ALIASES)


def test_door_lets_every_name_in() -> None:
    names = ",".join(f'{{"name": "{name}"}}' for name in ALIASES)
    batch = read_batch(f'{{"events": [{names}]}}'.encode())
    events, rejected = parse_events(batch, Arrival(1_795_183_389_620, "browser", "0" * 32, None, None, False))
    assert [one.name for one in events] == list(ALIASES)
    assert rejected == []


@pytest.mark.parametrize("listed", ["search", "Products Searched", "products_searched"])
@pytest.mark.parametrize("sent", ["search", "Products Searched", "products_searched"])
def test_file_and_event_may_spell_the_name_differently(listed: str, sent: str) -> None:
    pipeline = compiled(MINIMAL.replace("events: {search:", f'events: {{"{listed}":'))
    from_sent = plan(pipeline, event(sent, properties={"search_term": "tea"}), KNOWN)
    assert isinstance(from_sent, Planned)
    assert from_sent == plan(pipeline, event("search", properties={"search_term": "tea"}), KNOWN)


def test_one_event_under_two_names_in_one_file_is_refused() -> None:
    text = MINIMAL.replace("events: {search:", 'events: {"Products Searched": {}, search:')
    assert [problem.partition("search: ")[2] for problem in problems_of(text)] == [
        "is the same event as another one here; accepted is one entry for search"
    ]


@pytest.mark.parametrize(
    ("name", "properties", "order_id"),
    [
        ("purchase", {"transaction_id": "1001"}, "1001"),
        ("purchase", {"transaction_id": 1001}, "1001"),
        ("Order Completed", {"order_id": "1001"}, "1001"),
        ("order_completed", {"transaction_id": None, "order_id": 1001}, "1001"),
        ("purchase", {"transaction_id": "", "order_id": "1001"}, "1001"),
        ("purchase", {"transaction_id": "1001", "order_id": "9"}, "1001"),
        ("purchase", {"transaction_id": True, "order_id": "9"}, None),
        ("purchase", {"order_id": ["9"]}, None),
        ("purchase", {}, None),
        ("refund", {"transaction_id": "1001", "order_id": "1001"}, None),
        ("Order Refunded", {"order_id": "1001"}, None),
    ],
)
def test_order_id_is_that_of_a_purchase(name: str, properties: dict[str, Any], order_id: str | None) -> None:
    assert event(name, properties=properties).order_id == order_id
