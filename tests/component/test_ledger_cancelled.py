"""Whoever is cancelled within a transaction leaves the ledger's connection as it was found."""

import asyncio
from pathlib import Path

import pytest

from edge.ledger import Database, LedgerSettings
from edge.ledger.database import fetch


async def write(database: Database, cursor: int) -> None:
    async with database.transaction() as db:
        await db.execute("UPDATE resolver SET cursor = ?", (cursor,))


async def read(database: Database, _: int = 0) -> int:
    async with database.snapshot() as db:
        return int((await fetch(db, "SELECT cursor FROM resolver"))[0][0])


@pytest.mark.parametrize("work", [write, read])
async def test_cancelled_work_costs_nobody_else(tmp_path: Path, work) -> None:
    """At any turn of the loop: while it begins, works or commits."""
    database = Database(LedgerSettings(tmp_path / "ledger.db"))
    await database.open()
    for turns in range(60):
        task = asyncio.create_task(work(database, 1_000 + turns))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        [outcome] = await asyncio.gather(task, return_exceptions=True)
        assert not isinstance(outcome, Exception), f"cancelled after {turns} turns"
        await write(database, turns)
        assert await read(database) == turns
    await database.close()
