"""Klaviyo: every event becomes one Create Event call.

`endpoint` may say create_event, bulk_create_events or auto; in this version all three send single events.
Answers of 202 mean "checked and queued" at Klaviyo, not "shown in the profile yet".

Source: Klaviyo Create Event API, revision 2026-10-15; older spellings ($email, $value, $event_id) from the former
track and identify APIs.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, Self

import orjson

from edge import __version__
from edge.delivery import (
    Conversation,
    Delivered,
    Outcome,
    Payload,
    Rate,
    Refused,
    Rejected,
    Rendered,
    Request,
    Response,
    Retry,
    Throttled,
    Unclear,
)
from edge.destinations.base import Anonymous, Feature, account_of, read_base_url, without_nulls
from edge.jsontree import number_of
from edge.person import Identifiers
from edge.secret import Secret
from edge.settings import Reader
from edge.shapes import Shape, base_url, choice, secret, section, word

BASE_URL = "https://a.klaviyo.com"
REVISION = "2026-10-15"
ENDPOINTS = ("create_event", "bulk_create_events", "auto")
JSON_API = "application/vnd.api+json"

MAX_METRIC_CHARS, MAX_PROPERTIES, MAX_ARRAY_ITEMS, MAX_NESTING = 127, 400, 4_000, 10
MAX_STRING_BYTES, MAX_BODY_BYTES = 100_000, 5_000_000
# The vendor's oldest moment, 2000-01-01, and the last one that ISO 8601 writes with four digits, both UTC.
OLDEST_MS, NEWEST_MS = 946_684_800_000, 253_402_300_799_999

# Identifiers and the form each must have; at least one makes the profile.
IDENTIFIERS = {
    "email": re.compile(r"(?=.{3,254}$)[^@\s\"(),:;<>\[\]\\]{1,64}@([a-z0-9-]{1,63}\.)+[a-z0-9-]{2,63}"),
    "phone_number": re.compile(r"\+[1-9][0-9]{6,14}"),
    "external_id": re.compile(r".{1,255}", re.DOTALL),
    "anonymous_id": re.compile(r".{1,255}", re.DOTALL),
    "_kx": re.compile(r"\S{1,4096}"),
}
ATTRIBUTES = ("first_name", "last_name", "organization", "locale", "title", "image")
COORDINATES = ("latitude", "longitude")
LOCATION = ("address1", "address2", "city", "country", "region", "zip", "timezone", "ip", *COORDINATES)
RENAMED = {"$id": "external_id", "$exchange_id": "_kx"}
# Parts of the former identify call that no event can carry: consent is given by a subscribe call only.
NOT_OF_AN_EVENT = frozenset({"$consent", "$source"})
EVENT_ID_KEYS = ("$event_id", "event_id")
CURRENCY_KEYS = ("$currency", "value_currency")
UNREADABLE_RETRY_AFTER_S, MAX_RETRY_AFTER_S = 30.0, 3600.0
_CURRENCY = re.compile(r"[A-Z]{3}")
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_POINTER = re.compile(r"[A-Za-z0-9_$./-]{1,200}")
_REVISION = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(\.[a-z]+)?")


# What Klaviyo's standard flows, segments and reports read of each metric: its guide for custom integrations.
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


PARAMETERS = section(
    "What Klaviyo needs.",
    {
        "private_api_key": secret("A private key with the scope events:write, as ${NAME}."),
        "endpoint": choice(
            "Which call carries events; this version sends single events for each.", ENDPOINTS, default="auto"
        ),
        "base_url": base_url("Another host, for a proxy or the sandbox.", default=BASE_URL),
        "revision": word("The API revision.", _REVISION.pattern, default=REVISION),
    },
    required=["private_api_key"],
)


class _Unfit(Exception):
    """Raised inside this file when a rendered event breaks a rule of the vendor; becomes a Rejected."""


@dataclass(frozen=True, slots=True)
class Klaviyo:
    """One Klaviyo account, reached with one private key."""

    integration: ClassVar[str] = "klaviyo-events-api"
    purposes: ClassVar[frozenset[str]] = frozenset({"marketing"})
    max_batch: ClassVar[int] = 1
    max_event_age_s: ClassVar[float | None] = None
    anonymous_targets: ClassVar[frozenset[str]] = frozenset({"anonymous_id", "$anonymous_id"})
    rate: ClassVar[Rate] = Rate(burst_per_s=350, steady_per_min=3_500)
    erase_rate: ClassVar[Rate] = Rate(burst_per_s=3, steady_per_min=60)
    anonymous: ClassVar[Anonymous] = "hold"
    click_targets: ClassVar[frozenset[str]] = frozenset({"_kx", "$exchange_id"})
    discloses: ClassVar[frozenset[str]] = frozenset()
    features: ClassVar[tuple[Feature, ...]] = FEATURES
    parameters: ClassVar[Shape] = PARAMETERS

    private_api_key: Secret
    base_url: str = BASE_URL
    revision: str = REVISION

    @classmethod
    def from_reader(cls, reader: Reader) -> Self:
        """Read `parameters`; what is wrong is collected in the reader's problems."""
        reader.choice("endpoint", ENDPOINTS, "auto")
        revision = reader.parsed("revision", _revision, REVISION)
        destination = cls(reader.secret("private_api_key"), read_base_url(reader, BASE_URL), revision)
        reader.done()
        return destination

    @property
    def account(self) -> str:
        """Name the account that shares one rate: the host and a digest of the key."""
        return account_of(self.base_url, self.private_api_key)

    def render(self, rendered: Rendered) -> Payload | Rejected:
        """Give the Create Event body without its `backfill` mark, or why Klaviyo would refuse it."""
        try:
            body = orjson.dumps({"data": {"type": "event", "attributes": _attributes(rendered)}})
        except _Unfit as unfit:
            return Rejected(str(unfit))
        except orjson.JSONEncodeError:
            return Rejected("the event cannot be written as JSON")
        if len(body) > MAX_BODY_BYTES:
            return Rejected(f"the event has {len(body)} bytes, Klaviyo takes {MAX_BODY_BYTES}")
        return Payload(body, rendered.time_ms)

    def deliver(self, payloads: Sequence[Payload], now_ms: int) -> Conversation:
        """Send one request an event; after a refusal of the account itself the rest is not tried."""
        outcomes: list[Outcome] = []
        for payload in payloads:
            outcome = read((yield self._request(payload)))
            outcomes.append(outcome)
            if isinstance(outcome, Throttled | Refused):
                return [*outcomes, *[outcome] * (len(payloads) - len(outcomes))]
        return outcomes

    def erase(self, person: Identifiers) -> Conversation | None:
        """Ask for the deletion of one profile, by an e-mail or a phone number; Klaviyo takes exactly one of them.

        Source: Klaviyo Data Privacy API, Request Profile Deletion, revision 2026-10-15.
        """
        if person.email is not None:
            return self._erase({"email": person.email})
        return self._erase({"phone_number": person.phone}) if person.phone is not None else None

    def _erase(self, identifier: dict[str, str]) -> Conversation:
        profile = {"data": {"type": "profile", "attributes": identifier}}
        job = {"data": {"type": "data-privacy-deletion-job", "attributes": {"profile": profile}}}
        response = yield self._post("/api/data-privacy-deletion-jobs", orjson.dumps(job))
        return [read(response)]

    def _request(self, payload: Payload) -> Request:
        body = _marked_backfill(payload.body) if payload.is_backfill else payload.body
        return self._post("/api/events", body)

    def _post(self, path: str, body: bytes) -> Request:
        headers = {
            "Authorization": f"Klaviyo-API-Key {self.private_api_key.reveal()}",
            "revision": self.revision,
            "Content-Type": JSON_API,
            "Accept": JSON_API,
            "X-Klaviyo-User-Agent": f"datafly-edge/{__version__}",
        }
        return Request("POST", f"{self.base_url}{path}", headers, body)


def read(response: Response) -> Outcome:
    """Give what an answer means for its one event; reasons hold codes and pointers, never the vendor's prose."""
    match response.status:
        case 202:
            return Delivered(response.status)
        case 429:
            return Throttled(_retry_after_s(response))
        case 401 | 403 | 410:  # 410: the API revision was retired, which a setting mends, not the event
            return Refused(_reason(response))
        case status if status == 408 or 500 <= status <= 599:
            return Retry(_reason(response))
        case status if 400 <= status <= 499:
            return Rejected(_reason(response), response)
        case _:
            return Unclear(_reason(response), response)


def _revision(text: str) -> str:
    if not _REVISION.fullmatch(text):
        raise ValueError(f"is not a revision; accepted is a date such as {REVISION}")
    return text


def _retry_after_s(response: Response) -> float:
    text = response.headers.get("retry-after", "1").strip()
    return min(max(float(text), 1.0), MAX_RETRY_AFTER_S) if text.isdecimal() else UNREADABLE_RETRY_AFTER_S


def _reason(response: Response) -> str:
    """Give e.g. "400 invalid at /data/attributes/time; and 2 more"."""
    try:
        told = list(dict.fromkeys(_told(error) for error in orjson.loads(response.body)["errors"]))
    except (orjson.JSONDecodeError, LookupError, TypeError, AttributeError):
        told = []
    more = [f"and {len(told) - 3} more"] if len(told) > 3 else []
    return " ".join([str(response.status), "; ".join([*told[:3], *more])]).strip()


def _told(error: Any) -> str:
    code, source = error.get("code"), error.get("source") or {}
    pointer = source.get("pointer") or source.get("parameter")
    said = [code if isinstance(code, str) and _CODE.fullmatch(code) else "error"]
    if isinstance(pointer, str) and _POINTER.fullmatch(pointer):
        said.append(f"at {pointer}")
    return " ".join(said)


def _marked_backfill(body: bytes) -> bytes:
    event = orjson.loads(body)
    event["data"]["attributes"]["backfill"] = True
    return orjson.dumps(event)


def _attributes(rendered: Rendered) -> dict[str, object]:
    properties = without_nulls(rendered.properties)
    _check_frame(rendered)
    attributes: dict[str, object] = {
        "unique_id": _unique_id(properties, rendered.unique_id),
        "time": datetime.fromtimestamp(rendered.time_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        **_money(properties, rendered.currency),
        "metric": {"data": {"type": "metric", "attributes": {"name": rendered.metric}}},
        "profile": {"data": {"type": "profile", "attributes": _profile(rendered.profile, rendered.stranger_id)}},
        "properties": properties,
    }
    if len(properties) > MAX_PROPERTIES:
        raise _Unfit(f"properties: Klaviyo takes {MAX_PROPERTIES}, not {len(properties)}")
    for name, value in properties.items():
        _check(value, f"properties.{name}", 2)
    return attributes


def _check_frame(rendered: Rendered) -> None:
    if not 0 < len(rendered.metric) <= MAX_METRIC_CHARS:
        raise _Unfit(f"metric: Klaviyo takes 1 to {MAX_METRIC_CHARS} characters, not {len(rendered.metric)}")
    if not OLDEST_MS < rendered.time_ms <= NEWEST_MS:
        raise _Unfit("time: Klaviyo takes moments after the year 2000")


def _unique_id(properties: dict[str, object], otherwise: str) -> str:
    """Take the mapped key out of the properties: without one Klaviyo keeps one event a second."""
    mapped = [properties.pop(key, None) for key in EVENT_ID_KEYS]
    for key, value in zip(EVENT_ID_KEYS, mapped, strict=True):
        if isinstance(value, bool | list | dict):
            raise _Unfit(f"{key}: Klaviyo takes a text, not a {type(value).__name__}")
        if value is not None and str(value).strip():
            return str(value).strip()
    if not otherwise:
        raise _Unfit("unique_id: the event has none")
    return otherwise


def _money(properties: dict[str, object], currency: str | None) -> dict[str, object]:
    mapped = [properties.pop(key, None) for key in CURRENCY_KEYS]
    value = properties.pop("$value", None)
    if value is None or value == "":
        return {}
    number = number_of(value)
    if number is None:
        raise _Unfit("$value: Klaviyo takes a number")
    for code in (*mapped, currency):
        if isinstance(code, str) and _CURRENCY.fullmatch(code.strip().upper()):
            return {"value": number, "value_currency": code.strip().upper()}
    return {"value": number}


def _profile(mapped: dict[str, object], anonymous_id: str | None) -> dict[str, object]:
    """Sort what was mapped into identifiers, attributes, location and the shop's own properties; blanks say nothing."""
    identifiers: dict[str, str] = {} if anonymous_id is None else {"anonymous_id": anonymous_id}
    attributes: dict[str, str] = {}
    location: dict[str, object] = {}
    own: dict[str, object] = {}
    for key, value in without_nulls(mapped).items():
        name = RENAMED.get(key, key.removeprefix("$"))
        if key in NOT_OF_AN_EVENT or (isinstance(value, str) and not value.strip()):
            continue
        if name in IDENTIFIERS or name in ATTRIBUTES:
            (identifiers if name in IDENTIFIERS else attributes)[name] = _text(name, value)
        elif name in LOCATION:
            location[name] = value if name in COORDINATES else _text(name, value)
        else:
            own[key] = value
    _check(own, "profile", 1)
    parts = {"location": location, "properties": own}
    return {**_identified(identifiers), **attributes, **{name: part for name, part in parts.items() if part}}


def _text(name: str, value: object) -> str:
    if isinstance(value, bool | list | dict):
        raise _Unfit(f"profile.{name}: Klaviyo takes a text, not a {type(value).__name__}")
    return str(value).strip()


def _identified(given: dict[str, str]) -> dict[str, str]:
    """Give the identifiers that are in form; a bad one is left out while another one says who it is.

    A click token says who opened a mail; beside an e-mail address it could only join two persons for good.
    """
    if "email" in given:
        given["email"] = given["email"].lower()
    fit = {name: given[name] for name in IDENTIFIERS if name in given and IDENTIFIERS[name].fullmatch(given[name])}
    if "email" in fit:
        fit.pop("_kx", None)
    if fit:
        return fit
    if given:
        raise _Unfit(f"profile: not in the form Klaviyo takes: {', '.join(given)}")
    raise _Unfit(f"profile: has none of {', '.join(IDENTIFIERS)}")


def _check(tree: object, path: str, level: int) -> None:
    """Raise when a list, a text or the nesting is larger than Klaviyo takes."""
    if isinstance(tree, str) and len(tree.encode(errors="surrogatepass")) > MAX_STRING_BYTES:
        raise _Unfit(f"{path}: a text has more than {MAX_STRING_BYTES} bytes")
    if not isinstance(tree, dict | list):
        return
    if level > MAX_NESTING:
        raise _Unfit(f"{path}: is nested more than {MAX_NESTING} levels deep")
    if isinstance(tree, list) and len(tree) > MAX_ARRAY_ITEMS:
        raise _Unfit(f"{path}: a list has more than {MAX_ARRAY_ITEMS} entries")
    for value in tree.values() if isinstance(tree, dict) else tree:
        _check(value, path, level + 1)
