"""A webhook: events as signed JSON, to whatever address the shop names.

The form is ours: a canonical body, or one that the pipeline file writes as a tree of templates. It is signed in the
Standard Webhooks way, so that a receiver checks it with an existing library.

Source: Standard Webhooks specification 1.0.0 (the layout of a body; `edge/webhook_signature.py` signs); RFC 9110 for
statuses.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Self

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
from edge.destinations.base import Anonymous, Feature, Unfit, account_of
from edge.destinations.parts import in_requests
from edge.destinations.values import iso
from edge.mapping.trees import Body, compile_tree
from edge.public_address import is_public_host
from edge.secret import Secret
from edge.settings import Reader, quoted
from edge.shapes import Shape, anything, boolean, integer, open_map, secret, section, text, word
from edge.webhook_signature import headers_of, secrets_of
from edge.yamlfile import Node

MAX_EVENTS, MAX_BODY_BYTES = 100, 1_000_000
EVENT_ID_KEYS = ("$event_id", "event_id")
CANONICAL = "canonical"
ROOTS = ("data", "type", "timestamp")

_URL = re.compile(
    r"(https?)://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?)(?::([0-9]{1,5}))?"
    r"(|/[A-Za-z0-9._~!$&'()*+,;=:@/%-]*)((?:\?[A-Za-z0-9._~!$&'()*+,;=:@/%?-]*)?)"
)
_AN_ADDRESS = "accepted is one such as https://hooks.example/shop, no login, no fragment"
_SAFE_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_CREDENTIAL = re.compile(r"auth|token|key|secret|password|cookie", re.IGNORECASE)
# What says how the message is framed, or what it is: ours to write. So is every header of the signature.
OURS = frozenset(
    (
        *("accept", "connection", "content-encoding", "content-length", "content-type", "date", "expect", "host"),
        *("keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "user-agent", "via"),
    )
)
OURS_BEGIN = ("webhook-", "proxy-", "svix-")

PARAMETERS = section(
    "Where events are sent, and how they are signed.",
    {
        "url": word(
            "The address, https unless allow_http says otherwise.",
            r"https?://[^\s#@]+",
            examples=["https://hooks.example/shop"],
        ),
        "secret": secret(
            "What the receiver checks signatures with: whsec_ and base64, as ${NAME}; two in one variable, with a "
            "space between, while it is changed."
        ),
        "headers": open_map(
            "Further headers, such as a token; not those of the signature or of the message's form.",
            text("The header's value; a credential only as ${NAME}.", examples=["shop"]),
        ),
        "batch": integer("How many events a request carries at most; 1: each is sent alone.", 1, MAX_EVENTS, default=1),
        "body": anything(
            "canonical, or a tree whose texts are templates: {data.properties.OrderId} alone gives the value itself.",
            type=["string", "object", "array"],
            default=CANONICAL,
        ),
        "allow_http": boolean("true: an address without TLS may be used.", default=False),
        "allow_private": boolean("true: addresses in private networks and on this machine may be used.", default=False),
    },
    required=["url", "secret"],
)


@dataclass(frozen=True, slots=True)
class Webhook:
    """One address."""

    integration: ClassVar[str] = "webhook"
    purposes: ClassVar[frozenset[str]] = frozenset({"analytics"})
    max_batch: ClassVar[int] = MAX_EVENTS
    rate: ClassVar[Rate] = Rate(burst_per_s=50, steady_per_min=3_000)
    anonymous: ClassVar[Anonymous] = "send"
    click_targets: ClassVar[frozenset[str]] = frozenset()
    features: ClassVar[tuple[Feature, ...]] = ()
    parameters: ClassVar[Shape] = PARAMETERS
    max_event_age_s: ClassVar[float | None] = None
    anonymous_targets: ClassVar[frozenset[str]] = frozenset()
    discloses: ClassVar[frozenset[str]] = frozenset(PURPOSE_NAMES)

    url: str
    secrets: tuple[Secret, ...]
    headers: tuple[tuple[str, Secret], ...] = ()
    batch: int = 1
    body: Body | None = None
    is_private_allowed: bool = False

    @classmethod
    def from_reader(cls, reader: Reader) -> Self:
        """Read `parameters`; what is wrong is collected in the reader's problems."""
        is_http, is_private = reader.boolean("allow_http", False), reader.boolean("allow_private", False)
        url = reader.parsed("url", partial(_url, is_http_allowed=is_http, is_private_allowed=is_private), "")
        destination = cls(
            url or reader.text("url"),
            _secrets(reader),
            _headers(reader.section("headers")),
            reader.integer("batch", 1, minimum=1, maximum=MAX_EVENTS),
            _body(reader),
            is_private,
        )
        reader.done()
        return destination

    @property
    def account(self) -> str:
        """Name what shares one rate: the host and a digest of the secret."""
        return account_of(self.url, self.secrets[0])

    def render(self, rendered: Rendered) -> Payload | Rejected:
        """Give {"id", "body"}: the delivery's id, which is the event's own, and the body without its signature."""
        try:
            canonical = _canonical(rendered)
        except Unfit as unfit:
            return Rejected(str(unfit))
        body = canonical if self.body is None else self.body(canonical)
        if body is None:
            return Rejected("body: nothing of what it names is there")
        try:
            made = orjson.dumps({"id": _delivery_id(str(canonical["data"]["id"])), "body": body})
        except orjson.JSONEncodeError:
            return Rejected("the event cannot be written as JSON")
        if len(made) > MAX_BODY_BYTES:
            return Rejected(f"the event has {len(made)} bytes; a request has at most {MAX_BODY_BYTES}")
        return Payload(made, rendered.time_ms)

    def batch_size(self, *, is_backlog: bool) -> int:
        """Give how many payloads share a conversation: as many as the file says, whatever waits."""
        return self.batch

    def goes_alone(self, payload: Payload) -> bool:
        """Tell whether a payload may never share one: none does."""
        return False

    def deliver(self, payloads: Sequence[Payload], now_ms: int) -> Conversation:
        """Send one event a request, or up to `batch`; a batch that is refused is halved until the bad ones are left."""
        return in_requests(
            payloads,
            ask=partial(self._request, now_ms),
            read=lambda response, _: read(now_ms, response),
            max_count=self.batch,
            max_bytes=MAX_BODY_BYTES,
        )

    def probe(self, now_ms: int) -> Conversation | None:
        """Give nothing: whatever is asked, a receiver may take it for an event."""
        return None

    def _request(self, now_ms: int, payloads: Sequence[Payload]) -> Request:
        told = [orjson.loads(payload.body) for payload in payloads]
        if self.batch == 1:
            delivery, body = told[0]["id"], orjson.dumps(told[0]["body"])
        else:
            delivery, body = _batch_id(told), orjson.dumps({"events": [one["body"] for one in told]})
        own = {name: value.reveal() for name, value in self.headers}
        headers = {
            **own,
            "Content-Type": "application/json",
            "User-Agent": f"datafly-edge/{__version__}",
            **headers_of(delivery, now_ms // 1_000, body, self.secrets),
        }
        return Request(
            "POST",
            self.url,
            headers,
            body,
            secret_headers=frozenset(map(str.lower, own)),
            is_private_allowed=self.is_private_allowed,
        )


def read(now_ms: int, response: Response) -> Outcome:
    """Give what an answer means for what was sent; of its text nothing is repeated."""
    reason = str(response.status)
    match response.status:
        case status if 200 <= status <= 299:
            return Delivered(status)
        case 429:
            return Throttled(retry_after_s(response, now_ms=now_ms))
        case 401 | 403 | 410:
            return Refused(reason)
        case status if 300 <= status <= 399:
            return Refused(f"{status}: leads elsewhere, which is not followed; set url to where it leads")
        case status if status in (408, 425) or 500 <= status <= 599:
            return Retry(reason)
        case status if 400 <= status <= 499:
            return Rejected(reason, response)
        case _:
            return Unclear(reason, response)


def _canonical(rendered: Rendered) -> dict[str, Any]:
    """Give what templates read: type, timestamp and data, as Standard Webhooks lays a body out."""
    properties = dict(rendered.properties)
    mapped = [value for key in EVENT_ID_KEYS if (value := properties.pop(key, None)) is not None]
    key = next((str(one).strip() for one in mapped if isinstance(one, str | int) and str(one).strip()), "")
    return {
        "type": rendered.metric,
        "timestamp": iso(rendered.time_ms),
        "data": {
            "id": rendered.event.get("id") or rendered.unique_id,
            "key": key or rendered.unique_id,
            "event": rendered.event.get("name") or rendered.metric,
            "anonymous_id": rendered.anonymous_id,
            "consent": [name for name, purpose in PURPOSE_NAMES.items() if purpose & rendered.granted],
            "profile": rendered.profile,
            "properties": properties,
        },
    }


def _delivery_id(event_id: str) -> str:
    """Give the event's own id where it is fit for a header and has no dot, which the signature uses as a separator."""
    if _SAFE_ID.fullmatch(event_id):
        return event_id
    return "h_" + hashlib.sha256(event_id.encode(errors="surrogatepass")).hexdigest()[:32]


def _batch_id(told: Sequence[Any]) -> str:
    """Give an id that is the same whenever the same events go together."""
    return "b_" + hashlib.sha256("\n".join(one["id"] for one in told).encode()).hexdigest()[:32]


def _url(text: str, *, is_http_allowed: bool, is_private_allowed: bool) -> str:
    found = _URL.fullmatch(text)
    if found is None or not 0 < int(found[3] or 443) <= 65_535:
        raise ValueError(f"is not an address; {_AN_ADDRESS}")
    if found[1] == "http" and not is_http_allowed:
        raise ValueError("is not https; accepted is https://…, or allow_http: true beside it")
    if not is_private_allowed and not is_public_host(found[2]):
        raise ValueError(
            "leads into a private network or to this machine; accepted is a public host, or allow_private: true"
        )
    port = f":{found[3]}" if found[3] else ""
    return f"{found[1]}://{found[2]}{port}{found[4] or '/'}{found[5]}"


def _secrets(reader: Reader) -> tuple[Secret, ...]:
    given = reader.secret("secret")
    if reader.is_unread("secret"):
        return (given,)
    try:
        return secrets_of(given)
    except ValueError as error:
        reader.refuse("secret", f"this value is not a secret to sign with; {error}")
        return (given,)


def _headers(reader: Reader) -> tuple[tuple[str, Secret], ...]:
    headers: dict[str, tuple[str, Secret]] = {}
    for name, node in reader.nodes():
        if not _HEADER.fullmatch(name):
            reader.refuse_key(name, "is not the name of a header; accepted are letters, digits and -")
        elif name.lower() in OURS or name.lower().startswith(OURS_BEGIN):
            reader.refuse_key(name, "is written by the sidecar itself; accepted is any other header")
        elif name.lower() in headers:
            reader.refuse_key(name, "stands here twice; accepted is one value a header")
        else:
            headers[name.lower()] = (name, _header_value(reader, name, node))
    return tuple(headers.values())


def _header_value(reader: Reader, name: str, node: Node) -> Secret:
    is_credential = _CREDENTIAL.search(name) is not None
    value = reader.secret(name, allow_literal=not is_credential)
    if reader.is_unread(name):
        return value
    if is_credential and not node.is_from_environ:
        reader.refuse(name, "this value stands in the file itself; accepted is a reference, ${NAME}")
    if not value.reveal().isascii():
        reader.refuse(name, "this value has characters that no header carries; accepted is ASCII")
    return value


def _body(reader: Reader) -> Body | None:
    node = reader.node("body")
    if node is None or node.value == CANONICAL:
        return None
    if isinstance(node.value, dict | list):
        return compile_tree(reader, "body", ROOTS)
    reader.refuse("body", f"{quoted(node)} is not a body; accepted is canonical, or a tree of templates")
    return None
