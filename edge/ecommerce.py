"""E-commerce properties as servers' libraries name them, told in GA4's words as well.

What a server sent stays under its own names; ours are added where they are absent.
Source: the e-commerce events of Segment's and RudderStack's specifications; GA4, recommended events.
"""

from collections.abc import Mapping

from edge.jsontree import JSON

# Of a product: in a list of products, and at the top of an event that tells of one.
ITEM_NAMES = {
    "product_id": "item_id",
    "name": "item_name",
    "brand": "item_brand",
    "category": "item_category",
    "variant": "item_variant",
    "url": "item_url",
    "position": "index",
}
# Of any event.
EVENT_NAMES = {
    "order_id": "transaction_id",
    "query": "search_term",
    "list_id": "item_list_id",
    "payment_method": "payment_type",
    "shipping_method": "shipping_tier",
}
# Of an order or a cart; the first that is there counts.
ORDER_NAMES = {"total": "value", "revenue": "value"}
PRODUCT_MARKS = ("product_id", "sku")
ORDER_MARKS = ("order_id", "checkout_id", "cart_id", "products")


def translated(properties: Mapping[str, JSON]) -> dict[str, JSON]:
    """Give an event's properties with GA4's names beside those of the specification.

    Args:
        properties: e.g. {"order_id": "70311", "total": 84.5, "products": [{"product_id": "501", "name": "Teapot"}]}.
    Returns:
        A new object, here with transaction_id, value and items [{"item_id", "item_name"}] besides. `products` that
        are no list, and entries that are no object, are left as they are.
    Source:
        docs/server-api.md, "E-commerce".
    """
    names = [*EVENT_NAMES.items()]
    if not properties.keys().isdisjoint(PRODUCT_MARKS):
        names += ITEM_NAMES.items()
    if not properties.keys().isdisjoint(ORDER_MARKS):
        names += ORDER_NAMES.items()
    full = dict(properties)
    for theirs, ours in names:
        if properties.get(theirs) is not None and full.get(ours) is None:
            full[ours] = properties[theirs]
    products = properties.get("products")
    if isinstance(products, list) and full.get("items") is None:
        full["items"] = [_item(product) for product in products]
    return full


def _item(product: JSON) -> JSON:
    if not isinstance(product, dict):
        return product
    told = {ITEM_NAMES[key]: value for key, value in product.items() if key in ITEM_NAMES}
    return told | {key: value for key, value in product.items() if key not in ITEM_NAMES}
