"""Walking through stored events: page by page, briefly, each with what is known of it now."""

from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from edge.cli.stores import Stores, event_of
from edge.consent import Purpose
from edge.event import Event
from edge.ledger.decisions import DecisionView
from edge.ledger.records import JournalFate
from edge.person import Identifiers, VendorId
from edge.spool import Row
from edge.vendor_ids import known_at

Kept: TypeAlias = Mapping[int, tuple[VendorId, ...]]

PAGE_EVENTS = 500
MAX_REMEMBERED = 20_000
# How far moments may lie out of the order of the sequence numbers.
DISORDER_MS = 60_000


@dataclass(frozen=True, slots=True)
class Known:
    """A stored event with what its visitor is known by now, and what was granted, less what was withdrawn since.

    `waits` nobody has answered yet.
    """

    seq: int
    event: Event
    identifiers: Identifiers
    granted: Purpose
    waits: Purpose = Purpose.NONE


@dataclass(frozen=True, slots=True)
class Span:
    """The sequence numbers [first, last] that the resolver has passed, of events accepted at `since_ms` or later.

    `kept_from_ms` is when the oldest stored event was accepted, where the spool does not go back to `since_ms`.
    """

    first: int
    last: int
    since_ms: int
    unresolved: int = 0
    kept_from_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """The next events; `passed` of the span's numbers lie behind them now; `left_out` are others, by their reason."""

    passed: int
    events: tuple[Known, ...]
    left_out: Counter[str] = field(default_factory=Counter)


async def find_span(stores: Stores, since_ms: int) -> Span:
    """Find the events accepted since a moment without reading them."""
    resolved, last = await stores.ledger.resolved_to(), await stores.spool.last_seq()
    first = await stores.ledger.first_since(since_ms - DISORDER_MS)
    oldest = next(iter(await stores.spool.read(0, 1)), None)
    if oldest is not None:
        first = max(first, oldest.seq)
    event = event_of(oldest)
    kept_from_ms = event.received_at_ms if event is not None and event.received_at_ms > since_ms else None
    return Span(first, min(resolved, last), since_ms, max(0, last - max(resolved, first - 1)), kept_from_ms)


class StoredEvents:
    """Gives a span's events, or an even sample of them; remembers a bounded number of persons."""

    def __init__(self, stores: Stores, span: Span) -> None:
        self._stores, self._span = stores, span
        self._people: OrderedDict[int, Identifiers] = OrderedDict()

    async def all(self) -> AsyncIterator[Page]:
        """Give all of them, in order."""
        after, span = self._span.first - 1, self._span
        while after < span.last:
            read = await self._stores.spool.read(after, PAGE_EVENTS)
            rows = [row for row in read if row.seq <= span.last]
            if not rows:
                return
            after = rows[-1].seq
            yield await self._page(rows, [row.seq for row in rows], after - span.first + 1)

    async def sample(self, size: int) -> AsyncIterator[Page]:
        """Give so many of them at most, evenly spread over the span: for the same span always the same."""
        first = max(self._span.first, await self._stores.ledger.first_since(self._span.since_ms))
        numbers = max(0, self._span.last - first + 1)
        size, previous = min(size, numbers), 0
        for start in range(0, size, PAGE_EVENTS):
            end = min(start + PAGE_EVENTS, size)
            places = [first + index * numbers // size for index in range(start, end)]
            found = await self._stores.ledger.open_from(places, self._span.last)
            seqs = [seq for seq in found if seq > previous]
            previous = max([previous, *seqs])
            rows = await self._stores.spool.read_at(seqs)
            yield await self._page([rows[seq] for seq in seqs if seq in rows], seqs, end)

    async def _page(self, rows: Sequence[Row], seqs: Sequence[int], passed: int) -> Page:
        decisions = {decision.seq: decision for decision in await self._stores.ledger.decisions(seqs)}
        await self._remember(decisions.values())
        kept = await self._stores.ledger.vendor_ids({one.visitor for one in decisions.values() if one.visitor})
        left_out: Counter[str] = Counter()
        left_out["damaged"] += len(seqs) - len(rows)
        events = []
        for row in rows:
            found = self._known(row, decisions.get(row.seq), kept)
            if isinstance(found, Known):
                events.append(found)
            elif found:
                left_out[found] += 1
        return Page(passed, tuple(events), left_out)

    def _known(self, row: Row, decision: DecisionView | None, kept: Kept) -> Known | str:
        """Give an event with what is known, or why it is left out; "" where it is from before the span."""
        if decision is not None and decision.received_at_ms < self._span.since_ms:
            return ""
        event = event_of(row)
        if row.is_erased or (decision is not None and decision.fate is JournalFate.ERASED):
            return "erased"
        if event is None or decision is None or decision.fate is JournalFate.DAMAGED:
            return "damaged"
        if decision.fate is JournalFate.DUPLICATE:
            return "duplicate"
        person = self._people.get(decision.person or 0, Identifiers())
        identifiers = known_at(person, kept.get(decision.visitor or 0, ()), decision.received_at_ms)
        known = replace(identifiers, anonymous_id=decision.anonymous_id)
        return Known(row.seq, event, known, decision.granted & ~decision.withdrawn, decision.waits)

    async def _remember(self, decisions: Iterable[DecisionView]) -> None:
        persons = {decision.person for decision in decisions if decision.person is not None}
        for person in persons & self._people.keys():
            self._people.move_to_end(person)
        self._people |= await self._stores.ledger.people(persons - self._people.keys())
        while len(self._people) > MAX_REMEMBERED:
            self._people.popitem(last=False)
