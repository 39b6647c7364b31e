"""Many held events, and a vendor with a rate, in compressed time: what a release costs those who are not in it."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from edge.delivery import Request, Response
from edge.event import Event, encode
from tests.backroom import GRANTED, TAKEN, Backroom, browser
from tests.clock import FakeClock

BATCH = 500


class SharedClock(FakeClock):
    """Whoever waits waits beside the others: time goes to the latest moment that somebody waits for."""

    def pass_until(self, monotonic_s: float) -> None:
        self.advance(max(0.0, monotonic_s - self.monotonic_s()))


@dataclass
class RatedVendor:
    """Takes an event in `takes_s`; refuses more than the account's rate in a second or a minute, as the vendor does."""

    clock: SharedClock
    takes_s: float = 0.02
    per_s: int = 350
    per_min: int = 3_500
    arrived: list[tuple[float, Request]] = field(default_factory=list)
    refused: int = 0
    _counts: dict[tuple[str, int], int] = field(default_factory=dict)

    async def send(self, request: Request) -> Response:
        now_s = self.clock.monotonic_s()
        windows = (("s", int(now_s)), ("min", int(now_s // 60)))
        for window, most in zip(windows, (self.per_s, self.per_min), strict=True):
            self._counts[window] = self._counts.get(window, 0) + 1
            if self._counts[window] > most:
                self.refused += 1
                return Response(429, {"retry-after": "1"}, b"")
        self.arrived.append((now_s, request))
        await asyncio.sleep(0)
        self.clock.pass_until(now_s + self.takes_s)
        return TAKEN


def events_of(room: Backroom, visitors: Sequence[int], count: int) -> list[Event]:
    """Give so many views, in turn by these visitors."""
    now_ms = room.clock.now_ms()
    return [
        Event(
            id=f"old-{number}",
            name="view_item",
            time_ms=now_ms,
            received_at_ms=now_ms,
            source="browser",
            browser=browser(visitors[number % len(visitors)]),
            properties={},
            traits={},
            context={"consent": {**GRANTED, "source": "explicit"}},
        )
        for number in range(count)
    ]


async def store_all(room: Backroom, events: Iterable[Event]) -> None:
    """Put events into the spool, many at a time."""
    encoded = [encode(event) for event in events]
    for start in range(0, len(encoded), BATCH):
        await room.writer.append(encoded[start : start + BATCH])
