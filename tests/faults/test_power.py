"""The power fails: real processes on a disk that loses all that was not synced, and no event that was acknowledged.

The service keeps its data on an ext4 file system of its own. Both processes are halted before the cut, so that no
promise is made after it: a sync that is under way then may return well and means nothing any more.
"""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.faults.counts import COUNTS
from tests.faults.disk import PoweredDisk, powered_disk, why_no_power
from tests.faults.driver import ROLES, World, running_world, seeded, until
from tests.faults.proxy import Proxy
from tests.faults.service import Parts, is_halted
from tests.faults.verdict import settled

IMAGE_BYTES = 96_000_000
WAIT_S = 60.0
ANY_CROWD = 10**6


@asynccontextmanager
async def on_powered_disk(folder: Path, **how: Any) -> AsyncIterator[tuple[World, PoweredDisk]]:
    """Run the service with all its data on a disk whose power can be cut, visitors walking about."""
    why = why_no_power()
    if why and not COUNTS.are_long:
        pytest.skip(why)
    assert not why, why
    with powered_disk(folder / "data", folder / "disk.img", IMAGE_BYTES) as disk:
        async with running_world(folder, deniers=1, kind=Parts, **how) as world:
            await world.service.until_ready()
            await world.introduce()
            yield world, disk


async def cut_power(world: World, disk: PoweredDisk) -> None:
    """Halt both processes, cut, end them, and start them again on what the disk has kept."""
    pids = [await world.service.pid(role) for role in ROLES]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    await until(lambda: all(map(is_halted, pids)), WAIT_S, "both are halted")
    disk.cut()
    world.injected["power cut"] += 1
    for role in ROLES:
        await world.service.end_part(role)
    disk.restore()
    await world.service.start()
    await world.service.until_ready(within_s=WAIT_S)


async def test_no_acknowledged_event_is_lost_when_the_power_fails_again_and_again(tmp_path):
    """Half of the cuts find a vendor that is away, so that all that is known of an event is what the disk has."""
    rng, proxy = seeded(), Proxy()
    async with on_powered_disk(tmp_path, proxy=proxy) as (world, disk):
        world.open_doors(rng, crowd=ANY_CROWD)  # else nobody goes on while a vendor is away for long
        for number in range(COUNTS.power_cuts):
            await _let_vendor(proxy, is_there=number % 2 == 1)
            await world.until_accepted(rng.randint(20, 80), WAIT_S)
            await cut_power(world, disk)
        await _let_vendor(proxy, is_there=True)
        await world.close_doors()
        print(await settled(world))


async def _let_vendor(proxy: Proxy, *, is_there: bool) -> None:
    if is_there:
        await proxy.reopen()
    else:
        proxy.shut()
