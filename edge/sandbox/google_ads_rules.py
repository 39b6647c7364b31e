"""What the Data Manager API says of the body of `events:ingest`: fields, reasons and places.

Source: Data Manager API v1 (google-ads-datamanager 0.9.4, datamanager_v1/types), "Limits and quotas", "Formatting", as
of 2026-11.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from edge.sandbox.vendor import JSON

MAX_EVENTS, MAX_DESTINATIONS, MAX_IDENTIFIERS = 2_000, 10, 10
CLICK_IDS = ("gclid", "gbraid", "wbraid")
OLDEST_MS = 90 * 86_400_000
TOP = frozenset({"destinations", "events", "consent", "encoding", "encryptionInfo", "validateOnly"})
DESTINATION = frozenset({"reference", "operatingAccount", "loginAccount", "linkedAccount", "productDestinationId"})
_EVENT = """
destinationReferences transactionId eventTimestamp lastUpdatedTimestamp userData adIdentifiers currency conversionValue
conversionCount eventSource eventDeviceInfo cartData customVariables experimentalFields userProperties eventName
clientId userId additionalEventParameters appInstanceId consent
"""
EVENT = frozenset(_EVENT.split())
CART = frozenset(
    {"merchantId", "merchantFeedLabel", "merchantFeedLanguageCode", "transactionDiscount", "items", "couponCodes"}
)
LINE = frozenset({"merchantProductId", "quantity", "unitPrice", "itemId", "additionalItemParameters"})
SOURCES = frozenset({"WEB", "APP", "IN_STORE", "PHONE", "MESSAGE", "OTHER"})
HEX = re.compile(r"[0-9a-fA-F]+")
SHA256 = re.compile(r"[0-9a-fA-F]{64}")
MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})")


@dataclass(frozen=True, slots=True)
class Violation:
    """One reason to refuse the whole request."""

    field: str
    reason: str

    def to_json(self) -> JSON:
        return {"field": self.field, "description": "This value is not accepted.", "reason": self.reason}


def violations_of(body: JSON, *, now_ms: int) -> list[Violation]:
    """Give everything that is wrong with a parsed body."""
    if not isinstance(body, dict):
        return [Violation("", "INVALID_FORMAT")]
    return [*_head(body), *_destinations(body.get("destinations")), *_events(body, now_ms)]


def _head(body: Mapping[str, JSON]) -> Iterator[Violation]:
    for name in body.keys() - TOP:
        yield Violation(name, "UNKNOWN_FIELD")
    if not isinstance(body.get("validateOnly", False), bool):
        yield Violation("validate_only", "INVALID_FORMAT")
    yield from _consent(body.get("consent"), "consent")


def _destinations(destinations: JSON) -> Iterator[Violation]:
    if not isinstance(destinations, list) or not destinations:
        yield Violation("destinations", "REQUIRED_FIELD_MISSING")
        return
    if len(destinations) > MAX_DESTINATIONS:
        yield Violation("destinations", "TOO_MANY_DESTINATIONS")
    for index, destination in enumerate(destinations):
        place = f"destinations[{index}]"
        if not isinstance(destination, dict) or destination.keys() - DESTINATION:
            yield Violation(place, "INVALID_FORMAT")
            continue
        yield from _account(destination.get("operatingAccount"), f"{place}.operating_account")
        if "loginAccount" in destination:
            yield from _account(destination["loginAccount"], f"{place}.login_account")
        if not re.fullmatch(r"[0-9]+", str(destination.get("productDestinationId", ""))):
            yield Violation(f"{place}.product_destination_id", "INVALID_CONVERSION_ACTION_ID")


def _account(account: JSON, place: str) -> Iterator[Violation]:
    if not isinstance(account, dict) or not account.get("accountId"):
        yield Violation(place, "REQUIRED_FIELD_MISSING")
    elif account.get("accountType") != "GOOGLE_ADS" or not re.fullmatch(r"[0-9]+", str(account["accountId"])):
        yield Violation(place, "INVALID_FORMAT")


def _events(body: Mapping[str, JSON], now_ms: int) -> Iterator[Violation]:
    events = body.get("events")
    if not isinstance(events, list) or not events:
        yield Violation("events", "REQUIRED_FIELD_MISSING")
        return
    if len(events) > MAX_EVENTS:
        yield Violation("events", "TOO_MANY_EVENTS")
    destinations = body.get("destinations")
    known = {one.get("reference") for one in destinations or () if isinstance(one, dict)}  # type: ignore[union-attr]
    has_encoding = body.get("encoding") == "HEX"
    for index, event in enumerate(events):
        place = f"events.events[{index}]"
        if not isinstance(event, dict):
            yield Violation(place, "INVALID_FORMAT")
            continue
        yield from _event(event, place, now_ms)
        yield from _references(event.get("destinationReferences", []), known, place)
        if "userData" in event and not has_encoding:
            yield Violation("encoding", "REQUIRED_FIELD_MISSING")


def _references(references: JSON, known: set[JSON], place: str) -> Iterator[Violation]:
    if not isinstance(references, list) or any(reference not in known for reference in references):
        yield Violation(f"{place}.destination_references", "INVALID_DESTINATION_REFERENCE")


def _event(event: Mapping[str, JSON], place: str, now_ms: int) -> Iterator[Violation]:
    for name in event.keys() - EVENT:
        yield Violation(f"{place}.{name}", "UNKNOWN_FIELD")
    yield from _moment(event.get("eventTimestamp"), f"{place}.event_timestamp", now_ms)
    if event.get("eventSource", "WEB") not in SOURCES:
        yield Violation(f"{place}.event_source", "INVALID_FORMAT")
    if not isinstance(event.get("transactionId", ""), str):
        yield Violation(f"{place}.transaction_id", "INVALID_FORMAT")
    if not re.fullmatch(r"[A-Z]{3}", str(event.get("currency", "EUR"))):
        yield Violation(f"{place}.currency", "INVALID_CURRENCY_CODE")
    if not _is_number(event.get("conversionValue", 0)):
        yield Violation(f"{place}.conversion_value", "INVALID_FORMAT")
    yield from _consent(event.get("consent"), f"{place}.consent")
    yield from _identifiers(event, place)
    yield from _cart(event.get("cartData"), f"{place}.cart_data")


def _moment(value: JSON, place: str, now_ms: int) -> Iterator[Violation]:
    if value is None:
        yield Violation(place, "REQUIRED_FIELD_MISSING")
        return
    try:
        at_ms = datetime.fromisoformat(value).timestamp() * 1_000 if isinstance(value, str) else None
    except ValueError:
        at_ms = None
    if at_ms is None or not MOMENT.fullmatch(str(value)):
        yield Violation(place, "INVALID_FORMAT")
    elif not now_ms - OLDEST_MS <= at_ms <= now_ms:
        yield Violation(place, "EVENT_TIME_INVALID")


def _consent(consent: JSON, place: str) -> Iterator[Violation]:
    if consent is None:
        return
    values = consent.values() if isinstance(consent, dict) else ("",)
    if any(value not in ("CONSENT_GRANTED", "CONSENT_DENIED", "CONSENT_STATUS_UNSPECIFIED") for value in values):
        yield Violation(place, "INVALID_FORMAT")


def _identifiers(event: Mapping[str, JSON], place: str) -> Iterator[Violation]:
    ads, data = event.get("adIdentifiers", {}), event.get("userData", {})
    identifiers = data.get("userIdentifiers", []) if isinstance(data, dict) else None
    if not isinstance(ads, dict) or not isinstance(identifiers, list):
        yield Violation(place, "INVALID_FORMAT")
        return
    clicks = [ads[kind] for kind in CLICK_IDS if kind in ads]
    if not clicks and not identifiers:
        yield Violation(place, "NO_IDENTIFIERS_PROVIDED")
    if any(not isinstance(click, str) or not click for click in clicks):
        yield Violation(f"{place}.ad_identifiers", "INVALID_FORMAT")
    if len(identifiers) > MAX_IDENTIFIERS:
        yield Violation(f"{place}.user_data", "TOO_MANY_USER_IDENTIFIERS")
    for index, identifier in enumerate(identifiers):
        yield from _identifier(identifier, f"{place}.user_data.user_identifiers[{index}]")


def _identifier(identifier: JSON, place: str) -> Iterator[Violation]:
    match identifier:
        case {"emailAddress": value, **rest} if not rest:
            yield from _hash(value, f"{place}.email_address")
        case {"phoneNumber": value, **rest} if not rest:
            yield from _hash(value, f"{place}.phone_number")
        case {"address": dict(address), **rest} if not rest:
            yield from _hash(address.get("givenName"), f"{place}.address.given_name")
            yield from _hash(address.get("familyName"), f"{place}.address.family_name")
            if not re.fullmatch(r"[A-Z]{2}", str(address.get("regionCode", ""))):
                yield Violation(f"{place}.address.region_code", "INVALID_FORMAT")
            if not address.get("postalCode"):
                yield Violation(f"{place}.address.postal_code", "REQUIRED_FIELD_MISSING")
        case _:
            yield Violation(place, "INVALID_FORMAT")


def _hash(value: JSON, place: str) -> Iterator[Violation]:
    if not isinstance(value, str) or not value:
        yield Violation(place, "REQUIRED_FIELD_MISSING")
    elif not HEX.fullmatch(value):
        yield Violation(place, "INVALID_HEX_ENCODING")
    elif not SHA256.fullmatch(value):
        yield Violation(place, "INVALID_SHA256_FORMAT")


def _cart(cart: JSON, place: str) -> Iterator[Violation]:
    if cart is None:
        return
    if not isinstance(cart, dict) or cart.keys() - CART or not isinstance(cart.get("items", []), list):
        yield Violation(place, "INVALID_FORMAT")
        return
    items = cart.get("items", [])
    for index, line in enumerate(items if isinstance(items, list) else ()):
        if not isinstance(line, dict) or line.keys() - LINE or not _has_numbers(line):
            yield Violation(f"{place}.items[{index}]", "INVALID_FORMAT")


def _has_numbers(line: Mapping[str, JSON]) -> bool:
    return _is_number(line.get("quantity", 1)) and _is_number(line.get("unitPrice", 0))


def _is_number(value: JSON) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
