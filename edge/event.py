"""An event, the keys by which it is known, and its envelope: the bytes that the spool keeps."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from edge.jsontree import JSON

RESERVED_NAMES = frozenset({"page_view", "identify", "group", "consent", "reset"})
# Other names of an event, and the one that pipelines, screens and metrics know it by.
# Source: GA4, recommended events; Segment, e-commerce spec v2 and B2B SaaS spec ("Signed Up").
OTHER_NAMES = {
    "begin_checkout": "started_checkout",
    "Products Searched": "search",
    "Product List Viewed": "view_item_list",
    "Promotion Viewed": "view_promotion",
    "Promotion Clicked": "select_promotion",
    "Product Clicked": "select_item",
    "Product Viewed": "view_item",
    "Product Added": "add_to_cart",
    "Product Removed": "remove_from_cart",
    "Cart Viewed": "view_cart",
    "Checkout Started": "started_checkout",
    "Payment Info Entered": "add_payment_info",
    "Order Completed": "purchase",
    "Order Refunded": "refund",
    "Product Added to Wishlist": "add_to_wishlist",
    "Product Shared": "share",
    "Signed Up": "sign_up",
}
# The same, each also as product_viewed.
ALIASES = {
    spelling: name for other, name in OTHER_NAMES.items() for spelling in (other, other.lower().replace(" ", "_"))
}
ORDER_ID_KEYS = ("transaction_id", "order_id")
BROWSER_SOURCE = "browser"
EVENT_KEY_BYTES = 12  # each stands in the ledger twice, once for its event and once to be found by
_SERVER_PREFIX = "server:"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing a visitor did.

    `id` is made by the source and is the de-duplication key from there to the vendor. `time_ms` is the source's
    clock, corrected; `received_at_ms` is ours. `browser` is the cookie id (32 hex digits): the order and
    partition key. `context` carries page, session, consent, locale …, and ip, user_agent and gpc as we saw them.
    """

    id: str
    name: str
    time_ms: int
    received_at_ms: int
    source: str
    browser: str
    properties: dict[str, JSON]
    traits: dict[str, JSON]
    context: dict[str, JSON]
    is_time_moved: bool = False

    @property
    def canonical_name(self) -> str:
        """The name that pipelines know the event by."""
        return ALIASES.get(self.name, self.name)

    @property
    def order_id(self) -> str | None:
        """A purchase's order id: its `transaction_id` or, where that is absent or blank, its `order_id`; else None."""
        if self.canonical_name != "purchase":
            return None
        given = (self.properties.get(key) for key in ORDER_ID_KEYS)
        texts = (value.strip() if isinstance(value, str) else value for value in given)
        value = next((value for value in texts if value not in (None, "")), None)
        return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None


def server_source(name: str) -> str:
    """Give the source of a server's events, by the name of its write key."""
    return _SERVER_PREFIX + name


def is_server(source: str) -> bool:
    """Tell whether a source is a server that showed a write key."""
    return source.startswith(_SERVER_PREFIX)


def event_key(source: str, event_id: str) -> bytes:
    """Give the 96-bit hash by which an event is known once per source.

    That any two of ten billion events have the same one is less likely than one in a billion.
    """
    return hashlib.blake2b(f"{source}\0{event_id}".encode(), digest_size=EVENT_KEY_BYTES).digest()


def order_key(order_id: str) -> bytes:
    """Give the 128-bit hash by which a purchase is known once, whatever its source."""
    return hashlib.blake2b(f"order\0{order_id}".encode(), digest_size=16).digest()


def envelope(
    event_id: str,
    name: str,
    time_ms: int,
    received_at_ms: int,
    source: str,
    browser: str,
    properties: dict[str, JSON],
    traits: dict[str, JSON],
    context: dict[str, JSON],
    is_time_moved: bool = False,
) -> bytes:
    """Give the bytes that are kept of an event of these parts: our own JSON, never the client's bytes.

    A list in a fixed order, for the names of its parts would be a tenth of all that the disk holds: id, name, time (as
    so many milliseconds after it was received), when it was received, source, browser, properties, traits, context; and
    true where the time was moved.
    """
    after_ms = time_ms - received_at_ms
    parts = (event_id, name, after_ms, received_at_ms, source, browser, properties, traits, context)
    return orjson.dumps((*parts, True) if is_time_moved else parts)


def encode(event: Event) -> bytes:
    """Give an event's envelope."""
    return envelope(
        event.id,
        event.name,
        event.time_ms,
        event.received_at_ms,
        event.source,
        event.browser,
        event.properties,
        event.traits,
        event.context,
        event.is_time_moved,
    )


def decode(envelope: bytes) -> Event:
    """Read back what `encode` wrote.

    Raises:
        ValueError: the bytes are not an envelope (they passed their checksum, so this is a bug or a newer version).
    """
    try:
        parts = orjson.loads(envelope)
        parts[2] += parts[3]
        return Event(*parts)
    except (ValueError, TypeError, LookupError) as error:
        raise ValueError("the bytes are no envelope") from error


def named(event: Event) -> dict[str, Any]:
    """Give an event's parts by their names, as people read and write it."""
    moved = {"time_moved": True} if event.is_time_moved else {}
    return {name: getattr(event, field) for name, field in _NAMES.items()} | moved


def from_named(tree: Mapping[str, Any]) -> Event:
    """Read what `named` gave.

    Raises:
        ValueError: a part is missing.
    """
    try:
        parts = [tree[name] for name in _NAMES]
    except KeyError as error:
        raise ValueError(f"an envelope without {error}") from error
    parts.append("time_moved" in tree)
    return Event(*parts)


_NAMES = {
    "id": "id",
    "name": "name",
    "time": "time_ms",
    "received_at": "received_at_ms",
    "source": "source",
    "browser": "browser",
    "properties": "properties",
    "traits": "traits",
    "context": "context",
}
