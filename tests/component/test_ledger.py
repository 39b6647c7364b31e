"""The ledger's file: versions, transactions, room."""

import sqlite3

import pytest

from edge.errors import StorageFailed, StorageFull
from edge.ledger import Database, LedgerSettings
from edge.ledger.database import PAGE_BYTES, fetch
from edge.ledger.migrations import MIGRATIONS


@pytest.fixture
async def database(tmp_path):
    database = Database(LedgerSettings(tmp_path / "ledger.db"))
    await database.open()
    yield database
    await database.close()


async def test_every_migration_is_taken_once_and_counted(database, tmp_path):
    db = sqlite3.connect(f"file:{tmp_path / 'ledger.db'}?mode=ro", uri=True)
    assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    db.close()
    await database.close()
    await database.open()


async def test_a_file_of_a_newer_version_is_refused_in_plain_words(tmp_path):
    db = sqlite3.connect(tmp_path / "ledger.db")
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StorageFailed, match="has version 99, this program knows up to 1: use a newer one"):
        await Database(LedgerSettings(tmp_path / "ledger.db")).open()


async def test_a_transaction_that_raises_leaves_nothing(database):
    with pytest.raises(ZeroDivisionError):
        async with database.transaction() as db:
            await db.execute("INSERT INTO person (id, created_at_ms) VALUES (1, 0)")
            raise ZeroDivisionError
    async with database.snapshot() as db:
        assert await fetch(db, "SELECT * FROM person") == []


async def test_every_commit_reaches_the_disk(database):
    async with database.transaction() as db:
        assert (await fetch(db, "PRAGMA synchronous"))[0][0] == 2


async def test_a_full_ledger_refuses_and_still_gives_space_back(tmp_path):
    database = Database(LedgerSettings(tmp_path / "ledger.db", max_bytes=80 * PAGE_BYTES))
    await database.open()
    with pytest.raises(StorageFull):
        for number in range(100_000):
            async with database.transaction() as db:
                rows = [(f"{number}-{n}", "x" * 100) for n in range(500)]
                await db.executemany("INSERT INTO pipeline (name, cursor, paused) VALUES (?, 0, ?)", rows)
    async with database.transaction() as db:
        await db.execute("DELETE FROM pipeline")
    async with database.transaction() as db:
        await db.execute("INSERT INTO pipeline (name, cursor) VALUES ('again', 0)")
    await database.close()


async def test_a_look_sees_only_what_is_committed(database):
    async with database.transaction() as db:
        await db.execute("INSERT INTO person (id, created_at_ms) VALUES (1, 0)")
        async with database.snapshot() as look:
            assert await fetch(look, "SELECT * FROM person") == []
