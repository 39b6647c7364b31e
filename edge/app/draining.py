"""Process B: resolver and drainer over the one ledger they write."""

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from functools import partial

import structlog
from prometheus_client import CollectorRegistry

from edge.app.alone import make_eraser, make_resolver
from edge.app.archives import ArchiveStore, tidy_archives
from edge.app.changing import Changes
from edge.app.control import CONTROL_SOCKET, ControlServer
from edge.app.folders import ledger_path, spool_settings
from edge.app.keys import consent_key
from edge.app.lanes import LaneParts, Lanes
from edge.app.pulse import Pulse
from edge.app.reloading import Reloader, recall
from edge.app.repeating import Repeats
from edge.app.report import Report, exposition
from edge.app.steady import SteadyKeeper
from edge.app.vitals import VitalSigns
from edge.app.watching import changes_of
from edge.archive_files import ArchiveFiles
from edge.clock import Clock
from edge.config import Config
from edge.delivery import told_of
from edge.drainer import Eraser, Housekeeping, Inquirer, Replayer, VendorEraser
from edge.errors import StorageFailed
from edge.foreign_links import hosts_of
from edge.ledger import Database, ErasureLedger, LedgerSettings, ReceiptLedger, TrimLedger, VendorErasureLedger
from edge.ledger.replaying import ReplayLedger
from edge.metrics import DrainerMetrics
from edge.resolver import Resolver
from edge.spool import SpoolReader
from edge.transport import HttpTransport

log = structlog.get_logger(__name__)

SPOOL_POLL_S = 0.02
IDLE_S = 0.25
HOUSEKEEPING_S = 10.0
ERASE_EVERY_S = 0.5
REPLAY_EVERY_S = 0.25
INQUIRE_EVERY_S = 2.0
RESTART_S = 1.0
MAX_LAG_MS = 2_000
STOP_LIMIT_S = 10.0


class DrainingProcess:
    """Owns one task for the resolver, one a pipeline, one that follows the pipelines folder, and one for housekeeping.

    A pipeline file with an error stops nobody: it runs as it was before, and the report says what is wrong.
    """

    role = "drainer"

    def __init__(self, config: Config, environ: Mapping[str, str], clock: Clock, stop: asyncio.Event) -> None:
        self._config, self._environ, self._wall, self._stop = config, environ, clock, stop
        self._steady = SteadyKeeper(config.data_dir, self.role, clock)
        self._clock = self._steady.clock  # what is due, expires or goes by age; `_wall` is for vendors' eyes
        self._registry = CollectorRegistry()
        self._metrics = DrainerMetrics(self._registry)
        self._pulse = Pulse(stop)
        self._database = Database(LedgerSettings(ledger_path(config), config.spool.max_bytes))
        # Lanes share a reader of their own: the resolver never waits for them.
        self._arrivals = SpoolReader(spool_settings(config).directory)
        self._spool = SpoolReader(spool_settings(config).directory)
        self._transport = HttpTransport(timeout_s=config.drainer.timeout_s, files=ArchiveFiles(config.data_dir))
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._draining: dict[str, asyncio.Task[None]] = {}
        self._resolver: Resolver
        self._lanes: Lanes
        self._reloader: Reloader
        self._eraser: Eraser
        self._vendors: VendorEraser
        self._replayer: Replayer
        self._control: ControlServer
        self._vitals: VitalSigns
        self._is_open = False
        self._failure: StorageFailed | None = None

    async def run(self) -> int:
        """Work until told to stop or until storage fails; give the exit code."""
        await self._database.open()
        await self._transport.open()
        self._resolver = self._make_resolver()
        await self._resolver.open()
        self._metrics.resolver_cursor.set(self._resolver.cursor)
        self._lanes = self._make_lanes()
        self._reloader = self._make_reloader()
        await self._reloader.open()
        self._vitals = VitalSigns(
            ledger_path(self._config), self._resolver, self._lanes, self._reloader, self._metrics, self._clock
        )
        await self._vitals.look()  # so that who is ready has told how its pipelines are
        self._is_open = True
        await self._start_changes()
        jobs: dict[str, Callable[[], Awaitable[None]]] = {
            "resolver": self._resolve,
            "reloading": self._reload,
            "housekeeping": self._housekeep,
            "erasing": self._erase,
            "vendors": self._ask_vendors,
            "replaying": self._replay,
            "vitals": partial(self._vitals.follow, self._stop, self._pulse.rest),
            "inquiring": self._inquire,
            "clock": partial(self._steady.run, self._stop, self._pulse.rest),
        }
        self._tasks = {name: asyncio.create_task(self._keep(name, work)) for name, work in jobs.items()}
        log.info("drainer works", pipelines={pipeline.name: pipeline.hash for pipeline in self._lanes.pipelines})
        await self._stop.wait()
        self._lanes.stop()
        await asyncio.wait([*self._tasks.values(), *self._draining.values()], timeout=STOP_LIMIT_S)
        await self._close()
        return 1 if self._failure is not None else 0

    def report(self) -> Report:
        """Say how far it is, what runs, which pipelines are paused and which files have problems."""
        if not self._is_open:
            return Report(self.role, os.getpid(), False, {"resolved_to": None}, exposition(self._registry))
        detail = {
            "resolved_to": self._resolver.cursor,
            "pipelines": {pipeline.name: pipeline.hash for pipeline in self._lanes.pipelines},
            "pipeline_problems": self._reloader.problems,
            "paused": {name: told_of(reason) for name, reason in self._lanes.paused.items()},
            "clock_off_s": self._steady.off_s,
        }
        vitals = self._vitals.now()
        metrics = exposition(self._registry)
        return Report(
            self.role, os.getpid(), self._failure is None, detail, metrics, vitals=asdict(vitals) if vitals else None
        )

    def _make_resolver(self) -> Resolver:
        return make_resolver(
            self._config, self._database, spool=self._arrivals, clock=self._clock, metrics=self._metrics
        )

    async def _start_changes(self) -> None:
        """Get ready for verbs that change something, and for what an earlier process has left undone of them."""
        ledger = ErasureLedger(self._database, consent_key(self._config.data_dir))
        self._eraser = make_eraser(
            self._config,
            ledger,
            resolver=self._resolver,
            clock=self._clock,
            metrics=self._metrics,
            readers=[self._arrivals, self._spool],
            stores=[ArchiveStore(lambda: self._lanes.pipelines, self._transport)],
        )
        self._vendors = VendorEraser(
            VendorErasureLedger(self._database),
            find=self._lanes.destination,
            transport=self._transport,
            clock=self._clock,
            uniform=random.uniform,
            pause=self._pulse.rest,
            metrics=self._metrics,
        )
        changes = Changes(
            self._database,
            ledger,
            resolver=self._resolver,
            pipelines=lambda: self._lanes.pipelines,
            clock=self._clock,
            changed=self._pulse.notify,
        )
        repeats = Repeats(
            self._database,
            find=self._lanes.find,
            waits_for=self._lanes.waits_for,
            clock=self._clock,
            changed=self._pulse.notify,
        )
        self._replayer = Replayer(
            ReplayLedger(self._database),
            spool=self._spool,
            find=self._lanes.find,
            is_blocked=self._lanes.is_blocked,
            clock=self._clock,
            hosts=hosts_of(self._config.site.origins, self._config.site.asset_hosts),
        )
        verbs = {
            "unlink": changes.unlink,
            "forget": changes.forget,
            "dead_replay": repeats.replay_dead,
            "dead_drop": repeats.drop,
            "replay": repeats.replay,
        }
        self._control = ControlServer(self._config.data_dir / CONTROL_SOCKET, verbs)
        await self._control.start()

    def _make_lanes(self) -> Lanes:
        return Lanes(
            LaneParts(
                database=self._database,
                spool=self._spool,
                transport=self._transport,
                clock=self._clock,
                wall=self._wall,
                metrics=self._metrics,
                pause=self._pulse.rest,
                denied=self._resolver.denied,
                recall=partial(recall, directory=self._config.pipelines, environ=self._environ),
                concurrency=self._config.drainer.concurrency,
                page_events=self._config.drainer.page,
                account_share=self._config.drainer.account_percent / 100,
                hosts=hosts_of(self._config.site.origins, self._config.site.asset_hosts),
            )
        )

    def _make_reloader(self) -> Reloader:
        return Reloader(
            self._config.pipelines,
            self._environ,
            lanes=self._lanes,
            database=self._database,
            metrics=self._metrics,
            pause=self._pulse.rest,
            changed=self._changed,
        )

    def _changed(self) -> None:
        """Give every pipeline that runs a task, and wake those that have one."""
        for name in self._lanes.names:
            if name not in self._draining:
                self._draining[name] = asyncio.create_task(self._keep_draining(name))
        self._pulse.notify()

    async def _keep_draining(self, name: str) -> None:
        await self._keep(name, partial(self._drain, name), is_wanted=lambda: name in self._lanes)
        del self._draining[name]

    async def _keep(
        self, name: str, work: Callable[[], Awaitable[None]], *, is_wanted: Callable[[], bool] = lambda: True
    ) -> None:
        """Run a task for as long as it is wanted; one that ends unasked starts again and stops nobody else."""
        while not self._stop.is_set() and is_wanted():
            try:
                await work()
            except StorageFailed as error:
                log.error("storage failed", task=name, error=str(error))
                self._failure = error
                self._stop.set()
            except Exception:
                log.exception("task ended unasked", task=name)
                self._metrics.restarts.labels(name).inc()
                await self._pulse.rest(RESTART_S)

    async def _resolve(self) -> None:
        while not self._stop.is_set():
            if await self._resolver.step():
                self._metrics.resolver_cursor.set(self._resolver.cursor)
                self._pulse.notify()
            else:
                await self._pulse.rest(SPOOL_POLL_S)

    async def _drain(self, name: str) -> None:
        while not self._stop.is_set() and name in self._lanes:
            is_late = (
                self._resolver.lag_ms > MAX_LAG_MS and not self._resolver.is_waiting_for_room
            )  # a withdrawal may be among what is not resolved yet
            if not is_late and await self._lanes.step(name):
                continue
            if self._lanes.is_blocked(name):
                await self._pulse.rest(IDLE_S)
            else:
                await self._pulse.wait(IDLE_S)

    async def _reload(self) -> None:
        directory = self._config.pipelines
        await self._reloader.run(changes_of(directory, stop=self._stop, pause=self._pulse.rest))

    async def _housekeep(self) -> None:
        settings, keep_for_s = spool_settings(self._config), self._config.spool.keep_for_s
        while not self._stop.is_set():
            ledger = TrimLedger(self._database, self._lanes.names)
            house = Housekeeping(settings, reader=self._spool, ledger=ledger, clock=self._clock, keep_for_s=keep_for_s)
            for lane in self._lanes.drainers:
                await house.end_unanswered(lane.ledger, self._config.consent.wait_for_s)
                await house.expire_held(lane.pipeline, lane.ledger)
            await tidy_archives(self._lanes.drainers, self._transport, self._clock.now_ms())
            await house.expire_orphans()
            await house.unlink_passed()
            await self._pulse.rest(HOUSEKEEPING_S)

    async def _erase(self) -> None:
        while not self._stop.is_set():
            if not await self._eraser.step():
                await self._pulse.rest(ERASE_EVERY_S)

    async def _ask_vendors(self) -> None:
        while not self._stop.is_set():
            if not await self._vendors.step():
                await self._pulse.rest(ERASE_EVERY_S)

    async def _replay(self) -> None:
        while not self._stop.is_set():
            if await self._replayer.step():
                self._pulse.notify()
            else:
                await self._pulse.rest(REPLAY_EVERY_S)

    async def _inquire(self) -> None:
        inquirer = Inquirer(
            ReceiptLedger(self._database),
            pipelines=lambda: self._lanes.pipelines,
            transport=self._transport,
            clock=self._clock,
            wall=self._wall,
            uniform=random.uniform,
            pause=self._pulse.rest,
            metrics=self._metrics,
        )
        while not self._stop.is_set():
            if not await inquirer.step():
                await self._pulse.rest(INQUIRE_EVERY_S)

    async def _close(self) -> None:
        await self._control.stop()
        tasks = [*self._tasks.values(), *self._draining.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._transport.close()
        await self._spool.close()
        await self._arrivals.close()
        if self._failure is None:
            await self._database.close()
