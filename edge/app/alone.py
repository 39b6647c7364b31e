"""What verbs change while nothing runs: with the drainer's lock, over the same parts as the service."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from edge.app.archives import ArchiveStore
from edge.app.changing import Changes
from edge.app.control import Told
from edge.app.folders import ledger_path, spool_settings
from edge.app.keys import consent_key
from edge.app.lock import take_lock
from edge.app.repeating import Repeats
from edge.app.sealing import sealer
from edge.archive_files import ArchiveFiles
from edge.clock import Clock
from edge.config import Config
from edge.consent_platforms import with_meanings
from edge.consent_rules import ConsentSettings
from edge.drainer import Erasable, Eraser, EraserParts
from edge.ledger import Database, LedgerSettings, ResolverLedger
from edge.ledger.erasing import ErasureLedger
from edge.ledger.theirs import Whom
from edge.metrics import DrainerMetrics
from edge.pipeline import Pipeline
from edge.resolver import Resolver, ResolverSettings
from edge.spool import SpoolReader
from edge.transport import HttpTransport

WAIT_S = 0.2
WAITS = 150


def make_resolver(
    config: Config, database: Database, *, spool: SpoolReader, clock: Clock, metrics: DrainerMetrics
) -> Resolver:
    """Give a resolver by the configuration's rules."""
    told = config.consent
    return Resolver(
        ResolverSettings(
            config.site.phone_region,
            ConsentSettings(told.default, told.gpc_denies, told.server_default, told.waits, told.server_waits),
            config.identity.retroactive_for_s,
            consent_key=consent_key(config.data_dir),
            consent_meanings=with_meanings(told.map),
        ),
        spool=spool,
        ledger=ResolverLedger(database),
        clock=clock,
        metrics=metrics,
    )


def make_eraser(
    config: Config,
    ledger: ErasureLedger,
    *,
    resolver: Resolver,
    clock: Clock,
    metrics: DrainerMetrics,
    readers: Sequence[SpoolReader],
    stores: Sequence[Erasable],
) -> Eraser:
    """Give an eraser over the configuration's files."""
    spool = spool_settings(config)
    return Eraser(
        EraserParts(
            directory=spool.directory,
            ledger=ledger,
            clock=clock,
            region=config.site.phone_region,
            keep_for_s=config.spool.keep_for_s,
            seal=sealer(config.data_dir, spool, clock, lambda: resolver.cursor),
            resolved_to=lambda: resolver.cursor,
            metrics=metrics,
            readers=readers,
            stores=stores,
        )
    )


@dataclass(frozen=True, slots=True)
class Alone:
    """The parts of a service that does not run."""

    changes: Changes
    resolver: Resolver
    eraser: Eraser
    repeats: Repeats

    async def forget(self, whom: Whom) -> AsyncIterator[Told]:
        """Erase a person, doing all the work here; vendors are asked when the service runs again.

        Raises:
            StorageBusy: something could not be done for half a minute; what is left is done when the service runs.
        """
        number = await self.changes.begin_erasure(whom)
        if not number:
            yield {"kind": "end", "erasure": None}
            return
        waits, state = 0, ""
        while state != "done" and waits < WAITS:
            state = (await self.changes.find(number)).state
            yield {"kind": "progress", "state": state}
            while await self.resolver.step():
                continue
            if state != "done" and not await self.eraser.step():
                waits += 1
                await asyncio.sleep(WAIT_S)
        yield await self.changes.ended(number)


@asynccontextmanager
async def standing_in(config: Config, clock: Clock, pipelines: Sequence[Pipeline]) -> AsyncIterator[Alone]:
    """Take the drainer's place for a while.

    Raises:
        StorageTaken: the service runs.
        StorageFailed: the ledger cannot be opened.
    """
    lock = take_lock(config.data_dir, "drainer")
    try:
        database = Database(LedgerSettings(ledger_path(config), config.spool.max_bytes))
        await database.open()
        reader = SpoolReader(spool_settings(config).directory)
        transport = HttpTransport(timeout_s=config.drainer.timeout_s, files=ArchiveFiles(config.data_dir))
        await transport.open()
        try:
            metrics = DrainerMetrics(CollectorRegistry())
            resolver = make_resolver(config, database, spool=reader, clock=clock, metrics=metrics)
            await resolver.open()
            ledger = ErasureLedger(database, consent_key(config.data_dir))
            changes = Changes(
                database,
                ledger,
                resolver=resolver,
                pipelines=lambda: pipelines,
                clock=clock,
                changed=lambda: None,
            )
            eraser = make_eraser(
                config,
                ledger,
                resolver=resolver,
                clock=clock,
                metrics=metrics,
                readers=[reader],
                stores=[ArchiveStore(lambda: pipelines, transport)],
            )
            repeats = Repeats(
                database,
                find=lambda name: next((one for one in pipelines if one.name == name), None),
                waits_for=lambda _: "no service runs",
                clock=clock,
                changed=lambda: None,
            )
            yield Alone(changes, resolver, eraser, repeats)
        finally:
            await transport.close()
            await reader.close()
            await database.close()
    finally:
        os.close(lock)
