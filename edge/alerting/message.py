"""What is said: a line for people, the same in fields for machines, and headers that sign it.

Source: Standard Webhooks specification 1.0.0 (payload {"type", "timestamp", "data"}). Chat services take the field
`text` and pass the others by.
"""

import hashlib
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from edge.alerting.judging import Key, Kind, Reading
from edge.moments import iso_millisecond
from edge.secret import Secret
from edge.webhook_signature import headers_of as signed

UNITS = {
    Kind.PIPELINE_FILE: "problems",
    Kind.DEAD_LETTERS: "events",
    Kind.QUEUE_AGE: "s",
    Kind.RESOLVER_LAG: "s",
    Kind.SPOOL: "percent",
    Kind.DISK: "bytes",
    Kind.NO_EVENTS: "s",
    Kind.NOT_READY: "s",
    Kind.RESTARTS: "restarts",
}


class _Words(NamedTuple):
    """What stands, what holds again, and which verb to run next; {about} is what it is about."""

    raised: str
    cleared: str
    run: str


_WORDS = {
    Kind.PAUSED: _Words(
        "pipeline {about} is paused: its credentials are refused, everything is kept; mend them, then restart",
        "pipeline {about} goes on: its credentials are taken",
        "edge queue",
    ),
    Kind.PIPELINE_FILE: _Words(
        "pipeline file {about} has {value} problem(s); what ran before goes on",
        "pipeline file {about} has no problem any more",
        "edge check",
    ),
    Kind.DEAD_LETTERS: _Words(
        "pipeline {about} had {value} dead letters within an hour",
        "pipeline {about} has few dead letters or none again",
        "edge dead list --pipeline {about}",
    ),
    Kind.QUEUE_AGE: _Words(
        "pipeline {about} has events that wait for {value}",
        "pipeline {about} has caught up",
        "edge queue",
    ),
    Kind.RESOLVER_LAG: _Words(
        "deciding is {value} behind; delivery waits for it",
        "deciding has caught up",
        "edge queue",
    ),
    Kind.SPOOL: _Words(
        "the spool is {value} full; at 100 % events are refused",
        "the spool has room again",
        "edge queue",
    ),
    Kind.DISK: _Words(
        "the data directory's disk has {value} left; events are refused before it is full",
        "the data directory's disk has room again",
        "edge queue",
    ),
    Kind.NO_EVENTS: _Words(
        "no event was accepted for {value}: do the pages have the script, does nginx pass it on?",
        "events arrive again",
        "edge snippet",
    ),
    Kind.NOT_READY: _Words(
        "{about} has not been ready for {value}; /readyz and the log say why",
        "{about} is ready again",
        "edge check",
    ),
    Kind.RESTARTS: _Words(
        "{about} ended {value} times within ten minutes and is started again and again; the log says why",
        "{about} keeps running",
        "edge check",
    ),
}


@dataclass(frozen=True, slots=True)
class Message:
    """One thing to tell: an alert was raised, still stands (`reminder` counts from 1), or was cleared."""

    key: Key
    is_raised: bool
    since_ms: int
    reading: Reading
    reminder: int = 0

    @property
    def id(self) -> str:
        """The same for every try, so that a receiver knows a repeat."""
        told = [self.key.kind, self.key.about, self.is_raised, self.since_ms, self.reminder]
        return "alert_" + hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]


def body_of(message: Message, site: str) -> bytes:
    """Give the body as JSON; nothing in it comes from a visitor or a vendor.

    Returns:
        {"type": "alert.raised", "timestamp", "text", "data": {"alert", "state", "site", "about", "since", "value",
        "limit", "unit", "run", "reminder"}}; about, value, limit, unit and run are null where there is none.
    """
    since, reading, kind = iso_millisecond(message.since_ms), message.reading, message.key.kind
    state = "raised" if message.is_raised else "cleared"
    data = {
        "alert": kind,
        "state": state,
        "site": site,
        "about": message.key.about or None,
        "since": since,
        "value": _rounded(reading.value),
        "limit": _rounded(reading.limit),
        "unit": UNITS.get(kind),
        "run": verb_of(message.key) if message.is_raised else None,
        "reminder": message.reminder,
    }
    said = {"type": f"alert.{state}", "timestamp": since, "text": _escaped(text_of(message, site)), "data": data}
    return json.dumps(said, ensure_ascii=False).encode("utf-8", "replace")


def text_of(message: Message, site: str) -> str:
    """Give the line for people: "shop: pipeline klaviyo is paused: … (run `edge queue`)"."""
    key = message.key
    words = _WORDS[key.kind].raised if message.is_raised else _WORDS[key.kind].cleared
    said = words.format(about=key.about, value=shown(message.reading.value, UNITS.get(key.kind)))
    if not message.is_raised:
        return f"{site}: over: {said}"
    again = f"still, since {iso_millisecond(message.since_ms)}: " if message.reminder else ""
    return f"{site}: {again}{said} (run `{verb_of(key)}`)"


def verb_of(key: Key) -> str:
    """Give the command that shows more, as it is typed on the sidecar's machine."""
    return _WORDS[key.kind].run.format(about=shlex.quote(key.about))


def headers_of(message: Message, body: bytes, now_ms: int, secrets: Sequence[Secret]) -> dict[str, str]:
    """Give the headers that name the message and, with secrets, sign it for this moment."""
    return {"Content-Type": "application/json", **signed(message.id, now_ms // 1_000, body, secrets)}


def shown(value: float | None, unit: str | None) -> str:
    """Give a figure as people say it: 5400 s -> "1.5 h", 2e9 bytes -> "2.0 GB"."""
    if value is None:
        return ""
    match unit:
        case "s" if value >= 5_400:
            return f"{value / 3_600:.1f} h"
        case "s" if value >= 90:
            return f"{value / 60:.0f} min"
        case "s":
            return f"{value:.0f} s"
        case "bytes":
            return f"{value / 10**9:.1f} GB" if value >= 10**9 else f"{value / 10**6:.0f} MB"
        case "percent":
            return f"{value:.0f} %"
        case _:
            return f"{value:.0f}"


def _escaped(text: str) -> str:
    """Take from a text what chat services would read as a link or as everybody's name."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _rounded(value: float | None) -> float | int | None:
    return round(value, 1) if isinstance(value, float) else value
