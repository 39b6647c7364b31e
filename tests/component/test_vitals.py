"""What the drainer tells of its pipelines, read from the ledger beside them."""

import pytest
from prometheus_client import generate_latest

from edge.alerting import DrainerVitals, PipelineVitals, find_vitals
from edge.app.vitals import VitalSigns
from edge.delivery import Response
from edge.ledger.ages import LOOKED_AT, read_standings
from tests.folder_room import FolderRoom, edited


@pytest.fixture
async def room(tmp_path):
    room = await FolderRoom.open(tmp_path, klaviyo=edited(), other=edited(name="other"))
    yield room
    await room.close()


def signs(room: FolderRoom) -> VitalSigns:
    ledger = room.room.folder / "ledger.db"
    return VitalSigns(ledger, room.room.resolver, room.lanes, room.reloader, room.metrics, room.room.clock)


async def test_age_is_that_of_the_oldest_event_that_is_behind_or_waiting_and_not_of_what_is_held(room):
    vitals = signs(room)
    await room.room.store(9, "view_item")
    await room.room.resolve()
    await room.work()
    room.room.clock.advance(60)
    await vitals.look()
    assert vitals.now().pipelines == {"klaviyo": PipelineVitals(), "other": PipelineVitals()}
    room.room.transport.always = Response(503, {}, b"")
    await room.view(1)
    await room.room.resolve()
    room.room.clock.advance(30)
    await vitals.look()
    assert {one.oldest_s for one in vitals.now().pipelines.values()} == {30.0}
    await room.work()
    room.room.clock.advance(30)
    await vitals.look()
    assert {one.oldest_s for one in vitals.now().pipelines.values()} == {60.0}
    assert room.counted("edge_pipeline_oldest_seconds", pipeline="klaviyo") == 60.0


async def test_what_was_released_or_is_sent_again_waits_since_then_and_not_since_it_was_accepted(room):
    """Else each replay of old letters would wake somebody at night."""
    vitals, inner = signs(room), room.room
    await inner.store(9, "view_item")
    await inner.resolve()
    await room.work()
    inner.clock.advance(5 * 86_400)
    inner.transport.always = Response(503, {}, b"")
    await inner.identify(9, email="visitor@shop.example")
    await inner.resolve()
    inner.clock.advance(3)
    await vitals.look()
    assert {one.oldest_s for one in vitals.now().pipelines.values()} == {3.0}


@pytest.mark.parametrize(("late", "oldest_ms"), [(0, 50), (LOOKED_AT - 1, 50), (LOOKED_AT, 1)])
async def test_nothing_that_waits_behind_others_is_taken_for_younger_than_it_is(room, late: int, oldest_ms: int):
    """One that waits since its acceptance at 50, behind others that were accepted before and released at 1,000."""
    rows = [*((seq, 1_000, seq) for seq in range(1, late + 1)), (late + 1, 50, 50)]
    async with room.room.database.transaction() as db:
        for seq, since_ms, received_ms in rows:
            await db.execute(
                "INSERT INTO waiting (pipeline, visitor, seq, since_ms, attempts, time_ms, reason, checksum)"
                " VALUES (1, ?1, ?1, ?2, 0, 0, '', 0)",
                (seq, since_ms),
            )
            await db.execute("INSERT INTO journal VALUES (?, x'', NULL, 0, 0, '', 0, 0, ?, 0)", (seq, received_ms))
        await db.execute("UPDATE pipeline SET cursor = ?", (late + 1,))
    standings = await read_standings(room.room.folder / "ledger.db")
    assert standings is not None
    assert next(one.oldest_ms for one in standings.values()) == oldest_ms


async def test_dead_letters_paused_pipelines_and_refused_files_are_told(room):
    vitals = signs(room)
    room.room.transport.answers = [Response(400, {}, b"{}"), Response(401, {}, b"{}")]
    await room.view(1)
    await room.work()
    await vitals.look()
    told = vitals.now()
    assert sorted((one.dead, one.is_paused) for one in told.pipelines.values()) == [(0, True), (1, False)]
    await room.change(other="name: other\n")
    assert vitals.now().file_problems.keys() == {"other.yaml"}


async def test_pipeline_that_ended_is_told_of_no_more(room):
    vitals = signs(room)
    await vitals.look()
    vitals.now()
    await room.change(other=None)
    await vitals.look()
    assert vitals.now().pipelines.keys() == {"klaviyo"}
    assert b'edge_pipeline_oldest_seconds{pipeline="other"}' not in generate_latest(room.registry)


async def test_nothing_is_told_before_the_first_look(room):
    """No pipelines would mean that all of them are gone, with their troubles and counts."""
    vitals = signs(room)
    assert vitals.now() is None
    await vitals.look()
    assert vitals.now() is not None


async def test_ledger_that_cannot_be_read_leaves_what_was_known(room):
    vitals = signs(room)
    await vitals.look()
    known, ledger = vitals.now().pipelines, room.room.folder / "ledger.db"
    ledger.rename(ledger.with_suffix(".away"))
    await vitals.look()
    assert vitals.now().pipelines == known
    ledger.with_suffix(".away").rename(ledger)


def test_report_without_vitals_tells_nothing():
    assert find_vitals(None) is None
    assert find_vitals({"resolver_lag_s": 1.0, "pipelines": {"a": {"dead": 3}}, "file_problems": {}}) == DrainerVitals(
        1.0, {"a": PipelineVitals(dead=3)}
    )
