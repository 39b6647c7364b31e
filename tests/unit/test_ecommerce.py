"""E-commerce names: ours stand beside theirs, and nothing is overwritten."""

from typing import Any

import pytest

from edge.complete import completed
from edge.ecommerce import translated


@pytest.mark.parametrize(
    ("given", "added"),
    [
        (
            {
                "product_id": "501",
                "name": "Teapot",
                "brand": "Kiln",
                "category": "Pots",
                "url": "/t",
            },
            {
                "item_id": "501",
                "item_name": "Teapot",
                "item_brand": "Kiln",
                "item_category": "Pots",
                "item_url": "/t",
            },
        ),
        (
            {"sku": "TP-1", "name": "Teapot", "position": 3, "variant": "b"},
            {"item_name": "Teapot", "index": 3, "item_variant": "b"},
        ),
        ({"name": "Teapot", "url": "/t"}, {}),
        ({"product_id": "501", "item_id": "ours"}, {}),
        ({"product_id": None, "name": "Teapot"}, {"item_name": "Teapot"}),
        ({"order_id": "7", "total": 84.5, "revenue": 80}, {"transaction_id": "7", "value": 84.5}),
        ({"order_id": "7", "revenue": 80}, {"transaction_id": "7", "value": 80}),
        ({"order_id": "7", "value": 1, "total": 84.5}, {"transaction_id": "7"}),
        ({"total": 5}, {}),
        ({"query": "tea"}, {"search_term": "tea"}),
        ({"list_id": "sale", "category": "Pots"}, {"item_list_id": "sale"}),
        ({"payment_method": "card", "shipping_method": "post"}, {"payment_type": "card", "shipping_tier": "post"}),
        (
            {"products": [{"product_id": "1", "name": "a", "price": 2, "item_name": "b"}, 7, {}]},
            {"items": [{"item_id": "1", "item_name": "b", "price": 2}, 7, {}]},
        ),
        ({"products": [{"product_id": "1"}], "items": []}, {}),
        ({"products": "none"}, {}),
    ],
)
def test_our_names_are_added_where_they_are_absent(given: dict[str, Any], added: dict[str, Any]) -> None:
    before = dict(given)
    assert translated(given) == {**given, **added}
    assert given == before


def test_a_single_product_is_completed_like_an_item_of_a_page() -> None:
    full = completed(
        translated({"cart_id": "k", "product_id": "501", "name": "Teapot", "price": "42.25", "quantity": 2})
    )
    assert (full["value"], full["num_items"]) == (84.5, 2)
    assert full["items"][0]["item_name"] == "Teapot"
