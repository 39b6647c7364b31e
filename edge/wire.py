"""The browser batch: from a stranger's bytes to events, each checked once.

A body that is no batch is refused whole (`RequestRefused`); an event that breaks a limit is refused alone.
Messages are our own words: nothing a client sent is repeated in them.
Source: docs/wire.md.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

import orjson

from edge.errors import InvalidEvent, RequestRefused
from edge.event import Event, envelope
from edge.jsontree import JSON, MAX_BYTES, Proof, clean, clean_plain, parse, prove, strip_controls

# Why a whole request is refused.
BAD_JSON: Final = "bad_json"
BAD_BATCH: Final = "bad_batch"
NO_EVENTS: Final = "no_events"
TOO_MANY_EVENTS: Final = "too_many_events"
# Why one event is refused; the first three come from edge.jsontree and may also refuse a batch's context.
TOO_LARGE: Final = "too_large"
TOO_DEEP: Final = "too_deep"
TOO_MANY_KEYS: Final = "too_many_keys"
BAD_EVENT: Final = "bad_event"
BAD_NAME: Final = "bad_name"
BAD_ID: Final = "bad_id"
BAD_TIME: Final = "bad_time"
BAD_PROPERTIES: Final = "bad_properties"
BAD_TRAITS: Final = "bad_traits"
BAD_CONTEXT: Final = "bad_context"
EVENT_CODES: Final = frozenset(
    {TOO_LARGE, TOO_DEEP, TOO_MANY_KEYS, BAD_EVENT, BAD_NAME, BAD_ID, BAD_TIME, BAD_PROPERTIES, BAD_TRAITS, BAD_CONTEXT}
)

MAX_EVENTS = 500
MAX_CONTEXT_BYTES = 16_384  # it is stored with every event of its batch
MAX_USER_AGENT_CHARS = 512
SKEW_MS = 60_000
MAX_PAST_MS = 7 * 86_400_000
MAX_FUTURE_MS = 300_000
OUR_KEYS = frozenset({"ip", "user_agent", "gpc", "consent_cookies", "vendor_ids"})  # of a context: we alone write these

REFUSED = "events_refused"  # marks a consent event that only keeps what a refused batch said: no new answer

_NAME = re.compile(r"[A-Za-z](?:[A-Za-z0-9_. -]{0,62}[A-Za-z0-9_.-])?")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MAX_TIME_CHARS = 40
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)

Tree: TypeAlias = dict[str, JSON]
_Made = TypeVar("_Made")
_NONE: Final[Mapping[str, JSON]] = MappingProxyType({})


class Batch(NamedTuple):
    """A body that is a batch: its context is clean, its events are still a stranger's.

    A tuple, as one is made a request.
    """

    context: Tree
    context_bytes: int
    sent_at_ms: int | None
    events: list[JSON]
    proof: Proof = Proof.NONE

    @property
    def session_id(self) -> str | None:
        """The script's id of this visit; a join hint, never an identity."""
        session = self.context.get("session")
        found = session.get("id") if isinstance(session, dict) else None
        return found if isinstance(found, str) and _ID.fullmatch(found) else None


class Arrival(NamedTuple):
    """What we know ourselves about a request: when, from whom, and what its headers said.

    `consent_cookies` are those of consent platforms, where the page itself reported nothing; `vendor_ids` what other
    vendors' cookies say of the browser. A tuple, as one is made a request.
    """

    received_at_ms: int
    source: str
    browser: str
    ip: str | None
    user_agent: str | None
    has_gpc: bool
    consent_cookies: Mapping[str, JSON] = _NONE
    vendor_ids: Mapping[str, JSON] = _NONE


@dataclass(frozen=True, slots=True)
class Rejected:
    """One event of a batch that was refused, by its place."""

    index: int
    code: str
    message: str


def read_batch(body: bytes) -> Batch:
    """Read a request's body.

    Args:
        body: {"sent_at", "context": {…}, "events": [1..500]}; whatever the content type said.
    Raises:
        RequestRefused: 400 with `bad_json`, `bad_batch`, `bad_context`, `no_events`, `too_many_events`, or a
            limit's code when the context is over it.
    """
    raw = read_json(body)
    if not isinstance(raw, dict) or not isinstance(raw.get("events"), list):
        raise RequestRefused(400, BAD_BATCH, "a batch is an object with a list of events")
    events: list[JSON] = raw["events"]
    if not events:
        raise RequestRefused(400, NO_EVENTS, "a batch has at least one event")
    if len(events) > MAX_EVENTS:
        raise RequestRefused(400, TOO_MANY_EVENTS, f"a batch has at most {MAX_EVENTS} events")
    context = raw.get("context")
    proof = prove(raw, MAX_CONTEXT_BYTES, (context, *events))
    if proof is Proof.SMALL and isinstance(context, dict):
        size_bytes = MAX_CONTEXT_BYTES  # at most; the whole body has no more
    else:
        context, size_bytes = shared_context(context, MAX_CONTEXT_BYTES)
    return Batch(_without_ours(context), size_bytes, find_ms(raw.get("sent_at")), events, proof)


def read_json(body: bytes) -> Any:
    """Read a body's JSON; RequestRefused with 400 `bad_json` where it is none."""
    try:
        return parse(body)
    except orjson.JSONDecodeError as error:
        raise RequestRefused(400, BAD_JSON, "the body is not valid JSON in UTF-8") from error


def parse_events(batch: Batch, arrival: Arrival) -> tuple[list[Event], list[Rejected]]:
    """Give the batch's good events in their order, and why each of the others was refused."""
    return _parse(batch, arrival, Event)


def parse_envelopes(batch: Batch, arrival: Arrival) -> tuple[list[bytes], list[Rejected]]:
    """Give the envelopes of what `parse_events` gives, for half the price."""
    return _parse(batch, arrival, envelope)


def _parse(batch: Batch, arrival: Arrival, make: Callable[..., _Made]) -> tuple[list[_Made], list[Rejected]]:
    shared = batch.context | _ours(arrival)
    made: list[_Made] = []
    rejected: list[Rejected] = []
    for index, raw in enumerate(batch.events):
        try:
            made.append(_event(raw, index, batch, arrival, shared, make))
        except InvalidEvent as why:
            rejected.append(Rejected(index, why.code, why.message))
    return made, rejected


def consent_event(batch: Batch, arrival: Arrival) -> Event:
    """Give the event that keeps a batch's consent answer when all of its own events were refused."""
    return Event(
        id=_derived_id(batch, arrival, 0, orjson.dumps([batch.context.get("consent"), dict(arrival.consent_cookies)])),
        name="consent",
        time_ms=arrival.received_at_ms,
        received_at_ms=arrival.received_at_ms,
        source=arrival.source,
        browser=arrival.browser,
        properties={REFUSED: len(batch.events)},
        traits={},
        context=batch.context | _ours(arrival),
    )


def shared_context(raw: JSON, limit_bytes: int) -> tuple[Tree, int]:
    """Give the context that holds for every event of a request, and its size in bytes.

    Raises:
        RequestRefused: 400 with `bad_context`, or a limit's code.
    """
    if raw is None:
        return {}, 2
    if not isinstance(raw, dict):
        raise RequestRefused(400, BAD_CONTEXT, "context is an object")
    try:
        context, encoded = clean(raw)
    except InvalidEvent as why:
        raise RequestRefused(400, why.code, "context is over the limits of an event") from why
    if len(encoded) > limit_bytes:
        raise RequestRefused(400, TOO_LARGE, f"a batch's context may have {limit_bytes} bytes")
    return context, len(encoded)


def _without_ours(context: Tree) -> Tree:
    if OUR_KEYS.isdisjoint(context):
        return context
    return {key: value for key, value in context.items() if key not in OUR_KEYS}


def _ours(arrival: Arrival) -> Tree:
    ours: Tree = {}
    if arrival.ip is not None:
        ours["ip"] = arrival.ip
    if arrival.user_agent is not None:
        ours["user_agent"] = _header_text(arrival.user_agent)
    if arrival.has_gpc:
        ours["gpc"] = True
    if arrival.consent_cookies:
        ours["consent_cookies"] = dict(arrival.consent_cookies)
    if arrival.vendor_ids:
        ours["vendor_ids"] = dict(arrival.vendor_ids)
    return ours


def _header_text(text: str) -> str:
    """Cut a header to a bounded string that JSON can hold; a server hands on foreign bytes as lone surrogates."""
    text = text[:MAX_USER_AGENT_CHARS]
    if text.isascii() and text.isprintable():
        return text
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    return strip_controls(text)


def _event(raw: JSON, index: int, batch: Batch, arrival: Arrival, shared: Tree, make: Callable[..., _Made]) -> _Made:
    if not isinstance(raw, dict):
        raise InvalidEvent(BAD_EVENT, "an event is an object")
    tree, encoded = (raw, None) if batch.proof is Proof.SMALL else _bounded(raw, batch)
    name = event_name(tree.get("name"))
    time_ms, is_moved = event_time(tree.get("time"), batch.sent_at_ms, arrival.received_at_ms)
    own = object_in(tree, "context", BAD_CONTEXT)
    return make(
        _id(tree, index, batch, arrival, encoded),
        name,
        time_ms,
        arrival.received_at_ms,
        arrival.source,
        arrival.browser,
        object_in(tree, "properties", BAD_PROPERTIES),
        object_in(tree, "traits", BAD_TRAITS),
        shared | _without_ours(own) if own else shared,
        is_moved,
    )


def _bounded(raw: Tree, batch: Batch) -> tuple[Tree, bytes]:
    tree, encoded = clean_plain(raw) if batch.proof is Proof.PLAIN else clean(raw)
    if len(encoded) + batch.context_bytes > MAX_BYTES:
        raise InvalidEvent(TOO_LARGE, f"an event and its batch's context may have {MAX_BYTES} bytes together")
    return tree, encoded


def event_name(raw: JSON) -> str:
    """Give an event's name.

    Raises:
        InvalidEvent: `bad_name`.
    """
    if not isinstance(raw, str) or not _NAME.fullmatch(raw):
        raise InvalidEvent(BAD_NAME, "name is 1 to 64 of: letters, digits, _ . - and space, a letter first")
    return raw


def object_in(tree: Tree, key: str, code: str) -> Tree:
    """Give an object of an event, empty where the key is absent or null.

    Raises:
        InvalidEvent: with the code handed in.
    """
    value = tree.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidEvent(code, f"{key} is an object")
    return value


def _id(tree: Tree, index: int, batch: Batch, arrival: Arrival, encoded: bytes | None) -> str:
    raw = tree.get("id")
    if raw is None:
        return _derived_id(batch, arrival, index, encoded or orjson.dumps(tree))
    if not isinstance(raw, str) or not _ID.fullmatch(raw):
        raise InvalidEvent(BAD_ID, "id is 1 to 64 of: letters, digits, _ and -")
    return raw


def _derived_id(batch: Batch, arrival: Arrival, index: int, content: bytes) -> str:
    """Give the id of an event that has none: the same body from the same browser gives the same id again."""
    place = f"{arrival.browser} {batch.sent_at_ms} {index} ".encode()
    return blake2b(place + orjson.dumps(batch.context) + content, digest_size=16).hexdigest()


def event_time(raw: JSON, sent_at_ms: int | None, received_at_ms: int) -> tuple[int, bool]:
    """Give the event's time by our clock, and whether that moved it.

    Raises:
        InvalidEvent: `bad_time`.
    """
    if raw is None:
        return received_at_ms, False
    said_ms = find_ms(raw)
    if said_ms is None:
        raise InvalidEvent(BAD_TIME, "time is ISO 8601, such as 2026-11-21T18:00:00.120Z")
    skew_ms = 0 if sent_at_ms is None else received_at_ms - sent_at_ms
    time_ms = said_ms + skew_ms if abs(skew_ms) > SKEW_MS else said_ms
    time_ms = min(max(time_ms, received_at_ms - MAX_PAST_MS), received_at_ms + MAX_FUTURE_MS)
    return time_ms, time_ms != said_ms


def find_ms(raw: JSON) -> int | None:
    """Read an ISO 8601 moment; one without a zone is UTC."""
    if not isinstance(raw, str) or len(raw) > _MAX_TIME_CHARS:
        return None
    try:
        moment = datetime.fromisoformat(raw)
    except ValueError:
        return None
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // _MS
