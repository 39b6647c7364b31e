"""Delivery in words: what becomes of an event, what is said to a destination and what it answers."""

import re
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

from edge.consent import Purpose
from edge.person import Identifiers

Uniform: TypeAlias = Callable[[float, float], float]

BASE_S = 1.0
CAP_S = 900.0


class Fate(StrEnum):
    """Where (event, pipeline) stands. Open: waiting, held. The others are final. The set is closed."""

    WAITING = "waiting"
    HELD = "held"
    DELIVERED = "delivered"
    WITHHELD = "withheld"
    UNMAPPED = "unmapped"
    SKIPPED = "skipped"
    EXPIRED = "expired"
    DEAD = "dead"
    ERASED = "erased"
    DAMAGED = "damaged"


OPEN_FATES = frozenset({Fate.WAITING, Fate.HELD})


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request of a conversation. All but the method may hold secrets: never log or store it unmasked.

    `stand_in` is there where the request only fetches a token: an answer that leads on to the event's own request
    without anything being sent, for those who want to look at that. `budget` names which of the account's rates it is
    counted against, see `Rate.named`. `secret_headers` (lower-case) are those headers that only the destination knows
    for secrets. Where `is_private_allowed` is false, it is sent to a public address or not at all.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    budget: str = ""
    stand_in: "Response | None" = field(default=None, repr=False, compare=False)
    secret_headers: frozenset[str] = frozenset()
    is_private_allowed: bool = True


@dataclass(frozen=True, slots=True)
class Append(Request):
    """Lines to be put behind a file's others, on disk before the answer; it is shown and kept as any other request.

    Make it with `Append.to`.
    """

    @classmethod
    def to(cls, path: str, lines: bytes) -> "Append":
        """Append to the file with this path, relative to the data directory."""
        return cls("APPEND", f"file:{path}", {}, lines)

    @property
    def path(self) -> str:
        return self.url.removeprefix("file:")


@dataclass(frozen=True, slots=True)
class Response:
    """A complete answer; header names are lower-case, the body is cut at 1 MB."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Payload:
    """One event rendered for one destination. The bytes never change between attempts.

    `body` is the destination's own form; `is_backfill` is judged anew at each send.
    """

    body: bytes
    time_ms: int
    is_backfill: bool = False


@dataclass(frozen=True, slots=True)
class Delivered:
    """The destination took it.

    `receipt` is the vendor's name for the request where it says only later which of its events it counts; it tells of
    nobody, see `TellsLater` in `edge/destinations/base.py`.
    """

    status: int = 0
    receipt: str = ""


@dataclass(frozen=True, slots=True)
class Retry:
    """Not now: the destination failed or could not be reached; uses up an attempt."""

    reason: str


@dataclass(frozen=True, slots=True)
class Throttled:
    """Not now: the account is over its rate; uses up no attempt."""

    after_s: float


@dataclass(frozen=True, slots=True)
class Refused:
    """The credentials were refused: the pipeline pauses, nothing is lost."""

    reason: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """The destination will never take this payload.

    Of an answer to several payloads `response` holds only what is said of this one: it is kept in its dead letter.
    """

    reason: str
    response: Response | None = None


@dataclass(frozen=True, slots=True)
class Unclear:
    """An answer nobody understands: repeated once, then dead with the answer kept.

    `is_final`: never repeated, as it may have arrived and the vendor could not tell the repeat from another event.
    """

    reason: str
    response: Response | None = None
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class Skipped:
    """The file's own parameters say that this event is not sent; a rendering's word, no answer."""

    reason: str


Outcome: TypeAlias = Delivered | Retry | Throttled | Refused | Rejected | Unclear
Conversation: TypeAlias = Generator[Request, Response, Sequence[Outcome]]

OTHER_REASON = "other"


@dataclass(frozen=True, slots=True)
class Told:
    """What a vendor says later of the events of one request: how many it threw away, or only frowns upon, by reason.

    Reasons are the destination's own closed set, or `OTHER_REASON`.
    """

    refused: Mapping[str, int] = field(default_factory=dict)
    warned: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Undecided:
    """The vendor has not come to the request yet; ask again later."""


Inquiry: TypeAlias = Generator[Request, Response, Told | Undecided | Outcome]


@dataclass(frozen=True, slots=True)
class Rate:
    """What a vendor allows one account; `named` are the rates of calls that are counted by themselves."""

    burst_per_s: int
    steady_per_min: int
    named: Mapping[str, "Rate"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a pipeline's mappings gave for one event, before the destination's own form.

    `unique_id` is the de-duplication key where the mapping gives none. `event` is what the mappings read: {"id",
    "name", "time", "properties", "traits", "context", "consent"}, never to be changed; the identifiers in it are the
    visitor's own, as in `identifiers`, and of vendors' ids those that consent allows. What it may be used for is in
    `granted`. `anonymous_id` stands for the visitor, known or not: 32 hex digits that tell nobody the cookie.
    `stranger_id` is the same where the event is to go under it: of a stranger, and where one is introduced.
    `received_at_ms` is our clock's when the event was accepted. `own` is what the file says under the event keys that
    the destination declares: true or false, or what a mapping gave.
    """

    metric: str
    profile: dict[str, object]
    properties: dict[str, object]
    unique_id: str
    time_ms: int
    currency: str | None = None
    event: Mapping[str, Any] = field(default_factory=dict, repr=False)
    is_from_server: bool = False
    identifiers: Identifiers = field(default_factory=Identifiers)
    granted: Purpose = Purpose.NONE
    anonymous_id: str = ""
    stranger_id: str | None = None
    received_at_ms: int = 0
    own: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Why a delivery ended, with what was said and answered (credentials masked)."""

    reason: str
    request: str = ""
    response: str = ""
    payload: bytes = field(default=b"", repr=False)


def told_of(reason: str) -> str:
    """Give what logs and reports may tell of a reason: its status; the vendor's words stay in the ledger."""
    status = re.match(r"[0-9]{3}(?![0-9])", reason)
    return status[0] if status else "refused"


def backoff_s(attempt: int, uniform: Uniform) -> float:
    """Give a full-jitter wait before the next attempt: up to 1 s after the first, doubling, at most 15 min."""
    return uniform(0.0, min(CAP_S, BASE_S * 2.0 ** min(attempt - 1, 20)))
