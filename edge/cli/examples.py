"""One example of every shop event, as a page of a small tea shop would send it."""

from typing import Any

EMAIL = "user@shop.example"

_CUP = {
    "item_id": "TK-CUP-02",
    "sku": "CUP-02-B",
    "item_name": "River cup",
    "item_brand": "Tea & Kiln",
    "item_category": "Cups",
    "item_variant": "Blue",
    "categories": ["Cups", "New"],
    "price": 19.99,
    "quantity": 2,
    "item_url": "/products/river-cup",
    "image_url": "/images/river-cup.jpg",
}
_POT = {
    **_CUP,
    "item_id": "TK-POT-01",
    "sku": "POT-01",
    "item_name": "Moon teapot",
    "item_category": "Teapots",
    "item_variant": "White",
    "categories": ["Teapots"],
    "price": 64.0,
    "quantity": 1,
    "item_url": "/products/moon-teapot",
    "image_url": "/images/moon-teapot.jpg",
}
_PROPERTIES: dict[str, dict[str, Any]] = {
    "view_item": {"currency": "GBP", "value": 64.0, "items": [_POT]},
    "add_to_cart": {
        "currency": "GBP",
        "items": [_CUP],
        "checkout_url": "/checkout",
    },
    "started_checkout": {
        "currency": "GBP",
        "checkout_id": "ck-1001",
        "checkout_url": "/checkout/ck-1001",
        "items": [_POT, _CUP],
    },
    "purchase": {
        "transaction_id": "order-1001",
        "currency": "GBP",
        "value": 108.93,
        "tax": 18.16,
        "shipping": 4.95,
        "coupon": "",
        "items": [_POT, _CUP],
    },
    "search": {"search_term": "teapot", "results_count": 12},
    "sign_up": {"method": "footer form"},
}
_PATHS = {"view_item": "/products/moon-teapot", "search": "/search", "sign_up": "/signup", "page_view": "/"}


def example(name: str, origin: str) -> dict[str, Any]:
    """Give an event in the form of a browser batch, as a page of this origin would send it.

    Args:
        name: one that no shop event is like has a page and no properties.
        origin: the shop's own, e.g. "https://shop.example", which every link leads to.
    """
    path = _PATHS.get(name, "/cart")
    return {
        "id": "00000000-0000-4000-8000-000000000001",
        "name": name,
        "properties": _moved(_PROPERTIES.get(name, {}), origin),
        "traits": {"email": EMAIL},
        "context": {"page": {"url": f"{origin}{path}", "path": path, "title": "Tea & Kiln", "referrer": ""}},
    }


def _moved(tree: Any, origin: str) -> Any:
    """Give a tree whose links, written as paths, lead to an origin."""
    match tree:
        case dict():
            return {key: _moved(value, origin) for key, value in tree.items()}
        case list():
            return [_moved(value, origin) for value in tree]
        case str() if tree.startswith("/"):
            return origin + tree
        case _:
            return tree
