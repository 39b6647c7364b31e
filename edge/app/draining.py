"""Process B: resolver and drainer over the one ledger they write."""

import asyncio
import os
import random
from collections.abc import Awaitable, Callable

import structlog
from prometheus_client import CollectorRegistry

from edge.app.collecting import ledger_path, spool_settings
from edge.app.pulse import Pulse
from edge.app.report import Report, exposition
from edge.budget import Budget
from edge.clock import Clock
from edge.config import Config
from edge.consent_rules import ConsentSettings
from edge.drainer import Housekeeping, PipelineDrainer, Sender
from edge.drainer.health import Health
from edge.errors import StorageFailed
from edge.ledger import Database, DeliveryLedger, LedgerSettings, ResolverLedger, TrimLedger
from edge.metrics import DrainerMetrics
from edge.pipeline import Pipeline
from edge.resolver import Resolver, ResolverSettings
from edge.spool import SpoolReader
from edge.transport import HttpTransport

log = structlog.get_logger(__name__)

SPOOL_POLL_S = 0.02
IDLE_S = 0.25
HOUSEKEEPING_S = 10.0
RESTART_S = 1.0
MAX_LAG_MS = 2_000
STOP_LIMIT_S = 10.0


class DrainingProcess:
    """Owns one task for the resolver, one a pipeline, and one for housekeeping."""

    role = "drainer"

    def __init__(self, config: Config, pipelines: list[Pipeline], clock: Clock, stop: asyncio.Event) -> None:
        self._config, self._pipelines, self._clock, self._stop = config, pipelines, clock, stop
        self._registry = CollectorRegistry()
        self._metrics = DrainerMetrics(self._registry)
        self._pulse = Pulse(stop)
        self._database = Database(LedgerSettings(ledger_path(config), config.spool.max_bytes))
        # Lanes share a reader of their own: the resolver never waits for them.
        self._arrivals = SpoolReader(spool_settings(config).directory)
        self._spool = SpoolReader(spool_settings(config).directory)
        self._transport = HttpTransport(timeout_s=config.drainer.timeout_s)
        self._budgets: dict[str, Budget] = {}
        self._healths: dict[str, Health] = {}
        self._senders: list[Sender] = []
        self._lanes: list[PipelineDrainer] = []
        self._resolver: Resolver
        self._failure: StorageFailed | None = None

    async def run(self) -> int:
        """Work until told to stop or until storage fails; give the exit code."""
        await self._database.open()
        await self._transport.open()
        self._resolver = self._make_resolver()
        await self._resolver.open()
        self._lanes = [await self._make_lane(pipeline) for pipeline in self._pipelines]
        jobs = [self._keep("resolver", self._resolve)]
        jobs += [self._keep(lane.pipeline.name, lambda lane=lane: self._drain(lane)) for lane in self._lanes]  # type: ignore[misc]
        jobs.append(self._keep("housekeeping", self._housekeep))
        log.info("drainer works", pipelines=[pipeline.name for pipeline in self._pipelines])
        tasks = [asyncio.create_task(job) for job in jobs]
        await self._stop.wait()
        for sender in self._senders:
            sender.is_stopping = True
        await asyncio.wait(tasks, timeout=STOP_LIMIT_S)
        await self._close(tasks)
        return 1 if self._failure is not None else 0

    def report(self) -> Report:
        """Say how far it is and which pipelines are paused."""
        is_open = hasattr(self, "_resolver")
        paused = {name: health.paused_reason for name, health in self._healths.items() if health.paused_reason}
        detail = {"resolved_to": self._resolver.cursor if is_open else None, "paused": paused}
        is_ready = is_open and self._failure is None
        return Report(self.role, os.getpid(), is_ready, detail, exposition(self._registry))

    def _make_resolver(self) -> Resolver:
        consent = ConsentSettings(self._config.consent.default, self._config.consent.gpc_denies)
        return Resolver(
            ResolverSettings(self._config.site.phone_region, consent, self._config.identity.retroactive_for_s),
            spool=self._arrivals,
            ledger=ResolverLedger(self._database),
            clock=self._clock,
            metrics=self._metrics,
        )

    async def _make_lane(self, pipeline: Pipeline) -> PipelineDrainer:
        destination = pipeline.destination
        budget = self._budgets.setdefault(destination.account, Budget(destination.rate))
        health = self._healths[pipeline.name] = Health(random.uniform)
        sender = Sender(
            pipeline,
            transport=self._transport,
            budget=budget,
            health=health,
            clock=self._clock,
            uniform=random.uniform,
            pause=self._pulse.rest,
            denied=self._resolver.denied,
            metrics=self._metrics,
            concurrency=self._config.drainer.concurrency,
        )
        self._senders.append(sender)
        lane = PipelineDrainer(
            pipeline,
            ledger=await DeliveryLedger.register(self._database, pipeline.name, pipeline.hash, self._clock.now_ms()),
            spool=self._spool,
            sender=sender,
            health=health,
            budget=budget,
            clock=self._clock,
            metrics=self._metrics,
            pause=self._pulse.rest,
            page_events=self._config.drainer.page,
        )
        await lane.open()
        return lane

    async def _keep(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run a task for as long as the process lives; one that ends unasked starts again and stops nobody else."""
        while not self._stop.is_set():
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

    async def _drain(self, lane: PipelineDrainer) -> None:
        while not self._stop.is_set():
            is_late = (
                self._resolver.lag_ms > MAX_LAG_MS and not self._resolver.is_waiting_for_room
            )  # a withdrawal may be among what is not resolved yet
            if not is_late and await lane.step():
                continue
            if lane.is_blocked:
                await self._pulse.rest(IDLE_S)
            else:
                await self._pulse.wait(IDLE_S)

    async def _housekeep(self) -> None:
        settings = spool_settings(self._config)
        ledger = TrimLedger(self._database, [pipeline.name for pipeline in self._pipelines])
        house = Housekeeping(
            settings, reader=self._spool, ledger=ledger, clock=self._clock, keep_for_s=self._config.spool.keep_for_s
        )
        while not self._stop.is_set():
            for lane in self._lanes:
                await house.expire_held(lane.pipeline, lane.ledger)
            await house.expire_orphans()
            await house.unlink_passed()
            await self._pulse.rest(HOUSEKEEPING_S)

    async def _close(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._transport.close()
        await self._spool.close()
        await self._arrivals.close()
        if self._failure is None:
            await self._database.close()
