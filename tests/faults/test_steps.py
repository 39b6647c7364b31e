"""Death at each step of the work, just before it and just after: the moments that a kill at random seldom meets."""

import random
from collections.abc import Sequence

import pytest

from tests.faults.counts import COUNTS
from tests.faults.driver import World, running_world, seeded, until
from tests.faults.part import STEPS
from tests.faults.proxy import Deck, Proxy
from tests.faults.service import Parts
from tests.faults.verdict import settled

DIES_S = 120.0
PADDING_BYTES, LARGE_CROWD = 20_000, 400
SMALL = "segment_bytes: 1MB, max_bytes: 4MB, free_bytes: 1MB"
FIRST = ("begin segment", "segment begun", "unlink", "unlinked")  # reached by every start, or seldom: the first time
OTHERS = (2, 5)  # never the first time: an event with which six processes die in a row is given up


async def test_nothing_is_lost_when_a_collector_dies_at_any_step(tmp_path):
    """Before and after a commit, while a segment begins and while one is sealed."""
    rng = seeded()
    async with running_world(tmp_path, deniers=1, kind=Parts, spool="segment_bytes: 1MB, free_bytes: 1MB") as world:
        await world.service.until_ready()
        await world.introduce()
        world.open_doors(rng, padding=PADDING_BYTES, crowd=LARGE_CROWD)
        await _die_at_each(world, "collector", STEPS["collector"], rng)
        print(await settled(world))


async def test_nothing_is_lost_when_a_drainer_dies_at_any_step(tmp_path):
    """Before and after resolving, taking, sending and settling, of pages and of what waits."""
    rng = seeded()
    proxy = Proxy(Deck(rng, kinds=("5xx before", "reset after"), each=400, passes=3))
    async with running_world(tmp_path, proxy=proxy, deniers=1, kind=Parts) as world:
        await world.service.until_ready()
        await world.introduce()
        world.open_doors(rng)
        steps = [step for step in STEPS["drainer"] if not step.startswith("unlink")]
        await _die_at_each(world, "drainer", steps, rng, calm=proxy)
        print(await settled(world))


@pytest.mark.long
async def test_nothing_is_lost_when_a_drainer_dies_while_a_segment_goes(tmp_path):
    """Room is given back on a spool that nears its cap, and the process ends before or after the file is gone."""
    rng = seeded()
    async with running_world(tmp_path, deniers=1, kind=Parts, spool=SMALL) as world:
        await world.service.until_ready()
        await world.introduce()
        world.open_doors(rng, padding=PADDING_BYTES, crowd=LARGE_CROWD)
        await _die_at_each(world, "drainer", ("unlink", "unlinked"), rng)
        print(await settled(world))


async def _die_at_each(
    world: World, role: str, steps: Sequence[str], rng: random.Random, *, calm: Proxy | None = None
) -> None:
    """Let a part start again and again, each time with another step at which it dies; at last let it live."""
    for step in rng.sample([*steps] * COUNTS.deaths_each, COUNTS.steps(len(steps))):
        await world.service.end_part(role)
        times = 1 if step in FIRST else rng.randint(*OTHERS)
        await world.service.begin(role, die_at=f"{step}:{times}")
        process = world.service.processes[role]
        await until(lambda process=process: process.returncode is not None, DIES_S, f"{role} dies at {step}:{times}")
        assert process.returncode == -9, f"{role} ended by itself before {step}: {process.returncode}"
        world.injected[f"death of the {role} at: {step}"] += 1
    await world.service.begin(role)
    if calm is not None:
        calm.deck = None
    await world.service.until_ready()
    await world.close_doors()
