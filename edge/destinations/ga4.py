"""Google Analytics 4, Measurement Protocol: events of one visitor, up to 25 a request, checked by us.

The API answers 2xx to anything, well-formed or not, so whatever it would silently drop is found here. It can tell a
repeat of a purchase only (by its transaction id); any other event whose fate is unknown is never sent again.

Source: Measurement Protocol (Google Analytics 4), "Protocol reference", "Send events" (numbers) and "Validate events",
as of 2026-11.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import orjson

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
from edge.destinations.answers import retry_after_s
from edge.destinations.base import Anonymous, Feature, Unfit, account_of, read_base_url, without_nulls
from edge.destinations.ga4_form import event_of, head_of
from edge.destinations.parts import Sent, in_parts
from edge.errors import TransportFailed
from edge.secret import Secret
from edge.settings import Reader
from edge.shapes import Shape, base_url, boolean, choice, secret, section, word

BASE_URL = "https://www.google-analytics.com"
ENDPOINTS = ("collect", "debug")

MAX_EVENTS, MAX_BODY_BYTES = 25, 130_000  # a body has to be smaller than that
MAX_AGE_S = 72 * 3_600.0
MARGIN_S = 3_600.0
REPEATABLE = "purchase"  # counted once for each user and transaction_id; no other event has a key

_MEASUREMENT_ID = re.compile(r"G-[A-Z0-9]{1,20}")
_CODE = re.compile(r"[A-Z_]{1,64}")
_FIELD = re.compile(r"[A-Za-z0-9_$.\[\]]{1,200}")

FEATURES = (
    Feature(None, ("client_id",), "events do not join what the page's own tag counted"),
    Feature(None, ("session_id",), "events belong to no session of the page's own tag"),
    Feature("view_item", ("items",), "item reports do not know what was looked at"),
    Feature("add_to_cart", ("items",), "item reports do not know what went into the cart"),
    Feature("started_checkout", ("items",), "item reports do not know what was in the cart"),
    Feature("purchase", ("value",), "orders count no revenue"),
    Feature("purchase", ("transaction_id",), "an order that is sent twice under two ids counts twice"),
    Feature("purchase", ("items",), "item reports do not know what was bought"),
    Feature("search", ("search_term",), "every event becomes a dead letter"),
)
PARAMETERS = section(
    "What Google Analytics needs.",
    {
        "measurement_id": word("The web stream's id, G-….", _MEASUREMENT_ID.pattern, examples=["G-ABC1234567"]),
        "api_secret": secret("A Measurement Protocol API secret of that stream, as ${NAME}."),
        "endpoint": choice(
            "collect, or debug: events are checked by Google and kept nowhere.", ENDPOINTS, default="collect"
        ),
        "debug_mode": boolean("Show events in DebugView; they count all the same.", default=False),
        "user_data": boolean("Send hashed e-mail and phone where advertising is granted.", default=False),
        "base_url": base_url(
            "Another host: https://region1.google-analytics.com collects in the EU.", default=BASE_URL
        ),
    },
    required=["measurement_id", "api_secret"],
)


@dataclass(frozen=True, slots=True)
class GA4:
    """One web stream of one property."""

    integration: ClassVar[str] = "ga4-measurement-protocol"
    purposes: ClassVar[frozenset[str]] = frozenset({"analytics"})
    max_batch: ClassVar[int] = MAX_EVENTS
    # 100,000,000 requests an hour are counted ("Send events"), far more than one machine sends: a cautious share.
    rate: ClassVar[Rate] = Rate(burst_per_s=500, steady_per_min=30_000)
    anonymous: ClassVar[Anonymous] = "send"
    click_targets: ClassVar[frozenset[str]] = frozenset()
    features: ClassVar[tuple[Feature, ...]] = FEATURES
    parameters: ClassVar[Shape] = PARAMETERS
    # An event older than 72 h would be counted as one of 72 hours ago.
    max_event_age_s: ClassVar[float | None] = MAX_AGE_S - MARGIN_S
    anonymous_targets: ClassVar[frozenset[str]] = frozenset()
    discloses: ClassVar[frozenset[str]] = frozenset({"advertising"})

    measurement_id: str
    api_secret: Secret
    endpoint: str = "collect"
    has_debug_mode: bool = False
    has_user_data: bool = False
    base_url: str = BASE_URL

    @classmethod
    def from_reader(cls, reader: Reader) -> Self:
        """Read `parameters`; what is wrong is collected in the reader's problems."""
        destination = cls(
            reader.parsed("measurement_id", _measurement_id, "") or reader.text("measurement_id"),
            reader.secret("api_secret"),
            reader.choice("endpoint", ENDPOINTS, "collect"),
            reader.boolean("debug_mode", False),
            reader.boolean("user_data", False),
            read_base_url(reader, BASE_URL),
        )
        reader.done()
        return destination

    @property
    def account(self) -> str:
        """Name the account that shares one rate: the host and a digest of stream and secret."""
        return account_of(self.base_url, Secret(f"{self.measurement_id} {self.api_secret.reveal()}"))

    def render(self, rendered: Rendered) -> Payload | Rejected:
        """Give the request's body with this one event, or why Google Analytics would not count it."""
        try:
            profile = without_nulls(rendered.profile)
            event = event_of(rendered, profile, has_debug_mode=self.has_debug_mode)
            who = head_of(rendered, profile, has_user_data=self.has_user_data)
            body = orjson.dumps({**who, "events": [event]})
        except Unfit as unfit:
            return Rejected(str(unfit))
        except orjson.JSONEncodeError:
            return Rejected("the event cannot be written as JSON")
        if len(body) >= MAX_BODY_BYTES:
            return Rejected(f"the event has {len(body)} bytes, GA4 takes less than {MAX_BODY_BYTES}")
        return Payload(body, rendered.time_ms)

    def deliver(self, payloads: Sequence[Payload], now_ms: int) -> Conversation:
        """Send events of one visitor together; after an answer that is not about an event, none follows."""

        def send(places: Sequence[int]) -> Sent:
            return self._send([_sendable(payloads[place], now_ms) for place in places])

        return in_parts(_grouped(payloads), send)

    def probe(self, now_ms: int) -> Conversation | None:
        """Give nothing: Google's validation looks at neither the secret nor the stream ("Validate events")."""
        return None

    def _send(self, bodies: Sequence[dict[str, Any]]) -> Sent:
        """Send bodies of one visitor as one."""
        may_repeat = self.endpoint == "debug" or bodies[0]["events"][0]["name"] == REPEATABLE
        try:
            return self._read((yield self._request(bodies)), may_repeat=may_repeat)
        except TransportFailed as failed:
            is_certain = may_repeat or not failed.may_have_arrived
            return Retry(str(failed)) if is_certain else _never_again(str(failed))

    def _request(self, bodies: Sequence[dict[str, Any]]) -> Request:
        path = "/debug/mp/collect" if self.endpoint == "debug" else "/mp/collect"
        strict = {"validation_behavior": "ENFORCE_RECOMMENDATIONS"} if self.endpoint == "debug" else {}
        body = bodies[0] | strict | {"events": [event for one in bodies for event in one["events"]]}
        query = f"measurement_id={self.measurement_id}&api_secret={_quoted(self.api_secret.reveal())}"
        headers = {"Content-Type": "application/json"}
        return Request("POST", f"{self.base_url}{path}?{query}", headers, orjson.dumps(body))

    def _read(self, response: Response, *, may_repeat: bool) -> Outcome:
        if self.endpoint == "debug" and response.status == 200:
            return read_validation(response)
        return read(response, may_repeat=may_repeat)


def read(response: Response, *, may_repeat: bool) -> Outcome:
    """Give what an answer means; `may_repeat` where a second arrival would not count twice."""
    reason = str(response.status)
    match response.status:
        case status if 200 <= status <= 299:
            return Delivered(status)
        case 429:
            return Throttled(retry_after_s(response, unsaid_s=1.0, unreadable_s=30.0))
        case 401 | 403 | 404:  # of the address or the credentials: no event is ever the reason of such an answer
            return Refused(reason)
        case 408 | 503:  # not taken, by the server's own word
            return Retry(reason)
        case status if 400 <= status <= 499:
            return Rejected(reason, response)
        case status if 500 <= status <= 599 and may_repeat:
            return Retry(reason)
        case _:
            return Unclear(reason, response) if may_repeat else _never_again(reason, response)


def read_validation(response: Response) -> Outcome:
    """Give what Google's validation found: codes and fields, never its prose."""
    try:
        told = [_told(message) for message in orjson.loads(response.body)["validationMessages"]]
    except (orjson.JSONDecodeError, LookupError, TypeError, AttributeError):
        return Unclear("200 without a validation", response)
    return Rejected("; ".join(told[:3]), response) if told else Delivered(response.status)


def _told(message: Any) -> str:
    code, field = message.get("validationCode"), message.get("fieldPath")
    said = [code if isinstance(code, str) and _CODE.fullmatch(code) else "error"]
    if isinstance(field, str) and _FIELD.fullmatch(field):
        said.append(f"at {field}")
    return " ".join(said)


def _never_again(reason: str, response: Response | None = None) -> Unclear:
    return Unclear(f"{reason}; it may have been counted, and GA4 would count a repeat", response, is_final=True)


def _measurement_id(text: str) -> str:
    if not _MEASUREMENT_ID.fullmatch(text):
        raise ValueError("is not a web stream's id; accepted is one such as G-ABC1234567")
    return text


def _quoted(text: str) -> str:
    return "".join(c if re.fullmatch(r"[A-Za-z0-9._~-]", c) else "".join(f"%{b:02X}" for b in c.encode()) for c in text)


def _grouped(payloads: Sequence[Payload]) -> list[list[int]]:
    """Give the places of payloads that may share a request, each group and the groups of one visitor in order.

    Together go neighbours among one visitor's events that have the same head (consent, …); a purchase goes with
    purchases alone, because only those may be repeated together.
    """
    groups: list[list[int]] = []
    latest: dict[str, tuple[object, int, list[int]]] = {}
    for place, payload in enumerate(payloads):
        head = orjson.loads(payload.body)
        kind = head.pop("events")[0]["name"] == REPEATABLE, head
        visitor = head["client_id"]
        last_kind, size_bytes, group = latest.get(visitor, (None, 0, []))
        size_bytes += len(payload.body)
        if kind != last_kind or len(group) >= MAX_EVENTS or size_bytes >= MAX_BODY_BYTES:
            size_bytes, group = len(payload.body), []
            groups.append(group)
        group.append(place)
        latest[visitor] = (kind, size_bytes, group)
    return groups


def _sendable(payload: Payload, now_ms: int) -> dict[str, Any]:
    """Give the body; without a time that lies ahead, as the API takes past ones only and its own moment without one."""
    body: dict[str, Any] = orjson.loads(payload.body)
    if payload.time_ms > now_ms:
        del body["events"][0]["timestamp_micros"]
    return body
