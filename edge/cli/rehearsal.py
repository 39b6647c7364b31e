"""What a pipeline would make of an event, with nothing stored and nothing sent."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import orjson

from edge.consent import Purpose, names_of
from edge.delivery import Request
from edge.destinations.base import Talkative, first_request
from edge.drainer.letters import shown_request
from edge.errors import EdgeError
from edge.event import BROWSER_SOURCE, Event, decode, from_named, named
from edge.foreign_links import Hosts
from edge.person import Identifiers
from edge.pipeline import Dead, Pipeline, Planned, SkippedBy, Unmapped, plan
from edge.wire import Arrival, Rejected, parse_events, read_batch

BROWSER = "0" * 32
ADDRESS, USER_AGENT = "192.0.2.1", "Mozilla/5.0"  # for what the collector would see of the request
UNMAPPED = "the file says nothing of this event"
NEWEST_MS = 253_402_300_799_999  # 9999-12-31, the last that ISO 8601 writes
Word: TypeAlias = Literal["sent", "unmapped", "withheld", "held", "skipped", "expired", "dead"]


def _is_moment(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= NEWEST_MS


# What stands in an envelope: its keys, how a right value is told, and what it is called.
ENVELOPE: tuple[tuple[tuple[str, ...], Callable[[object], bool], str], ...] = (
    (("id", "name", "source", "browser"), lambda value: isinstance(value, str), "a text"),
    (("time", "received_at"), _is_moment, "a moment; accepted are milliseconds since 1970"),
    (("properties", "traits", "context"), lambda value: isinstance(value, dict), "an object"),
)


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """One event in one pipeline. `notes` say what a real delivery may decide otherwise.

    `further` are the requests that follow the first one where an event takes several.
    """

    pipeline: Pipeline
    event: Event
    word: Word
    reason: str = ""
    request: Request | None = None
    metric: str = ""
    lane: str = ""
    notes: tuple[str, ...] = ()
    further: tuple[Request, ...] = ()

    @property
    def requests(self) -> tuple[Request, ...]:
        """Everything that would be sent, in order."""
        return () if self.request is None else (self.request, *self.further)


def shown_headers(request: Request) -> dict[str, str]:
    """Give a request's headers with credentials masked."""
    headers: dict[str, str] = orjson.loads(shown_request(replace(request, body=b"")))["headers"]
    return headers


def shown_url(request: Request) -> str:
    """Give a request's URL with credentials masked."""
    url: str = orjson.loads(shown_request(replace(request, body=b"")))["url"]
    return url


def read_events(text: bytes, now_ms: int) -> tuple[list[Event], list[Rejected]]:
    """Read an event in the form of a browser batch, a whole batch, or an envelope, as it is stored or with names.

    Raises:
        EdgeError: the text is none of them; the message says what is wrong.
    """
    try:
        tree: Any = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise EdgeError(f"it is not JSON: {error.args[0].partition(':')[0]}") from error
    if isinstance(tree, dict) and "received_at" in tree:
        return [_stored(tree)], []
    if isinstance(tree, list) and tree and isinstance(tree[0], str):
        return [_stored(_unlisted(text))], []
    batch = (
        tree if isinstance(tree, dict) and "events" in tree else {"events": tree if isinstance(tree, list) else [tree]}
    )
    arrival = Arrival(now_ms, BROWSER_SOURCE, BROWSER, ADDRESS, USER_AGENT, has_gpc=False)
    return parse_events(read_batch(orjson.dumps(batch)), arrival)


def _unlisted(text: bytes) -> dict[str, Any]:
    """Read an envelope as the spool holds it, a list."""
    try:
        return named(decode(text))
    except ValueError as error:
        raise EdgeError("it looks like a stored envelope and is none") from error


def _stored(tree: dict[str, Any]) -> Event:
    """Read an envelope that may have been written by hand."""
    try:
        event = from_named(tree)
    except ValueError as error:
        raise EdgeError(f"it looks like a stored envelope and is {error}") from error
    for keys, is_right, told in ENVELOPE:
        wrong = next((key for key in keys if not is_right(tree[key])), None)
        if wrong is not None:
            raise EdgeError(f"it looks like a stored envelope, and its key {wrong} is not {told}")
    return event


def rehearse(
    pipeline: Pipeline,
    event: Event,
    identifiers: Identifiers,
    *,
    granted: Purpose,
    waits: Purpose = Purpose.NONE,
    now_ms: int,
    hosts: Hosts | None = None,
) -> Rehearsal:
    """Say what becomes of an event, in the order in which a delivery asks: mapping, consent, visitor, age, words.

    Args:
        identifiers: what the visitor is known by.
        granted: what was decided, less what was withdrawn since; `waits` nobody has answered yet.
        hosts: the shop's own, to which links in a browser's words may lead.
        now_ms: when the delivery would be; it decides about `max_age` and the backfill mark.
    """
    if pipeline.event_plan(event.canonical_name) is None:
        return Rehearsal(pipeline, event, "unmapped", UNMAPPED)
    fresh = Rehearsal(pipeline, event, "sent")
    if missing := names_of(pipeline.purposes & ~granted & ~waits):
        return replace(fresh, word="withheld", reason=f"consent does not grant {', '.join(missing)}")
    is_stranger = not pipeline.is_deliverable(identifiers)
    if pipeline.is_enabled and (is_stranger or pipeline.purposes & ~granted):
        return _kept_back(fresh, names_of(pipeline.purposes & ~granted), is_stranger=is_stranger)
    if pipeline.is_refused_at(event.time_ms, now_ms):
        return replace(fresh, word="expired", reason=pipeline.age_limit)
    if now_ms - event.received_at_ms > pipeline.max_age_s * 1_000:
        return replace(fresh, word="expired", reason="it was accepted longer ago than max_age")
    return _planned(fresh, identifiers, granted, now_ms, hosts)


def _kept_back(fresh: Rehearsal, unanswered: list[str], *, is_stranger: bool) -> Rehearsal:
    if is_stranger and fresh.pipeline.anonymous == "drop":
        return replace(fresh, word="skipped", reason="nobody knows the visitor, and the file says anonymous: drop")
    reasons = ["nobody knows the visitor"] if is_stranger else []
    reasons += [f"nobody has answered about {', '.join(unanswered)} yet"] if unanswered else []
    return replace(fresh, word="held", reason=", and ".join(reasons))


def _planned(
    fresh: Rehearsal, identifiers: Identifiers, granted: Purpose, now_ms: int, hosts: Hosts | None
) -> Rehearsal:
    pipeline, event = fresh.pipeline, fresh.event
    match plan(pipeline, event, identifiers, granted, hosts):
        case Unmapped():
            return replace(fresh, word="unmapped", reason=UNMAPPED)
        case SkippedBy(reason=reason):
            return replace(fresh, word="skipped", reason=reason)
        case Dead(reason=reason):
            return replace(fresh, word="dead", reason=reason)
        case Planned(payload=payload, metric=metric, lane=lane, stripped=stripped):
            is_old = now_ms - event.time_ms > pipeline.fresh_for_s * 1_000
            destination, payload = pipeline.destination, replace(payload, is_backfill=is_old)
            request = first_request(destination, payload, now_ms)
            further = tuple(destination.further_requests(payload)) if isinstance(destination, Talkative) else ()
            notes: tuple[str, ...] = ("older than fresh_for, so it is marked as backfill",) if is_old else ()
            if stripped:
                notes += (f"left out, as it leads away from the shop or is markup: {', '.join(stripped)}",)
            return replace(fresh, request=request, metric=metric, lane=lane, notes=notes, further=further)
