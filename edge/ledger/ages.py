"""How long the pipelines' oldest events have been open: what is looked at again and again while the service runs."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import aiosqlite

from edge.ledger.database import fetch, open_read_only

# The oldest event that a pipeline has not come to, and its dead letters so far.
STANDING = """
SELECT p.name, p.id,
  (SELECT j.received_at_ms FROM journal j WHERE j.seq > p.cursor ORDER BY j.seq LIMIT 1),
  (SELECT coalesce(sum(t.events), 0) FROM tally t WHERE t.pipeline = p.id AND t.fate = 'dead')
FROM pipeline p ORDER BY p.name
"""
# Since when the first ones wait, and when they were accepted: the same but for what was released or is sent again.
WAITING = """
SELECT w.since_ms, coalesce(j.received_at_ms, w.since_ms) FROM waiting w INDEXED BY waiting_seq
LEFT JOIN journal j ON j.seq = w.seq WHERE w.pipeline = ? ORDER BY w.seq LIMIT ?
"""
# More than are ever sent again at a time.
LOOKED_AT = 100


@dataclass(frozen=True, slots=True)
class PipelineStanding:
    """`oldest_ms` is since when the oldest event is behind or waiting, None when there is none."""

    oldest_ms: int | None
    dead: int


async def read_standings(path: Path) -> dict[str, PipelineStanding] | None:
    """Give each pipeline's standing by its name, beside the running service; None where the file cannot be read."""
    try:
        db = await open_read_only(path)
    except sqlite3.Error:
        return None
    try:
        return {name: await _standing(db, *row) for name, *row in await fetch(db, STANDING)}
    except sqlite3.Error:
        return None
    finally:
        await db.close()


async def _standing(db: aiosqlite.Connection, pipeline: int, behind_ms: int | None, dead: int) -> PipelineStanding:
    waiting_ms = _oldest(await fetch(db, WAITING, (pipeline, LOOKED_AT)))
    return PipelineStanding(min((one for one in (behind_ms, waiting_ms) if one is not None), default=None), dead)


def _oldest(waiting: Sequence[tuple[int, int]]) -> int | None:
    """Give since when the oldest waits: what began to wait later than it was accepted is as young as that.

    The first that has waited from its beginning is older than all behind it. Where all that were looked at began later,
    nobody knows what is behind them, and the oldest counts from its acceptance: rather too old than forgotten.
    """
    is_whole = len(waiting) < LOOKED_AT or any(since_ms <= received_ms for since_ms, received_ms in waiting)
    return min((since_ms if is_whole else received_ms for since_ms, received_ms in waiting), default=None)
