"""Load over raw HTTP/1.1 connections: closed loop for throughput, open loop for latency.

Open loop counts each request from the moment it was due, not from when it could be sent; what has no answer at the
end counts with its wait. The generator's own lag is told beside it.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

from bench.bodies import Requests

CONNECTIONS = 64
NAME = "the benchmark's own in Python"
ANSWERED_WITHIN_S = 3.0


class UnexpectedAnswer(Exception):
    """Raised when a server answers with another status than it should: the slice is void."""


class Wire(asyncio.Protocol):
    """One keep-alive connection with one request on it at a time."""

    def __init__(self, expected: int, answered: Callable[["Wire"], None]) -> None:
        self._expected, self._answered = b"HTTP/1.1 %d" % expected, answered
        self._transport: asyncio.WriteTransport
        self._held = b""
        self.error: str = ""
        self.sent: bytes = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def send(self, request: bytes) -> None:
        self.sent = request
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        held = self._held = self._held + data if self._held else data
        end = held.find(b"\r\n\r\n")
        if end < 0 or len(held) < end + 4 + _length(held, end):
            return
        self._held = b""
        if not held.startswith(self._expected):
            self.error = held[:64].partition(b"\r\n")[0].decode("latin-1")
        self._answered(self)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.error:
            self.error = "the connection ended"
            self._answered(self)

    def close(self) -> None:
        self.error = self.error or "closed"
        self._transport.close()


def _length(held: bytes, end: int) -> int:
    at = held.find(b"Content-Length: ", 0, end)
    return int(held[at + 16 : held.find(b"\r\n", at)]) if at >= 0 else 0


@asynccontextmanager
async def wires(port: int, count: int, expected: int, answered: Callable[[Wire], None]) -> AsyncIterator[list[Wire]]:
    """Open connections on the loopback, and close them."""
    loop, opened = asyncio.get_running_loop(), list[Wire]()
    try:
        for _ in range(count):
            _, wire = await loop.create_connection(lambda: Wire(expected, answered), "127.0.0.1", port)
            opened.append(wire)
        yield opened
    finally:
        for wire in opened:
            wire.close()


async def closed_loop(
    port: int,
    make: Requests,
    *,
    seconds: float,
    expected: int = 204,
    connections: int = CONNECTIONS,
    acked: Callable[[bytes], None] | None = None,
) -> int:
    """Ask as fast as answers come; give how many came. `acked` sees each request that was answered.

    Raises:
        UnexpectedAnswer: an answer was another than expected, or a connection ended.
    """
    count, error, is_over = 0, "", asyncio.Event()
    stop_s = time.monotonic() + seconds

    def answered(wire: Wire) -> None:
        nonlocal count, error
        if wire.error:
            if not is_over.is_set():
                error = wire.error
                is_over.set()
            return
        count += 1
        if acked is not None:
            acked(wire.sent)
        if is_over.is_set() or time.monotonic() >= stop_s:
            is_over.set()
            return
        wire.send(make())

    async with wires(port, connections, expected, answered) as opened:
        for wire in opened:
            wire.send(make())
        try:
            await asyncio.wait_for(is_over.wait(), seconds + ANSWERED_WITHIN_S)
        except TimeoutError as why:
            raise UnexpectedAnswer("no answer at all") from why
        counted = count
    if error:
        raise UnexpectedAnswer(error)
    return counted


@dataclass(slots=True)
class Latencies:
    """What each request waited from when it was due, and how late the generator itself was, in milliseconds."""

    waits_ms: list[float] = field(default_factory=list)
    lags_ms: list[float] = field(default_factory=list)
    unanswered: int = 0


async def open_loop(
    port: int,
    make: Requests,
    *,
    rate: float,
    seconds: float,
    seed: int,
    expected: int = 204,
    connections: int = CONNECTIONS,
    within_s: float = ANSWERED_WITHIN_S,
) -> Latencies:
    """Ask at moments that do not depend on any answer: a seeded Poisson process.

    Raises:
        UnexpectedAnswer: an answer was another than expected, or a connection ended.
    """
    moments, found = _moments(rate, seconds, seed), Latencies()
    free: deque[Wire] = deque()
    queued: deque[float] = deque()
    under_way: dict[Wire, float] = {}
    error = ""

    def answered(wire: Wire) -> None:
        nonlocal error
        if wire.error:
            error = error or ("" if wire.error == "closed" else wire.error)
            return
        found.waits_ms.append((time.monotonic() - under_way.pop(wire)) * 1e3)
        if queued:
            dispatch(wire, queued.popleft())
        else:
            free.append(wire)

    def dispatch(wire: Wire, due_s: float) -> None:
        under_way[wire] = due_s
        wire.send(make())

    async with wires(port, connections, expected, answered) as opened:
        free.extend(opened)
        began_s = time.monotonic()
        for moment in moments:
            due_s = began_s + moment
            while (wait_s := due_s - time.monotonic()) > 0:
                await asyncio.sleep(wait_s)
            found.lags_ms.append((time.monotonic() - due_s) * 1e3)
            if free:
                dispatch(free.popleft(), due_s)
            else:
                queued.append(due_s)
                await asyncio.sleep(0)
        end_s = time.monotonic() + within_s
        while under_way and not error and time.monotonic() < end_s:
            await asyncio.sleep(0.002)
        left = [*under_way.values(), *queued]
        under_way_error = error
    if under_way_error:
        raise UnexpectedAnswer(under_way_error)
    found.unanswered = len(left)
    found.waits_ms += [(time.monotonic() - due_s) * 1e3 for due_s in left]
    return found


def _moments(rate: float, seconds: float, seed: int) -> list[float]:
    rng, moments, at = random.Random(seed), list[float](), 0.0
    while (at := at + rng.expovariate(rate)) < seconds:
        moments.append(at)
    return moments
