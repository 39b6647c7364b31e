"""Whatever a file holds, loading it gives a value or ConfigErrors: soon, in little memory, and telling no secret.

`python -m tests.fuzz.loader 10000` loads that many documents and holds each of them to the limits.
"""

import contextlib
import faulthandler
import re
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings

from edge.config import parse_config
from edge.errors import ConfigErrors
from edge.pipeline import compile_pipeline
from tests.fuzz.documents import ENVIRON, SECRET, documents

LIMIT_S = 1.0
LIMIT_BYTES = 200_000_000
HANG_S = 60
MAX_TOLD_CHARS = 1_000_000
WARM_UP = ["a: 1", "a: {b: [c, '${D}']}", "[" * 30]


def load(text: str) -> int:
    """Load a document as a configuration and as a pipeline; give how many of the two it is."""
    accepted = 0
    for read in (
        lambda: parse_config(text, Path("/etc/shop/edge.yaml"), ENVIRON),
        lambda: compile_pipeline(text, "pipeline.yaml", ENVIRON),
    ):
        try:
            read()
            accepted += 1
        except ConfigErrors as errors:
            assert errors.problems, "refused without a reason"
            assert len(str(errors)) <= MAX_TOLD_CHARS, "says too much"
            assert SECRET not in str(errors), "shows what a variable holds"
    return accepted


@dataclass(slots=True)
class Tally:
    """What a run has cost: processor time, as the machine may be busy with other things, and memory at its peak."""

    limit_s: float = LIMIT_S
    limit_bytes: int = LIMIT_BYTES
    documents: int = 0
    accepted: int = 0
    slowest_s: float = 0.0
    slowest: str = ""
    grown_bytes: int = 0

    def take(self, text: str) -> None:
        """Load one document and hold it to the limits."""
        faulthandler.dump_traceback_later(HANG_S, exit=True)
        forget_peak()
        held_bytes, begun = peak_bytes(), time.process_time()
        accepted = load(text)
        took_s, grown_bytes = time.process_time() - begun, peak_bytes() - held_bytes
        faulthandler.cancel_dump_traceback_later()
        self.documents += 1
        self.accepted += accepted > 0
        self.grown_bytes = max(self.grown_bytes, grown_bytes)
        if took_s > self.slowest_s:
            self.slowest_s, self.slowest = took_s, text
        assert took_s <= self.limit_s, f"took {took_s:.2f} s"
        assert grown_bytes <= self.limit_bytes, f"memory grew by {grown_bytes / 1e6:.0f} MB"


def forget_peak() -> None:
    """Begin the peak of memory anew, where the system can do that; else only a new highest peak is seen."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_bytes() -> int:
    """Give the most memory that this process held since its peak was forgotten."""
    with contextlib.suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        if found is not None:
            return int(found[1]) * 1_024
    unit = 1 if sys.platform == "darwin" else 1_024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def run(count: int) -> Tally:
    """Load so many documents; hypothesis shows the smallest that fails."""
    for text in WARM_UP:
        load(text)
    tally = Tally()

    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(documents)
    def one(text: str) -> None:
        tally.take(text)

    one()
    return tally


def main(count: int) -> None:
    """Run, and say in one line what it came to."""
    begun = time.monotonic()
    tally = run(count)
    sys.stdout.write(
        f"{tally.documents} documents, {tally.accepted} of them good; slowest {tally.slowest_s:.3f} s "
        f"({len(tally.slowest)} characters, begins {tally.slowest[:40]!r}); one took at most "
        f"{tally.grown_bytes / 1e6:.0f} MB of memory; {time.monotonic() - begun:.0f} s in all\n"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
