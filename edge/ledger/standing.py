"""Where one event stands in each pipeline: what its page said, and what became of it since."""

from dataclasses import dataclass, replace

import aiosqlite

from edge.consent import Purpose, names_of
from edge.delivery import Fate
from edge.ledger.database import fetch
from edge.ledger.fates import fate_at
from edge.ledger.records import JournalFate

PIPELINES = "SELECT id, name, cursor FROM pipeline ORDER BY name"
PAGE_OF = """
SELECT p.first, p.taken_at_ms, p.settled_at_ms, p.attempts, p.fates, r.hash
FROM page p JOIN revision r ON r.id = p.revision
WHERE p.pipeline = ? AND p.last >= ? ORDER BY p.last LIMIT 1
"""
SETTLED = """
SELECT s.fate, s.attempts, s.settled_at_ms, r.hash, s.reason FROM settled s JOIN revision r ON r.id = s.revision
WHERE s.pipeline = ? AND s.seq = ?
"""
WAITING = """
SELECT attempts, due_at_ms, reason FROM waiting WHERE pipeline = ? AND visitor = ? AND seq = ?
"""
HELD = "SELECT waits FROM held WHERE pipeline = ? AND visitor = ? AND seq = ?"
DEATH = "SELECT reason FROM dead WHERE pipeline = ? AND seq = ?"


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One event's decisions, as stored."""

    seq: int
    key: bytes
    visitor: int | None
    granted: int
    basis: str
    fate: JournalFate
    received_at_ms: int
    waits: int = 0


@dataclass(frozen=True, slots=True)
class PipelineFate:
    """Where one event stands in one pipeline. `fate` None: the pipeline has not come to it yet.

    `first_fate` is what its page said first where it stands elsewhere now; `held_for` are the purposes that it
    is held for, none where nobody knows its visitor.
    """

    pipeline: str
    fate: Fate | None
    first_fate: Fate | None = None
    attempts: int = 0
    taken_at_ms: int | None = None
    settled_at_ms: int | None = None
    due_at_ms: int | None = None
    reason: str = ""
    hash: str = ""
    held_for: tuple[str, ...] = ()


async def find_fates(db: aiosqlite.Connection, entry: JournalEntry) -> list[PipelineFate]:
    """Give where one event stands in every pipeline; inside one transaction, so that it is of one moment."""
    places = await fetch(db, PIPELINES)
    return [await _fate(db, number, name, cursor, entry) for number, name, cursor in places]


async def _fate(db: aiosqlite.Connection, pipeline: int, name: str, cursor: int, entry: JournalEntry) -> PipelineFate:
    if entry.seq > cursor:
        return PipelineFate(name, None)
    pages = await fetch(db, PAGE_OF, (pipeline, entry.seq))
    if not pages or pages[0][0] > entry.seq:
        before = PipelineFate(name, None, reason="from before this pipeline began, or no longer kept")
        return await _later(db, pipeline, entry, before)
    first, taken_ms, settled_ms, attempts, fates, content_hash = pages[0]
    fate = fate_at(fates, entry.seq - first)
    now = PipelineFate(name, fate, None, attempts, taken_ms, settled_ms, hash=content_hash)
    return await _later(db, pipeline, entry, now)


async def _later(db: aiosqlite.Connection, pipeline: int, entry: JournalEntry, page: PipelineFate) -> PipelineFate:
    """Follow an event that was left open or was sent again: waiting now, or ended since, or still held."""
    waiting = await fetch(db, WAITING, (pipeline, entry.visitor, entry.seq))
    if waiting:
        attempts, due_ms, reason = waiting[0]
        was = page.fate if page.fate is not Fate.WAITING else None
        return PipelineFate(
            page.pipeline, Fate.WAITING, was, attempts, page.taken_at_ms, None, due_ms, reason, page.hash
        )
    settled = await fetch(db, SETTLED, (pipeline, entry.seq))
    if settled:
        fate, attempts, settled_ms, content_hash, reason = settled[0]
        times = (page.taken_at_ms, settled_ms)
        first = page.fate
        ended = PipelineFate(page.pipeline, Fate(fate), first, attempts, *times, reason=reason, hash=content_hash)
        return await _with_reason(db, pipeline, entry, ended)
    if page.fate is not Fate.HELD:
        return await _with_reason(db, pipeline, entry, page)
    held = await fetch(db, HELD, (pipeline, entry.visitor, entry.seq))
    return replace(page, held_for=tuple(names_of(Purpose(held[0][0])))) if held else page


async def _with_reason(
    db: aiosqlite.Connection, pipeline: int, entry: JournalEntry, fate: PipelineFate
) -> PipelineFate:
    if fate.fate is not Fate.DEAD:
        return fate
    rows = await fetch(db, DEATH, (pipeline, entry.seq))
    return replace(fate, due_at_ms=None, reason=rows[0][0] if rows else "its letter was dropped")
