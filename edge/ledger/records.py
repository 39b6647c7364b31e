"""The rows that resolver and drainer exchange with the ledger."""

from dataclasses import dataclass, field
from enum import IntEnum

from edge.consent import Purpose, Standing
from edge.delivery import DeadLetter, Fate
from edge.person import Identifiers, Kind


class JournalFate(IntEnum):
    """What the resolver says of an event before any pipeline sees it."""

    OPEN = 0
    DUPLICATE = 1
    DAMAGED = 2


@dataclass(frozen=True, slots=True)
class VisitorState:
    """A visitor as the resolver carries it through a page."""

    id: int
    browser: str
    epoch: int
    person: int | None = None
    linked_seq: int | None = None
    answer: Standing | None = None
    purchased_seq: int | None = None


@dataclass(frozen=True, slots=True)
class JournalRow:
    """One event's decisions; `key` is the 128-bit hash of (source, event id)."""

    seq: int
    key: bytes
    visitor: int | None
    granted: Purpose
    basis: str
    fate: JournalFate
    received_at_ms: int


@dataclass(frozen=True, slots=True)
class IdentifierRow:
    """An identifier and the person it names."""

    kind: Kind
    value: str
    person: int
    level: int
    seq: int


@dataclass(frozen=True, slots=True)
class ConsentRow:
    """One change of a visitor's answer, as the consent log keeps it; `who` is a keyed hash.

    `granted` and `denied` are what holds from then on; `digest` is the SHA-256 of what `source` said, word for word.
    """

    at_ms: int
    who: bytes
    granted: Purpose
    denied: Purpose
    source: str
    version: str
    banner: str
    digest: bytes
    seq: int


@dataclass(slots=True)
class Known:
    """What the ledger knows of the browsers, identifiers and ids in one page."""

    keys: set[bytes]
    orders: set[bytes]
    visitors: dict[str, VisitorState]
    owners: dict[tuple[Kind, str], int]
    persons: dict[int, Identifiers]


@dataclass(slots=True)
class Resolution:
    """Everything one page of events adds to the ledger, in one transaction.

    A link releases held events that were accepted at `retroactive_from_ms` or later. `followed` says which visitor
    of the same browser came after which.
    """

    cursor: int
    now_ms: int
    retroactive_from_ms: int = 0
    journal: list[JournalRow] = field(default_factory=list)
    visitors: dict[int, VisitorState] = field(default_factory=dict)
    persons: list[int] = field(default_factory=list)
    identifiers: list[IdentifierRow] = field(default_factory=list)
    purchases: list[tuple[bytes, int]] = field(default_factory=list)
    linked: list[int] = field(default_factory=list)
    followed: dict[int, int] = field(default_factory=dict)
    consents: list[ConsentRow] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Revision:
    """One content of a pipeline's file; `file` is the file's name without its folder, `pipeline` the name inside."""

    pipeline: str
    integration: str
    file: str
    hash: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Entry:
    """A journal row as a pipeline meets it: with what is known of its visitor now.

    `granted` is what was decided, less what was withdrawn since. `is_behind`: earlier events of the
    visitor still wait in this pipeline.
    """

    seq: int
    visitor: int
    granted: Purpose
    fate: JournalFate
    received_at_ms: int
    identifiers: Identifiers
    is_behind: bool


@dataclass(frozen=True, slots=True)
class Page:
    """A span (cursor, last] of the journal; `deaths` counts processes that ended while they had it.

    `head`: identifiers learned after this sequence number are left out, so that a repeat has the same bytes.
    `rendered_by`: the content that rendered it before, None where nobody did.
    """

    cursor: int
    entries: tuple[Entry, ...]
    deaths: int
    head: int
    rendered_by: int | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """A pipeline's latest pause for refused credentials; `reason` while it lasts."""

    reason: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None

    def age_ms(self, since_ms: int, now_ms: int) -> int:
        """Give how old something is, the pause not counted."""
        if self.from_ms is None:
            return now_ms - since_ms
        stopped_ms = (self.to_ms or now_ms) - max(self.from_ms, since_ms)
        return now_ms - since_ms - max(0, stopped_ms)


@dataclass(frozen=True, slots=True)
class WaitingRow:
    """One event that waits; without `payload` it is rendered from the spool when taken."""

    visitor: int
    seq: int
    since_ms: int
    attempts: int
    deaths: int
    time_ms: int
    payload: bytes | None
    reason: str
    granted: Purpose = Purpose.NONE
    identifiers: Identifiers = field(default_factory=Identifiers)
    purchased_seq: int | None = None


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of one event in one pipeline."""

    seq: int
    visitor: int
    fate: Fate
    attempts: int = 0
    due_at_ms: int | None = None
    payload: bytes | None = None
    time_ms: int = 0
    since_ms: int = 0
    reason: str = ""
    letter: DeadLetter | None = None
    event_id: str = ""
    event_name: str = ""
