"""Process A: the collector over the spool it writes."""

import asyncio
import contextlib
import os
import secrets
import sqlite3
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry

from edge.alerting import CollectorVitals
from edge.app.control import COLLECTOR_SOCKET, ControlServer, Told
from edge.app.folders import ledger_path, spool_settings
from edge.app.handles import connections_allowed
from edge.app.keys import cookie_keys
from edge.app.report import Report, exposition
from edge.app.steady import SteadyKeeper
from edge.clock import Clock
from edge.collector import Assets, Collector, CollectorSettings, RandomPool, Tell
from edge.config import Config
from edge.consent_platforms import with_meanings
from edge.cookie import CookieSigner
from edge.errors import StorageBusy, StorageFailed, StorageFull
from edge.ledger import LedgerView
from edge.metrics import CollectorMetrics
from edge.shipped import shipped
from edge.spool import SpoolSettings, SpoolWriter
from edge.spool.room import directory_bytes, free_bytes

log = structlog.get_logger(__name__)

REOPEN_EVERY_S = 1.0
STOP_LIMIT_S = 10.0


class OpeningSpool:
    """A spool that may not be open yet: until then every batch gets 503 while the script is served."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        stop: asyncio.Event,
        make: Callable[[SpoolSettings, Clock], SpoolWriter] | None = None,
    ) -> None:
        self._config, self._clock, self._stop, self._make = config, clock, stop, make or SpoolWriter
        self._opening_trouble = "the spool is not open yet"
        self.writer: SpoolWriter | None = None

    @property
    def trouble(self) -> str:
        """Why nothing can be stored at the moment; "" where nothing says so."""
        return self._opening_trouble if self.writer is None else self.writer.trouble

    async def open(self) -> None:
        """Open the spool, however long its disk takes to come back; returns early when told to stop."""
        while not self._stop.is_set():
            try:
                writer = self._make(spool_settings(self._config), self._clock)
                await writer.open(floor_seq=await resolved_to(ledger_path(self._config)))
            except StorageFailed as error:
                self._note(str(error))
            except Exception as error:  # no thread to be had, perhaps: who gave up here would refuse events for ever
                self._note(type(error).__name__)
            else:
                self.writer = writer
                return
            await _wait(self._stop, REOPEN_EVERY_S)

    async def append(self, envelopes: Sequence[bytes]) -> int:
        """Append as the spool does; StorageFull while it is not open."""
        return await self._opened().append(envelopes)

    def append_soon(self, envelopes: Sequence[bytes], tell: Tell) -> None:
        """Append as the spool does; StorageFull while it is not open."""
        self._opened().append_soon(envelopes, tell)

    def _opened(self) -> SpoolWriter:
        if self.writer is None:
            raise StorageFull(self._opening_trouble)
        return self.writer

    def _note(self, trouble: str) -> None:
        if trouble != self._opening_trouble:
            log.error("spool not open", reason=trouble)
        self._opening_trouble = trouble


class CollectingProcess:
    """Starts and stops the collector."""

    role = "collector"

    def __init__(self, config: Config, clock: Clock, stop: asyncio.Event) -> None:
        self._config, self._stop = config, stop
        self._registry = CollectorRegistry()
        self._metrics = CollectorMetrics(self._registry)
        self._steady = SteadyKeeper(config.data_dir, self.role, clock)
        self._spool = OpeningSpool(config, self._steady.clock, stop)
        self._collector = Collector(
            CollectorSettings(
                listen=config.collector.listen,
                origins=config.site.origins,
                prefix=config.collector.prefix,
                script=config.collector.script,
                endpoint=config.collector.endpoint,
                trusted_proxies=config.collector.trusted_proxies,
                wait_for_consent=config.cookie.wait_for_consent,
                write_keys=tuple((one.name, one.key) for one in config.write_keys),
                gpc_denies=config.consent.gpc_denies,
                consent_meanings=with_meanings(config.consent.map),
                meta_cookies=config.cookie.meta,
                cookie_domain=config.cookie.domain,
                connections=connections_allowed(),
            ),
            self._spool,
            cookies=CookieSigner(cookie_keys(config.cookie.keys, config.data_dir), config.cookie.domain),
            clock=self._steady.clock,
            random_bytes=RandomPool(secrets.token_bytes).take,
            assets=Assets(*(shipped(f"static/datafly.js{coding}").read_bytes() for coding in ("", ".br", ".gz"))),
            metrics=self._metrics,
        )

    async def run(self) -> int:
        """Listen until told to stop or until storage fails; give the exit code."""
        await self._collector.start()
        control = ControlServer(self._config.data_dir / COLLECTOR_SOCKET, {"seal": self._seal})
        await control.start()
        opening = asyncio.create_task(self._spool.open())
        keeping = asyncio.create_task(self._steady.run(self._stop, partial(_wait, self._stop)))
        log.info("collector listens", listen=":".join(str(part) for part in self._config.collector.listen[1:]))
        stopped, failed = asyncio.create_task(self._stop.wait()), asyncio.create_task(self._collector.failed.wait())
        await asyncio.wait((stopped, failed), return_when=asyncio.FIRST_COMPLETED)
        for task in (stopped, failed, opening):
            task.cancel()
        await control.stop()
        if self._collector.failed.is_set():
            keeping.cancel()
            return 1  # nothing is closed politely: a failed connection is not trusted with a checkpoint
        await self._collector.stop(STOP_LIMIT_S)
        await keeping
        if self._spool.writer is not None:
            await self._spool.writer.close()
        return 0

    async def _seal(self, request: Told) -> AsyncGenerator[Told, None]:
        """Let the open segment be sealed, because somebody is to be erased from what was accepted."""
        if self._spool.writer is None:
            raise StorageBusy(self._spool.trouble)
        yield {"kind": "end", "sealed_to": await self._spool.writer.seal()}

    def report(self) -> Report:
        """Say whether events can be stored."""
        writer = self._spool.writer
        if writer is not None and writer.trouble and writer.has_room():
            writer.trouble = ""
        detail = {
            "last_seq": writer.last_seq if writer else None,
            "trouble": self._spool.trouble or None,
            "clock_off_s": self._steady.off_s,
        }
        is_ready = writer is not None and not self._spool.trouble
        vitals = self._vitals(writer) if writer is not None else None
        metrics = exposition(self._registry)
        return Report(self.role, os.getpid(), is_ready, detail, metrics, vitals=asdict(vitals) if vitals else None)

    def _vitals(self, writer: SpoolWriter) -> CollectorVitals | None:
        """Measure the room; None where the disk does not answer, which `trouble` tells."""
        settings = spool_settings(self._config)
        with contextlib.suppress(OSError):
            used, free = directory_bytes(settings.directory), free_bytes(settings.directory)
            self._metrics.room(used, settings.max_bytes, free, settings.free_bytes)
            return CollectorVitals(writer.last_seq, used, settings.max_bytes, free, settings.free_bytes)
        return None


async def resolved_to(path: Path) -> int:
    """Give the ledger's cursor, a witness of which numbers were used; 0 when there is none to be read."""
    try:
        view = await LedgerView.open(path)
    except sqlite3.Error:
        return 0
    try:
        cursor: object = await view.resolved_to()
    except (sqlite3.Error, IndexError):
        return 0
    finally:
        await view.close()
    return cursor if isinstance(cursor, int) else 0  # a damaged file may hold anything


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
