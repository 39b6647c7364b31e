"""Space is given back when nobody needs it, and not a moment before."""

import asyncio
import threading
from dataclasses import replace

from structlog.testing import capture_logs

from edge.drainer import Housekeeping
from edge.ledger import TrimLedger
from edge.spool import SpoolSettings, SpoolWriter
from edge.spool.room import free_bytes
from edge.spool.segment import Segment, list_segments, unlink
from tests.backroom import Backroom

DAY_S = 86_400


async def small_segments(room: Backroom, **limits: int) -> SpoolSettings:
    """Let the room's spool rotate after a few events."""
    await room.writer.close()
    settings = SpoolSettings(room.folder / "spool", free_bytes=0, segment_bytes=20_000, **limits)
    room.writer = SpoolWriter(settings, room.clock)
    await room.writer.open()
    return settings


def house(room: Backroom, settings: SpoolSettings, keep_for_s: float = 0.0, remove=None) -> Housekeeping:
    ledger = TrimLedger(room.database, [room.pipeline.name])
    told = {"reader": room.reader, "ledger": ledger, "clock": room.clock, "keep_for_s": keep_for_s}
    return Housekeeping(settings, remove=remove, **told)


async def fill(room: Backroom, visitor: int, events: int = 20) -> None:
    for _ in range(events):
        await room.store(visitor, "view_item", properties={"item_name": "x" * 2_000})


async def test_passed_segments_are_unlinked_and_unpassed_ones_are_not(tmp_path):
    room = await Backroom.open(tmp_path)
    settings = await small_segments(room)
    await room.identify(1, email="visitor@shop.example")
    await fill(room, 1)
    await room.resolve()
    before = len(list_segments(settings.directory))
    assert await house(room, settings).unlink_passed() == 0
    await room.work()
    assert await house(room, settings).unlink_passed() == before - 1
    await fill(room, 1, 3)
    await room.work()
    assert len(room.transport.requests) == 23
    await room.close()


async def test_a_disk_that_takes_its_time_to_unlink_does_not_hold_up_the_loop(tmp_path):
    room = await Backroom.open(tmp_path)
    settings = await small_segments(room)
    await room.identify(1, email="visitor@shop.example")
    await fill(room, 1)
    await room.work()
    has_loop_gone_on, loop, waited = threading.Event(), asyncio.get_running_loop(), []

    def remove(segment: Segment) -> None:
        loop.call_soon_threadsafe(has_loop_gone_on.set)
        waited.append(has_loop_gone_on.wait(timeout=5.0))
        unlink(segment)

    before = len(list_segments(settings.directory))
    assert await house(room, settings, remove=remove).unlink_passed() == before - 1
    assert waited == [True] * (before - 1)
    assert len(list_segments(settings.directory)) == 1
    await room.close()


async def test_segments_stay_as_long_as_keep_for_says(tmp_path):
    room = await Backroom.open(tmp_path)
    settings = await small_segments(room)
    await room.identify(1, email="visitor@shop.example")
    await fill(room, 1)
    await room.work()
    keeper = house(room, settings, keep_for_s=DAY_S)
    assert await keeper.unlink_passed() == 0
    room.clock.advance(DAY_S + 1)
    assert await keeper.unlink_passed() > 0
    await room.close()


async def test_near_the_cap_what_nobody_needs_goes_early(tmp_path):
    room = await Backroom.open(tmp_path)
    settings = await small_segments(room, max_bytes=120_000)
    await room.identify(1, email="visitor@shop.example")
    await fill(room, 1, 15)
    await room.work()
    assert await house(room, settings, keep_for_s=DAY_S).unlink_passed() > 0
    await room.close()


async def test_a_held_event_keeps_its_segment_until_it_expires(tmp_path):
    room = await Backroom.open(tmp_path)
    settings = await small_segments(room)
    await room.store(9, "view_item")
    await room.identify(1, email="visitor@shop.example")
    await fill(room, 1)
    await room.work()
    keeper = house(room, settings, keep_for_s=14 * DAY_S)
    room.clock.advance(13 * DAY_S)
    assert await keeper.unlink_passed() == 0
    room.clock.advance(2 * DAY_S)
    assert await keeper.expire_held(room.pipeline, room.lane.ledger) == 1
    assert (await room.tally())["expired"] == 1
    assert await keeper.unlink_passed() > 0
    await room.close()


async def test_a_released_event_keeps_its_segment_until_it_is_delivered(tmp_path):
    room = await Backroom.open(tmp_path)
    settings = await small_segments(room)
    await room.store(9, "view_item")
    await room.identify(1, email="visitor@shop.example")
    await fill(room, 1)
    await room.work()
    await room.identify(9, email="other@shop.example")
    await room.resolve()
    assert await house(room, settings).unlink_passed() == 0
    await room.work()
    assert await house(room, settings).unlink_passed() > 0
    assert room.transport.bodies[-1]["profile"]["data"]["attributes"]["email"] == "other@shop.example"
    await room.close()


async def test_a_disk_that_fills_up_gets_back_what_nobody_needs(tmp_path):
    room = await Backroom.open(tmp_path)
    settings = await small_segments(room)
    await room.identify(1, email="visitor@shop.example")
    await fill(room, 1)
    await room.work()
    short = replace(settings, free_bytes=free_bytes(tmp_path) * 2)
    assert await house(room, short, keep_for_s=DAY_S).unlink_passed() > 0
    await room.close()


async def test_what_a_removed_pipeline_holds_expires_with_the_spool(tmp_path):
    room = await Backroom.open(tmp_path)
    settings = await small_segments(room)
    await room.store(9, "view_item")
    await room.work()
    removed = Housekeeping(
        settings, reader=room.reader, ledger=TrimLedger(room.database, []), clock=room.clock, keep_for_s=DAY_S
    )
    await removed.expire_orphans()
    assert (await room.tally()) == {"held": 1}
    room.clock.advance(DAY_S + 1)
    await removed.expire_orphans()
    assert (await room.tally()) == {"expired": 1}
    await room.close()


async def test_nothing_is_said_of_held_events_that_expire_early_where_none_is_held(tmp_path):
    """A spool may stay near its cap for hours: a warning every ten seconds would hide those that mean something."""
    room = await Backroom.open(tmp_path)
    await room.identify(1, email="visitor@shop.example")
    await room.work()
    settings = SpoolSettings(room.folder / "spool", max_bytes=1)
    with capture_logs() as logs:
        assert await house(room, settings, DAY_S).expire_held(room.pipeline, room.lane.ledger) == 0
    assert logs == []
    await room.close()
