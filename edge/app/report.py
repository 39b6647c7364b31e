"""What a child process tells its supervisor, once a second, over an inherited pipe: one JSON line."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson
from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest

from edge.alerting import CollectorVitals, DrainerVitals, Seen, find_vitals

REPORT_EVERY_S = 1.0
REPORT_UNREADY_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Report:
    """How a process is. `fatal` says why it ends and must not be started again, `vitals` what alerts are judged by."""

    role: str
    pid: int
    is_ready: bool
    detail: dict[str, Any] = field(default_factory=dict)
    metrics: str = ""
    fatal: str = ""
    vitals: dict[str, Any] | None = None


def seen_in(reports: Mapping[str, Report | None], deaths: Mapping[str, int]) -> Seen:
    """Give all that alerts are judged by; a report that is None is too old to be believed."""
    vitals = [find_vitals(report.vitals) for report in reports.values() if report is not None]
    return Seen(
        next((one for one in vitals if isinstance(one, CollectorVitals)), None),
        next((one for one in vitals if isinstance(one, DrainerVitals)), None),
        {role: report is not None and report.is_ready for role, report in reports.items()},
        deaths,
    )


def encode_report(report: Report) -> bytes:
    """Give the line."""
    return orjson.dumps(asdict(report)) + b"\n"


def decode_report(line: bytes) -> Report:
    """Read a line back."""
    return Report(**orjson.loads(line))


class Reporter:
    """Writes reports to a pipe; a closed pipe means that the supervisor is gone, and sets `stop`."""

    def __init__(self, descriptor: int | None, make: Callable[[], Report], stop: asyncio.Event) -> None:
        self._descriptor, self._make, self._stop = descriptor, make, stop
        self._rest = b""

    async def run(self) -> None:
        """Report now and every second until told to stop; more often while not ready, so that a start is seen soon."""
        while not self._stop.is_set():
            report = self._make()
            self.send(report)
            with contextlib.suppress(TimeoutError):
                wait_s = REPORT_EVERY_S if report.is_ready and not self._rest else REPORT_UNREADY_EVERY_S
                await asyncio.wait_for(self._stop.wait(), wait_s)

    def send(self, report: Report) -> None:
        """Write one report, or the rest of one that did not fit into the pipe; what a full pipe skips the next says."""
        if self._descriptor is None:
            return
        line = self._rest or encode_report(report)
        try:
            self._rest = line[os.write(self._descriptor, line) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._stop.set()


def exposition(registry: CollectorRegistry) -> str:
    """Give a registry as Prometheus text, without the moments at which counters were made."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it unannotated
    return generate_latest(registry).decode()
