"""Resolver, ledger and drainer in one piece, over real files, with a clock and a destination that tests direct."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from edge.app.lanes import revision_of
from edge.budget import Budget
from edge.clock import Clock, SteadyClock
from edge.consent import Purpose
from edge.consent_rules import ConsentSettings
from edge.delivery import Request, Response
from edge.drainer import PipelineDrainer, Sender
from edge.drainer.health import Health
from edge.event import Event, encode, event_key
from edge.ledger import Database, DeliveryLedger, LedgerSettings, LedgerView, ResolverLedger
from edge.ledger.standing import JournalEntry, PipelineFate
from edge.metrics import DrainerMetrics
from edge.pipeline import Pipeline, compile_pipeline
from edge.resolver import Resolver, ResolverSettings
from edge.secret import Secret
from edge.spool import SpoolReader, SpoolSettings, SpoolWriter
from tests.clock import FakeClock

PIPELINE = """
name: klaviyo
integration: klaviyo-events-api
parameters: {private_api_key: "${KEY}", base_url: "http://klaviyo.test"}
global:
  profile:
    "$email": {source: context.traits.email}
    external_id: {source: context.traits.customer_id}
events:
  view_item: {metric: Viewed Product, properties: {ProductName: {source: properties.item_name}}}
  add_to_cart: {metric: Added to Cart}
  purchase: {metric: Placed Order, properties: {"$event_id": {source: properties.transaction_id}}}
"""
ENVIRON = {"KEY": "a-key", "OTHER_KEY": "another-key"}
GRANTED = {"functional": "granted", "analytics": "granted", "marketing": "granted", "advertising": "granted"}
DENIED = dict.fromkeys(GRANTED, "denied")
CONSENT_KEY = Secret("key-of-the-log" * 3)
HOSTS = frozenset({"shop.example"})
TAKEN = Response(202, {}, b"")

Answer = Response | Exception | Callable[[Request], Response]


def browser(number: int) -> str:
    """Give a cookie id."""
    return f"{number:032x}"


@dataclasses.dataclass
class ScriptedTransport:
    """Answers as told, 202 when told nothing; keeps every request."""

    requests: list[Request] = dataclasses.field(default_factory=list)
    answers: list[Answer] = dataclasses.field(default_factory=list)
    always: Answer = TAKEN

    async def send(self, request: Request) -> Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if self.answers else self.always
        if isinstance(answer, BaseException):
            raise answer
        return answer(request) if callable(answer) else answer

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """What was sent, as the vendor's attributes."""
        return [json.loads(request.body)["data"]["attributes"] for request in self.requests]

    @property
    def ids(self) -> list[str]:
        """The unique_id of every request."""
        return [body["unique_id"] for body in self.bodies]


class Backroom:
    """Made by `open`; `restart` forgets everything that is only in memory, as a death does.

    Time is `clock`'s, which tests move; `steady` is what the parts go by.
    """

    makes_resolver: type[Resolver] = Resolver

    def __init__(self, folder: Path, clock: FakeClock, pipeline: str, consent: ConsentSettings) -> None:
        self.folder, self.clock, self.transport = folder, clock, ScriptedTransport()
        self.steady: Clock = SteadyClock(clock)
        self.pipeline: Pipeline = compile_pipeline(pipeline, "klaviyo.yaml", ENVIRON)
        self.metrics = DrainerMetrics(CollectorRegistry())
        self._consent = consent
        self._names = 0
        self.reader: SpoolReader | None = None

    @classmethod
    async def open(
        cls,
        folder: Path,
        clock: FakeClock | None = None,
        *,
        pipeline: str = PIPELINE,
        consent: Purpose = Purpose.NONE,
        server_consent: Purpose = Purpose.NONE,
        waits: Purpose = Purpose.NONE,
        server_waits: Purpose = Purpose.NONE,
        starts_lane: bool = True,
        floor_seq: int = 0,
    ) -> "Backroom":
        settings = ConsentSettings(consent, True, server_consent, waits, server_waits)
        room = cls(folder, clock or FakeClock(), pipeline, settings)
        room.writer = SpoolWriter(SpoolSettings(folder / "spool", free_bytes=0), room.clock)
        await room.writer.open(floor_seq=floor_seq)
        room.database = Database(LedgerSettings(folder / "ledger.db"))
        await room.database.open()
        await room.restart(starts_lane=starts_lane)
        return room

    async def restart(self, *, starts_lane: bool = True) -> None:
        """Make resolver and, where nobody else does it, drainer anew over the same files."""
        if self.reader is not None:
            await self.reader.close()
        self.reader = SpoolReader(self.folder / "spool")
        settings = ResolverSettings("GB", self._consent, consent_key=CONSENT_KEY)
        self.resolver = self.makes_resolver(
            settings,
            spool=self.reader,
            ledger=ResolverLedger(self.database),
            clock=self.steady,
            metrics=self.metrics,
        )
        await self.resolver.open()
        if starts_lane:
            await self._start_lane()

    async def _start_lane(self) -> None:
        self.health = Health(lambda low, high: high)
        self.budget = Budget(self.pipeline.destination.rate)
        self.sender = Sender(
            self.pipeline,
            transport=self.transport,
            budget=self.budget,
            health=self.health,
            clock=self.steady,
            wall=self.clock,
            uniform=lambda low, high: high,
            pause=self.pause,
            denied=self.resolver.denied,
            metrics=self.metrics,
            concurrency=8,
        )
        ledger = await DeliveryLedger.register(self.database, revision_of(self.pipeline), self.clock.now_ms())
        self.lane = PipelineDrainer(
            self.pipeline,
            ledger=ledger,
            spool=self.reader,
            sender=self.sender,
            health=self.health,
            budget=self.budget,
            clock=self.steady,
            metrics=self.metrics,
            pause=self.pause,
            hosts=HOSTS,
            recall=lambda revision: compile_pipeline(revision.text, revision.file, ENVIRON),
        )
        await self.lane.open()

    async def pause(self, seconds: float) -> None:
        """Waiting passes at once; only the clock knows."""
        self.clock.advance(seconds)

    async def store(self, visitor: int, name: str, *, consent: dict[str, str] | None = None, **more: Any) -> Event:
        """Put one event into the spool; marketing consent is granted unless told otherwise."""
        self._names += 1
        context: dict[str, Any] = {"consent": {**(GRANTED if consent is None else consent), "source": "explicit"}}
        if consent == {}:
            context = {}
        event = Event(
            id=more.pop("id", f"event-{self._names}"),
            name=name,
            time_ms=more.pop("time_ms", self.clock.now_ms()),
            received_at_ms=self.clock.now_ms(),
            source=more.pop("source", "browser"),
            browser=browser(visitor),
            properties=more.pop("properties", {}),
            traits=more.pop("traits", {}),
            context={**context, **more},
        )
        await self.writer.append([encode(event)])
        return event

    async def identify(self, visitor: int, **traits: str) -> Event:
        """Let a visitor say who it is."""
        return await self.store(visitor, "identify", traits=traits)

    async def told_by_server(self, key: int, name: str = "identify", **more: Any) -> Event:
        """Let the shop's server say something, by a write key; `key` stands for a browser of the server's own."""
        return await self.store(key, name, source="server:shop", **more)

    async def resolve(self) -> None:
        """Resolve all there is."""
        while await self.resolver.step():
            pass

    async def work(self, steps: int = 1_000) -> int:
        """Resolve, then drain until there is nothing to do now; give the steps it took."""
        await self.resolve()
        for number in range(steps):
            if not await self.lane.step():
                return number
        raise AssertionError("the drainer never came to rest")

    async def tally(self) -> dict[str, int]:
        """Give how many events stand where, by the ledger."""
        view = await LedgerView.open(self.folder / "ledger.db")
        try:
            depth = (await view.depths())[0]
        finally:
            await view.close()
        return {fate: count for fate, count in depth.events.items() if count}

    async def fate(self, event: Event) -> PipelineFate:
        """Give where one event stands, as `why` sees it."""
        view = await LedgerView.open(self.folder / "ledger.db")
        try:
            entry: JournalEntry = (await view.by_keys([event_key(event.source, event.id)]))[0]
            return (await view.fates(entry))[0]
        finally:
            await view.close()

    async def close(self) -> None:
        await self.reader.close()
        await self.writer.close()
        await self.database.close()
