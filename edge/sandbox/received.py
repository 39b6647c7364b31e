"""The record: every request as it came and how it was answered, in order, whatever the vendor thought of it."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import orjson

from edge.sandbox.vendor import JSON, Incoming, Note

KEPT_REQUESTS = 20_000


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer.

    Attributes:
        request: as it came, credentials masked.
        status: what went over the wire; None while the request is open and when no answer was sent.
        vendor_status: what the vendor itself made of it; None when a fault kept the request from it.
        fault: the fault that was applied.
    """

    number: int
    vendor: str
    request: Incoming
    is_open: bool = True
    status: int | None = None
    vendor_status: int | None = None
    fault: str | None = None
    notes: tuple[Note, ...] = ()

    def to_json(self) -> dict[str, JSON]:
        request = self.request
        return {
            "number": self.number,
            "at_ms": request.at_ms,
            "method": request.method,
            "path": request.path,
            "query": [[name, value] for name, value in request.query],
            "headers": [[name, value] for name, value in request.headers.items()],
            "body_bytes": len(request.body),
            "text": request.body.decode("utf-8", "backslashreplace"),
            "json": _parsed(request.body),
            "is_open": self.is_open,
            "status": self.status,
            "vendor_status": self.vendor_status,
            "fault": self.fault,
            "notes": [{"pointer": note.pointer, "text": note.text} for note in self.notes],
        }


class Received:
    """Every exchange, oldest first; beyond `kept` the oldest are forgotten and counted."""

    def __init__(self, *, kept: int = KEPT_REQUESTS) -> None:
        self._kept = kept
        self._exchanges: dict[int, Exchange] = {}
        self._changed = asyncio.Event()
        self._opened = 0
        self.forgotten = 0

    def __iter__(self) -> Iterator[Exchange]:
        return iter(tuple(self._exchanges.values()))

    def __len__(self) -> int:
        return len(self._exchanges)

    def of(self, vendor: str) -> list[Exchange]:
        return [exchange for exchange in self if exchange.vendor == vendor]

    def open(self, vendor: str, request: Incoming, *, fault: str | None) -> int:
        """Record that a request came; gives its number."""
        self._opened += 1
        self._exchanges[self._opened] = Exchange(self._opened, vendor, request, fault=fault)
        if len(self._exchanges) > self._kept:
            del self._exchanges[next(iter(self._exchanges))]
            self.forgotten += 1
        self._wake()
        return self._opened

    def judged(self, number: int, status: int, notes: tuple[Note, ...]) -> None:
        """Record what the vendor made of it."""
        self._change(number, lambda exchange: replace(exchange, vendor_status=status, notes=notes))

    def close(self, number: int, status: int | None) -> None:
        """Record the status that was sent, or None when the connection ended without one."""
        self._change(number, lambda exchange: replace(exchange, status=status, is_open=False))

    def reset(self) -> None:
        """Forget every exchange; numbers go on."""
        self._exchanges.clear()
        self.forgotten = 0
        self._wake()

    async def until(self, is_met: Callable[[], bool], *, timeout_s: float) -> None:
        """Return as soon as `is_met`, looked at after every change. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while not is_met():
                await self._changed.wait()

    def _change(self, number: int, change: Callable[[Exchange], Exchange]) -> None:
        if number in self._exchanges:
            self._exchanges[number] = change(self._exchanges[number])
        self._wake()

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def _parsed(body: bytes) -> JSON:
    try:
        parsed: JSON = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return parsed
