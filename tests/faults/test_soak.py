"""Hours under load, with a fault every minute: nothing is lost, and memory does not grow.

`make test-faults` soaks for a minute. For a release: SOAK_S=7200 FAULTS=long python -m pytest -s
tests/faults/test_soak.py, which says how memory and answers went, and judges memory's growth too.
"""

import asyncio
import itertools
import os
import random
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.faults.driver import READY_S, ROLES, Visitor, World, running_world, seeded
from tests.faults.proxy import Deck, Proxy
from tests.faults.test_clock_processes import Clocked
from tests.faults.verdict import settled

SOAK_S = float(os.environ.get("SOAK_S") or 60)
EVERY_S = min(60.0, SOAK_S / 12)
PAUSE_S = 1.5  # some fifteen events a second: what the sandbox keeps of two hours is a few hundred megabytes
LOOK_EVERY_S = 0.5
LONG_S, MOST_MB_PER_H, MOST_MB = 3_600.0, 1.0, 200.0
CLOSED_S = 600.0


@dataclass
class Watch:
    """What is measured beside the run: memory by process, and how long a visitor's answers took, with the moment."""

    megabytes: dict[int, list[tuple[float, float]]] = field(default_factory=dict)
    answers_s: list[float] = field(default_factory=list)

    @asynccontextmanager
    async def over(self, world: World, prober: Visitor) -> AsyncIterator[None]:
        """Measure until the block ends."""
        tasks = [asyncio.create_task(self._weigh(world)), asyncio.create_task(self._ask(prober))]
        try:
            yield
        finally:
            prober.is_stopping = True
            tasks[0].cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _weigh(self, world: World) -> None:
        while True:
            for role in ROLES:
                pid = await world.service.pid(role)
                if (size := _megabytes(pid)) is not None:
                    self.megabytes.setdefault(pid, []).append((time.monotonic(), size))
            await asyncio.sleep(LOOK_EVERY_S)

    async def _ask(self, prober: Visitor) -> None:
        while not prober.is_stopping:
            began_s = time.monotonic()
            await prober.look()
            self.answers_s.append(time.monotonic() - began_s)
            await asyncio.sleep(LOOK_EVERY_S)

    def growth(self, pid: int) -> float:
        """Give by how many megabytes an hour a process has grown in the later half of what was seen of it."""
        seen = self.megabytes[pid][len(self.megabytes[pid]) // 2 :]
        line = statistics.linear_regression([at for at, _ in seen], [size for _, size in seen])
        return line.slope * 3_600

    def late_share(self) -> float:
        """Give the slowest hundredth's time in the last quarter, as a share of what it was in the first."""
        quarter = len(self.answers_s) // 4
        first, last = [
            statistics.quantiles(some, n=100)[-1] for some in (self.answers_s[:quarter], self.answers_s[-quarter:])
        ]
        return last / first


@pytest.mark.long
async def test_hours_of_faults_lose_nothing_and_memory_stays_where_it_was(tmp_path):
    """In the first half processes die too; in the second they live, so that what they keep shows."""
    rng, watch = seeded(), Watch()
    async with running_world(tmp_path, deniers=1, kind=Clocked, proxy=Proxy()) as world:
        await world.service.until_ready()
        await world.introduce()
        prober = world.visitors.pop()  # walks by itself
        world.open_doors(rng, pause_s=PAUSE_S)
        async with watch.over(world, prober):
            await _play(world, rng, ("collector", "drainer", "both"), SOAK_S / 2)
            pids = [await world.service.pid(role) for role in ROLES]
            await _play(world, rng, (), SOAK_S / 2)
            assert pids == [await world.service.pid(role) for role in ROLES], "one ended by itself"
        await world.close_doors()
        verdict = await settled(world, CLOSED_S)
    most = max(size for seen in watch.megabytes.values() for _, size in seen)
    growth = {role: round(watch.growth(pid), 1) for role, pid in zip(ROLES, pids, strict=True)}
    print(
        f"{SOAK_S:.0f} s: {verdict.promised} promised, {verdict.repeats} repeats, {sum(world.injected.values())} faults"
    )
    print(
        f"most memory {most:.0f} MB, growth {growth} MB/h, slowest answers {watch.late_share():.2f} of what they were"
    )
    assert most < MOST_MB
    if SOAK_S >= LONG_S:  # in less time, what is filled once looks like growth
        assert max(growth.values()) < MOST_MB_PER_H


async def _play(world: World, rng: random.Random, deaths: tuple[str, ...], seconds: float) -> None:
    """Let something happen again and again, until the time is over."""
    until_s = time.monotonic() + seconds
    for what in itertools.cycle(rng.sample(("network", "clock", "away", *deaths), 3 + len(deaths))):
        if time.monotonic() >= until_s:
            return
        await _happen(world, rng, what)
        await world.until_accepted(5, READY_S)
        await asyncio.sleep(EVERY_S)  # how often, not when


async def _happen(world: World, rng: random.Random, what: str) -> None:
    assert world.proxy is not None
    assert isinstance(world.service, Clocked)
    match what:
        case "network":
            world.proxy.deck = Deck(rng)
        case "clock":
            world.service.set_clock(str(rng.choice((400, -400, 0)) * 86_400_000))
            world.injected["clock: a jump under load"] += 1
        case "away":
            world.proxy.shut()
            await world.until_accepted(20, READY_S)
            await world.proxy.reopen()
            world.injected["network: vendor away"] += 1
        case "both":
            await asyncio.gather(*(world.kill(role) for role in ROLES))
        case role:
            await world.kill(role)
    if what in ("both", *ROLES):
        await world.service.until_ready()


def _megabytes(pid: int) -> float | None:
    """Give what a process has in memory; None where it has just ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
