"""Following the queue: accepted events in their order, and what becomes of each, as it becomes known."""

from dataclasses import dataclass, field
from typing import TypeAlias

from edge.cli.idle import QUIET
from edge.cli.stores import Stores, event_of
from edge.delivery import OPEN_FATES, Fate
from edge.event import ALIASES, Event
from edge.ledger.looking import VisitorView
from edge.ledger.records import JournalFate
from edge.ledger.standing import JournalEntry, PipelineFate
from edge.spool import Row

PAGE_EVENTS = 500
# So many of the newest unfinished events are watched; what is held may stay so for days.
MAX_WATCHED = 200


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events and deliveries are asked for; None asks for all.

    Of the `idle` pipelines only what is more than an event that goes nowhere.
    """

    event: str | None = None
    visitor: str | None = None
    pipeline: str | None = None
    fates: frozenset[Fate] = frozenset()
    idle: frozenset[str] = frozenset()

    def has_fate(self, fate: Fate | None) -> bool:
        """Tell whether a delivery of this fate is asked for."""
        return not self.fates or fate in self.fates

    def has(self, fate: PipelineFate) -> bool:
        """Tell whether a delivery is of a pipeline that is asked for, and no mere passing through a disabled one."""
        return self.pipeline in (None, fate.pipeline) and not (fate.pipeline in self.idle and fate.fate in QUIET)


@dataclass(frozen=True, slots=True)
class Accepted:
    """An accepted event with what the resolver decided; `event` None: its bytes are damaged."""

    seq: int
    entry: JournalEntry
    event: Event | None
    visitor: VisitorView | None


@dataclass(frozen=True, slots=True)
class Became:
    """What changed for an event in some pipelines."""

    accepted: Accepted
    fates: tuple[PipelineFate, ...]


Item: TypeAlias = Accepted | Became


@dataclass(slots=True)
class _Watched:
    """An event that is not finished; `is_shown` False: its line waits for a delivery of a fate that is asked for."""

    accepted: Accepted
    is_shown: bool = True
    known: dict[str, PipelineFate] = field(default_factory=dict)


class Follower:
    """Give the next items at each poll, from a sequence number on; remembers its place and what is open, no more.

    `is_at_head`: the last poll found no further event.
    """

    def __init__(self, after: int, wanted: Wanted) -> None:
        self._after, self._wanted = after, wanted
        self._watched: dict[int, _Watched] = {}
        self._places: object = None
        self.is_at_head = False

    async def poll(self, stores: Stores) -> list[Item]:
        """Give what is new since the last poll; at most a page of events."""
        resolved = await stores.ledger.resolved_to()
        if resolved < self._after:  # another ledger lies there, which began anew
            self._after, self._places = 0, None
            self._watched.clear()
        items = await self._changes(stores)
        rows = [row for row in await stores.spool.read(self._after, PAGE_EVENTS) if row.seq <= resolved]
        self.is_at_head = not rows
        entries = {entry.seq: entry for entry in await stores.ledger.by_seqs([row.seq for row in rows])}
        for row in rows:
            self._after = row.seq
            if row.seq in entries:
                items += await self._arrived(stores, row, entries[row.seq])
        return items

    async def unresolved(self, stores: Stores) -> int:
        """Give how many accepted events the resolver has not come to."""
        return max(0, await stores.spool.last_seq() - await stores.ledger.resolved_to())

    async def _arrived(self, stores: Stores, row: Row, entry: JournalEntry) -> list[Item]:
        event = event_of(row)
        number, at_ms = entry.visitor, entry.received_at_ms
        visitor = await stores.ledger.visitor(number, at_ms) if number is not None else None
        if not _is_wanted(self._wanted, event, visitor):
            return []
        accepted = Accepted(row.seq, entry, event, visitor)
        is_shown = not self._wanted.fates
        if entry.fate is not JournalFate.OPEN:
            return [accepted] if is_shown else []
        self._watched[row.seq] = watched = _Watched(accepted, is_shown)
        while len(self._watched) > MAX_WATCHED:
            del self._watched[next(iter(self._watched))]
        news = await self._news_of(stores, watched)
        return [accepted, *news] if is_shown else news

    async def _changes(self, stores: Stores) -> list[Item]:
        """Ask again for what is open: all of it when a pipeline moved, else only what is being retried."""
        places = [(depth.name, depth.cursor, depth.events) for depth in await stores.ledger.depths()]
        has_moved, self._places = places != self._places, places
        asked = [one for one in self._watched.values() if has_moved or _is_waiting(one)]
        return [item for one in asked for item in await self._news_of(stores, one)]

    async def _news_of(self, stores: Stores, watched: _Watched) -> list[Item]:
        fates = await stores.ledger.fates(watched.accepted.entry)
        asked = [fate for fate in fates if self._wanted.has(fate)]
        news = tuple(
            fate
            for fate in asked
            if fate.fate is not None
            and self._wanted.has_fate(fate.fate)
            and _is_news(watched.known.get(fate.pipeline), fate)
        )
        watched.known = {fate.pipeline: fate for fate in asked}
        if all(_is_over(fate) for fate in asked):
            self._watched.pop(watched.accepted.seq, None)
        if not news:
            return []
        head: list[Item] = [] if watched.is_shown else [watched.accepted]
        watched.is_shown = True
        return [*head, Became(watched.accepted, news)]


def _is_wanted(wanted: Wanted, event: Event | None, visitor: VisitorView | None) -> bool:
    if wanted.event is not None:
        asked = ALIASES.get(wanted.event, wanted.event)
        if event is None or event.canonical_name != asked:
            return False
    if wanted.visitor is None:
        return True
    asked, browser = wanted.visitor.lower(), event.browser if event is not None else ""
    known = [value.lower() for _, value in visitor.identifiers.items()] if visitor is not None else []
    return browser.startswith(asked) or asked in known


def _is_waiting(watched: _Watched) -> bool:
    return any(fate.fate is Fate.WAITING for fate in watched.known.values())


def _is_news(before: PipelineFate | None, now: PipelineFate) -> bool:
    return before is None or (before.fate, before.attempts, before.reason) != (now.fate, now.attempts, now.reason)


def _is_over(fate: PipelineFate) -> bool:
    """Tell whether nothing more becomes of an event in a pipeline; a reason without a fate: it never comes to it."""
    return fate.fate not in OPEN_FATES and (fate.fate is not None or bool(fate.reason))
