"""Refused credentials, again and again: what is kept meanwhile grows no older, however often that happens."""

from pathlib import Path

import pytest

from edge.delivery import Fate, Response
from edge.ledger.database import fetch
from edge.ledger.delivering import KEPT_PAUSES
from edge.ledger.records import Pauses
from tests.backroom import TAKEN, Backroom

REFUSED, BUSY = Response(401, {}, b""), Response(503, {}, b"")
HOUR_S = 3_600.0


@pytest.fixture
async def room(tmp_path: Path):
    room = await Backroom.open(tmp_path)
    yield room
    await room.close()


@pytest.mark.parametrize("has_restart", [False, True])
async def test_a_second_pause_does_not_make_the_first_one_count_towards_max_age(
    room: Backroom, has_restart: bool
) -> None:
    for visitor in range(3):
        await room.identify(visitor, email=f"visitor{visitor}@shop.example")
    events = [await room.store(visitor, "view_item") for visitor in range(3)]
    room.transport.answers = [REFUSED]
    await room.work()
    room.clock.advance(80 * HOUR_S)
    room.transport.answers = [TAKEN, BUSY, BUSY]
    await room.work()
    room.clock.advance(2)
    room.transport.answers = [REFUSED]
    await room.work()
    assert room.health.paused_reason == "401"
    if has_restart:
        await room.restart()
    room.clock.advance(HOUR_S)
    await room.work()
    assert [(await room.fate(event)).fate for event in events] == [Fate.DELIVERED] * 3


def test_only_what_lies_in_no_pause_makes_older() -> None:
    pauses = Pauses("401", 1_000, ((100, 200), (300, 400)))
    assert [pauses.age_ms(since_ms, 1_100) for since_ms in (0, 150, 250, 350, 450, 1_050)] == [
        800,
        700,
        650,
        600,
        550,
        0,
    ]
    assert Pauses(before=((100, 200),)).age_ms(50, 250) == 100


async def test_pauses_are_remembered_in_a_bounded_number(room: Backroom) -> None:
    async with room.database.transaction() as db:
        rows = [(at_ms, at_ms + 5) for at_ms in range(0, KEPT_PAUSES * 10, 10)]
        await db.executemany("INSERT INTO pause (pipeline, from_ms, to_ms) VALUES (1, ?, ?)", rows)
    for at_ms in (20_000, 30_000):
        await room.lane.ledger.note_pause("401", at_ms)
        await room.lane.ledger.note_pause(None, at_ms + 5)
    async with room.database.snapshot() as db:
        assert await fetch(db, "SELECT count(*), min(from_ms), max(to_ms) FROM pause") == [(KEPT_PAUSES, 20, 30_005)]
