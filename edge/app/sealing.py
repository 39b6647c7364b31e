"""Letting the spool's open segment be sealed: by the collector where it runs, else in its place."""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from edge.app.control import COLLECTOR_SOCKET, NobodyAnswers, ask_once
from edge.app.lock import take_lock
from edge.clock import Clock
from edge.errors import StorageBusy
from edge.spool import SpoolSettings, SpoolWriter


def sealer(
    data_dir: Path, spool: SpoolSettings, clock: Clock, floor_seq: Callable[[], int]
) -> Callable[[], Awaitable[int]]:
    """Give what seals; `floor_seq` is a number that is certainly used."""

    async def seal() -> int:
        try:
            told = await ask_once(data_dir / COLLECTOR_SOCKET, {"verb": "seal"})
        except NobodyAnswers:
            return await _seal_alone(data_dir, spool, clock, floor_seq())
        if told["kind"] != "end":
            raise StorageBusy(f"the collector did not seal: {told['message']}")
        sealed_to: int = told["sealed_to"]
        return sealed_to

    return seal


async def _seal_alone(data_dir: Path, spool: SpoolSettings, clock: Clock, floor_seq: int) -> int:
    lock = take_lock(data_dir, "collector")
    try:
        writer = SpoolWriter(spool, clock)
        await writer.open(floor_seq=floor_seq)
        try:
            return await writer.seal()
        finally:
            await writer.close()
    finally:
        os.close(lock)
