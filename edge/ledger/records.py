"""The rows that resolver and drainer exchange with the ledger."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple, TypeAlias

from edge.consent import Decision, Purpose, Standing
from edge.consent_platforms import Heard
from edge.delivery import DeadLetter, Fate
from edge.identity import Graph
from edge.ledger.receipts import Receipt
from edge.person import Alias, Fact, Identifiers, KeptKind, Kind, VendorId


class JournalFate(IntEnum):
    """What the resolver says of an event before any pipeline sees it."""

    OPEN = 0
    DUPLICATE = 1
    DAMAGED = 2
    ERASED = 3


class VisitorState(NamedTuple):
    """A visitor as the resolver carries it through a page; `sessions` are the latest ones' hashes, 8 bytes each.

    `vendor_ids` are the newest of each kind.
    A tuple, as a new session makes another one.
    """

    id: int
    browser: str
    epoch: int
    person: int | None = None
    linked_seq: int | None = None
    answer: Standing | None = None
    purchased_seq: int | None = None
    sessions: bytes = b""
    vendor_ids: tuple[VendorId, ...] = ()

    def vendor_id(self, kind: KeptKind) -> VendorId | None:
        """Give the id of a kind, also one that is too old to be given on."""
        for one in self.vendor_ids:
            if one.kind == kind:
                return one
        return None


class JournalRow(NamedTuple):
    """One event's decisions; `key` is the 96-bit hash of (source, event id), `waits` is left to an answer.

    A tuple, as one is made an event.
    """

    seq: int
    key: bytes
    visitor: int | None
    granted: Purpose
    basis: str
    fate: JournalFate
    received_at_ms: int
    waits: Purpose = Purpose.NONE
    is_server: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """A fact that no longer holds from an event on."""

    fact: Fact
    seq: int


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """A browser's claim that became a link; `day` counts from 1970, UTC."""

    browser: str
    kind: Kind
    day: int
    value: str


class Claims:
    """A day's links, by browser and by value."""

    def __init__(self, rows: Iterable[ClaimRow] = ()) -> None:
        self._values: dict[tuple[str, Kind, int], set[str]] = {}
        self._browsers: dict[tuple[Kind, str, int], set[str]] = {}
        for row in rows:
            self.add(row)

    def __contains__(self, row: ClaimRow) -> bool:
        return row.value in self._values.get((row.browser, row.kind, row.day), ())

    def add(self, row: ClaimRow) -> None:
        """Note a link."""
        self._values.setdefault((row.browser, row.kind, row.day), set()).add(row.value)
        self._browsers.setdefault((row.kind, row.value, row.day), set()).add(row.browser)

    def values(self, row: ClaimRow) -> int:
        """Count what a row's browser has claimed of its kind that day."""
        return len(self._values.get((row.browser, row.kind, row.day), ()))

    def browsers(self, row: ClaimRow) -> int:
        """Count who has claimed a row's value that day."""
        return len(self._browsers.get((row.kind, row.value, row.day), ()))


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A claim over a limit, which became no link; `reason` is the limit's name."""

    seq: int
    visitor: int
    kind: Kind
    value: str
    reason: str


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


# What was heard, what held for the visitor, and what was decided of both without any news.
Decided: TypeAlias = tuple[Heard, Standing | None, Decision]


@dataclass(slots=True)
class Known:
    """What the ledger knows of the browsers, identifiers and ids in one page.

    `visitors` are the newest epochs, `earlier` those before them, the latest first. `claims` are the days' links of
    these browsers and of these values. `answers` are the linked visitors that ever answered about consent, by person
    and number, where they were asked for; those that a page changes are among them. So it is with `lenders`, the newest
    visitors of these persons. `spoken` is what persons that are not in the graph are known by: their browsers say
    nothing new. `decided` is the latest decision by visitor, to be made again of the same evidence. `buried` are the
    tombstones that the page's late events may meet, by hash, with the moment of the erasure; `erased_keys` events that
    were erased.
    """

    keys: set[bytes]
    orders: set[bytes]
    visitors: dict[str, VisitorState]
    graph: Graph = field(default_factory=Graph)
    earlier: dict[str, list[VisitorState]] = field(default_factory=dict)
    claims: Claims = field(default_factory=Claims)
    answers: dict[int, dict[int, VisitorState]] = field(default_factory=dict)
    lenders: dict[int, dict[int, VisitorState]] = field(default_factory=dict)
    spoken: dict[int, Identifiers] = field(default_factory=dict)
    decided: dict[int, Decided] = field(default_factory=dict)
    buried: dict[bytes, int] = field(default_factory=dict)
    erased_keys: set[bytes] = field(default_factory=set)


@dataclass(slots=True)
class Resolution:
    """Everything one page of events adds to the ledger, in one transaction.

    A link releases held events that were accepted at `retroactive_from_ms` or later; so does a mail's click, in
    pipelines that are content with its token, and an answer about consent (`answered` are those visitors). `persons`
    are new ones with the browsers that they began with, `facts` in the order in which they began or ended,
    `vendor_ids` visitors and what is news of vendors' ids. `left_out` counts identifiers that events named and that
    are not their visitors', `refused` merges not made. `followed` says which visitor of the same browser came after
    which. `erased` are events whose bodies the spool has to lose.
    """

    cursor: int
    now_ms: int
    retroactive_from_ms: int = 0
    journal: list[JournalRow] = field(default_factory=list)
    visitors: dict[int, VisitorState] = field(default_factory=dict)
    persons: list[tuple[int, str]] = field(default_factory=list)
    facts: list[Fact | Ended] = field(default_factory=list)
    firmed: list[Fact] = field(default_factory=list)
    aliases: list[Alias] = field(default_factory=list)
    vendor_ids: list[tuple[int, VendorId]] = field(default_factory=list)
    claims: list[ClaimRow] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    left_out: Counter[Kind] = field(default_factory=Counter)
    refused: int = 0
    purchases: list[tuple[bytes, int]] = field(default_factory=list)
    linked: list[int] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)
    followed: dict[int, int] = field(default_factory=dict)
    consents: list[ConsentRow] = field(default_factory=list)
    erased: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a pipeline's content says about whose events go out.

    `is_known_by_click`: a click token is enough to say who it was. An event is fresh for `fresh_for_s`.
    """

    is_known_by_click: bool = False
    anonymous: str = "hold"
    purposes: Purpose = Purpose.NONE
    is_enabled: bool = True
    fresh_for_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Revision:
    """One content of a pipeline's file; `file` is the file's name without its folder, `pipeline` the name inside.

    `terms` are what holding and releasing go by.
    """

    pipeline: str
    integration: str
    file: str
    hash: str
    text: str = field(repr=False)
    terms: "Terms" = field(default_factory=lambda: Terms(), compare=False)


class Entry(NamedTuple):
    """A journal row as a pipeline meets it: with what is known of its visitor now.

    `granted` is what was decided and answered since, less what was withdrawn; `waits` nobody has answered. `persons`:
    whose denials of `asks` stop a server's event. `is_behind`: earlier events of the visitor still wait in this
    pipeline; `is_held`: some are held.
    A tuple, as one is made an event and pipeline.
    """

    seq: int
    visitor: int
    granted: Purpose
    waits: Purpose
    fate: JournalFate
    received_at_ms: int
    identifiers: Identifiers
    persons: tuple[int, ...]
    asks: Purpose
    is_behind: bool
    is_held: bool
    may_join: bool


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
class Pauses:
    """When credentials were refused: now, since `from_ms` for a `reason`; and `before`, (from, to), oldest first."""

    reason: str | None = None
    from_ms: int | None = None
    before: tuple[tuple[int, int], ...] = ()

    def age_ms(self, since_ms: int, now_ms: int) -> int:
        """Give how old something is, the pauses not counted."""
        age_ms = now_ms - since_ms
        if self.from_ms is not None:
            age_ms -= max(0, now_ms - max(self.from_ms, since_ms))
        for from_ms, to_ms in reversed(self.before):
            if to_ms <= since_ms:
                break
            age_ms -= max(0, to_ms - max(from_ms, since_ms))
        return age_ms


class WaitingRow(NamedTuple):
    """One event that waits; without `payload` it is rendered from the spool when taken.

    `granted` is now, `told` when the payload was rendered. `is_alone`: it was sent before and its outcome is unknown,
    so it shares no request with others.
    A tuple, as of a backlog one is made an event.
    """

    visitor: int
    seq: int
    since_ms: int
    attempts: int
    deaths: int
    time_ms: int
    payload: bytes | None
    reason: str
    granted: Purpose
    identifiers: Identifiers
    purchased_seq: int | None
    persons: tuple[int, ...]
    asks: Purpose
    is_live: bool
    told: Purpose
    is_alone: bool


class Settlement(NamedTuple):
    """What became of one event in one pipeline. `waits` are unanswered purposes that it is held for.

    `is_stranger`: it went out, or will, under an id of its visitor's, who is nobody. `told` was granted when its
    payload was rendered. Under `receipt` the vendor will say what it made of it.
    A tuple, as one is made an event and pipeline.
    """

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
    waits: Purpose = Purpose.NONE
    is_live: bool = True
    is_stranger: bool = False
    told: Purpose = Purpose.NONE
    is_alone: bool = False
    receipt: Receipt | None = None
