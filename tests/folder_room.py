"""A folder of pipeline files over a back room: what changes in it is told by hand."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

from prometheus_client import CollectorRegistry

from edge.app.lanes import LaneParts, Lanes
from edge.app.reloading import Reloader, recall
from edge.event import Event, event_key
from edge.ledger import LedgerView
from edge.ledger.database import fetch
from edge.ledger.records import Revision
from edge.ledger.standing import PipelineFate
from edge.metrics import DrainerMetrics
from edge.pipeline import Pipeline
from tests.backroom import ENVIRON, HOSTS, PIPELINE, Backroom

VIEWED = "Viewed Product"
VISITOR = "visitor@shop.example"


def edited(metric: str = VIEWED, name: str = "klaviyo", more: str = "") -> str:
    """Give a pipeline's text with another metric for a view, another name, or more lines."""
    return PIPELINE.replace(VIEWED, metric).replace("name: klaviyo", f"name: {name}") + more


class FolderRoom:
    """Made by `open`; `restart` forgets everything that is only in memory."""

    def __init__(self, room: Backroom) -> None:
        self.room, self.folder = room, room.folder / "pipelines"
        self.environ = dict(ENVIRON)
        self.while_pausing: list[Callable[[], object]] = []
        self.recalled: list[Revision] = []

    @classmethod
    async def open(cls, folder: Path, **files: str) -> "FolderRoom":
        """Start with these files; without any, with klaviyo.yaml."""
        room = cls(await Backroom.open(folder, starts_lane=False))
        room.folder.mkdir()
        for name, text in (files or {"klaviyo": PIPELINE}).items():
            room.write(name, text)
        await room._start()
        return room

    async def _start(self) -> None:
        room = self.room
        self.registry = CollectorRegistry()
        self.metrics = DrainerMetrics(self.registry)
        self._told: asyncio.Queue[None] = asyncio.Queue()
        parts = LaneParts(
            database=room.database,
            spool=room.reader,
            transport=room.transport,
            clock=room.clock,
            wall=room.clock,
            metrics=self.metrics,
            pause=self._pause,
            denied=room.resolver.denied,
            recall=self._recall,
            concurrency=8,
            page_events=100,
            hosts=HOSTS,
            uniform=lambda low, high: high,
        )
        self.lanes = Lanes(parts)
        self.reloader = Reloader(
            self.folder,
            self.environ,
            lanes=self.lanes,
            database=room.database,
            metrics=self.metrics,
            pause=self._pause,
            changed=lambda: None,
        )
        await self.reloader.open()
        self._following = asyncio.create_task(self.reloader.run(self._changes()))

    async def restart(self) -> None:
        """Begin anew over the same files, as after a death."""
        self._following.cancel()
        await self.room.restart(starts_lane=False)
        await self._start()

    async def close(self) -> None:
        self._following.cancel()
        await self.room.close()

    def write(self, name: str, text: str) -> None:
        """Put a file there, by replacing the one that was."""
        fresh = self.folder / f".{name}"
        fresh.write_text(text)
        fresh.rename(self.folder / f"{name}.yaml")

    async def change(self, **files: str | None) -> None:
        """Write files, remove those that are None, tell of it once, and wait until it was looked at."""
        for name, text in files.items():
            if text is None:
                (self.folder / f"{name}.yaml").unlink()
            else:
                self.write(name, text)
        self._told.put_nowait(None)
        looked = asyncio.create_task(self._told.join())
        await asyncio.wait((looked, self._following), return_when=asyncio.FIRST_COMPLETED)
        if self._following.done():
            self._following.result()

    async def work(self) -> None:
        """Resolve, then step every pipeline until none has anything to do now."""
        await self.room.resolve()
        while [name for name in self.lanes.names if await self.lanes.step(name)]:
            pass

    async def view(self, number: int = 1) -> Event:
        """Let a visitor who is known look at something."""
        await self.room.identify(number, email=VISITOR)
        return await self.room.store(number, "view_item", properties={"item_name": "Moon Teapot"})

    @property
    def sent(self) -> list[str]:
        """The metric of every request, in order."""
        return [body["metric"]["data"]["attributes"]["name"] for body in self.room.transport.bodies]

    @property
    def hashes(self) -> dict[str, str]:
        """What runs: the content's hash by the pipeline's name."""
        return {pipeline.name: pipeline.hash for pipeline in self.lanes.pipelines}

    async def fates(self, event: Event) -> dict[str, PipelineFate]:
        """Give where an event stands in each pipeline."""
        view = await LedgerView.open(self.room.folder / "ledger.db")
        try:
            entry = (await view.by_keys([event_key(event.source, event.id)]))[0]
            return {fate.pipeline: fate for fate in await view.fates(entry)}
        finally:
            await view.close()

    async def hash_of(self, event: Event, pipeline: str = "klaviyo") -> str:
        """Give the content that a pipeline's delivery of an event was made by."""
        return (await self.fates(event))[pipeline].hash

    def counted(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)

    async def fill(self, *, is_full: bool) -> None:
        """Let the ledger's file grow no further, or again."""
        async with self.room.database.transaction() as db:
            await fetch(db, f"PRAGMA max_page_count = {1 if is_full else 1_000_000}")

    def _recall(self, revision: Revision) -> Pipeline | None:
        self.recalled.append(revision)
        return recall(revision, self.folder, self.environ)

    async def _changes(self) -> AsyncGenerator[None]:
        while True:
            await self._told.get()
            yield
            self._told.task_done()

    async def _pause(self, seconds: float) -> None:
        if self.while_pausing:
            self.while_pausing.pop(0)()
        await self.room.pause(seconds)
