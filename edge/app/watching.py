"""Noticing that a folder may have changed."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import structlog
from watchfiles import awatch

log = structlog.get_logger(__name__)

# Also without any news: network file systems send none, nor does a file that a link in the folder points to.
LOOK_EVERY_S = 5.0
GROUP_MS = 500
QUIET_MS = 50


async def changes_of(
    directory: Path, *, stop: asyncio.Event, pause: Callable[[float], Awaitable[None]]
) -> AsyncGenerator[None]:
    """Say when a folder may have changed: at the start, at once where the system tells, and every few seconds anyway.

    Source:
        watchfiles, "awatch": WATCHFILES_FORCE_POLLING in the environment looks instead of listening.
    """
    is_heard = True
    while not stop.is_set():
        yield
        try:
            async with aclosing(_heard(directory, stop)) as changes:
                async for _ in changes:
                    yield
            is_heard = True
        except (OSError, RuntimeError) as error:  # no such folder now, or no more watches to be had
            if is_heard:
                log.warning("the pipelines folder is not watched, only looked at", error=type(error).__name__)
            is_heard = False
            await pause(LOOK_EVERY_S)


async def _heard(directory: Path, stop: asyncio.Event) -> AsyncGenerator[None]:
    """Listen to one folder until another one has its name, as when a link is turned to a new release."""
    listening_to = _identity(directory)
    heard = awatch(
        directory,
        watch_filter=None,
        debounce=GROUP_MS,
        step=QUIET_MS,
        stop_event=stop,
        rust_timeout=round(LOOK_EVERY_S * 1_000),
        yield_on_timeout=True,
        recursive=False,
    )
    async with aclosing(heard) as changes:
        async for _ in changes:
            if _identity(directory) != listening_to:
                return
            yield


def _identity(directory: Path) -> tuple[int, int]:
    """Tell one folder from another; raises OSError where there is none."""
    found = directory.stat()
    return found.st_dev, found.st_ino
