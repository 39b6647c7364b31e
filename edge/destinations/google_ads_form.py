"""What one event is in Google Ads' words: a conversion with who made it, every value in form.

Source: Data Manager API v1 (google-ads-datamanager 0.9.4, datamanager_v1/types), its guides "Formatting" and "Limits",
as of 2026-11.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address

from edge.consent import Purpose
from edge.delivery import Rendered
from edge.destinations.base import Unfit, without_nulls
from edge.destinations.google_identifiers import hashed_email, hashed_name, hashed_phone
from edge.destinations.values import NEWEST_MS, currency_of
from edge.jsontree import number_of
from edge.moments import iso_second

SOURCES = ("WEB", "APP", "IN_STORE", "PHONE", "MESSAGE", "OTHER")
CLICK_IDS = ("gclid", "gbraid", "wbraid")
PURCHASE = "purchase"
MAX_ITEMS, MAX_TEXT_CHARS, MAX_TRANSACTION_ID_CHARS = 200, 1_000, 512  # cautious: the API names no limits for these
# The last moment that RFC 3339 writes with four digits.
PROPERTIES = ("transaction_id", "value", "currency", "items", "coupon", "discount", "event_source")
ADDRESS = ("first_name", "last_name", "country", "postal_code")
PROFILE = ("email", "phone_number", *ADDRESS, *CLICK_IDS, "user_agent", "ip_address")

_ACTION = re.compile(r"[1-9][0-9]{0,18}")
_CLICK_ID = re.compile(r"[A-Za-z0-9_.-]{1,1000}")
_COUNTRY = re.compile(r"[A-Z]{2}")
_MAIL_INSIDE = re.compile(r"[^\s/?&=](?:@|%40)[A-Z0-9.-]{1,253}\.[A-Z]{2,}", re.IGNORECASE)


def is_action(text: str) -> bool:
    """Tell whether a text is a conversion action's id."""
    return _ACTION.fullmatch(text) is not None


def action_of(rendered: Rendered, default: str) -> str:
    """Give the conversion action that the file names as `metric`; only a purchase may leave it to the parameters."""
    if is_action(rendered.metric):
        return rendered.metric
    if rendered.metric == PURCHASE:
        return default
    raise Unfit("metric: is no conversion action; accepted is its id, such as 700123456")


def event_of(rendered: Rendered, action: str, *, cart: Mapping[str, str]) -> dict[str, object]:
    """Give the event as the API takes it.

    Args:
        rendered: what the pipeline's mappings gave.
        action: the conversion action's id, by which the request's destinations are referred to.
        cart: what every cart says of its merchant, e.g. {"merchantId": "5"}.
    Raises:
        Unfit: with the target that the API would refuse.
    """
    properties, profile = without_nulls(rendered.properties), without_nulls(rendered.profile)
    _check_known(properties, PROPERTIES, "properties")
    _check_known(profile, PROFILE, "profile")
    is_granted = bool(rendered.granted & Purpose.ADVERTISING)
    consent = "CONSENT_GRANTED" if is_granted else "CONSENT_DENIED"
    click = _click(profile)
    identifiers = _identifiers(profile) if is_granted else []
    if not click and not identifiers:
        raise Unfit(f"profile: has neither one of {', '.join(CLICK_IDS)} nor an e-mail, phone or address in form")
    return {
        "destinationReferences": [action],
        "transactionId": _transaction_id(properties.get("transaction_id"), rendered.unique_id),
        "eventTimestamp": timestamp(rendered.time_ms),
        "eventSource": _source(properties.get("event_source")),
        **_money(properties, rendered.currency),
        **({"adIdentifiers": click} if click else {}),
        **({"userData": {"userIdentifiers": identifiers}} if identifiers else {}),
        **_device(rendered, profile),
        **_cart(properties, cart),
        "consent": {"adUserData": consent, "adPersonalization": consent},
    }


def timestamp(moment_ms: int) -> str:
    """Give RFC 3339 in UTC, to the second."""
    if not 0 <= moment_ms <= NEWEST_MS:
        raise Unfit("time: Google Ads takes moments from 1970 to 9999")
    return iso_second(moment_ms)


def _check_known(given: Mapping[str, object], known: tuple[str, ...], where: str) -> None:
    for name in given:
        if name not in known:
            raise Unfit(f"{where}: a target that Google Ads does not know; accepted are {', '.join(known)}")


def _transaction_id(mapped: object, otherwise: str) -> str:
    """Give what tells a repeat: always set, and the same at each attempt."""
    if isinstance(mapped, bool | list | dict):
        raise Unfit(f"transaction_id: Google Ads takes a text, not a {type(mapped).__name__}")
    text = str(mapped if mapped is not None else "").strip() or otherwise
    if not 0 < len(text) <= MAX_TRANSACTION_ID_CHARS:
        raise Unfit(f"transaction_id: accepted are 1 to {MAX_TRANSACTION_ID_CHARS} characters")
    if _MAIL_INSIDE.search(text):
        raise Unfit("transaction_id: holds what looks like an e-mail address, which Google Ads refuses")
    return text


def _source(mapped: object) -> str:
    if mapped is None:
        return "WEB"
    if mapped not in SOURCES:
        raise Unfit(f"event_source: accepted are {', '.join(SOURCES)}")
    return str(mapped)


def _money(properties: Mapping[str, object], currency: str | None) -> dict[str, object]:
    value = properties.get("value")
    if value is None or value == "":
        return {}
    number = number_of(value)
    if number is None:
        raise Unfit("value: Google Ads takes a number")
    code = currency_of(properties.get("currency")) or currency_of(currency)
    if code is None:
        raise Unfit("currency: is missing beside a value; accepted are three letters such as EUR")
    return {"currency": code, "conversionValue": number}


def _click(profile: Mapping[str, object]) -> dict[str, str]:
    """Give the one click id that says most; those of apps (gbraid, wbraid) may not stand beside each other."""
    for kind in CLICK_IDS:
        value = profile.get(kind)
        if isinstance(value, str) and _CLICK_ID.fullmatch(value.strip()):
            return {kind: value.strip()}
    return {}


def _identifiers(profile: Mapping[str, object]) -> list[dict[str, object]]:
    """Give hashed identifiers; one that is not in form is left out."""
    given_texts = {name: profile.get(name) for name in ("email", "phone_number", *ADDRESS)}
    texts = {name: value if isinstance(value, str) else "" for name, value in given_texts.items()}
    found: list[dict[str, object]] = []
    if (email := hashed_email(texts["email"])) is not None:
        found.append({"emailAddress": email})
    if (phone := hashed_phone(texts["phone_number"])) is not None:
        found.append({"phoneNumber": phone})
    given, family = hashed_name(texts["first_name"]), hashed_name(texts["last_name"])
    country, postal = texts["country"].strip().upper(), texts["postal_code"].strip()
    if given and family and postal and _COUNTRY.fullmatch(country):
        address = {"givenName": given, "familyName": family, "regionCode": country, "postalCode": postal}
        found.append({"address": address})
    return found


def _device(rendered: Rendered, profile: Mapping[str, object]) -> dict[str, object]:
    """Give the browser; its address only where the file maps one, as Google wants none from Europe."""
    agent = profile.get("user_agent", rendered.event.get("context", {}).get("user_agent"))
    device: dict[str, object] = {}
    if isinstance(agent, str) and agent.strip() and not rendered.is_from_server:
        device["userAgent"] = agent.strip()[:MAX_TEXT_CHARS]
    with suppress(KeyError, ValueError):
        device["ipAddress"] = str(ip_address(str(profile["ip_address"])))
    return {"eventDeviceInfo": device} if device else {}


def _cart(properties: Mapping[str, object], merchant: Mapping[str, str]) -> dict[str, object]:
    items = properties.get("items")
    if items is None:
        return {}
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise Unfit("items: Google Ads takes a list of objects")
    if len(items) > MAX_ITEMS:
        raise Unfit(f"items: accepted are {MAX_ITEMS}, not {len(items)}")
    lines = [line for item in items if (line := _line(item))]
    discount, coupon = number_of(properties.get("discount")), properties.get("coupon")
    cart: dict[str, object] = dict(merchant)
    if discount is not None and discount >= 0:
        cart["transactionDiscount"] = discount
    if isinstance(coupon, str) and coupon.strip():
        cart["couponCodes"] = [coupon.strip()[:MAX_TEXT_CHARS]]
    return {"cartData": {**cart, "items": lines}} if lines else {}


def _line(item: Mapping[str, object]) -> dict[str, object]:
    """Give one line of a cart; {} for one without a product's id, of which nothing can be told."""
    product, quantity, price = item.get("item_id"), number_of(item.get("quantity", 1)), number_of(item.get("price"))
    if not isinstance(product, str | int) or isinstance(product, bool) or not str(product).strip():
        return {}
    line: dict[str, object] = {"merchantProductId": str(product).strip()[:MAX_TEXT_CHARS]}
    if isinstance(quantity, int) and quantity > 0:
        line["quantity"] = quantity
    if price is not None and price >= 0:
        line["unitPrice"] = price
    return line
