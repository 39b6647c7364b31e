"""Resolver and lanes in this very process, over real files, with the vendors' rates lifted: for costs and sizes."""

import asyncio
import dataclasses
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

from prometheus_client import CollectorRegistry

from bench import unbound
from bench.bodies import ID_MARK, body
from bench.children import PIPELINES
from edge.app.lanes import LaneParts, Lanes
from edge.clock import SystemClock
from edge.consent_rules import ConsentSettings
from edge.delivery import Request, Response
from edge.destinations.base import Destination
from edge.event import Event, encode
from edge.ledger import Database, LedgerSettings, ResolverLedger
from edge.metrics import DrainerMetrics
from edge.pipeline import compile_pipeline
from edge.resolver import Resolver, ResolverSettings
from edge.secret import Secret
from edge.spool import SpoolReader, SpoolSettings, SpoolWriter
from edge.transport import Transport
from edge.wire import Arrival, parse_events, read_batch

ENVIRON = {"KLAVIYO_PRIVATE_API_KEY": "pk_benchmark_only", "KLAVIYO_BASE_URL": "http://127.0.0.1:9"}
SHIPPED = PIPELINES / "klaviyo-events.yaml"
BROWSER_MARK = "ab" * 16
APPEND = 500


class Taken:
    """A vendor that takes everything at once, without a network."""

    def __init__(self) -> None:
        self.requests = 0

    async def send(self, request: Request) -> Response:
        self.requests += 1
        await asyncio.sleep(0)
        return Response(202, {}, b"")


def pipeline_texts(count: int, base_url: str = "http://127.0.0.1:9", endpoint: str = "create_event") -> dict[str, str]:
    """Give the shipped pipeline's text under so many names, each with an account of its own at one address."""
    text = SHIPPED.read_text("utf-8")
    told = text.replace("endpoint: auto", f"endpoint: {endpoint}")
    assert told != text, "the shipped file names its endpoint otherwise"
    return {
        f"p{number}.yaml": told.replace("name: klaviyo_events", f"name: klaviyo_events_{number}").replace(
            "${KLAVIYO_BASE_URL:-https://a.klaviyo.com}", f"{base_url}/{number}"
        )
        for number in range(count)
    }


def _template() -> bytes:
    batch = read_batch(body(1))
    arrival = Arrival(now_ms(), "browser", BROWSER_MARK, "203.0.113.9", "Mozilla/5.0 (X11; Linux x86_64)", False)
    return encode(parse_events(batch, arrival)[0][0])


def now_ms() -> int:
    """Give the moment of arrival that envelopes carry."""
    return time.time_ns() // 1_000_000


def views(count: int, visitors: int, *, first: int = 0) -> Iterator[bytes]:
    """Give envelopes as the collector stores them: view_item, visitor after visitor."""
    template, mark, browser = _template(), ID_MARK.encode(), BROWSER_MARK.encode()
    for number in range(first, first + count):
        made = template.replace(mark, b"%016x" % number)
        yield made.replace(browser, b"%032x" % (number % visitors))


def names(visitors: int) -> Iterator[bytes]:
    """Give an identify of each visitor."""
    event = Event("", "identify", now_ms(), now_ms(), "browser", "", {}, {}, {"consent": {"marketing": "granted"}})
    for number in range(visitors):
        traits = {"email": f"user{number}@shop.example"}
        told = dataclasses.replace(event, id=f"identify-{number}", browser=f"{number:032x}", traits=traits)
        yield encode(told)


async def fill(spool: Path, envelopes: Iterator[bytes], *, segment_bytes: int = 64_000_000) -> int:
    """Store envelopes as the collector does, and close the spool; give how many there were."""
    writer = SpoolWriter(SpoolSettings(spool, free_bytes=0, segment_bytes=segment_bytes), SystemClock())
    await writer.open()
    group: list[bytes] = []
    for envelope in envelopes:
        group.append(envelope)
        if len(group) == APPEND:
            await writer.append(group)
            group = []
    if group:
        await writer.append(group)
    await writer.close()
    return writer.last_seq


class Works:
    """What process B does, step by step at our word."""

    def __init__(self, folder: Path, reader: SpoolReader | None = None) -> None:
        self.folder = folder
        self.database = Database(LedgerSettings(folder / "ledger.db"))
        self.reader = reader or SpoolReader(folder / "spool")
        self.metrics = DrainerMetrics(CollectorRegistry())
        settings = ResolverSettings("GB", ConsentSettings(), consent_key=Secret("a key of this benchmark"))
        self.resolver = Resolver(
            settings,
            spool=self.reader,
            ledger=ResolverLedger(self.database),
            clock=SystemClock(),
            metrics=self.metrics,
        )
        self.lanes: Lanes

    async def resolve(self, limit: int | None = None) -> None:
        """Resolve everything, or until so many more rows are done."""
        end = None if limit is None else self.resolver.cursor + limit
        while (end is None or self.resolver.cursor < end) and await self.resolver.step():
            pass

    async def drain(self, names: Sequence[str] | None = None) -> None:
        """Deliver everything that is resolved, the pipelines side by side."""
        await asyncio.gather(*(self._drain(name) for name in names or self.lanes.names))

    async def _drain(self, name: str) -> None:
        while await self.lanes.step(name):
            pass

    def ledger_bytes(self) -> int:
        """Give what the ledger holds, pages that stand empty left out."""
        db = sqlite3.connect(f"file:{self.folder / 'ledger.db'}?mode=ro", uri=True)
        try:
            pages, free, size = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in _SIZES)
        finally:
            db.close()
        return int((pages - free) * size)


_SIZES = ("page_count", "freelist_count", "page_size")


@asynccontextmanager
async def works(
    folder: Path,
    texts: dict[str, str],
    transport: Transport,
    *,
    page_events: int = 100,
    reader: SpoolReader | None = None,
) -> AsyncIterator[Works]:
    """Open the works over a folder with a spool, with these pipelines from the first event on."""
    made = Works(folder, reader)
    await made.database.open()
    await made.resolver.open()
    made.lanes = Lanes(
        LaneParts(
            database=made.database,
            spool=made.reader,
            transport=transport,
            clock=SystemClock(),
            wall=SystemClock(),
            metrics=made.metrics,
            pause=asyncio.sleep,
            denied=made.resolver.denied,
            recall=lambda revision: None,
            concurrency=32,
            page_events=page_events,
            hosts=frozenset({"shop.example"}),
        )
    )
    try:
        for file, text in texts.items():
            pipeline = compile_pipeline(text, file, ENVIRON)
            free = cast(Destination, unbound.Unbound(pipeline.destination))
            await made.lanes.put(dataclasses.replace(pipeline, destination=free))
        yield made
    finally:
        await made.reader.close()
        await made.database.close()


def size_of(folder: Path) -> int:
    """Give how many bytes the files of a folder have."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
