"""What `edge serve` runs: everything under a supervisor, or one part by itself."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import structlog
import uvloop
from prometheus_client import CollectorRegistry

from edge.alerting import Seen
from edge.app.alert_memory import AlertMemory
from edge.app.alerts import AlertDesk
from edge.app.collecting import CollectingProcess
from edge.app.draining import DrainingProcess
from edge.app.lock import take_lock
from edge.app.ops import OpsListener
from edge.app.pulse import Pulse
from edge.app.report import Report, Reporter, exposition, seen_in
from edge.app.supervisor import Supervisor
from edge.clock import SystemClock
from edge.config import Config
from edge.errors import StorageError, StorageTaken
from edge.log import configure_logs
from edge.metrics import SupervisorMetrics
from edge.transport import HttpTransport

log = structlog.get_logger(__name__)

ROLES = ("collector", "drainer")
# A supervisor was killed and another one started at once: its orphans need up to this long to end.
ORPHANS_END_S = 15.0
LOCK_EVERY_S = 0.1
ALERT_TIMEOUT_S = 10.0


class _Part(Protocol):
    role: str

    async def run(self) -> int: ...

    def report(self) -> Report: ...


def serve_all(config: Config, arguments: Sequence[str]) -> int:
    """Run both parts under a supervisor; give the exit code."""
    configure_logs("supervisor")
    return _run(_supervise(config, arguments))


def serve_one(role: str, config: Config, report_fd: int | None) -> int:
    """Run one part; without a supervisor's pipe it has the ops listener itself."""
    configure_logs(role)
    return _run(_serve_part(role, config, report_fd))


def _run(main: "asyncio.Future[int] | object") -> int:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)  # type: ignore[arg-type]  # a coroutine of ours


async def _supervise(config: Config, arguments: Sequence[str]) -> int:
    stop = _stop_on_signals()
    try:
        lock = take_lock(config.data_dir, "serve")
    except StorageTaken as error:
        log.error("cannot start", reason=str(error))
        return 1
    except StorageError as error:
        log.warning("no lock for now", reason=str(error))
        lock = -1
    registry = CollectorRegistry()
    metrics = SupervisorMetrics(registry)
    supervisor = Supervisor(ROLES, arguments, stop, metrics)
    ops = OpsListener(supervisor.reports, lambda: exposition(registry))
    if not await _listen(ops, config):
        return 1
    try:
        async with _alerting(
            lambda: seen_in(supervisor.reports(), supervisor.deaths()), "alerts.json", config, metrics, stop
        ):
            return await supervisor.run()
    finally:
        await ops.stop()
        del lock


@asynccontextmanager
async def _alerting(
    seen: Callable[[], Seen], memory: str, config: Config, metrics: SupervisorMetrics, stop: asyncio.Event
) -> AsyncIterator[None]:
    """Judge and tell beside the work, which never waits for it; `memory` names the file that outlives a restart."""
    transport = HttpTransport(timeout_s=ALERT_TIMEOUT_S)
    await transport.open()
    desk = AlertDesk(
        config.alerts,
        config.site.name,
        seen=seen,
        transport=transport,
        clock=SystemClock(),
        memory=AlertMemory(config.data_dir / memory),
        metrics=metrics,
        uniform=random.uniform,
        rest=Pulse(stop).rest,
    )
    running = asyncio.create_task(desk.run(stop))
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await transport.close()


async def _serve_part(role: str, config: Config, report_fd: int | None) -> int:
    stop = _stop_on_signals()
    reporter = Reporter(report_fd, lambda: Report(role, 0, False), stop)
    try:
        await _take_role(role, config, stop, patience_s=0.0 if report_fd is None else ORPHANS_END_S)
        part = _part(role, config, stop)
    except StorageTaken as error:
        log.error("cannot start", reason=str(error))
        reporter.send(Report(role, 0, False, fatal=str(error)))
        return 1
    except StorageError as error:
        log.error("cannot start", reason=str(error))
        return 1
    return await _with_reports(part, config, report_fd, stop)


async def _take_role(role: str, config: Config, stop: asyncio.Event, *, patience_s: float) -> None:
    """Take a role's lock for good; its holder is given some seconds to end.

    Raises:
        StorageTaken: it has not ended by then.
    """
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + patience_s
    while True:
        try:
            take_lock(config.data_dir, role)
            return
        except StorageTaken:
            if loop.time() >= deadline_s or stop.is_set():
                raise
            await asyncio.sleep(LOCK_EVERY_S)


async def _with_reports(part: _Part, config: Config, report_fd: int | None, stop: asyncio.Event) -> int:
    if report_fd is None:
        return await _by_itself(part, config, stop)
    reporting = asyncio.create_task(Reporter(report_fd, part.report, stop).run())
    try:
        return await _guarded(part)
    finally:
        reporting.cancel()


async def _by_itself(part: _Part, config: Config, stop: asyncio.Event) -> int:
    """Run a part with an ops listener and alerts of its own; who starts it again must be somebody else."""
    registry = CollectorRegistry()
    metrics = SupervisorMetrics(registry)
    ops = OpsListener(lambda: {part.role: part.report()}, lambda: exposition(registry))
    if not await _listen(ops, config):
        return 1
    try:
        async with _alerting(
            lambda: seen_in({part.role: part.report()}, {}), f"alerts-{part.role}.json", config, metrics, stop
        ):
            return await _guarded(part)
    finally:
        await ops.stop()


async def _guarded(part: _Part) -> int:
    try:
        return await part.run()
    except StorageError as error:
        log.error("storage failed", error=str(error))
        return 1
    except Exception:
        log.exception("process failed")
        return 1


def _part(role: str, config: Config, stop: asyncio.Event) -> _Part:
    if role == "collector":
        return CollectingProcess(config, SystemClock(), stop)
    return DrainingProcess(config, os.environ, SystemClock(), stop)


async def _listen(ops: OpsListener, config: Config) -> bool:
    _, host, port = config.ops.listen
    try:
        await ops.start(host, port)
    except OSError as error:
        log.error("the ops listener cannot listen", address=f"{host}:{port}", reason=error.strerror)
        return False
    return True


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop
