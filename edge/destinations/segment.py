"""Segment's HTTP API, as Segment, RudderStack, Jitsu and compatible customer data platforms take it.

Segment answers 200 to nearly everything and drops in silence what it cannot use, so everything it would drop is
checked here first.

Source: Segment, "HTTP API Source" (batch, Basic auth, 32 KB an event, 500 KB a batch) and its pages' error section;
segment-analytics-python 2.x (475,000 bytes and 100 messages a batch, what is repeated); rudder-server, gateway
(`response.go`: 400, 401, 404, 413, 429); Jitsu, libs/jitsu-js (`/api/s/s2s/{type}`, X-Write-Key: not confirmed by a
reference); e-commerce events of Segment's specification v2.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Self
from urllib.parse import parse_qs, urlsplit

import orjson

from edge import __version__
from edge.consent import PURPOSE_NAMES
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
from edge.destinations.parts import Sent, in_parts, in_requests
from edge.destinations.values import iso
from edge.ecommerce import EVENT_NAMES, ITEM_NAMES
from edge.event import OTHER_NAMES
from edge.secret import Secret
from edge.settings import Reader
from edge.shapes import Shape, base_url, choice, secret, section

BASE_URL = "https://api.segment.io/v1"
APIS, NAMES = ("segment", "jitsu"), ("segment", "ga4")
MAX_PAYLOADS, MAX_MESSAGE_BYTES, MAX_BATCH_BYTES = 50, 32_768, 475_000
FRAME_BYTES = 60  # of {"batch":[],"sentAt":"2026-11-20T14:03:09.120Z"}
MAX_ID_CHARS = 100

# The other spellings, the other way round: what Segment's specification calls our events and properties.
SEGMENT_NAMES = {ours: theirs for theirs, ours in OTHER_NAMES.items() if " " in theirs}
SEGMENT_KEYS = {ours: theirs for theirs, ours in (ITEM_NAMES | EVENT_NAMES).items()} | {"items": "products"}
WITH_REVENUE = frozenset({"purchase", "started_checkout"})

_KINDS = {"page_view": "page", "identify": "identify", "group": "group"}
_UTM = {"utm_source": "source", "utm_medium": "medium", "utm_campaign": "name", "utm_term": "term"}
_UTM |= {"utm_content": "content"}
_PAGE = ("url", "path", "title", "referrer", "search")
_USER, _ANONYMOUS = ("userId", "user_id"), ("anonymousId", "anonymous_id")
_MESSAGE, _GROUP = ("messageId", "event_id", "$event_id"), ("groupId", "group_id")

PARAMETERS = section(
    "What a customer data platform with Segment's HTTP API needs.",
    {
        "write_key": secret("The source's write key, as ${NAME}."),
        "base_url": base_url("Another host: EU workspaces, RudderStack, Jitsu, the sandbox.", default=BASE_URL),
        "api": choice("How it is called: segment (also RudderStack) or jitsu.", APIS, default="segment"),
        "names": choice(
            "Whose names e-commerce events and their properties have, where the file gives none of its own.",
            NAMES,
            default="segment",
        ),
    },
    required=["write_key"],
)


@dataclass(frozen=True, slots=True)
class Segment:
    """One source, reached with its write key."""

    integration: ClassVar[str] = "segment"
    purposes: ClassVar[frozenset[str]] = frozenset({"analytics"})
    max_batch: ClassVar[int] = MAX_PAYLOADS
    rate: ClassVar[Rate] = Rate(burst_per_s=500, steady_per_min=30_000)
    anonymous: ClassVar[Anonymous] = "send"
    click_targets: ClassVar[frozenset[str]] = frozenset()
    features: ClassVar[tuple[Feature, ...]] = ()
    parameters: ClassVar[Shape] = PARAMETERS
    max_event_age_s: ClassVar[float | None] = None
    anonymous_targets: ClassVar[frozenset[str]] = frozenset()
    discloses: ClassVar[frozenset[str]] = frozenset(PURPOSE_NAMES)

    write_key: Secret
    base_url: str = BASE_URL
    api: str = "segment"
    names: str = "segment"

    @classmethod
    def from_reader(cls, reader: Reader) -> Self:
        """Read `parameters`; what is wrong is collected in the reader's problems."""
        key, url = reader.secret("write_key"), read_base_url(reader, BASE_URL)
        destination = cls(key, url, reader.choice("api", APIS, "segment"), reader.choice("names", NAMES, "segment"))
        if destination.api == "jitsu" and url == BASE_URL and not reader.is_unread("base_url"):
            reader.refuse("base_url", "is Segment's own; accepted with api: jitsu is the address of your Jitsu")
        reader.done()
        return destination

    @property
    def account(self) -> str:
        """Name the source that shares one rate: the host and a digest of the key."""
        return account_of(self.base_url, self.write_key)

    def render(self, rendered: Rendered) -> Payload | Rejected:
        """Give a list of messages: one, and for a sign-up with traits an identify beside it."""
        try:
            messages = [orjson.dumps(one) for one in _messages(rendered, is_renamed=self.names == "segment")]
        except Unfit as unfit:
            return Rejected(str(unfit))
        except orjson.JSONEncodeError:
            return Rejected("the event cannot be written as JSON")
        size = max(map(len, messages))
        if size > MAX_MESSAGE_BYTES:
            return Rejected(f"the event has {size} bytes; Segment takes {MAX_MESSAGE_BYTES}")
        return Payload(b"[" + b",".join(messages) + b"]", rendered.time_ms)

    def batch_size(self, *, is_backlog: bool) -> int:
        """Give how many payloads share a conversation, whatever waits: each may be two messages of a batch."""
        return 1 if self.api == "jitsu" else MAX_PAYLOADS

    def goes_alone(self, payload: Payload) -> bool:
        """Tell whether a payload may never share one: none does."""
        return False

    def deliver(self, payloads: Sequence[Payload], now_ms: int) -> Conversation:
        """Send batches; one that is refused is halved until the bad ones are left. Jitsu takes single messages."""
        if self.api == "jitsu":
            single = partial(self._deliver_singly, payloads, now_ms)
            return in_parts([[place] for place in range(len(payloads))], single)
        return in_requests(
            payloads,
            ask=partial(self._batch, now_ms),
            read=lambda response, _: read(now_ms, response),
            max_count=MAX_PAYLOADS,
            max_bytes=MAX_BATCH_BYTES - FRAME_BYTES,
        )

    def probe(self, now_ms: int) -> Conversation | None:
        """Give nothing: Segment says yes to any key, and every message counts."""
        return None

    def _deliver_singly(self, payloads: Sequence[Payload], now_ms: int, places: Sequence[int]) -> Sent:
        """Send the messages of one payload until one is not taken."""
        outcome: Outcome = Delivered()
        for message in orjson.loads(payloads[places[0]].body):
            outcome = read(now_ms, (yield self._single(now_ms, message)))
            if not isinstance(outcome, Delivered):
                break
        return outcome

    def _batch(self, now_ms: int, payloads: Sequence[Payload]) -> Request:
        messages = b",".join(payload.body[1:-1] for payload in payloads)
        body = b'{"batch":[' + messages + b'],"sentAt":"' + iso(now_ms).encode() + b'"}'
        basic = base64.b64encode(f"{self.write_key.reveal()}:".encode()).decode()
        return Request("POST", f"{self.base_url}/batch", _headers({"Authorization": f"Basic {basic}"}), body)

    def _single(self, now_ms: int, message: dict[str, Any]) -> Request:
        url, body = f"{self.base_url}/api/s/s2s/{message['type']}", orjson.dumps({**message, "sentAt": iso(now_ms)})
        headers = _headers({"X-Write-Key": self.write_key.reveal()})
        return Request("POST", url, headers, body, secret_headers=frozenset({"x-write-key"}))


def read(now_ms: int, response: Response) -> Outcome:
    """Give what an answer means for what was sent; of its text nothing is repeated."""
    reason = str(response.status)
    match response.status:
        case status if 200 <= status <= 299:
            return Delivered(status) if _says_yes(response) else Unclear(f"{reason}: says no or nothing", response)
        case 429:
            return Throttled(retry_after_s(response, now_ms=now_ms))
        case 401 | 403 | 404:  # 404: RudderStack's word for a source that is switched off, or a wrong address
            return Refused(reason)
        case status if 300 <= status <= 399:
            return Refused(f"{reason}: leads elsewhere, which is not followed; set base_url to where it leads")
        case status if status == 408 or 500 <= status <= 599:
            return Retry(reason)
        case status if 400 <= status <= 499:
            return Rejected(reason, response)
        case _:
            return Unclear(reason, response)


def _says_yes(response: Response) -> bool:
    """Tell the platforms' answers ({"success":true}, {"ok":true}, OK) from a sign-in page or a plain no."""
    if response.body.strip().lower() in (b"", b"ok", b'"ok"'):
        return True
    try:
        told = orjson.loads(response.body)
    except orjson.JSONDecodeError:
        return False
    return isinstance(told, dict) and told.get("success", told.get("ok", True)) is True


def _headers(own: Mapping[str, str]) -> dict[str, str]:
    return {**own, "Content-Type": "application/json", "User-Agent": f"datafly-edge/{__version__}"}


def _messages(rendered: Rendered, *, is_renamed: bool) -> list[dict[str, Any]]:
    at = iso(rendered.time_ms)
    name = str(rendered.event.get("name") or rendered.metric)
    traits, properties = without_nulls(rendered.profile), without_nulls(rendered.properties)
    user = _taken(traits, _USER, "profile") or rendered.identifiers.customer_id
    anonymous = _taken(traits, _ANONYMOUS, "profile") or rendered.anonymous_id
    if not user and not anonymous:
        raise Unfit("profile: has neither userId nor anonymousId, and Segment drops such messages in silence")
    message_id = _taken(properties, _MESSAGE, "properties") or str(rendered.event.get("id") or rendered.unique_id)
    kind = _KINDS.get(name, "track")
    head = {
        "type": kind,
        "messageId": _short(message_id),
        "timestamp": at,
        "originalTimestamp": at,
        **({"userId": user} if user else {}),
        **({"anonymousId": anonymous} if anonymous else {}),
        "channel": "server",
    }
    context = _context(rendered)
    if kind == "identify":
        return [{**head, "traits": {**traits, **properties}, "context": context}]
    inner = {**context, **({"traits": traits} if traits else {})}
    if kind == "group":
        return [{**head, **_group(properties), "context": inner}]
    if kind == "page":
        named = {} if rendered.metric in ("", name) else {"name": rendered.metric}
        return [{**head, **named, "properties": {**context.get("page", {}), **properties}, "context": inner}]
    message = {**head, **_track(rendered.metric, name, properties, is_renamed=is_renamed), "context": inner}
    if name != "sign_up" or not traits:
        return [message]
    identify = {**head, "type": "identify", "messageId": _short(f"{message_id}-identify")}
    return [message, {**identify, "traits": traits, "context": context}]


def _track(metric: str, name: str, properties: dict[str, Any], *, is_renamed: bool) -> dict[str, Any]:
    if not metric.strip():
        raise Unfit("metric: Segment drops events without a name in silence")
    if not is_renamed:
        return {"event": metric, "properties": properties}
    told = _renamed(properties)
    items = told.get("products")
    if isinstance(items, list):
        told["products"] = [_renamed(one) if isinstance(one, dict) else one for one in items]
    if name in WITH_REVENUE and "value" in told:
        told.setdefault("revenue", told["value"])
    return {"event": SEGMENT_NAMES.get(name, metric) if metric == name else metric, "properties": told}


def _renamed(properties: dict[str, Any]) -> dict[str, Any]:
    """Give GA4's keys Segment's names; a key that is there under Segment's name already stays what it is."""
    told = {}
    for key, value in properties.items():
        theirs = SEGMENT_KEYS.get(key, key)
        if theirs == key or theirs not in properties:
            told[theirs] = value
    return told


def _group(properties: dict[str, Any]) -> dict[str, Any]:
    group = _taken(properties, _GROUP, "properties")
    if not group:
        raise Unfit("properties: a group event needs groupId")
    return {"groupId": group, "traits": properties}


def _context(rendered: Rendered) -> dict[str, Any]:
    """Give what the event says of its page, browser and visitor; what is no text says nothing."""
    told = rendered.event.get("context")
    told = told if isinstance(told, dict) else {}
    page = told.get("page")
    page = {key: page[key] for key in _PAGE if isinstance(page.get(key), str)} if isinstance(page, dict) else {}
    query = _query(page.get("url", ""))
    if query and "search" not in page:
        page["search"] = f"?{query}"
    utm = parse_qs(query, max_num_fields=100) if query.count("&") < 100 else {}
    texts = {"ip": told.get("ip"), "userAgent": told.get("user_agent"), "locale": told.get("locale")}
    held: dict[str, Any] = {key: value for key, value in texts.items() if isinstance(value, str) and value}
    campaign = {_UTM[key]: values[0] for key, values in utm.items() if key in _UTM}
    held |= {key: part for key, part in (("page", page), ("campaign", campaign)) if part}
    granted = {name: bool(purpose & rendered.granted) for name, purpose in PURPOSE_NAMES.items()}
    return {**held, "library": {"name": "datafly-edge"}, "consent": {"categoryPreferences": granted}}


def _query(url: str) -> str:
    try:
        return urlsplit(url).query
    except ValueError:
        return ""


def _taken(tree: dict[str, Any], keys: Sequence[str], where: str) -> str:
    """Take an id out of what was mapped; "" where there is none."""
    found = ""
    for key in keys:
        value = tree.pop(key, None)
        if isinstance(value, bool | float | list | dict):
            raise Unfit(f"{where}.{key}: Segment takes a text, not a {type(value).__name__}")
        found = found or ("" if value is None else str(value).strip())
    return found


def _short(message_id: str) -> str:
    if len(message_id) <= MAX_ID_CHARS:
        return message_id
    return "h_" + hashlib.sha256(message_id.encode(errors="surrogatepass")).hexdigest()
