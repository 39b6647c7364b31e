"""What vendors have yet to say of events that they took: one row a request, and counts of what they said.

A receipt is the vendor's own name for a request; which events it held is not kept, and nothing here tells of anybody.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

import aiosqlite

from edge.ledger.database import Database, fetch, put

Verdict: TypeAlias = Literal["counted", "refused", "warned", "untold"]
Said: TypeAlias = Mapping[tuple[Verdict, str], int]

HOUR_MS, KEEP_HOURS = 3_600_000, 8 * 24
# A vendor that is not asked for so long that more requests than this are open is not asked about the oldest.
MAX_OPEN = 100_000
GIVE_UP_STEP = 500

KEEP = """
INSERT INTO receipt (pipeline, name, events, since_ms, due_at_ms, until_ms) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (pipeline, name) DO UPDATE SET events = events + excluded.events
"""
DUE = """
SELECT r.due_at_ms, r.id, r.pipeline, p.name, r.name, r.events, r.since_ms, r.attempts
FROM receipt r JOIN pipeline p ON p.id = r.pipeline
WHERE p.name = ? AND r.due_at_ms <= ? ORDER BY r.due_at_ms, r.id LIMIT 1
"""
LATER = "UPDATE receipt SET attempts = ?, due_at_ms = ? WHERE id = ?"
END = "DELETE FROM receipt WHERE id = ?"
OVERDUE = """
SELECT r.id, r.pipeline, p.name, r.name, r.events, r.since_ms, r.attempts
FROM receipt r JOIN pipeline p ON p.id = r.pipeline
WHERE r.until_ms <= ? OR r.id <= (SELECT id FROM receipt ORDER BY id DESC LIMIT 1 OFFSET ?) ORDER BY r.id LIMIT ?
"""
COUNT = """
INSERT INTO told_later (pipeline, hour, verdict, reason, events) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (pipeline, hour, verdict, reason) DO UPDATE SET events = events + excluded.events
"""
FORGET = "DELETE FROM told_later WHERE hour < ?"
TOLD_SINCE = """
SELECT p.name, t.verdict, t.reason, sum(t.events) FROM told_later t JOIN pipeline p ON p.id = t.pipeline
WHERE t.hour >= ? GROUP BY p.name, t.verdict, t.reason ORDER BY sum(t.events) DESC, t.reason
"""
OPEN = """
SELECT p.name, r.events FROM (SELECT pipeline, sum(events) AS events FROM receipt GROUP BY pipeline) r
JOIN pipeline p ON p.id = r.pipeline
"""
UNTOLD: tuple[Verdict, str] = ("untold", "")


@dataclass(frozen=True, slots=True)
class Receipt:
    """A vendor's name for a request that it took; it is asked at `due_at_ms` first, and no more from `until_ms` on."""

    name: str
    due_at_ms: int
    until_ms: int


class OpenReceipt(NamedTuple):
    """A receipt that is not answered yet, of `events` delivered at `since_ms`; `attempts` had no answer."""

    id: int
    pipeline_id: int
    pipeline: str
    name: str
    events: int
    since_ms: int
    attempts: int = 0


@dataclass(slots=True)
class Afterwards:
    """How many of one pipeline's delivered events a vendor counted, threw away, frowned upon, or never spoke of.

    `open` are those that it is yet to be asked about; of `refused` and `warned` the most frequent reason comes first.
    """

    counted: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    warned: dict[str, int] = field(default_factory=dict)
    untold: int = 0
    open: int = 0


class ReceiptLedger:
    """The receipts that are open, the one due first at a time."""

    def __init__(self, database: Database, *, max_open: int = MAX_OPEN) -> None:
        self._database, self._max_open = database, max_open

    async def due(self, pipelines: Iterable[str], now_ms: int) -> OpenReceipt | None:
        """Give the receipt of some pipelines that has been due for longest."""
        async with self._database.snapshot() as db:
            rows = [row for name in pipelines for row in await fetch(db, DUE, (name, now_ms))]
        return OpenReceipt(*min(rows)[1:]) if rows else None

    async def note_later(self, receipt: OpenReceipt, attempts: int, due_at_ms: int) -> None:
        """Note when to ask again."""
        async with self._database.transaction() as db:
            await db.execute(LATER, (attempts, due_at_ms, receipt.id))

    async def note_told(self, receipt: OpenReceipt, said: Said) -> None:
        """Count what a vendor said of a receipt's events, and forget the receipt."""
        async with self._database.transaction() as db:
            await self._end(db, receipt, said)

    async def give_up(self, now_ms: int) -> list[OpenReceipt]:
        """End what has been asked about for long enough, or is too much, and give it; one bounded step."""
        async with self._database.snapshot() as db:
            rows = await fetch(db, OVERDUE, (now_ms, self._max_open, GIVE_UP_STEP))
        over = [OpenReceipt(*row) for row in rows]
        if over:
            async with self._database.transaction() as db:
                for receipt in over:
                    await self._end(db, receipt, {UNTOLD: receipt.events})
        return over

    async def forget(self, now_ms: int) -> None:
        """Forget what was said of deliveries of more than eight days ago."""
        async with self._database.transaction() as db:
            await db.execute(FORGET, (now_ms // HOUR_MS - KEEP_HOURS,))

    async def _end(self, db: aiosqlite.Connection, receipt: OpenReceipt, said: Said) -> None:
        place = (receipt.pipeline_id, receipt.since_ms // HOUR_MS)
        await put(db, COUNT, [(*place, *verdict, events) for verdict, events in said.items() if events])
        await db.execute(END, (receipt.id,))


async def keep_receipts(
    db: aiosqlite.Connection, pipeline: int, receipts: Iterable[Receipt | None], now_ms: int
) -> None:
    """Keep what vendors are to be asked about, in the transaction that settles the events; each stands for one."""
    counts = Counter(receipt for receipt in receipts if receipt is not None)
    await put(db, KEEP, [(pipeline, one.name, n, now_ms, one.due_at_ms, one.until_ms) for one, n in counts.items()])


async def told_since(db: aiosqlite.Connection, since_ms: int) -> dict[str, Afterwards]:
    """Give what was said of the events delivered since a moment, to the hour, and all that is open."""
    found: dict[str, Afterwards] = {}
    for pipeline, verdict, reason, events in await fetch(db, TOLD_SINCE, (since_ms // HOUR_MS,)):
        said = found.setdefault(pipeline, Afterwards())
        match verdict:
            case "counted":
                said.counted = events
            case "refused":
                said.refused[reason] = events
            case "warned":
                said.warned[reason] = events
            case _:
                said.untold = events
    for pipeline, events in await fetch(db, OPEN):
        found.setdefault(pipeline, Afterwards()).open = events
    return found
