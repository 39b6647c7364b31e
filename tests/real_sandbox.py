"""A destination that talks to a running sandbox over HTTP on loopback."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from edge.delivery import Conversation, Outcome, Payload, Rendered, Retry
from edge.destinations.base import Destination
from edge.errors import TransportFailed
from edge.sandbox import Running, start
from edge.sandbox.faults import parse_fault
from edge.sandbox.vendor import Vendor
from edge.transport import HttpTransport
from tests.clock import FakeClock
from tests.conversations import over


class Line:
    """One vendor that listens, and a client of it, at one clock."""

    def __init__(self, running: Running, vendor: Vendor, transport: HttpTransport, clock: FakeClock) -> None:
        self.running, self.vendor, self.clock, self.transport = running, vendor, clock, transport

    @property
    def base_url(self) -> str:
        return self.running.base_url(self.vendor.name)

    @property
    def sandbox_requests(self) -> int:
        return len(self.running.sandbox.received)

    def break_it(self, **fault: Any) -> None:
        """Tell the sandbox what to do wrong with the next request."""
        told = {"vendor": self.vendor.name, **fault}
        self.running.sandbox.faults.add(parse_fault(told, vendors=[self.vendor.name]))

    def taken(self) -> list[Any]:
        events = self.vendor.taken()["events"]
        assert isinstance(events, list)
        return events

    async def deliver(self, destination: Destination, rendered: Sequence[Rendered]) -> list[Outcome]:
        """Render events and send them in one conversation, as the drainer would."""
        payloads = [destination.render(one) for one in rendered]
        good = [payload for payload in payloads if isinstance(payload, Payload)]
        assert len(good) == len(payloads), payloads
        return await self.converse(destination.deliver(good, self.clock.now_ms()), len(good))

    async def converse(self, conversation: Conversation, count: int) -> list[Outcome]:
        """Drive a conversation; a failed transport is a retry of every payload."""
        try:
            return list(await over(self.transport, conversation))
        except TransportFailed as failed:
            return [Retry(str(failed))] * count
        finally:
            conversation.close()


@asynccontextmanager
async def line_to(vendor: Vendor, *, timeout_s: float = 5.0) -> AsyncIterator[Line]:
    """Start a sandbox with one vendor on a free port; everything is closed again."""
    clock = FakeClock()
    running = await start(clock=clock, vendors=(vendor,))
    transport = HttpTransport(timeout_s=timeout_s)
    await transport.open()
    try:
        yield Line(running, vendor, transport, clock)
    finally:
        running.sandbox.faults.clear()
        await transport.close()
        await running.close()
