"""What Google Analytics' validation says of a body, in its own codes.

Source: Measurement Protocol (Google Analytics 4), "Protocol reference" (reserved names), "Send events" (limits),
"Validate events" (codes), "Event reference" (required parameters) and "User-provided data", as of 2026-11.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edge.sandbox.vendor import JSON

MAX_EVENTS = 25
MAX_PARAMS = 25
MAX_NAME = 40
MAX_VALUE = 100
MAX_ITEMS = 200
MAX_OWN_ITEM_PARAMS = 10
MAX_USER_ID = 256
OLDEST_MS = 72 * 3_600_000
LONG_VALUES: Mapping[str, int] = {"page_location": 1000, "page_referrer": 420, "page_title": 300}
ITEM_KEYS = re.compile(
    r"item_(id|name|brand|category[2-5]?|list_id|list_name|variant)|affiliation|coupon|discount|index|location_id"
    r"|price|quantity"
)
RESERVED_EVENTS = re.compile(
    r"ad_(activeview|click|exposure|impression|query|reward)|adunit_exposure|error|first_(open|visit)|in_app_purchase"
    r"|app_(clear_data|exception|install|remove|store_refund|store_subscription_(cancel|convert|renew)|update)"
    r"|notification_(dismiss|foreground|open|receive)|os_update|screen_view|session_start|user_engagement"
)
RESERVED_PARAMS = re.compile(r"firebase_conversion|(_|firebase_|ga_|google_|gtag\.).*")
RESERVED_PROPERTIES = re.compile(
    r"first_(open_time|visit_time|open_after_install)|last_deep_link_referrer|user_id|(_|firebase_|ga_|google_).*"
)
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
HASH = re.compile(r"[0-9a-f]{64}")
TOP = frozenset(
    {"client_id", "user_id", "timestamp_micros", "user_properties", "user_data", "consent", "non_personalized_ads"}
    | {"user_location", "ip_override", "device", "validation_behavior", "events"}
)
REQUIRED: Mapping[str, tuple[str, ...]] = {
    "purchase": ("transaction_id",),
    "refund": ("transaction_id",),
    "search": ("search_term",),
}


@dataclass(frozen=True, slots=True)
class Message:
    """One validation message; `event` is the index of the event it spoils, None where it spoils the request."""

    code: str
    path: str
    description: str
    event: int | None = None

    def to_json(self) -> JSON:
        return {"fieldPath": self.path, "description": self.description, "validationCode": self.code}


def messages_of(body: JSON, *, now_ms: int) -> list[Message]:
    """Give everything that is wrong with a parsed body."""
    if not isinstance(body, dict):
        return [Message("VALUE_INVALID", "", "The body must be a JSON object.")]
    return [*_head(body), *_events(body.get("events"), now_ms)]


def _head(body: dict[str, JSON]) -> Iterator[Message]:
    for key in body.keys() - TOP:
        yield Message("NAME_INVALID", key, f"'{key}' is not a field of the request.")
    client_id = body.get("client_id")
    if not isinstance(client_id, str) or not client_id:
        yield Message("VALUE_REQUIRED", "client_id", "A web stream needs a client_id.")
    user_id = body.get("user_id")
    if user_id is not None and not (isinstance(user_id, str) and 0 < len(user_id) <= MAX_USER_ID):
        yield Message("VALUE_INVALID", "user_id", "user_id must be a string of 1 to 256 characters.")
    consent = body.get("consent", {})
    known = {"ad_user_data", "ad_personalization"}
    if not isinstance(consent, dict) or consent.keys() - known:
        yield Message("NAME_INVALID", "consent", "consent has ad_user_data and ad_personalization only.")
    elif any(value not in ("GRANTED", "DENIED") for value in consent.values()):
        yield Message("VALUE_INVALID", "consent", "A consent value must be GRANTED or DENIED.")
    yield from _user_properties(body.get("user_properties", {}))
    yield from _user_data(body.get("user_data", {}))


def _user_properties(properties: JSON) -> Iterator[Message]:
    if not isinstance(properties, dict):
        yield Message("VALUE_INVALID", "user_properties", "user_properties must be an object.")
        return
    if len(properties) > 25:
        yield Message("EXCEEDED_MAX_ENTITIES", "user_properties", "At most 25 user properties.")
    for name, entry in properties.items():
        path = f"user_properties.{name}"
        value: Any = entry.get("value") if isinstance(entry, dict) else None
        if RESERVED_PROPERTIES.fullmatch(name):
            yield Message("NAME_RESERVED", path, "This name is reserved.")
        elif not NAME.fullmatch(name) or len(name) > 24:
            yield Message("NAME_INVALID", path, "A name has at most 24 letters, digits and underscores.")
        if isinstance(value, str) and len(value) > 36:
            yield Message("VALUE_OUT_OF_BOUNDS", path, "A value has at most 36 characters.")
        elif not isinstance(value, str | int | float):
            yield Message("VALUE_INVALID", path, "A value is a string or a number.")


def _user_data(data: JSON) -> Iterator[Message]:
    if not isinstance(data, dict):
        yield Message("VALUE_INVALID", "user_data", "user_data must be an object.")
        return
    for key in ("sha256_email_address", "sha256_phone_number"):
        hashes = data.get(key, [])
        if not isinstance(hashes, list) or not all(isinstance(one, str) and HASH.fullmatch(one) for one in hashes):
            yield Message("VALUE_INVALID", f"user_data.{key}", "Values must be SHA-256 hashes in hex.")
        elif len(hashes) > 3:
            yield Message("EXCEEDED_MAX_ENTITIES", f"user_data.{key}", "At most 3 values.")


def _events(events: JSON, now_ms: int) -> Iterator[Message]:
    if not isinstance(events, list) or not events:
        yield Message("VALUE_REQUIRED", "events", "At least one event is needed.")
        return
    if len(events) > MAX_EVENTS:
        yield Message("EXCEEDED_MAX_ENTITIES", "events", "At most 25 events a request.")
    for index, event in enumerate(events):
        for message in _event(event, f"events[{index}]", now_ms):
            yield Message(message.code, message.path, message.description, index)


def _event(event: JSON, path: str, now_ms: int) -> Iterator[Message]:
    if not isinstance(event, dict):
        yield Message("VALUE_INVALID", path, "An event must be an object.")
        return
    name, params, at = event.get("name"), event.get("params", {}), event.get("timestamp_micros")
    if not isinstance(name, str):
        yield Message("VALUE_REQUIRED", f"{path}.name", "An event needs a name.")
        return
    if RESERVED_EVENTS.fullmatch(name):
        yield Message("NAME_RESERVED", f"{path}.name", "This event name is reserved.")
    yield from _name(name, f"{path}.name", lambda one: False)
    if at is not None and (isinstance(at, bool) or not isinstance(at, int) or at > now_ms * 1_000):
        yield Message("VALUE_INVALID", f"{path}.timestamp_micros", "A moment in the past, in microseconds.")
    if not isinstance(params, dict):
        yield Message("VALUE_INVALID", f"{path}.params", "params must be an object.")
        return
    yield from _params(params, f"{path}.params")
    for needed in REQUIRED.get(name, ()):
        if params.get(needed) in (None, ""):
            yield Message("VALUE_REQUIRED", f"{path}.params.{needed}", f"{name} needs {needed}.")
    if "value" in params and not params.get("currency"):
        yield Message("VALUE_REQUIRED", f"{path}.params.currency", "value needs currency.")


def _params(params: dict[str, JSON], path: str) -> Iterator[Message]:
    if len(params) > MAX_PARAMS:
        yield Message("EXCEEDED_MAX_ENTITIES", path, "At most 25 parameters an event.")
    for name, value in params.items():
        if name == "items":
            yield from _items(value, f"{path}.items")
            continue
        yield from _name(name, f"{path}.{name}", lambda one: bool(RESERVED_PARAMS.fullmatch(one)))
        yield from _value(name, value, f"{path}.{name}")
    session, engagement = params.get("session_id", "1"), params.get("engagement_time_msec", 1)
    if not re.fullmatch(r"[0-9]+", str(session)):
        yield Message("VALUE_INVALID", f"{path}.session_id", "session_id must be digits.")
    if isinstance(engagement, bool) or not isinstance(engagement, int | float) or engagement <= 0:
        yield Message("VALUE_INVALID", f"{path}.engagement_time_msec", "Must be a number above 0.")


def _name(name: str, path: str, is_reserved: Callable[[str], bool]) -> Iterator[Message]:
    if is_reserved(name):
        yield Message("NAME_RESERVED", path, "This name is reserved.")
    elif not NAME.fullmatch(name) or len(name) > MAX_NAME:
        yield Message("NAME_INVALID", path, "A name has at most 40 letters, digits and underscores.")


def _value(name: str, value: JSON, path: str) -> Iterator[Message]:
    if not isinstance(value, str | int | float):
        yield Message("VALUE_INVALID", path, "A value is a string or a number.")
    elif isinstance(value, str) and len(value) > LONG_VALUES.get(name, MAX_VALUE):
        yield Message("VALUE_OUT_OF_BOUNDS", path, f"At most {LONG_VALUES.get(name, MAX_VALUE)} characters.")
    elif name in ("value", "tax", "shipping", "price", "quantity") and not isinstance(value, int | float):
        yield Message("VALUE_INVALID", path, "A number is needed.")
    elif name == "currency" and not re.fullmatch(r"[A-Z]{3}", str(value)):
        yield Message("VALUE_INVALID", path, "A currency of ISO 4217 is needed.")


def _items(items: JSON, path: str) -> Iterator[Message]:
    if not isinstance(items, list):
        yield Message("VALUE_INVALID", path, "items must be an array.")
        return
    if len(items) > MAX_ITEMS:
        yield Message("EXCEEDED_MAX_ENTITIES", path, "At most 200 items an event.")
    for index, item in enumerate(items):
        place = f"{path}[{index}]"
        if not isinstance(item, dict):
            yield Message("VALUE_INVALID", place, "An item must be an object.")
            continue
        if not item.get("item_id") and not item.get("item_name"):
            yield Message("VALUE_REQUIRED", place, "An item needs item_id or item_name.")
        if sum(not ITEM_KEYS.fullmatch(key) for key in item) > MAX_OWN_ITEM_PARAMS:
            yield Message("EXCEEDED_MAX_ENTITIES", place, "At most 10 custom parameters an item.")
        for name, value in item.items():
            yield from _name(name, f"{place}.{name}", lambda one: bool(RESERVED_PARAMS.fullmatch(one)))
            yield from _value(name, value, f"{place}.{name}")
