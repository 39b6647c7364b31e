"""File handles run out, or are held by those who say nothing: who was there is served, nobody spins, nothing breaks."""

import asyncio
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

from edge.collector import MAX_CONNECTIONS
from tests.faults.driver import ROLES, World, lives, running_world, seeded, until
from tests.faults.limits import handles, limit_handles, processor_s
from tests.faults.service import Parts
from tests.faults.verdict import settled
from tests.running_collector import Running, running

HANDLES, CROWD, RUSH, IDLE = 64, 40, 200, 4_096
FAULT_S, WATCH_S, MOST_SHARE = 60.0, 2.0, 0.2


class Crowd:
    """Connections that say nothing, over a unix socket."""

    def __init__(self, path: Path) -> None:
        self._path, self._sockets = path, list[socket.socket]()

    def join(self) -> bool:
        """Open one more; False while the listener's queue is full."""
        one = socket.socket(socket.AF_UNIX)
        one.setblocking(False)
        try:
            one.connect(str(self._path))
        except OSError:
            one.close()
            return False
        self._sockets.append(one)
        return True

    @property
    def open(self) -> int:
        """How many are connected still."""
        return sum(not _is_closed(one) for one in self._sockets)

    def is_last_open(self) -> bool:
        """Tell whether the newest is connected still."""
        return not _is_closed(self._sockets[-1])

    def leave(self) -> None:
        """Close all."""
        for one in self._sockets:
            one.close()
        self._sockets.clear()


def _is_closed(one: socket.socket) -> bool:
    try:
        return one.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


@contextmanager
def crowd_at(world: World, least_handles: int = 0) -> Iterator[Crowd]:
    """Let a crowd come, whose sockets are this process's: its own limit is raised for them, and set back."""
    with ExitStack() as stack:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < least_handles:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, least_handles), hard))
            stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        crowd = Crowd(world.service.socket)
        stack.callback(crowd.leave)
        yield crowd


async def _come_one_by_one(crowd: Crowd, pid: int) -> None:
    """Let each be taken, or sent away, before the next one comes."""
    for _ in range(CROWD):
        before = handles(pid)
        assert crowd.join()
        is_told = lambda before=before: not crowd.is_last_open() or not lives(pid) or handles(pid) > before  # noqa: E731
        await until(is_told, FAULT_S, "the newest is taken or sent away")


async def test_strangers_who_hold_every_handle_end_nothing_and_who_is_there_is_served(tmp_path):
    """First all at once, when visitors find no place; then one by one, when visitors have theirs.

    Nobody asks the system again and again for a handle, the spool's own are not for connections, and when the strangers
    leave, all is as it was.
    """
    async with running_world(tmp_path, deniers=1) as world:
        pid = await _limited(world)
        with crowd_at(world) as crowd:
            world.injected["limit: 64 handles, rushed"] += 1
            assert [crowd.join() for _ in range(RUSH)] == [True] * RUSH
            share = await _share(pid)
            assert await world.service.healthz() == 200
            world.open_doors(seeded())
            await until(lambda: world.answers.cut >= 5, FAULT_S, "visitors find no place")
            crowd.leave()
            took_s = await world.until_accepted(20, FAULT_S)
            assert {status for status, _ in world.answers.refusals} <= {503}
            refusals = len(world.answers.refusals)
            world.injected["limit: 64 handles, all held"] += 1
            await _come_one_by_one(crowd, pid)
            await world.until_accepted(30, FAULT_S)
            assert (len(world.answers.refusals), handles(pid) < HANDLES) == (refusals, True)
            assert (await world.service.healthz(), 0 < crowd.open < CROWD) == (200, True)
        await world.close_doors()
        print(f"{share:.0%} of a processor while rushed, accepts {took_s:.1f} s after: {await settled(world)}")
        assert await world.service.pid("collector") == pid
    assert share < MOST_SHARE


async def test_thousands_who_say_nothing_cost_a_visitor_nothing(tmp_path):
    """All of them are let in where the system gives a process that many handles, as it does by default."""
    async with running_world(tmp_path, deniers=1) as world:
        await world.service.until_ready()
        await world.introduce()
        pid = await world.service.pid("collector")
        with crowd_at(world, IDLE + 500) as crowd:
            world.injected["limit: 4,096 idle connections"] += 1
            came = await _all_come(crowd)
            share = await _share(pid)
            world.open_doors(seeded())
            await world.until_accepted(30, FAULT_S)
            assert (await world.service.healthz(), world.answers.refusals, world.answers.cut) == (200, [], 0)
        await world.close_doors()
        print(f"{came} came, {share:.0%} of a processor: {await settled(world)}")
    assert share < MOST_SHARE


@pytest.mark.parametrize("said", [b"", b"POST /t/e HT", b"POST /t/e HTTP/1.1\r\nHost: shop.example\r\nX: "])
async def test_who_says_nothing_or_half_a_head_is_sent_away_in_time(said):
    """Else idle connections would hold their places for ever."""
    async with running(keep_alive_s=0.2) as edge:
        reader, writer = await edge.connect()
        writer.write(said)
        assert await asyncio.wait_for(reader.read(), FAULT_S) == b""
        writer.close()


async def test_one_connection_more_than_there_may_be_is_closed_and_counted_out_again():
    async with running(connections=2) as edge:
        first, second, third = [await edge.connect() for _ in range(3)]
        assert await asyncio.wait_for(_ended(third[0]), FAULT_S)
        first[1].close()
        await until(lambda: _is_served(edge), FAULT_S, "a place is free")
        second[1].close()


async def test_taking_every_connection_is_found_by_the_same_crowd(tmp_path, record_property):
    """Planted: without a bound the spool itself finds no handle, and refuses those who were there."""
    async with running_world(tmp_path, kind=Parts, bug="unbounded_connections") as world:
        await world.service.until_ready()
        await world.introduce()
        limit_handles(pid := await world.service.pid("collector"), HANDLES)
        world.open_doors(seeded())
        await world.until_accepted(20, FAULT_S)
        with crowd_at(world) as crowd:
            await _come_one_by_one(crowd, pid)
            await until(lambda: bool(world.answers.refusals) or not lives(pid), FAULT_S, "it is felt")
        found = {"refused": len(world.answers.refusals), "dead": int(not lives(pid))}
    record_property("planted", {"bug": "unbounded connections", "found": found})


async def _limited(world: World) -> int:
    """Give the collector of a service that may have few files open, and had no visitor yet; give its process id."""
    await world.service.until_ready()
    await world.introduce()
    limit_handles(world.service.process.pid, HANDLES)
    await world.service.until_ready(await world.service.kill(ROLES[0]))
    return await world.service.pid(ROLES[0])


async def _share(pid: int) -> float:
    """Give how much of a processor a process uses; that needs some time."""
    began_s = processor_s(pid)
    await asyncio.sleep(WATCH_S)
    return (processor_s(pid) - began_s) / WATCH_S


async def _all_come(crowd: Crowd) -> int:
    came = 0
    wanted = min(IDLE, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 100, MAX_CONNECTIONS)
    while came < wanted:
        if crowd.join():
            came += 1
        else:
            await asyncio.sleep(0.01)  # the listener's queue is full for the moment
    return came


async def _is_served(edge: Running) -> bool:
    with suppress(aiohttp.ClientError):
        return (await edge.post()).status == 204
    return False


async def _ended(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read() == b""
    except ConnectionError:
        return True
