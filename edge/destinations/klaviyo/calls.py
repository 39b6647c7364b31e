"""Which calls tell Klaviyo of an event: resources, by whose type the call is known.

A payload is {"data": resource} or {"data": [resource, …]} where several calls tell of one event, in their order.
`"alone": true` before that keeps it out of every bulk.

Source: Klaviyo API, revision 2026-10-15: Create Event, Create or Update Profile, Bulk Subscribe Profiles; "Guide to
integrating a platform without a pre-built Klaviyo integration" (Ordered Product).
"""

import re
from collections.abc import Iterator
from typing import Any

import orjson

from edge.consent import Purpose
from edge.delivery import Payload, Rendered
from edge.destinations.base import Unfit, without_nulls
from edge.destinations.klaviyo.rendering import attributes_of, profile_of
from edge.jsontree import number_of

MAX_EVENT_BYTES, MAX_PROFILE_BYTES = 5_000_000, 100_000
EVENT, PROFILE, SUBSCRIPTION = "event", "profile", "profile-subscription-bulk-create-job"
ALONE, PLAIN = b'{"alone":', b'{"data":{"type":"event"'
ORDERED_PRODUCT = "Ordered Product"
# The identifier that each channel reaches somebody by.
CHANNELS = {"email": "email", "sms": "phone_number"}
# What an Ordered Product says of its line, by GA4's names for it.
LINE = {
    "item_id": "ProductID",
    "sku": "SKU",
    "item_name": "ProductName",
    "quantity": "Quantity",
    "item_url": "ProductURL",
    "image_url": "ImageURL",
    "categories": "Categories",
    "item_brand": "ProductBrand",
}
LINE_IDS = ("line_item_id", "line_id", "sku", "item_id")
_LIST_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def payload_of(rendered: Rendered) -> Payload:
    """Give all calls that tell of an event; the same event gives the same bytes.

    Raises:
        Unfit: Klaviyo would refuse one of them.
    """
    resources = _imports(rendered) if is_identify(rendered) else _events(rendered)
    told = {"data": resources if len(resources) > 1 else resources[0]}
    unique_id, last = resources[0]["attributes"].get("unique_id"), resources[-1]["type"]
    is_own = unique_id == rendered.unique_id and last == EVENT  # a profile has no such id, and subscribing comes last
    try:
        body = orjson.dumps(told if is_own else {"alone": True, **told})
        _check_sizes(resources, len(body))
    except orjson.JSONEncodeError:
        raise Unfit("the event cannot be written as JSON") from None
    return Payload(body, rendered.time_ms)


def is_identify(rendered: Rendered) -> bool:
    """Tell whether an event says who somebody is and the file gives it no metric: a profile's import, no event."""
    return rendered.event.get("name") == rendered.metric == "identify"


def bodies_of(payload: Payload) -> Iterator[tuple[str, bytes]]:
    """Give the calls to make, each as its resource's type and its body; events are marked where the payload is."""
    if payload.body.startswith(PLAIN):
        yield EVENT, _marked(payload.body) if payload.is_backfill else payload.body
        return
    data = orjson.loads(payload.body)["data"]
    for resource in data if isinstance(data, list) else [data]:
        body = orjson.dumps({"data": resource})
        yield resource["type"], _marked(body) if payload.is_backfill and resource["type"] == EVENT else body


def _marked(event: bytes) -> bytes:
    """Put the `backfill` mark behind an event's other attributes."""
    return event.removesuffix(b"}}}") + b',"backfill":true}}}'


def _events(rendered: Rendered) -> list[dict[str, Any]]:
    attributes = attributes_of(rendered)
    event = {"type": EVENT, "attributes": attributes}
    who = attributes["profile"]["data"]["attributes"]
    return [event, *_lines(rendered, attributes), *_subscription(rendered, who)] if rendered.own else [event]


def _imports(rendered: Rendered) -> list[dict[str, Any]]:
    """Give the profile: what the file maps of it, and what it maps of this event."""
    attributes = profile_of({**rendered.profile, **rendered.properties})
    attributes.pop("anonymous_id", None)  # no longer a part of profiles since revision 2025-10-15
    if not attributes.keys() & {"email", "phone_number", "external_id", "_kx"}:
        raise Unfit("profile: has none of email, phone_number, external_id, _kx")
    return [{"type": PROFILE, "attributes": attributes}, *_subscription(rendered, attributes)]


def _lines(rendered: Rendered, order: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give an order's Ordered Product events, one a line.

    A line's id is the order's with the line's own, else its SKU or its place; the second of one SKU has "_2" behind it.
    """
    items = rendered.event.get("properties", {}).get("items") if rendered.own.get("ordered_product") else None
    seen: dict[str, int] = {}
    for at, item in enumerate(items if isinstance(items, list) else [], start=1):
        if not isinstance(item, dict):
            continue
        line = next((str(item[key]) for key in LINE_IDS if item.get(key) not in (None, "")), str(at))
        seen[line] = seen.get(line, 0) + 1
        unique_id = f"{order['unique_id']}_{line}" + (f"_{seen[line]}" if seen[line] > 1 else "")
        told = {target: item[key] for key, target in LINE.items() if item.get(key) is not None}
        child: dict[str, object] = {"unique_id": unique_id, "time": order["time"], **_line_value(item, order)}
        child["metric"] = {"data": {"type": "metric", "attributes": {"name": ORDERED_PRODUCT}}}
        child["profile"] = order["profile"]
        child["properties"] = {"OrderId": order["unique_id"], **without_nulls(told)}
        yield {"type": EVENT, "attributes": child}


def _line_value(item: dict[str, Any], order: dict[str, Any]) -> dict[str, object]:
    """Give the line's cost, price times quantity, in the order's currency."""
    value = number_of(item.get("value"))
    if value is None:
        return {}
    currency = {"value_currency": order["value_currency"]} if "value_currency" in order else {}
    return {"value": value, **currency}


def _subscription(rendered: Rendered, who: dict[str, object]) -> Iterator[dict[str, Any]]:
    """Give the call that subscribes somebody: only what the file's `subscribe` maps to true, and with consent."""
    asked = rendered.own.get("subscribe", {})
    channels = [name for name, kind in CHANNELS.items() if asked.get(name) is True and kind in who]
    if not channels or not rendered.granted & Purpose.MARKETING:
        return
    consents = {name: {"marketing": {"consent": "SUBSCRIBED"}} for name in channels}
    identifiers = {CHANNELS[name]: who[CHANNELS[name]] for name in channels}
    profile = {"type": "profile", "attributes": {**identifiers, "subscriptions": consents}}
    source = {"custom_source": str(asked["source"])} if asked.get("source") else {}
    call: dict[str, Any] = {"type": SUBSCRIPTION, "attributes": {**source, "profiles": {"data": [profile]}}}
    if asked.get("list"):
        if not isinstance(asked["list"], str) or not _LIST_ID.fullmatch(asked["list"]):
            raise Unfit("subscribe.list: is not a list's id")
        call["relationships"] = {"list": {"data": {"type": "list", "id": asked["list"]}}}
    yield call


def _check_sizes(resources: list[dict[str, Any]], size_bytes: int) -> None:
    if resources[0]["type"] == PROFILE and (own := len(orjson.dumps(resources[0]))) + 20 > MAX_PROFILE_BYTES:
        raise Unfit(f"the profile has {own} bytes, Klaviyo takes {MAX_PROFILE_BYTES}")
    if size_bytes > MAX_EVENT_BYTES:
        raise Unfit(f"the event has {size_bytes} bytes, Klaviyo takes {MAX_EVENT_BYTES}")
