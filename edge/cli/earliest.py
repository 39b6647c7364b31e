"""The first of each: what is open the longest in a pipeline, and which event reported an order first. Read-only."""

from pathlib import Path
from typing import Self

import aiosqlite

from edge.ledger.database import fetch, open_read_only

# By the index on seq: the lowest number is found without reading what is held.
OLDEST_HELD = """
SELECT h.seq FROM held h INDEXED BY held_seq JOIN pipeline p ON p.id = h.pipeline WHERE p.name = ?
ORDER BY h.seq LIMIT 1
"""
OLDEST_WAITING = "SELECT min(seq) FROM waiting WHERE pipeline = (SELECT id FROM pipeline WHERE name = ?)"
FIRST_OF_ORDER = "SELECT seq FROM purchase WHERE order_key = ?"


class Earliest:
    """Three questions to the ledger; ask for what is held or waiting only where the tally says that something is."""

    def __init__(self, db: aiosqlite.Connection) -> None:
        self._db = db

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open an existing ledger."""
        return cls(await open_read_only(path))

    async def close(self) -> None:
        """Close the file."""
        await self._db.close()

    async def held(self, pipeline: str) -> int | None:
        """Give the lowest sequence number that a pipeline holds."""
        return await self._one(OLDEST_HELD, pipeline)

    async def waiting(self, pipeline: str) -> int | None:
        """Give the lowest sequence number that waits in a pipeline."""
        return await self._one(OLDEST_WAITING, pipeline)

    async def report_of_order(self, order_key: bytes) -> int | None:
        """Give the event that reported an order first."""
        return await self._one(FIRST_OF_ORDER, order_key)

    async def _one(self, sql: str, value: str | bytes) -> int | None:
        rows = await fetch(self._db, sql, (value,))
        seq: int | None = rows[0][0] if rows else None
        return seq
