"""What Klaviyo's standard flows, segments and reports read of each metric.

Source: Klaviyo, "Guide to integrating a platform without a pre-built Klaviyo integration" and "Guide to setting up
API-based website activity events".
"""

from edge.destinations.base import Feature

_CART = ("Items.ProductName", "Items.Quantity", "Items.ItemPrice", "Items.ProductURL", "Items.ImageURL")
FEATURES = (
    Feature(
        None,
        ("$email|email|$phone_number|phone_number|external_id|$id|anonymous_id|$anonymous_id|_kx|$exchange_id",),
        "nobody is named, and every event becomes a dead letter",
    ),
    Feature("view_item", ("ProductName", "ImageURL", "URL"), "browse-abandonment mails cannot show the product"),
    Feature("view_item", ("ProductID",), "flows and segments cannot tell which product it was"),
    Feature("view_item", ("Categories",), "flows and segments by category stay empty"),
    Feature(
        "add_to_cart",
        ("AddedItemProductName", "AddedItemImageURL", "AddedItemURL"),
        "abandoned-cart mails cannot show what was added",
    ),
    Feature("add_to_cart", ("AddedItemProductID",), "flows and segments cannot tell which product was added"),
    Feature("add_to_cart", _CART, "abandoned-cart mails cannot show the cart"),
    Feature("add_to_cart", ("$value",), "flows cannot be split by the cart's value"),
    Feature("started_checkout", _CART, "abandoned-checkout mails cannot show the cart"),
    Feature("started_checkout", ("CheckoutURL",), "abandoned-checkout mails have no link back to the checkout"),
    Feature("started_checkout", ("$value",), "flows cannot be split by the cart's value"),
    Feature("purchase", ("$value",), "orders count no revenue, neither in reports nor for the customer"),
    Feature("purchase", ("OrderId",), "mails cannot name the order"),
    Feature("purchase", _CART, "mails after an order cannot show what was bought"),
    Feature("purchase", ("Items.ProductID",), "flows and segments cannot tell which products were bought"),
    Feature("search", ("SearchTerm",), "flows cannot tell what was searched for"),
)
