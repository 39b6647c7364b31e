"""Waiting that ends early: when told to stop, or when there is news."""

import asyncio
import contextlib


class Pulse:
    """Wakes those who wait for work."""

    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop
        self._news: set[asyncio.Future[None]] = set()

    def notify(self) -> None:
        """Say that there is work."""
        for waiter in self._news:
            if not waiter.done():
                waiter.set_result(None)

    async def wait(self, seconds: float) -> None:
        """Wait for news, for the stop, or for the time."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        stop = asyncio.ensure_future(self._stop.wait())
        self._news.add(waiter)
        try:
            await asyncio.wait((waiter, stop), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._news.discard(waiter)
            stop.cancel()

    async def rest(self, seconds: float) -> None:
        """Wait for the time or the stop, whatever the news."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)
