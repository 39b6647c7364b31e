"""What vendors are asked to erase: one row an identifier and an account, kept over restarts until it is answered."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import aiosqlite

from edge.ledger.database import Database, fetch
from edge.person import Kind

State = Literal["open", "done", "refused"]

ADD = """
INSERT INTO vendor_erasure (erasure, pipeline, kind, value, state, attempts, since_ms, due_at_ms, reason)
VALUES (?, ?, ?, ?, 'open', 0, ?, ?, '')
"""
# Not before the person's own events have left the queue for good.
DUE = """
SELECT v.pipeline, v.kind, v.value, v.id, v.attempts, v.since_ms
FROM vendor_erasure v JOIN erasure e ON e.id = v.erasure
WHERE v.state = 'open' AND v.due_at_ms <= ? AND e.state IN ('emptied', 'done') ORDER BY v.due_at_ms, v.id LIMIT 1
"""
LATER = "UPDATE vendor_erasure SET attempts = ?, due_at_ms = ?, reason = ? WHERE id = ?"
END = "UPDATE vendor_erasure SET state = ?, reason = ?, attempts = ?, value = NULL WHERE id = ?"
# What named the person has left the table, and now it has to leave the file.
CLEAN_AGAIN = """
UPDATE erasure SET state = 'emptied'
WHERE state = 'done' AND id = (SELECT erasure FROM vendor_erasure WHERE id = ?1)
    AND NOT EXISTS (SELECT 1 FROM vendor_erasure v WHERE v.erasure = erasure.id AND v.state = 'open')
"""
OF_ERASURE = """
SELECT erasure, pipeline, kind, state, attempts, since_ms, due_at_ms, reason FROM vendor_erasure
WHERE erasure = ? ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class VendorCall:
    """One identifier that one pipeline's vendor is to erase; `attempts` were made, since `since_ms`."""

    pipeline: str
    kind: Kind
    value: str
    id: int = 0
    attempts: int = 0
    since_ms: int = 0


@dataclass(frozen=True, slots=True)
class VendorErasure:
    """Where one such call stands, without whom it names."""

    erasure: int
    pipeline: str
    kind: Kind
    state: State
    attempts: int
    since_ms: int
    due_at_ms: int
    reason: str


class VendorErasureLedger:
    """The calls that are open, the one due first at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def due(self, now_ms: int) -> VendorCall | None:
        """Give the next call that may be made now."""
        async with self._database.snapshot() as db:
            rows = await fetch(db, DUE, (now_ms,))
        return VendorCall(*rows[0]) if rows else None

    async def note_later(self, call: VendorCall, attempts: int, due_at_ms: int, reason: str) -> None:
        """Note that a call is to be made again."""
        async with self._database.transaction() as db:
            await db.execute(LATER, (attempts, due_at_ms, reason, call.id))

    async def note_end(self, call: VendorCall, state: State, reason: str) -> None:
        """Note an answer for good, and forget whom the call named."""
        async with self._database.transaction() as db:
            await db.execute(END, (state, reason, call.attempts + 1, call.id))
            await db.execute(CLEAN_AGAIN, (call.id,))


async def add_vendor_calls(db: aiosqlite.Connection, number: int, calls: Iterable[VendorCall], now_ms: int) -> None:
    """Note what vendors are to be asked, from a moment on; inside the erasure's transaction."""
    values = [(number, one.pipeline, one.kind, one.value, now_ms, now_ms) for one in calls]
    await db.executemany(ADD, values)


async def vendor_erasures(db: aiosqlite.Connection, erasure: int) -> list[VendorErasure]:
    """Give the calls of one erasure."""
    return [VendorErasure(*row) for row in await fetch(db, OF_ERASURE, (erasure,))]
