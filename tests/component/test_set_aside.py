"""A backlog is set aside: what becomes of each event of it, and who goes first."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from edge.delivery import Rate, Response
from edge.errors import StorageFull
from tests.backroom import DENIED, PIPELINE, TAKEN, Backroom
from tests.paced import Rated
from tests.released import store_all

ONE_BY_ONE = PIPELINE.replace('klaviyo.test"}', 'klaviyo.test", endpoint: create_event}')
# More than six events are a backlog, and what waits goes one by one.
SLOW = Rate(2, 6)
DOWN = Response(503, {}, b"")


async def open_room(folder: Path, rate: Rate = SLOW, pipeline: str = ONE_BY_ONE) -> Backroom:
    room = await Backroom.open(folder, pipeline=pipeline)
    room.pipeline = replace(room.pipeline, destination=Rated(room.pipeline.destination, rate))
    await room.restart()
    return room


async def known(room: Backroom, visitors: Iterable[int]) -> None:
    for visitor in visitors:
        await room.identify(visitor, email=f"v{visitor}@shop.example")
    await room.work()


async def seen(room: Backroom, *visitors: int) -> list[str]:
    return [(await room.store(visitor, "view_item")).id for visitor in visitors]


async def test_live_event_of_somebody_in_the_backlog_follows_its_own_earlier_ones_and_nobody_elses(tmp_path):
    room = await open_room(tmp_path)
    await known(room, range(1, 7))
    old = await seen(room, *range(1, 7), *range(1, 7))
    await room.resolve()
    await room.lane.step()
    assert (await room.tally())["waiting"] >= 10
    (new,) = await seen(room, 6)
    await room.resolve()
    while new not in room.transport.ids:
        await room.lane.step()
    own = [old[5], old[11], new]
    assert [one for one in room.transport.ids if one in own] == own
    assert len(room.transport.ids) < 8
    await room.close()


async def test_live_event_of_somebody_else_goes_before_the_backlog(tmp_path):
    room = await open_room(tmp_path)
    await known(room, range(1, 8))
    await seen(room, *range(1, 7), *range(1, 7))
    await room.resolve()
    await room.lane.step()
    sent = len(room.transport.ids)
    (new,) = await seen(room, 7)
    await room.resolve()
    await room.lane.step()
    assert room.transport.ids[sent] == new
    await room.close()


async def test_no_step_waits_long_for_the_turns_of_a_backlog(tmp_path):
    """An account that may be asked six times a minute has a turn every thirteen seconds."""
    room = await open_room(tmp_path)
    await known(room, range(1, 13))
    await seen(room, *range(1, 13))
    await room.resolve()
    waits_s: list[float] = []
    while len(room.transport.requests) < 4:
        began_s = room.clock.monotonic_s()
        await room.lane.step()
        waits_s.append(room.clock.monotonic_s() - began_s)
    assert max(waits_s) <= 1.1
    await room.close()


async def test_what_may_not_be_sent_ends_or_is_held_as_in_any_page(tmp_path):
    room = await open_room(tmp_path)
    await known(room, [1, 2])
    await room.store(2, "consent", consent=DENIED)
    await seen(room, 1, 1, 3, 3)
    await room.store(2, "view_item", consent=DENIED)
    await room.store(1, "scroll")
    await seen(room, 1)
    await room.resolve()
    room.transport.always = DOWN
    await room.lane.step()
    tally = await room.tally()
    assert {fate: tally.get(fate) for fate in ("held", "withheld", "waiting")} == {
        "held": 2,
        "withheld": 1,
        "waiting": 3,
    }
    await room.close()


async def test_who_withdraws_while_set_aside_has_nothing_sent(tmp_path):
    room = await open_room(tmp_path)
    await known(room, range(1, 9))
    old = await seen(room, *range(1, 9))
    room.transport.always = DOWN
    await room.resolve()
    await room.lane.step()
    for visitor in range(1, 9):
        await room.store(visitor, "consent", consent=DENIED)
    await room.resolve()
    sent = len(room.transport.requests)
    room.clock.advance(60)
    await room.work()
    assert (len(room.transport.requests), (await room.tally())["withheld"]) == (sent, len(old))
    await room.close()


async def test_death_between_two_steps_loses_nothing_of_the_backlog_and_sends_nothing_twice(tmp_path):
    room = await open_room(tmp_path)
    await known(room, range(1, 5))
    old = await seen(room, *range(1, 5), *range(1, 5), *range(1, 5))
    await room.resolve()
    while (await room.tally()).get("delivered", 0) < len(old):
        await room.lane.step()
        await room.restart()
    assert sorted(room.transport.ids) == sorted(old)
    assert all([one for one in room.transport.ids if one in own] == own for own in (old[at::4] for at in range(4)))
    await room.close()


async def test_backlog_that_the_disk_has_no_room_for_goes_from_the_journal(tmp_path):
    room = await open_room(tmp_path)
    await known(room, range(1, 9))
    old = await seen(room, *range(1, 9))
    await room.resolve()
    settle, refused = room.lane.ledger.settle, []

    async def full(page, last, settled, now_ms):
        if not room.transport.requests:
            refused.append(last)
            raise StorageFull("no room for the ledger")
        await settle(page, last, settled, now_ms)

    room.lane.ledger.settle = full
    await room.work()
    assert (len(refused), sorted(room.transport.ids)) == (1, sorted(old))
    assert (await room.tally())["delivered"] == len(old)
    await room.close()


async def test_open_circuit_looks_at_few_rows_for_a_probe_and_at_none_between(tmp_path):
    room = await open_room(tmp_path, Rate(350, 3_500))
    await known(room, range(1, 31))
    await seen(room, *range(1, 31))
    room.transport.always = DOWN
    await room.work()
    assert room.health.is_open
    await seen(room, *range(1, 31))
    await room.resolve()
    look, limits = room.lane.ledger.look, []

    async def noted(limit):
        limits.append(limit)
        return await look(limit)

    room.lane.ledger.look = noted
    probes = len(room.transport.requests)
    for _ in range(100):
        await room.lane.step()
        room.clock.advance(0.5)
    assert set(limits) == {20}
    assert len(limits) <= len(room.transport.requests) - probes <= 12
    await room.close()


async def test_what_a_page_has_for_the_background_leaves_the_turns_to_what_is_live(tmp_path):
    room = await open_room(
        tmp_path, Rate(2, 60), ONE_BY_ONE.replace("{metric: Added to Cart}", "{metric: Added, lane: background}")
    )
    await known(room, range(1, 30))
    for visitor in range(1, 29):
        await room.store(visitor, "add_to_cart")
    (live,) = await seen(room, 29)
    await room.resolve()
    began_s = room.clock.monotonic_s()
    await room.lane.step()
    assert room.transport.ids[0] == live
    assert room.clock.monotonic_s() - began_s <= 1.5
    assert (await room.tally())["waiting"] >= 25
    await room.close()


async def test_what_is_due_goes_between_two_slices_of_a_backlog_that_takes_long_to_set_aside(tmp_path):
    room = await open_room(tmp_path)
    await known(room, [1, 2])
    room.transport.always = DOWN
    (due,) = await seen(room, 1)
    await room.resolve()
    await room.lane.step()
    room.transport.always = TAKEN
    template = await room.store(2, "view_item")
    await store_all(room, [replace(template, id=f"old-{number}") for number in range(1_100)])
    await room.resolve()
    settle = room.lane.ledger.settle

    async def slowly(*arguments):
        await settle(*arguments)
        room.clock.advance(20.0)  # as the account has a turn by then

    room.lane.ledger.settle = slowly
    await room.lane.step()
    assert (await room.tally())["waiting"] == 1 + 1_000
    await room.lane.step()
    tally = await room.tally()
    assert room.transport.ids[:2] == [due, due]
    assert tally["waiting"] + tally["delivered"] == 1 + 1_101
    await room.close()
