"""How long the pipelines' oldest events have been open: what is looked at again and again while the service runs."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from edge.ledger.database import fetch, open_read_only

# The oldest event that a pipeline has not come to, the oldest that waits, and its dead letters so far.
STANDING = """
SELECT p.name,
  (SELECT j.received_at_ms FROM journal j WHERE j.seq > p.cursor ORDER BY j.seq LIMIT 1),
  (SELECT j.received_at_ms FROM journal j WHERE j.seq = (SELECT min(w.seq) FROM waiting w WHERE w.pipeline = p.id)),
  (SELECT coalesce(sum(t.events), 0) FROM tally t WHERE t.pipeline = p.id AND t.fate = 'dead')
FROM pipeline p ORDER BY p.name
"""


@dataclass(frozen=True, slots=True)
class PipelineStanding:
    """`oldest_ms` is when the oldest event that is behind or waiting was accepted, None when there is none."""

    oldest_ms: int | None
    dead: int


async def read_standings(path: Path) -> dict[str, PipelineStanding] | None:
    """Give each pipeline's standing by its name, beside the running service; None where the file cannot be read."""
    try:
        db = await open_read_only(path)
    except sqlite3.Error:
        return None
    try:
        rows = await fetch(db, STANDING)
    except sqlite3.Error:
        return None
    finally:
        await db.close()
    return {
        name: PipelineStanding(min((one for one in (behind, waiting) if one is not None), default=None), dead)
        for name, behind, waiting, dead in rows
    }
