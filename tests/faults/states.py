"""Rebuilds states of the disk from a recording and starts the product on each, on as many cores as there are."""

import asyncio
import multiprocessing
import os
import pickle
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from tests.faults.crashing import KINDS, Call, Disk, write_state
from tests.faults.recovering import Certain, complaints

MEMORY = Path("/dev/shm")  # a state is written, opened and forgotten: its own syncs need no disk
RECORDING_S = 120.0
MAX_WORKERS = 4


@dataclass(frozen=True, slots=True)
class State:
    """A moment of a recording, what survives of it, and the seed of that."""

    moment: int
    kind: str
    seed: int


@dataclass(frozen=True, slots=True)
class Judged:
    """A state and what is wrong with it; kept where something is."""

    state: State
    complaints: tuple[str, ...]


async def record(folder: Path, *bugs: str) -> list[Call]:
    """Let a short life be recorded by a process of its own."""
    out = folder / "recording"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.faults.recorded", str(folder / "recorded"), str(out), *bugs
    )
    try:
        assert await asyncio.wait_for(process.wait(), RECORDING_S) == 0, "nothing was recorded"
    finally:
        if process.returncode is None:
            process.kill()
    calls: list[Call] = pickle.loads(out.read_bytes())
    return calls


def draw(moments: int, number: int, rng: random.Random) -> list[State]:
    """Spread states evenly over a recording, kinds in turn."""
    at = [int((index + rng.random()) * (moments + 1) / number) for index in range(number)]
    return [State(moment, KINDS[index % len(KINDS)], rng.getrandbits(32)) for index, moment in enumerate(at)]


async def judge_states(folder: Path, states: Sequence[State]) -> tuple[int, list[Judged]]:
    """Start the product on each state of the recording in a folder.

    Returns:
        How many different states there were, and those that something is wrong with.
    """
    workers = min(os.cpu_count() or 1, MAX_WORKERS)
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        parts = [states[start::workers] for start in range(workers)]
        loop = asyncio.get_running_loop()
        jobs = [loop.run_in_executor(pool, judge_part, folder, part) for part in parts]
        done = await asyncio.gather(*jobs)
    return sum(number for number, _ in done), [one for _, found in done for one in found]


def judge_part(folder: Path, states: Sequence[State]) -> tuple[int, list[Judged]]:
    """Judge some states, in their order, the same one once; what is wrong with one is kept beside the recording."""
    structlog.configure(processors=[_silent])
    calls: list[Call] = pickle.loads((folder / "recording").read_bytes())
    disk, followed, found, met = Disk(), 0, list[Judged](), set[int]()
    with _scratch() as scratch:
        for state in states:
            for call in calls[followed : state.moment]:
                disk.follow(call)
            followed = state.moment
            rng = random.Random(state.seed)
            files = disk.after_crash(state.kind, rng)
            same = hash((len(disk.marks), *sorted(files.items())))
            wrong = [] if same in met else _judge(disk, files, rng, scratch)
            met.add(same)
            if wrong:
                write_state(folder / f"state-{state.moment}-{state.seed}", files, rng)
                found.append(Judged(state, tuple(wrong)))
    return len(met), found


def _judge(disk: Disk, files: dict[str, bytes], rng: random.Random, scratch: Path) -> list[str]:
    folder = scratch / "state"
    write_state(folder, files, rng)
    try:
        return asyncio.run(complaints(folder, Certain.from_marks(disk.marks)))
    except Exception as error:  # whatever it is, the product did not start on what a disk may hold
        return [f"{type(error).__name__}: {error}"]
    finally:
        shutil.rmtree(folder)


@contextmanager
def _scratch() -> Iterator[Path]:
    memory = str(MEMORY) if os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


def _silent(logger: object, method: str, event: object) -> object:
    raise structlog.DropEvent
