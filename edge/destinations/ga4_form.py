"""What one event is in Google Analytics' words: its name and parameters within every limit, and whose it is.

Source: Measurement Protocol (Google Analytics 4), "Protocol reference", "Send events", "User-provided data", as of
2026-11; where nothing else is said, a number below is from "Send events".
"""

import hashlib
import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from edge.consent import Purpose
from edge.delivery import Rendered
from edge.destinations.base import Unfit, without_nulls
from edge.destinations.google_identifiers import hashed_email, hashed_phone
from edge.destinations.values import currency_of
from edge.jsontree import number_of

MAX_PARAMS, MAX_ITEMS, MAX_CUSTOM_ITEM_PARAMS, MAX_USER_PROPERTIES = 25, 200, 10, 25  # items: "Collection limits"
MAX_NAME_CHARS, MAX_VALUE_CHARS = 40, 100
MAX_USER_PROPERTY_NAME_CHARS, MAX_USER_PROPERTY_CHARS, MAX_USER_ID_CHARS = 24, 36, 256
# Analytics Help, "Collection limits".
LONGER_VALUES = {"page_location": 1_000, "page_referrer": 420, "page_title": 300}
# "Protocol reference", reserved names, also those that only apps may send: this is a web stream.
_EVENTS = """
ad_activeview ad_click ad_exposure ad_impression ad_query ad_reward adunit_exposure app_clear_data app_exception
app_install app_remove app_store_refund app_store_subscription_cancel app_store_subscription_convert
app_store_subscription_renew app_update error first_open first_visit in_app_purchase notification_dismiss
notification_foreground notification_open notification_receive os_update screen_view session_start user_engagement
"""
_USER_PROPERTIES = "first_open_time first_visit_time last_deep_link_referrer user_id first_open_after_install"
RESERVED_EVENTS, RESERVED_PARAMS = frozenset(_EVENTS.split()), frozenset({"firebase_conversion"})
RESERVED_USER_PROPERTIES = frozenset(_USER_PROPERTIES.split())
RESERVED_PREFIXES = ("_", "firebase_", "ga_", "google_")
# "Event reference": what an item may carry beside its own custom parameters.
_ITEM = """
item_id item_name affiliation coupon discount index item_brand item_category item_category2 item_category3
item_category4 item_category5 item_list_id item_list_name item_variant location_id price quantity
"""
ITEM_PARAMS = frozenset(_ITEM.split())
NUMBERS = frozenset({"value", "tax", "shipping", "discount", "price", "quantity", "index", "engagement_time_msec"})
TEXTS = frozenset({"transaction_id", "item_id", "item_name", "session_id"})
# "Event reference": what an event is not counted without.
NEEDED = {"purchase": ("transaction_id",), "refund": ("transaction_id",), "search": ("search_term",)}
SOLD = frozenset({"purchase", "refund"})
# Targets of global.profile that are no user properties.
LOCATION = ("city", "region_id", "country_id", "subcontinent_id", "continent_id")
DEVICE = {f"device_{name}": name for name in ("category", "language", "screen_resolution", "operating_system")}
DEVICE |= {f"device_{name}": name for name in ("operating_system_version", "model", "brand", "browser")}
DEVICE |= {"device_browser_version": "browser_version"}
OWN = frozenset({"client_id", "session_id", "user_id", "email", "phone_number", "ip_override", *LOCATION, *DEVICE})

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_CLIENT_ID = re.compile(r"[0-9]{1,20}\.[0-9]{1,20}")
_DIGITS = re.compile(r"[0-9]{1,20}")
_MAIL_INSIDE = re.compile(r"[^\s/?&=](?:@|%40)[A-Z0-9.-]{1,253}\.[A-Z]{2,}", re.IGNORECASE)


def event_of(rendered: Rendered, profile: Mapping[str, object], *, has_debug_mode: bool) -> dict[str, object]:
    name = rendered.metric
    _check_name(name, "metric", RESERVED_EVENTS, ())
    mapped = {key: value for key, value in without_nulls(rendered.properties).items() if value != ""}
    params = _reporting(rendered, profile) | mapped
    if name in SOLD:
        params.setdefault("transaction_id", rendered.unique_id)
    _set_money(params, name, rendered.currency)
    items = params.pop("items", None)
    checked: dict[str, object] = {key: _param(key, value, f"params.{key}") for key, value in params.items()}
    if items is not None:
        checked["items"] = _items(items)
    if has_debug_mode:
        checked["debug_mode"] = 1
    for needed in NEEDED.get(name, ()):
        if needed not in checked:
            raise Unfit(f"params.{needed}: is missing, GA4 counts no {name} without it")
    if len(str(params.get("transaction_id", ""))) > MAX_VALUE_CHARS:
        raise Unfit(f"params.transaction_id: GA4 takes {MAX_VALUE_CHARS} characters; cut, it could name two orders")
    if len(checked) > MAX_PARAMS:
        raise Unfit(f"params: GA4 takes {MAX_PARAMS}, not {len(checked)}")
    return {"name": name, "params": checked, "timestamp_micros": rendered.time_ms * 1_000}


def _reporting(rendered: Rendered, profile: Mapping[str, object]) -> dict[str, object]:
    """Give what reports need of every event ("Protocol reference", reporting parameters), as far as it is known."""
    context = rendered.event.get("context", {})
    page, session = context.get("page"), context.get("session")
    page, session = page if isinstance(page, dict) else {}, session if isinstance(session, dict) else {}
    known: dict[str, object] = {"engagement_time_msec": 1}
    session_id, own = profile.get("session_id"), session.get("id")
    if isinstance(session_id, str | int) and _DIGITS.fullmatch(str(session_id)):
        known["session_id"] = str(session_id)
    elif isinstance(own, str) and own:
        known["session_id"] = str(1_000_000_000 + _number_from(own.encode()) % 1_000_000_000)
    for name, key in (("page_location", "url"), ("page_referrer", "referrer"), ("page_title", "title")):
        if isinstance(page.get(key), str) and (told := _without_mail(page[key])):
            known[name] = told
    return known


def _set_money(params: dict[str, Any], name: str, currency: str | None) -> None:
    """Let value and currency stand together or not at all; a purchase whose value is in no currency is not counted."""
    code = currency_of(params.pop("currency", None)) or currency_of(currency)
    if code is not None:
        params["currency"] = code
    elif "value" in params:
        if name in SOLD:
            raise Unfit("params.currency: is missing, GA4 counts no value without it")
        del params["value"]


def _param(name: str, value: object, path: str) -> str | int | float:
    _check_name(name, path, RESERVED_PARAMS, (*RESERVED_PREFIXES, "gtag."))
    if isinstance(value, dict | list):
        raise Unfit(f"{path}: GA4 takes a text or a number, not a {type(value).__name__}")
    if name in NUMBERS:
        number = number_of(value)
        if number is None or (name == "engagement_time_msec" and number <= 0):
            raise Unfit(f"{path}: GA4 takes a number")
        return number
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float) and name not in TEXTS:
        return value
    return _harmless(str(value), path)[: LONGER_VALUES.get(name, MAX_VALUE_CHARS)]


def _harmless(text: str, path: str) -> str:
    if _MAIL_INSIDE.search(text):
        raise Unfit(f"{path}: holds what looks like an e-mail address, which GA4 forbids")
    return text


def _without_mail(text: str) -> str:
    """Give what may be told of a page: an e-mail address in its query goes with the query, any other with the text."""
    bare = re.split(r"[?#]", text, maxsplit=1)[0] if _MAIL_INSIDE.search(text) else text
    return "" if _MAIL_INSIDE.search(bare) else bare


def _items(items: object) -> list[dict[str, object]]:
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise Unfit("params.items: GA4 takes a list of objects")
    if len(items) > MAX_ITEMS:
        raise Unfit(f"params.items: GA4 takes {MAX_ITEMS}, not {len(items)}")
    return [_item(item, f"params.items[{index}]") for index, item in enumerate(items)]


def _item(item: dict[str, object], path: str) -> dict[str, object]:
    if not any(str(item.get(key, "")).strip() for key in ("item_id", "item_name")):
        raise Unfit(f"{path}: has neither item_id nor item_name")
    if len(item.keys() - ITEM_PARAMS) > MAX_CUSTOM_ITEM_PARAMS:
        raise Unfit(f"{path}: GA4 takes {MAX_CUSTOM_ITEM_PARAMS} parameters of one's own")
    return {key: _param(key, value, f"{path}.{key}") for key, value in item.items()}


def _check_name(name: str, path: str, reserved: frozenset[str], prefixes: tuple[str, ...]) -> None:
    if name in reserved or name.startswith(prefixes):
        raise Unfit(f"{path}: the name is reserved by GA4")
    if not _NAME.fullmatch(name) or len(name) > MAX_NAME_CHARS:
        raise Unfit(f"{path}: GA4 takes names of {MAX_NAME_CHARS} letters, digits and _, beginning with a letter")


def head_of(rendered: Rendered, profile: Mapping[str, object], *, has_user_data: bool) -> dict[str, object]:
    """Give the head of a request: whose events these are, and what Google may use them for."""
    is_for_ads = bool(rendered.granted & Purpose.ADVERTISING)
    granted = "GRANTED" if is_for_ads else "DENIED"
    who: dict[str, object] = {"client_id": _client_id(profile.get("client_id"), rendered.anonymous_id)}
    user_id = _text(profile.get("user_id"))
    if 0 < len(user_id) <= MAX_USER_ID_CHARS and not _MAIL_INSIDE.search(user_id):
        who["user_id"] = user_id
    who["consent"] = {"ad_user_data": granted, "ad_personalization": granted}
    if has_user_data and is_for_ads and (hashed := _user_data(rendered, profile)):
        who["user_data"] = hashed
    location = _texts(profile, {name: name for name in LOCATION})
    device = _texts(profile, DEVICE)
    parts = {"ip_override": _address(profile.get("ip_override")), "user_location": location, "device": device}
    who |= {name: part for name, part in parts.items() if part}
    if properties := _user_properties(profile):
        who["user_properties"] = properties
    return who


def _texts(profile: Mapping[str, object], targets: Mapping[str, str]) -> dict[str, object]:
    found = {key: profile.get(target) for target, key in targets.items()}
    return {
        key: value.strip()[:MAX_VALUE_CHARS] for key, value in found.items() if isinstance(value, str) and value.strip()
    }


def _text(value: object) -> str:
    """Give a text or a number as text, "" for anything else."""
    return str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def _address(value: object) -> str | None:
    try:
        return str(ip_address(value)) if isinstance(value, str) else None
    except ValueError:
        return None


def _client_id(mapped: object, anonymous_id: str) -> str:
    """Give the tag's own id, else two numbers in its form that always stand for the same visitor."""
    if isinstance(mapped, str) and _CLIENT_ID.fullmatch(mapped):
        return mapped
    if not anonymous_id:
        raise Unfit("client_id: the event has none")
    number = _number_from(anonymous_id.encode())
    return f"{number % 2**31}.{1_000_000_000 + (number >> 31) % 700_000_000}"


def _number_from(text: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


def _user_data(rendered: Rendered, profile: Mapping[str, object]) -> dict[str, object]:
    """Give hashes of e-mail and phone ("User-provided data": SHA-256 as hex, of the normal form)."""
    email = hashed_email(_text(profile.get("email")) or rendered.identifiers.email or "")
    phone = hashed_phone(_text(profile.get("phone_number")) or rendered.identifiers.phone or "")
    hashed = {"sha256_email_address": email, "sha256_phone_number": phone}
    return {name: [value] for name, value in hashed.items() if value is not None}


def _user_properties(profile: Mapping[str, object]) -> dict[str, object]:
    given = {name: value for name, value in profile.items() if name not in OWN}
    if len(given) > MAX_USER_PROPERTIES:
        raise Unfit(f"profile: GA4 takes {MAX_USER_PROPERTIES} user properties, not {len(given)}")
    for name in given:
        _check_name(name, f"profile.{name}", RESERVED_USER_PROPERTIES, RESERVED_PREFIXES)
        if len(name) > MAX_USER_PROPERTY_NAME_CHARS:
            raise Unfit(f"profile.{name}: GA4 takes {MAX_USER_PROPERTY_NAME_CHARS} characters for a user property")
    return {name: {"value": _property(value, f"profile.{name}")} for name, value in given.items()}


def _property(value: object, path: str) -> str | int | float:
    if isinstance(value, dict | list):
        raise Unfit(f"{path}: GA4 takes a text or a number, not a {type(value).__name__}")
    if isinstance(value, bool):
        return int(value)
    return value if isinstance(value, int | float) else _harmless(str(value), path)[:MAX_USER_PROPERTY_CHARS]
