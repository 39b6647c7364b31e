"""The balance: even for whatever happened, and not even as soon as a row is one too few or too many."""

import asyncio
import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.delivery import Response
from tests.backroom import DENIED, Backroom
from tests.component.world import REFUSAL, World, build
from tests.eraser_room import EraserRoom
from tests.replay_room import ReplayRoom


@pytest.fixture
def world(tmp_path: Path) -> World:
    return build(tmp_path)


def spoil(world: World, sql: str) -> None:
    db = sqlite3.connect(world.folder / "ledger.db")
    assert db.execute(sql).rowcount == 1
    db.commit()
    db.close()


def test_the_sum_is_printed_and_is_even(world: World) -> None:
    assert world.lines("queue", "--balance") == [
        "accepted 2026-11-17 11:12:17.000 to 2026-11-18 11:12:17.000 UTC, #1 to #12",
        "",
        "pipeline accepted duplicate waiting held delivered withheld unmapped dead unreached before",
        "archive        12         2       ·    ·         ·        ·        ·    ·         ·     10",
        "klaviyo        12         2       1    1         2        1        3    1         1      ·",
        "",
        "It balances: every accepted event stands at exactly one fate in every pipeline.",
    ]


def test_a_window_is_a_part_of_the_sum(world: World) -> None:
    found = world.json("queue", "--balance", "--since", "2026-11-18T11:07:40", "--until", "2026-11-18T11:08")
    assert (found["first"], found["last"], found["accepted"], found["duplicates"]) == (2, 11, 10, 2)
    assert (found["pipelines"][1]["fates"], found["is_even"]) == (
        {"delivered": 2, "unmapped": 3, "withheld": 1, "dead": 1, "waiting": 1},
        True,
    )


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("DELETE FROM waiting", "left open and kept nowhere: #11"),
        ("DELETE FROM held", "left open and kept nowhere: #1"),
        ("DELETE FROM page WHERE first = 1", "events stand nowhere"),
        ("UPDATE page SET fates = '1h3u' || substr(fates, 3) WHERE first = 1", "1 event counts twice"),
        ("DELETE FROM journal WHERE seq = 8", "1 event counts twice"),
        ("UPDATE pipeline SET cursor = 5 WHERE name = 'klaviyo'", "count twice"),
    ],
)
def test_a_row_too_few_or_too_many_is_exit_1(world: World, sql: str, told: str) -> None:
    spoil(world, sql)
    result = world.edge("queue", "--balance")
    assert result.exit_code == 1
    assert told in result.stdout


async def _live_a_life(folder: Path, steps: list[str]) -> None:
    room = await Backroom.open(folder)
    again = ReplayRoom(room)
    await room.identify(1, email="visitor@shop.example")
    for number, step in enumerate(steps):
        if step == "known":
            await room.store(1, "view_item", id=f"e-{number}")
        elif step == "stranger":
            await room.store(2, "view_item", id=f"e-{number}")
        elif step == "introduced":
            await room.identify(2, email="two@shop.example")
        elif step == "withdrawn":
            await room.store(1, "page_view", consent=DENIED)
        elif step == "forgotten":
            await EraserRoom(room).ask(("email", "visitor@shop.example"))
        elif step == "repeated":
            await room.store(1, "view_item", id="e-0")
        elif step == "refused":
            room.transport.always = REFUSAL
        elif step == "failing":
            room.transport.always = Response(503, {}, b"")
        elif step == "well":
            room.transport.always = Response(202, {}, b"")
        elif step == "replay dead":
            await again.ask_dead()
        elif step == "replay":
            await again.ask_stored()
        elif step == "drop":
            assert [told async for told in again.repeats.drop({})]
        else:
            room.clock.advance(30)
            await again.replayer.step()
            await room.work()
        balance = await again.balance()
        assert balance.is_even, step
    await room.work()
    tally = {fate: count for fate, count in (await room.tally()).items() if count}
    assert (await again.balance()).pipelines[0].fates == tally
    await room.close()


STEPS = ["known", "stranger", "introduced", "withdrawn", "repeated", "refused", "failing", "well", "forgotten"]
ACTS = ["replay dead", "replay", "drop", "work", "work", "work"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from(STEPS + ACTS), min_size=3, max_size=25))
def test_it_is_even_at_every_moment_of_any_life_and_says_what_the_tally_says(tmp_path_factory, steps):
    asyncio.run(_live_a_life(tmp_path_factory.mktemp("life"), steps))
