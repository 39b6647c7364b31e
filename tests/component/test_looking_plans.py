"""No verb that looks walks through a table that grows: what a terminal shows costs the same with ten million events."""

import asyncio
import re
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest

from edge.cli.following import Follower, Wanted
from edge.cli.stores import Stores
from edge.cli.story import find_story
from edge.cli.watching import look
from edge.event import BROWSER_SOURCE, server_source
from edge.ledger import LedgerView
from edge.ledger.decisions import JOURNAL_ENDS
from edge.ledger.letters import Letters
from edge.spool import SpoolReader
from tests.component.world import World, build

GROWING = ("journal", "page", "settled", "held", "waiting", "dead", "visitor", "identifier", "vendor_id", "purchase")
# The least and the greatest number of the journal, its own key: two rows are read.
ENDS = (JOURNAL_ENDS,)
Look = Callable[[Stores], Awaitable[object]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build(tmp_path_factory.mktemp("world"))


async def queue(stores: Stores) -> None:
    for depth in await stores.ledger.depths():
        await stores.ledger.oldest_held(depth.name)
        await stores.ledger.oldest_waiting(depth.name)
        await stores.ledger.reason_of_oldest(depth.name)
        await stores.ledger.has_letters(depth.name)
        await stores.ledger.held_for_consent(depth.name)
    await look(stores, 0)


async def tail(stores: Stores) -> None:
    follower = Follower(0, Wanted())
    await follower.poll(stores)
    await follower.poll(stores)


async def why(stores: Stores) -> None:
    for asked in ("delivered-1", "held-1", "waiting-1", "dead-1", "reordered-1", "#3"):
        assert await find_story(stores, asked, {}) is not None


async def dead(stores: Stores) -> None:
    wanted = Letters(event="view_item", reason_class="rejected", text="no", ids=("dead-1", 7))
    await stores.ledger.newest_letters(wanted, 50)
    await stores.ledger.letters_of(None, event_id="dead-1", seq=7)


async def balance(stores: Stores) -> None:
    await stores.ledger.balance(await stores.ledger.first_since(1), 12)


async def asked_by(world: World, what: Look) -> list[str]:
    """Give every statement that a look sends, with its values."""
    asked: list[str] = []
    ledger = await LedgerView.open(world.folder / "ledger.db")
    spool = SpoolReader(world.folder / "spool")
    await ledger._db.set_trace_callback(asked.append)
    try:
        await what(Stores(ledger, spool, (BROWSER_SOURCE, server_source("shop"))))
    finally:
        await spool.close()
        await ledger.close()
    return [sql for sql in dict.fromkeys(asked) if sql.lstrip().upper().startswith(("SELECT", "WITH"))]


def walks(folder: Path, sql: str) -> list[str]:
    """Give the steps of a plan that read a growing table from end to end."""
    with closing(sqlite3.connect(f"file:{folder / 'ledger.db'}?mode=ro", uri=True)) as db:
        steps = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}")]
        names = dict(re.findall(r"\b(?:FROM|JOIN)\s+(\w+)(?:\s+(?!WHERE|ON|ORDER|INDEXED|LEFT|CROSS|JOIN)(\w+))?", sql))
    aliases = {alias or table: table for table, alias in names.items()}
    # A search without an index is what SQLite calls the walk behind min() and max().
    steps = [step for step in steps if step.startswith("SCAN ") or " USING " not in step]
    read = [
        (step, aliases.get(step.split()[1], step.split()[1])) for step in steps if step.startswith(("SCAN", "SEARCH"))
    ]
    return [step for step, table in read if table in GROWING]


@pytest.mark.parametrize("what", [queue, tail, why, dead, balance])
def test_every_statement_of_a_verb_finds_its_rows_by_an_index(world: World, what: Look) -> None:
    asked = asyncio.run(asked_by(world, what))
    assert asked
    assert {sql: found for sql in asked if sql not in ENDS and (found := walks(world.folder, sql))} == {}


def test_a_walk_would_be_seen(world: World) -> None:
    assert walks(world.folder, "SELECT min(seq) FROM waiting w WHERE w.attempts = 1") != []
    assert walks(world.folder, "SELECT count(*) FROM journal") != []
