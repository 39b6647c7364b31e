"""`edge serve`: starts collector and drainer, restarts what dies, passes signals on, owns the ops listener."""

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from edge.app.report import Report, decode_report
from edge.metrics import SupervisorMetrics

log = structlog.get_logger(__name__)

FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 1.0  # with the time a start takes, ready again within three seconds of any death
STEADY_AFTER_S = 10.0
KILL_AFTER_S = 15.0
REPORT_VALID_S = 5.0


@dataclass(slots=True)
class _Child:
    """One role's process, as it is now."""

    role: str
    report: Report | None = None
    reported_s: float = 0.0
    process: asyncio.subprocess.Process | None = None
    wait_s: float = FIRST_WAIT_S
    fatal: str = ""
    started_s: float = field(default=0.0)
    deaths: int = 0


class Supervisor:
    """Keeps two children running until told to stop."""

    def __init__(
        self, roles: Sequence[str], arguments: Sequence[str], stop: asyncio.Event, metrics: SupervisorMetrics
    ) -> None:
        self._metrics = metrics
        self._children = [_Child(role) for role in roles]
        self._arguments, self._stop = list(arguments), stop

    def reports(self) -> dict[str, Report | None]:
        """Give each role's report, None when it is older than a few seconds."""
        now_s = time.monotonic()
        return {c.role: c.report if now_s - c.reported_s < REPORT_VALID_S else None for c in self._children}

    def deaths(self) -> dict[str, int]:
        """Give how often each role's process ended unasked."""
        return {child.role: child.deaths for child in self._children}

    async def run(self) -> int:
        """Run until told to stop, or until a child says that starting again is of no use."""
        await asyncio.gather(*(self._keep(child) for child in self._children))
        fatal = [child.fatal for child in self._children if child.fatal]
        for reason in fatal:
            log.error("cannot go on", reason=reason)
        return 1 if fatal else 0

    async def _keep(self, child: _Child) -> None:
        while not self._stop.is_set():
            code = await self._run_once(child)
            child.report = None
            if child.fatal:
                self._stop.set()
                return
            if self._stop.is_set():
                return
            child.deaths += 1
            self._metrics.restarts.labels(child.role).inc()
            is_steady = time.monotonic() - child.started_s > STEADY_AFTER_S
            child.wait_s = FIRST_WAIT_S if is_steady else min(LONGEST_WAIT_S, child.wait_s * 2)
            log.error("process ended, starting it again", process=child.role, code=code, after_s=child.wait_s)
            try:
                await asyncio.wait_for(self._stop.wait(), child.wait_s)
            except TimeoutError:
                continue

    async def _run_once(self, child: _Child) -> int:
        """Start a child, read its reports until it ends, and give its exit code."""
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        command = [sys.executable, "-m", "edge", "serve", "--only", child.role, "--report-fd", str(writing)]
        child.process = await asyncio.create_subprocess_exec(
            *command, *self._arguments, pass_fds=(writing,), start_new_session=True
        )
        os.close(writing)
        child.started_s = time.monotonic()
        reader = asyncio.create_task(self._read_reports(child, reading))
        stopper = asyncio.create_task(self._stop_when_told(child.process))
        code = await child.process.wait()
        await reader
        stopper.cancel()
        return code

    async def _read_reports(self, child: _Child, descriptor: int) -> None:
        stream = asyncio.StreamReader(limit=1_000_000)
        loop = asyncio.get_running_loop()
        pipe = os.fdopen(descriptor, "rb")
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), pipe)
        try:
            while line := await stream.readline():
                self._take_report(child, line)
        finally:
            transport.close()

    def _take_report(self, child: _Child, line: bytes) -> None:
        try:
            report = decode_report(line)
        except (ValueError, TypeError):
            return  # a line cut by the child's death
        child.report, child.reported_s = report, time.monotonic()
        child.fatal = report.fatal

    async def _stop_when_told(self, process: asyncio.subprocess.Process) -> None:
        await self._stop.wait()
        if process.returncode is None:
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), KILL_AFTER_S)
        except TimeoutError:
            log.error("process did not stop in time, ending it", pid=process.pid)
            process.kill()
