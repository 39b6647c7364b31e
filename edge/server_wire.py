"""Servers' calls: from a posted body to events, each checked once.

A body that is no call and no batch is refused whole (`RequestRefused`); a message that breaks a limit is refused alone.
The checks are those of the browser batch (`edge.wire`); only the shapes differ.
Source: docs/server-api.md; Segment, HTTP Tracking API; RudderStack, HTTP API.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

import orjson

from edge.consent import PURPOSE_NAMES
from edge.consent_platforms import hear
from edge.ecommerce import translated
from edge.errors import InvalidEvent, RequestRefused
from edge.event import Event
from edge.jsontree import JSON, clean
from edge.places import find_address
from edge.wire import (
    BAD_BATCH,
    BAD_CONTEXT,
    BAD_EVENT,
    BAD_ID,
    BAD_PROPERTIES,
    BAD_TRAITS,
    EVENT_CODES,
    MAX_USER_AGENT_CHARS,
    NO_EVENTS,
    OUR_KEYS,
    REFUSED,
    TOO_LARGE,
    TOO_MANY_EVENTS,
    Rejected,
    Tree,
    event_name,
    event_time,
    find_ms,
    object_in,
    shared_context,
)

# Why one message is refused, besides what an event of a browser may be refused for.
BAD_TYPE: Final = "bad_type"
NO_USER: Final = "no_user"
UNSUPPORTED: Final = "unsupported"
MESSAGE_CODES: Final = EVENT_CODES | {BAD_TYPE, NO_USER, UNSUPPORTED}

BATCH: Final = "batch"
# What a message may be, and the name of its event; a track names its own.
KINDS: Mapping[str, str] = {
    "track": "",
    "identify": "identify",
    "page": "page_view",
    "screen": "screen_view",
    "group": "group",
    "alias": "",
}
MAX_MESSAGES = 2_500
MAX_MESSAGE_BYTES = 32_768
MAX_SHARED_BYTES = 4_096  # stored with every message of a batch
MAX_USER_CHARS = 255
CONSENT_SOURCE = "server"
# What programs send where they know nobody; identity takes none of these as a customer id either.
NOBODY = frozenset({"", "null", "undefined", "none", "nan", "0", "guest", "anonymous"})

_ID = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
_MOVED = OUR_KEYS | {"traits", "userAgent", "consent"}
_PAGE_KEYS = ("url", "path", "title", "referrer", "search")


@dataclass(frozen=True, slots=True)
class Calls:
    """A body that is a call or a batch of them; the messages are still as they came.

    `kind` is what every message is, from the address; None: each says so itself.
    """

    kind: str | None
    messages: list[JSON]
    context: Tree
    sent_at_ms: int | None


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of the messages; `kept` has besides the accepted ones what refused ones said about consent."""

    kept: list[Event]
    rejected: list[Rejected]
    accepted: int


@dataclass(frozen=True, slots=True)
class _Message:
    """A message within the limits, whom it is about, and the context of its event."""

    tree: Tree
    encoded: bytes
    index: int
    browser: str
    user: str | None
    traits: JSON
    context: Tree


@dataclass(frozen=True, slots=True)
class _Arrival:
    source: str
    received_at_ms: int


def read_calls(raw: Any, address: str) -> Calls:
    """Read a body's calls.

    Args:
        raw: the body's JSON: a message, or {"batch": [1..2500 messages], "sentAt"?, "context"?, "integrations"?}.
        address: the last part of the path: one of KINDS, or BATCH.
    Raises:
        RequestRefused: 400 with `bad_batch`, `bad_context`, `no_events`, `too_many_events` or a limit's code.
    """
    if not isinstance(raw, dict):
        raise RequestRefused(400, BAD_BATCH, "a body is an object")
    sent_at_ms = find_ms(raw.get("sentAt"))
    if address != BATCH:
        return Calls(address, [raw], {}, sent_at_ms)
    messages = raw.get("batch")
    if not isinstance(messages, list):
        raise RequestRefused(400, BAD_BATCH, "a batch is an object with a list named batch")
    if not messages:
        raise RequestRefused(400, NO_EVENTS, "a batch has at least one message")
    if len(messages) > MAX_MESSAGES:
        raise RequestRefused(400, TOO_MANY_EVENTS, f"a batch has at most {MAX_MESSAGES} messages")
    given = {"integrations": raw.get("integrations"), **_object(raw.get("context"))}
    context, _ = shared_context({key: value for key, value in given.items() if value}, MAX_SHARED_BYTES)
    return Calls(None, messages, context, sent_at_ms)


def parse_calls(calls: Calls, source: str, received_at_ms: int, *, start: int = 0, stop: int = MAX_MESSAGES) -> Taken:
    """Give the good messages as events in their order, and why each of the others was refused.

    Of a large batch a caller may ask for a span at a time: `start` counts from 0, `stop` is the first one left out.
    """
    kept: list[Event] = []
    rejected: list[Rejected] = []
    arrival = _Arrival(source, received_at_ms)
    span = calls.messages[start:stop]
    for index, raw in enumerate(span, start):
        message = None
        try:
            message = _message(raw, index, calls)
            kept.append(_event(message, calls, arrival))
        except InvalidEvent as why:
            rejected.append(Rejected(index, why.code, why.message))
            if message is not None and hear(message.context).answers:
                kept.append(_consent_event(message, calls, arrival))
    return Taken(kept, rejected, len(span) - len(rejected))


def event_id(message_id: str) -> str:
    """Give the id that a message is stored under: its own, or a hash of one that is long or has odd characters."""
    if _ID.fullmatch(message_id):
        return message_id
    return blake2b(message_id.encode("utf-8", "replace"), digest_size=16).hexdigest()


def _object(raw: JSON) -> Tree:
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise RequestRefused(400, BAD_CONTEXT, "context is an object")
    return raw


def _message(raw: JSON, index: int, calls: Calls) -> _Message:
    if not isinstance(raw, dict):
        raise InvalidEvent(BAD_EVENT, "a message is an object")
    tree, encoded = clean(raw)
    if len(encoded) > MAX_MESSAGE_BYTES:
        raise InvalidEvent(TOO_LARGE, f"a message may have {MAX_MESSAGE_BYTES} bytes")
    given = calls.context | object_in(tree, "context", BAD_CONTEXT)
    anonymous, user = _named(tree.get("anonymousId")), _named(tree.get("userId"))
    if anonymous is None and user is None:
        raise InvalidEvent(NO_USER, "a message has a userId or an anonymousId that names somebody")
    whom = f"anonymous:{anonymous}" if anonymous is not None else f"user:{user}"
    browser = blake2b(whom.encode(), digest_size=16).hexdigest()
    return _Message(tree, encoded, index, browser, user, given.get("traits"), _context(given, tree))


def _named(raw: JSON) -> str | None:
    """Give an id that names somebody; None for a placeholder, or everyone who got it would be one visitor."""
    if isinstance(raw, bool) or not isinstance(raw, str | int):
        return None
    text = str(raw).strip()
    return text if len(text) <= MAX_USER_CHARS and text.lower() not in NOBODY else None


def _context(given: Tree, tree: Tree) -> Tree:
    """Give an event's context: the visitor's address, device and consent are what the server says they are."""
    context = {key: value for key, value in given.items() if key not in _MOVED}
    ip, agent, consent = given.get("ip"), given.get("userAgent") or given.get("user_agent"), given.get("consent")
    address = find_address(ip) if isinstance(ip, str) else None
    if address is not None:
        context["ip"] = str(address)
    if isinstance(agent, str):
        context["user_agent"] = agent[:MAX_USER_AGENT_CHARS]
    if given.get("gpc") is True:
        context["gpc"] = True
    if isinstance(consent, dict):
        context["consent"] = _consent(consent)
    if tree.get("integrations"):
        context["integrations"] = tree["integrations"]
    return context


def _consent(given: Tree) -> Tree:
    """Give our own form of consent; a purpose that stands beside `categoryPreferences` counts before them."""
    named: Tree = {}
    categories = given.get("categoryPreferences")
    for category, is_granted in categories.items() if isinstance(categories, dict) else ():
        name = category.strip().lower()
        if name in PURPOSE_NAMES and isinstance(is_granted, bool) and named.get(name) != "denied":
            named[name] = "granted" if is_granted else "denied"
    own = {key: value for key, value in given.items() if key not in PURPOSE_NAMES or value in ("granted", "denied")}
    return {"source": CONSENT_SOURCE, **named, **own}


def _event(message: _Message, calls: Calls, arrival: _Arrival) -> Event:
    tree, kind = message.tree, calls.kind or message.tree.get("type")
    if not isinstance(kind, str) or kind not in KINDS:
        raise InvalidEvent(BAD_TYPE, f"type is one of {', '.join(KINDS)}")
    if kind == "alias":
        raise InvalidEvent(UNSUPPORTED, "alias is taken and does nothing: persons are joined by their identifiers")
    properties, traits = _properties(kind, tree), _traits(kind, message)
    time_ms, is_moved = _time(tree, calls.sent_at_ms, arrival.received_at_ms)
    return Event(
        id=_id(message, calls, arrival),
        name=KINDS[kind] or event_name(tree.get("event")),
        time_ms=time_ms,
        received_at_ms=arrival.received_at_ms,
        source=arrival.source,
        browser=message.browser,
        properties=properties,
        traits=traits,
        context=_with_page(message.context, properties) if kind == "page" else message.context,
        is_time_moved=is_moved,
    )


def _properties(kind: str, tree: Tree) -> Tree:
    if kind == "group":
        told: Tree = {"group_id": tree.get("groupId"), **object_in(tree, "traits", BAD_TRAITS)}
        return {key: value for key, value in told.items() if value is not None}
    given = object_in(tree, "properties", BAD_PROPERTIES)
    if kind == "track":
        return translated(given)
    named = {key: tree.get(key) for key in ("name", "category")}
    if kind == "screen":
        named["screen_name"] = tree.get("name")
    return {**{key: value for key, value in named.items() if isinstance(value, str)}, **given}


def _traits(kind: str, message: _Message) -> Tree:
    """Give what is said of the person; a group's traits are the group's, and go with its properties."""
    if message.traits is not None and not isinstance(message.traits, dict):
        raise InvalidEvent(BAD_TRAITS, "context.traits is an object")
    own = object_in(message.tree, "traits", BAD_TRAITS) if kind != "group" else {}
    traits = {**(message.traits or {}), **own}
    return traits if message.user is None else {**traits, "customer_id": message.user}


def _with_page(context: Tree, properties: Tree) -> Tree:
    """Give the page where the properties of a page call tell it, and its context does not."""
    page = {key: properties[key] for key in _PAGE_KEYS if isinstance(properties.get(key), str)}
    return {**context, "page": page} if page and context.get("page") is None else context


def _time(tree: Tree, batch_sent_at_ms: int | None, received_at_ms: int) -> tuple[int, bool]:
    """Give the time by our clock: `timestamp`, or the sender's own clock where that and its `sentAt` are told."""
    own_ms = find_ms(tree.get("sentAt"))
    sent_at_ms = own_ms if own_ms is not None else batch_sent_at_ms
    told, original = tree.get("timestamp"), tree.get("originalTimestamp")
    is_original = original is not None and (told is None or sent_at_ms is not None)
    return event_time(original if is_original else told, sent_at_ms, received_at_ms)


def _id(message: _Message, calls: Calls, arrival: _Arrival) -> str:
    raw = message.tree.get("messageId")
    if raw is None or raw == "":
        return _derived_id(message, calls, arrival)
    if isinstance(raw, bool) or not isinstance(raw, str | int):
        raise InvalidEvent(BAD_ID, "messageId is a text")
    return event_id(str(raw))


def _derived_id(message: _Message, calls: Calls, arrival: _Arrival) -> str:
    """Give the id of a message that has none: the same body from the same server gives the same id again."""
    place = f"{arrival.source} {calls.kind} {calls.sent_at_ms} {message.index} ".encode()
    return blake2b(place + orjson.dumps(calls.context) + message.encoded, digest_size=16).hexdigest()


def _consent_event(message: _Message, calls: Calls, arrival: _Arrival) -> Event:
    """Give the event that keeps what a refused message said about consent."""
    return Event(
        id=_derived_id(message, calls, arrival),
        name="consent",
        time_ms=arrival.received_at_ms,
        received_at_ms=arrival.received_at_ms,
        source=arrival.source,
        browser=message.browser,
        properties={REFUSED: 1},
        traits={} if message.user is None else {"customer_id": message.user},
        context=message.context,
    )
