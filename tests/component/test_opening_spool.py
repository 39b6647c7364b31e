"""The spool opens whatever has become of the ledger: events are taken while the other process is in trouble."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.app.collecting import OpeningSpool
from edge.clock import Clock
from edge.config import Config, SpoolConfig
from edge.spool import SpoolSettings, SpoolWriter
from tests.clock import FakeClock

LEDGERS = {
    "none": [],
    "without its table": ["CREATE TABLE other (cursor)"],
    "without its row": ["CREATE TABLE resolver (cursor)"],
    "with a cursor that is no number": ["CREATE TABLE resolver (cursor)", "INSERT INTO resolver VALUES ('rot')"],
    "with no cursor": ["CREATE TABLE resolver (cursor)", "INSERT INTO resolver VALUES (NULL)"],
}


@pytest.mark.parametrize("statements", LEDGERS.values(), ids=LEDGERS)
async def test_events_are_taken_beside_a_ledger_that_cannot_be_read(tmp_path: Path, statements: list[str]) -> None:
    ledger = sqlite3.connect(tmp_path / "ledger.db")
    for statement in statements:
        ledger.execute(statement)
    ledger.commit()
    ledger.close()
    assert await first_number(tmp_path) == 1


async def test_numbers_go_on_behind_the_ledgers_cursor(tmp_path: Path) -> None:
    ledger = sqlite3.connect(tmp_path / "ledger.db")
    ledger.execute("CREATE TABLE resolver (cursor)")
    ledger.execute("INSERT INTO resolver VALUES (41)")
    ledger.commit()
    ledger.close()
    assert await first_number(tmp_path) == 42


async def test_the_spool_opens_once_whatever_was_in_its_way_is_over(tmp_path: Path) -> None:
    """Also what is neither the disk's fault nor SQLite's."""
    errors = [RuntimeError("can't start new thread")]

    def make(settings: SpoolSettings, clock: Clock) -> SpoolWriter:
        if errors:
            raise errors.pop()
        return SpoolWriter(settings, clock)

    assert await first_number(tmp_path, make) == 1


async def first_number(data_dir: Path, make: Callable[[SpoolSettings, Clock], SpoolWriter] = SpoolWriter) -> int:
    """Open a spool and give the number that its first event gets."""
    config = Config(data_dir / "edge.yaml", data_dir, data_dir / "pipelines", spool=SpoolConfig(free_bytes=0))
    spool = OpeningSpool(config, FakeClock(), asyncio.Event(), make)
    await spool.open()
    first = await spool.append([b"[]"])
    assert spool.writer is not None
    await spool.writer.close()
    return first
