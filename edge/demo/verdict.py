"""Whether everything reached whom it should, once and in order, with one identity and one decision; pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from edge.demo.arrivals import Arrival, Arrivals
from edge.demo.vendors import CREDENTIALS

ADVERTISERS = frozenset({"meta_conversions", "google_ads", "tiktok_events"})
WITH_OWN_IDS = frozenset({"ga4_events"})
# What a visitor's walk becomes at each destination.
EXPECTED: Mapping[str, tuple[str, ...]] = {
    "klaviyo_events": (
        *("Viewed Product", "Added to Cart", "Subscribed to Newsletter", "Started Checkout", "Placed Order"),
    ),
    "meta_conversions": ("ViewContent", "AddToCart", "CompleteRegistration", "InitiateCheckout", "Purchase"),
    "ga4_events": (
        *("page_view", "page_view", "view_item", "add_to_cart", "page_view", "sign_up"),
        *("page_view", "begin_checkout", "page_view", "purchase"),
    ),
    "google_ads": ("conversion",),
    "tiktok_events": ("ViewContent", "AddToCart", "CompleteRegistration", "InitiateCheckout", "Purchase"),
    "webhook": ("view_item", "add_to_cart", "sign_up", "started_checkout", "purchase"),
    "segment": (
        *("page", "page", "Product Viewed", "Product Added", "page", "identify", "Signed Up", "identify"),
        *("page", "Checkout Started", "page", "Order Completed"),
    ),
    "archive": (
        *("page_view", "page_view", "view_item", "add_to_cart", "page_view", "identify", "sign_up"),
        *("page_view", "started_checkout", "page_view", "purchase"),
    ),
}


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who walked through the shop, what was decided and which order was placed."""

    what: str
    email: str
    order: str
    consent: Mapping[str, bool]

    def expected(self, pipeline: str) -> tuple[str, ...]:
        """Give what a destination may learn of this visitor."""
        needed = "advertising" if pipeline in ADVERTISERS else "analytics"
        return EXPECTED[pipeline] if self.consent[needed] else ()


def of_visitor(visitor: Visitor, arrivals: Sequence[Arrival]) -> list[Arrival]:
    """Give the arrivals at one destination that share a name with the visitor's order."""
    names = frozenset().union(*(one.names for one in arrivals if one.order == visitor.order))
    return [one for one in arrivals if one.names & names]


def complaints_of(visitors: Sequence[Visitor], arrivals: Arrivals, raw: bytes, paused: Mapping[str, str]) -> list[str]:
    """Say what is not as it should be; empty when all is well.

    Args:
        visitors: everybody who was in the shop.
        arrivals: what each destination took.
        raw: everything that left, as it left, and the archive.
        paused: pipelines whose credentials were refused, each with why.
    """
    found = [
        f"{name} is paused, its credentials were refused ({why}): see {CREDENTIALS.get(name, name)}"
        for name, why in paused.items()
    ]
    for pipeline in EXPECTED:
        found += _of_destination(pipeline, visitors, arrivals[pipeline])
    for visitor in visitors:
        found += _of_person(visitor, arrivals)
        is_told = any(name.encode() in raw for name in (visitor.email, _hash(visitor.email)))
        if is_told and not any(visitor.consent.values()):
            found.append(f"something of the visitor who {visitor.what} has left")
    return found


def _of_destination(pipeline: str, visitors: Sequence[Visitor], arrivals: Sequence[Arrival]) -> Iterator[str]:
    known = 0
    for visitor in visitors:
        words = tuple(one.word for one in of_visitor(visitor, arrivals))
        known += len(words)
        wanted = visitor.expected(pipeline)
        if words != wanted:
            says = f"expected {', '.join(wanted) or 'nothing'}; received {', '.join(words) or 'nothing'}"
            yield f"{pipeline}, of the visitor who {visitor.what}: {says}"
    if known != len(arrivals):
        yield f"{pipeline}: of {len(arrivals)} arrivals {known} belong to somebody who placed an order"


def _of_person(visitor: Visitor, arrivals: Arrivals) -> Iterator[str]:
    """Look at the order, everywhere: the same person, and the same decision."""
    orders = {name: one for name, told in arrivals.items() for one in told if one.order == visitor.order}
    ids = [name for name in orders["webhook"].names if "@" not in name] if "webhook" in orders else []
    allowed = {name for one in (visitor.email, *ids) for name in (one, _hash(one))}
    for pipeline, order in orders.items():
        if pipeline not in WITH_OWN_IDS and (not order.names or not order.names <= allowed):
            yield f"{pipeline} knows the visitor of {visitor.order} by another name than the others"
        if any(visitor.consent[purpose] != answer for purpose, answer in order.consent.items()):
            yield f"{pipeline} was told another consent of {visitor.order} than was given"


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()
