"""What is said: a line for people, the same in fields for machines, and a signature for who checks them.

Source: Standard Webhooks specification 1.0.0 (headers webhook-id, webhook-timestamp, webhook-signature; signature v1;
payload {"type", "timestamp", "data"}). Chat services take the field `text` and pass the others by.
"""

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime

from edge.alerting.judging import Key, Kind, Reading
from edge.secret import Secret

MIN_KEY_BYTES, MAX_KEY_BYTES = 24, 64

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
# What stands, what holds again, and where to look.
_WORDS = {
    Kind.PAUSED: (
        "pipeline {about} is paused: its credentials are refused, everything is kept",
        "pipeline {about} goes on: its credentials are taken",
        "edge queue",
    ),
    Kind.PIPELINE_FILE: (
        "pipeline file {about} has {value} problem(s); what ran before goes on",
        "pipeline file {about} has no problem any more",
        "edge check",
    ),
    Kind.DEAD_LETTERS: (
        "pipeline {about} had {value} dead letters within an hour",
        "pipeline {about} has few dead letters or none again",
        "edge dead list",
    ),
    Kind.QUEUE_AGE: (
        "pipeline {about} has events that wait for {value}",
        "pipeline {about} has caught up",
        "edge queue",
    ),
    Kind.RESOLVER_LAG: (
        "deciding is {value} behind; delivery waits for it",
        "deciding has caught up",
        "edge queue",
    ),
    Kind.SPOOL: (
        "the spool is {value} full; at 100 % events are refused",
        "the spool has room again",
        "edge queue",
    ),
    Kind.DISK: (
        "the data directory's disk has {value} left",
        "the data directory's disk has room again",
        "df",
    ),
    Kind.NO_EVENTS: ("no event was accepted for {value}", "events arrive again", "edge tail"),
    Kind.NOT_READY: ("{about} has not been ready for {value}", "{about} is ready again", "the log"),
    Kind.RESTARTS: (
        "{about} ended {value} times within ten minutes and is started again and again",
        "{about} keeps running",
        "the log",
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
        "limit", "unit", "reminder"}}; about, value, limit and unit are null where there is none.
    """
    since, reading, kind = _moment(message.since_ms), message.reading, message.key.kind
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
        "reminder": message.reminder,
    }
    said = {"type": f"alert.{state}", "timestamp": since, "text": _escaped(text_of(message, site)), "data": data}
    return json.dumps(said, ensure_ascii=False).encode("utf-8", "replace")


def text_of(message: Message, site: str) -> str:
    """Give the line for people: "shop: pipeline klaviyo is paused: … (see `edge queue`)"."""
    raised, cleared, place = _WORDS[message.key.kind]
    words = raised if message.is_raised else cleared
    said = words.format(about=message.key.about, value=shown(message.reading.value, UNITS.get(message.key.kind)))
    if not message.is_raised:
        return f"{site}: over: {said}"
    again = f"still, since {_moment(message.since_ms)}: " if message.reminder else ""
    return f"{site}: {again}{said} (see `{place}`)"


def headers_of(message: Message, body: bytes, now_ms: int, secret: Secret | None) -> dict[str, str]:
    """Give the headers that name the message and, with a secret, sign it for this moment."""
    at_s = now_ms // 1_000
    headers = {"Content-Type": "application/json", "webhook-id": message.id, "webhook-timestamp": str(at_s)}
    if secret is not None:
        headers["webhook-signature"] = signature_of(message.id, at_s, body, secret)
    return headers


def signature_of(name: str, at_s: int, body: bytes, secret: Secret) -> str:
    """Sign a message's name, its moment in seconds and its body."""
    signed = f"{name}.{at_s}.".encode() + body
    digest = hmac.digest(key_of_secret(secret.reveal()), signed, hashlib.sha256)
    return "v1," + base64.b64encode(digest).decode()


def key_of_secret(text: str) -> bytes:
    """Give the bytes that sign, base64 behind whsec_; raises ValueError saying what is accepted."""
    accepted = f"accepted is whsec_ and {MIN_KEY_BYTES} to {MAX_KEY_BYTES} bytes as base64"
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(accepted) from None
    if not text.startswith("whsec_") or not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
        raise ValueError(accepted)
    return key


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


def _moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
