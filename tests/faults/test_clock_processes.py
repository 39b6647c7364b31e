"""The machine's clock jumps under real processes, while a vendor is away: running, or as they start."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from edge.clock import FAR_MS, MAX_GAP_MS
from tests.faults.counts import COUNTS
from tests.faults.driver import READY_S, ROLES, World, running_world, seeded, until
from tests.faults.proxy import Proxy
from tests.faults.service import Parts
from tests.faults.test_clock_jumps import JUMPS
from tests.faults.verdict import settled

FAULT_S = 60.0
PAUSE_S, LARGE_CROWD = 1.0, 1_000  # a slow machine starts twice before anything can leave
WHEN = ("while running", "at start")
FEW = [("400 days ahead", "at start")]
SOME = [*FEW, ("400 days ahead", "while running"), ("400 days back", "at start"), ("stuck", "while running")]
EVERY = [(jump, when) for jump in JUMPS for when in WHEN]
PLAYED = EVERY if os.environ.get("EVERY_JUMP") else SOME if COUNTS.are_long else FEW


class Clocked(Parts):
    """Both parts under a clock that a file sets."""

    def __init__(self, folder: Path, base_url: str, **more: Any) -> None:
        super().__init__(folder, base_url, **more)
        self._clock = folder / "clock"
        self.also = ("--clock", str(self._clock))
        self.set_clock("0")

    def set_clock(self, told: str) -> None:
        """Set it; a reader finds the old word or the new one."""
        fresh = self._clock.with_suffix(".new")
        fresh.write_text(told)
        fresh.replace(self._clock)

    async def start_again(self) -> None:
        """End both without a word and start them."""
        for role in ROLES:
            await self.kill(role)
        await self.until_ready()


@pytest.mark.parametrize(("jump", "when"), PLAYED)
async def test_nothing_is_lost_or_let_go_when_the_clock_jumps(tmp_path, jump, when):
    """What waits is sent when the vendor is there again, in order; who is on call can see that the clock is off."""
    rng, proxy = seeded(), Proxy()
    async with running_world(tmp_path, deniers=1, kind=Clocked, proxy=proxy) as world:
        await world.service.until_ready()
        await world.introduce()
        world.open_doors(rng, pause_s=PAUSE_S, crowd=LARGE_CROWD)
        await world.until_accepted(20, READY_S)
        proxy.shut()
        await world.until_accepted(20, READY_S)
        await _set(world, _told(jump), when)
        world.injected[f"clock: {jump}, {when}"] += 1
        await world.until_accepted(30, READY_S)
        if _is_doubtful(JUMPS[jump] * 1_000, when):
            await until(lambda: _is_doubted(world), FAULT_S, "both say that the clock is off")
        await _set(world, "0", when)
        await proxy.reopen()
        await world.close_doors()
        print(await settled(world))


def _is_doubtful(jump_ms: float, when: str) -> bool:
    """Tell whether a jump is too far; a start believes what may have been a pause."""
    return abs(jump_ms) > FAR_MS and not (when == "at start" and 0 < jump_ms <= MAX_GAP_MS)


def _told(jump: str) -> str:
    return f"at {time.time_ns() // 1_000_000}" if jump == "stuck" else str(round(JUMPS[jump] * 1_000))


async def _set(world: World, told: str, when: str) -> None:
    assert isinstance(world.service, Clocked)
    world.service.set_clock(told)
    if when == "at start":
        await world.service.start_again()


async def _is_doubted(world: World) -> bool:
    state = await world.service.state()
    return all(state[role].get("clock_off_s") for role in ROLES)
