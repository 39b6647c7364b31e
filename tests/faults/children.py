"""Tests that need processes of their own: these share the work, and each writes a line of JSON for what it played.

A child is a module with `main`, called as `python -m MODULE OUT PART PARTS …`; it ends by `end`.
"""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import structlog

MEMORY = Path("/dev/shm")  # what is written, opened and forgotten needs no disk for its syncs
MAX_PARTS = 4
PLAYED_S = 900.0


async def play(module: str, folder: Path, *told: object) -> list[dict[str, Any]]:
    """Let as many children as there are cores share the work; give all that they wrote down."""
    parts = min(os.cpu_count() or 1, MAX_PARTS)
    outs = [folder / f"{module.rpartition('.')[2]}-{part}.jsonl" for part in range(parts)]
    processes = []
    try:
        for part, out in enumerate(outs):
            arguments = ("-m", module, str(out), str(part), str(parts), *map(str, told))
            processes.append(await asyncio.create_subprocess_exec(sys.executable, *arguments))
        async with asyncio.timeout(PLAYED_S):
            codes = [await process.wait() for process in processes]
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
    assert codes == [0] * parts, f"{module} did not come to its end: {codes}"
    return [json.loads(line) for out in outs for line in out.read_text().splitlines()]


@contextmanager
def scratch() -> Iterator[Path]:
    """Give a folder for what is soon forgotten."""
    memory = str(MEMORY) if os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


def quiet() -> None:
    """Let nothing be logged: what is played here would say a lot."""
    structlog.configure(processors=[_silent])


def end() -> NoReturn:
    """Leave at once: lives that ended as a killed process does have left connections open, and their threads."""
    sys.stdout.flush()
    os._exit(0)


def _silent(logger: object, method: str, event: object) -> NoReturn:
    raise structlog.DropEvent
