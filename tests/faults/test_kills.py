"""Death at any moment: what was acknowledged arrives, once for the vendor and in order.

Each run kills one process again and again while the same visitors go on. A run without a loss says little about one
kill: 0 in n bounds the rate below 3/n at 95 %; the report says which n that was.
"""

import asyncio
import json
import os
import signal
import time
from pathlib import Path
from typing import Any, ClassVar

import pytest

from edge.sandbox.faults import Fault
from tests.faults.books import spool_numbers
from tests.faults.counts import COUNTS
from tests.faults.driver import ROLES, World, lives, running_world, seeded, until
from tests.faults.service import is_halted
from tests.faults.verdict import settled

MAX_DELAY_S = 0.3
WAIT_S = 60.0  # for what takes a second on a machine that has nothing else to do
STOP_LIMIT_S = 5.0


@pytest.mark.parametrize(
    "roles", [(role,) for role in ROLES] + [pytest.param(ROLES, marks=pytest.mark.long)], ids=" and ".join
)
async def test_nothing_acknowledged_is_lost_when_a_process_is_killed_again_and_again(tmp_path, roles):
    """Visitors never tell more than a few hundred events ahead of what the vendor takes, however long a start takes."""
    rng = seeded()
    async with running_world(tmp_path, deniers=1) as world:
        await world.service.until_ready()
        await world.introduce()
        world.open_doors(rng)
        waits_s = []
        for _ in range(COUNTS.kills):
            await asyncio.sleep(rng.uniform(0, MAX_DELAY_S))
            pids = [await world.kill(role) for role in roles]
            waits_s.append(await world.service.until_ready(*pids))
        await world.close_doors()
        verdict = await settled(world)
        numbers = spool_numbers(world.service.data_dir)
    print(f"{roles}: {verdict} cut={world.answers.cut} ready again after at most {max(waits_s):.1f} s")
    assert numbers == list(range(1, len(numbers) + 1)), "a number was used twice, or left out"
    assert world.service.logged("task ended unasked") == 0


async def test_a_killed_supervisor_takes_its_processes_along_and_the_next_one_goes_on_with_the_same_data(tmp_path):
    """Children that nobody watches would hold the locks for ever; the next start waits for them to end."""
    rng = seeded()
    async with running_world(tmp_path, deniers=1) as world:
        await world.service.until_ready()
        await world.introduce()
        world.open_doors(rng)
        for _ in range(COUNTS.supervisor_kills):
            await asyncio.sleep(rng.uniform(0, MAX_DELAY_S))
            children = [await world.service.pid(role) for role in ROLES]
            os.kill(world.service.process.pid, signal.SIGKILL)
            world.injected["kill -9 of the supervisor"] += 1
            await world.service.process.wait()
            await world.service.start()
            took_s = await world.service.until_ready(*children)
            assert not any(map(lives, children)), "a process outlived its supervisor"
            print(f"ready again after {took_s:.1f} s")
        await world.close_doors()
        print(await settled(world))


async def test_an_orphaned_process_ends_by_itself(tmp_path):
    """Nobody starts the service again: what is left of it ends all the same, and what was promised is kept."""
    async with running_world(tmp_path, deniers=1) as world:
        await world.service.until_ready()
        await world.introduce()
        world.open_doors(seeded())
        await world.until_accepted(20, WAIT_S)
        children = [await world.service.pid(role) for role in ROLES]
        os.kill(world.service.process.pid, signal.SIGKILL)
        await world.service.process.wait()
        await until(lambda: not any(map(lives, children)), WAIT_S, "orphans end")
        await world.service.start()
        await world.service.until_ready(*children)
        await world.close_doors()
        await settled(world)


async def test_a_service_that_starts_while_the_former_one_still_ends_waits_for_its_files(tmp_path):
    """A drainer with a request under way takes seconds to end; the next start is at once, as a process manager does."""
    async with running_world(tmp_path, deniers=1) as world:
        await world.service.until_ready()
        await world.introduce()
        faults = world.sandboxes[0].sandbox.faults
        faults.add(Fault("klaviyo", "slow", times=None, after_processing=True, wait_s=60))
        world.open_doors(seeded(), pause_s=1.0)
        await until(lambda: any(exchange.is_open for exchange in world.exchanges), WAIT_S, "an event is on its way")
        children = [await world.service.pid(role) for role in ROLES]
        os.kill(world.service.process.pid, signal.SIGKILL)
        await world.service.process.wait()
        await world.service.start()
        await world.service.until_ready(*children, within_s=WAIT_S)
        faults.clear()
        await world.close_doors()
        print(await settled(world))


async def test_a_polite_stop_answers_what_is_under_way_and_loses_nothing(tmp_path):
    """What has arrived when the signal comes is stored and answered, and the signal is obeyed within its limit.

    The collector is halted while the rest of a request and the signal arrive, so that it finds both at once.
    """
    async with running_world(tmp_path, deniers=1) as world:
        await world.service.until_ready()
        await world.introduce()
        world.open_doors(seeded())
        await world.until_accepted(50, WAIT_S)
        under_way = await _Halfway.begin(world)
        collector = await world.service.pid("collector")
        os.kill(collector, signal.SIGSTOP)
        await until(lambda: is_halted(collector), WAIT_S, "the collector is halted, before it could hear of the end")
        under_way.send_rest()
        began_s = time.monotonic()
        stopping = asyncio.create_task(world.service.stop())
        await until(lambda: _is_pending(collector, signal.SIGTERM), WAIT_S, "the signal has reached the collector")
        os.kill(collector, signal.SIGCONT)
        assert await under_way.status() == 204
        await world.promises.write([under_way.event], visitor=99, status=204)
        assert await stopping == 0
        took_s = time.monotonic() - began_s
        assert took_s < STOP_LIMIT_S
        print(f"stopped within {took_s:.1f} s, cut={world.answers.cut}")
        await world.service.start()
        await world.service.until_ready()
        await world.close_doors()
        print(await settled(world))


async def test_a_service_that_is_started_anew_again_and_again_loses_nothing(tmp_path):
    """As an impatient process manager does: a polite stop and a start, visitors walking about."""
    async with running_world(tmp_path, deniers=1) as world:
        await world.service.until_ready()
        await world.introduce()
        world.open_doors(seeded())
        for _ in range(COUNTS.restarts):
            await world.until_accepted(20, WAIT_S)
            assert await world.service.stop() == 0
            world.injected["restart"] += 1
            await world.service.start()
            await world.service.until_ready()
        await world.close_doors()
        print(await settled(world))


async def test_a_second_service_on_the_same_data_ends_and_names_the_first(tmp_path):
    """Two writers in one file are what SQLite may not survive."""
    async with running_world(tmp_path, deniers=1) as world:
        await world.service.until_ready()
        await world.introduce()
        world.open_doors(seeded())
        second = await world.service.spawn()
        assert await asyncio.wait_for(second.wait(), WAIT_S) == 1
        holder = f"process {world.service.process.pid} already runs as serve on {world.service.data_dir}"
        assert holder in world.service.log.read_text()
        await world.until_accepted(20, WAIT_S)
        await world.close_doors()
        await settled(world)


class _Halfway:
    """A visitor's request of which half has arrived, and whose handler is known to run."""

    event: ClassVar[dict[str, Any]] = {"id": "halfway-99-0", "name": "page_view", "properties": {"number": 0}}

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rest: bytes) -> None:
        self._reader, self._writer, self._rest = reader, writer, rest

    @classmethod
    async def begin(cls, world: World) -> "_Halfway":
        body = json.dumps({"context": {}, "events": [cls.event]}).encode()
        head = [
            *("POST /t/e HTTP/1.1", "Host: shop", "Sec-Fetch-Site: same-origin", "Expect: 100-continue"),
            f"Content-Length: {len(body)}",
        ]
        reader, writer = await asyncio.open_unix_connection(str(world.service.socket))
        writer.write("\r\n".join((*head, "", "")).encode() + body[:20])
        assert b"100 Continue" in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), WAIT_S)
        return cls(reader, writer, body[20:])

    def send_rest(self) -> None:
        """Send the other half."""
        self._writer.write(self._rest)

    async def status(self) -> int:
        """Give the answer's status."""
        status = int((await asyncio.wait_for(self._reader.readline(), WAIT_S)).split()[1])
        self._writer.close()
        return status


def _is_pending(pid: int, number: int) -> bool:
    """Tell whether a halted process has a signal to find when it goes on."""
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return bool(int(status["ShdPnd"], 16) >> (number - 1) & 1)
