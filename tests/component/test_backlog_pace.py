"""A backlog beside live traffic, against a fake Klaviyo with its real windows, in compressed time."""

import os
from collections import Counter
from pathlib import Path

from tests.backroom import PIPELINE
from tests.paced import BULK, SINGLE, World

# `make test-faults` plays it with 100,000.
EVENTS = int(os.environ.get("BACKLOG_EVENTS", "6000"))
VISITORS = EVENTS // 4
LIMIT_S = 2.0
SHARE = 0.8
# What our share lets through by bulk, a thousand at a time.
BY_BULK_PER_S = SHARE * 150 / 60 * 1_000
# The first are the freshest of the backlog's visitors, who have events of theirs in it.
LIVE = (VISITORS, VISITORS // 2, VISITORS + 1, VISITORS + 2)
SINGLY = PIPELINE.replace('base_url: "http://klaviyo.test"', 'base_url: "http://klaviyo.test", endpoint: create_event')


async def backlogged(folder: Path, *files: str) -> World:
    """Open a world in which so many events wait in the journal, four of each visitor."""
    world = await World.open(folder, *files)
    await world.know(range(1, VISITORS + 3))
    for number in range(EVENTS):
        await world.store(number % VISITORS + 1, number)
    await world.flush()
    return world


async def injected(world: World, every_s: float) -> dict[str, float]:
    """Let live visitors do something from time to time while the backlog goes; give when each did."""
    since: dict[str, float] = {}
    for number, visitor in enumerate(LIVE):
        await world.clock.pause(every_s)
        moment_s = world.clock.monotonic_s()
        since[await world.store(visitor, EVENTS + number, "add_to_cart")] = moment_s
        await world.flush()
    return since


async def until_all(world: World, events: int) -> None:
    while len(world.vendor.arrived) < events:
        await world.clock.pause(0.25)


async def test_a_live_event_is_on_its_way_within_two_seconds_whatever_waits(tmp_path):
    world = await backlogged(tmp_path)
    since: dict[str, float] = {}
    missing: list[int] = []

    async def inject() -> None:
        since.update(await injected(world, EVENTS / BY_BULK_PER_S / 12))
        missing.append(EVENTS + len(LIVE) - len(world.vendor.arrived))
        await until_all(world, EVENTS + len(LIVE))

    began_s = world.clock.monotonic_s()
    await world.run(inject())
    late_s = {name: world.vendor.arrived[name][0] - moment_s for name, moment_s in since.items()}
    assert max(late_s.values()) <= LIMIT_S, late_s
    assert world.vendor.is_in_order
    assert missing[0] > len(LIVE)
    assert world.vendor.asked[429] <= 0.01 * world.vendor.asked.total()
    assert len(world.vendor.arrived) == EVENTS + len(LIVE)
    assert 0.9 * BY_BULK_PER_S * (world.clock.monotonic_s() - began_s - LIMIT_S) <= EVENTS
    await world.close()


async def test_a_backlog_that_may_only_go_singly_takes_nine_tenths_of_our_share_and_lets_live_events_by(tmp_path):
    world = await backlogged(tmp_path, SINGLY)
    since: dict[str, float] = {}
    taken: list[int] = []

    async def inject() -> None:
        await world.clock.pause(3.0)
        taken.append(len(world.vendor.arrived))
        since.update(await injected(world, 3.0))
        await world.clock.pause(3.0)
        taken.append(len(world.vendor.arrived))

    await world.run(inject())
    late_s = {name: world.vendor.arrived[name][0] - moment_s for name, moment_s in since.items()}
    assert max(late_s.values()) <= LIMIT_S, late_s
    assert taken[1] - taken[0] >= 0.9 * SHARE * 3_500 / 4
    assert world.vendor.is_in_order
    assert (world.vendor.asked[429], world.vendor.statuses[BULK]) == (0, {})
    await world.close()


async def test_two_pipelines_of_one_account_share_its_rate_evenly(tmp_path):
    """Each asks for all of it; together they ask for no more than one would."""
    world = await World.open(tmp_path, SINGLY, SINGLY.replace("name: klaviyo\n", "name: second\n"))
    await world.know(range(1, 501))
    for number in range(2_000):
        await world.store(number % 500 + 1, number)
    await world.flush()
    asked: Counter[int] = Counter()
    delivered: list[float] = []

    async def look() -> None:
        await world.clock.pause(20.0)
        asked.update(world.vendor.statuses[SINGLE])
        delivered.extend(world.delivered(name) for name in ("klaviyo", "second"))

    await world.run(look())
    assert asked[429] == 0
    burst = 0.05 * SHARE * 3_500 + 1
    assert 0.9 * SHARE * 3_500 / 3 <= asked[202] <= 0.95 * SHARE * 3_500 / 3 + burst
    assert min(delivered) >= 0.8 * max(delivered)
    await world.close()


async def test_another_integration_on_the_account_gets_the_half_that_it_asks_for(tmp_path):
    world = await backlogged(tmp_path, SINGLY)
    world.vendor.others_per_min = 1_750.0
    await world.run(world.clock.pause(45.0))
    asked, others = world.vendor.statuses[SINGLE], world.vendor.others
    assert asked[429] <= 0.01 * asked.total()
    assert others[429] <= 0.01 * others.total()
    assert asked[202] >= 0.7 * 1_750 * 45 / 60
    await world.close()
