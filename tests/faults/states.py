"""Rebuilds states of the disk from a recording and starts the product on each, in a process of its own.

    python -m tests.faults.states OUT PART PARTS FOLDER SEED NUMBER

A line of OUT tells of one state: its moment, what of the unsynced survives there, and what was wrong; the same one is
started on once. What something was wrong with is kept in FOLDER, beside the recording.
"""

import asyncio
import json
import pickle
import random
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.faults.children import end, quiet, scratch
from tests.faults.crashing import KINDS, Call, Disk, write_state
from tests.faults.recovering import Certain, complaints

RECORDING_S = 120.0


@dataclass(frozen=True, slots=True)
class State:
    """A moment of a recording, what survives of it, and the seed of that."""

    moment: int
    kind: str
    seed: int


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


def judge(disk: Disk, files: dict[str, bytes], rng: random.Random, within: Path) -> list[str]:
    """Start the product on files and let it finish all work; give what is not as it was promised."""
    folder = within / "state"
    write_state(folder, files, rng)
    try:
        return asyncio.run(complaints(folder, Certain.from_marks(disk.marks)))
    except Exception as error:  # whatever it is, the product did not start on what a disk may hold
        return [f"{type(error).__name__}: {error}"]
    finally:
        shutil.rmtree(folder)


def main() -> None:
    """Judge this part's states, in their order."""
    out, (part, parts), folder = Path(sys.argv[1]), map(int, sys.argv[2:4]), Path(sys.argv[4])
    seed, number = map(int, sys.argv[5:7])
    quiet()
    calls: list[Call] = pickle.loads((folder / "recording").read_bytes())
    disk, followed, met = Disk(), 0, set[int]()
    with scratch() as within, out.open("w", buffering=1) as told:
        for state in draw(len(calls), number, random.Random(seed))[part::parts]:
            for call in calls[followed : state.moment]:
                disk.follow(call)
            followed, rng = state.moment, random.Random(state.seed)
            files = disk.after_crash(state.kind, rng)
            same = hash((len(disk.marks), *sorted(files.items())))
            if same in met:
                continue
            met.add(same)
            if wrong := judge(disk, files, rng, within):
                write_state(folder / f"state-{state.moment}-{state.seed}", files, rng)
            told.write(json.dumps({"moment": state.moment, "kind": state.kind, "wrong": wrong}) + "\n")
    end()


if __name__ == "__main__":
    main()
