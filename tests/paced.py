"""Pipelines that deliver to a fake Klaviyo with its real windows, in time that goes on when everybody waits."""

import asyncio
import heapq
import json
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry

from edge.app.lanes import LaneParts, Lanes
from edge.delivery import Rate, Request, Response
from edge.destinations.base import Destination
from edge.event import Event, encode
from edge.metrics import DrainerMetrics
from edge.pipeline import compile_pipeline
from edge.sandbox import vendor
from edge.sandbox.rates import RateLimit
from tests.backroom import ENVIRON, GRANTED, HOSTS, PIPELINE, Backroom, browser
from tests.clock import FakeClock
from tests.klaviyo_requests import Account

BULK, SINGLE = "/api/event-bulk-create-jobs", "/api/events"
# Turns of the event loop without news after which everybody waits for time alone.
QUIET_TURNS = 30
LATENCY_S = 0.06
STORED_AT_ONCE = 500


class WaitingClock(FakeClock):
    """Stands still while anybody works; when all wait, it goes to the first moment that somebody waits for."""

    def __init__(self) -> None:
        super().__init__()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._news = self._busy = 0

    async def pause(self, seconds: float) -> None:
        """Wait."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._changed()
        heapq.heappush(self._sleepers, (self.monotonic_s() + seconds, self._news, future))
        await future

    def works(self, by: int) -> None:
        """So many more, or fewer, are at work with files, which takes no time here."""
        self._busy += by
        self._changed()

    def _changed(self) -> None:
        self._news += 1
        asyncio.get_running_loop().call_soon(self._look, self._news, QUIET_TURNS)

    def _look(self, news: int, turns: int) -> None:
        if news != self._news or self._busy or not self._sleepers:
            return
        if turns:
            asyncio.get_running_loop().call_soon(self._look, news, turns - 1)
            return
        self.advance(max(0.0, self._sleepers[0][0] - self.monotonic_s()))
        while self._sleepers and self._sleepers[0][0] <= self.monotonic_s() + 1e-9:
            future = heapq.heappop(self._sleepers)[2]
            if not future.done():
                future.set_result(None)
        self._changed()


@dataclass
class Vendor:
    """A fake Klaviyo, one account a host; another integration may ask each too. `down` hosts answer nothing but 503.

    A forgetful one has the same windows, but judges and keeps nothing, so that memory is not its own.
    """

    clock: WaitingClock
    statuses: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    arrived: dict[str, list[float]] = field(default_factory=dict)
    taken_events: Counter[str] = field(default_factory=Counter)
    order: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    requests: Counter[str] = field(default_factory=Counter)
    down: set[str] = field(default_factory=set)
    is_forgetful: bool = False
    others_per_min: float = 0.0
    others: Counter[int] = field(default_factory=Counter)
    _others_at_s: float = 0.0
    _accounts: dict[str, Account] = field(default_factory=dict)
    _limits: dict[str, RateLimit] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._others_at_s = self.clock.monotonic_s()

    async def send(self, request: Request) -> Response:
        await self.clock.pause(LATENCY_S / 2)
        answer = self._answer(request)
        await self.clock.pause(LATENCY_S / 2)
        return answer

    def _answer(self, request: Request) -> Response:
        url = urlsplit(request.url)
        host = str(url.hostname)
        self._let_others_ask(host)
        self.requests[host] += 1
        if host in self.down:
            return Response(503, {}, b"")
        if self.is_forgetful:
            return self._counted(host, url.path, request.body)
        headers: Any = dict(request.headers)
        given = self._account(host).send(request.body, url.path, method=request.method, **headers)
        self.statuses[url.path][given.status] += 1
        if given.status == 202:
            self._note(host, json.loads(request.body)["data"]["attributes"])
        return Response(given.status, {name.lower(): value for name, value in given.headers.items()}, given.body)

    def _counted(self, host: str, path: str, body: bytes) -> Response:
        rate = {BULK: vendor.Rate(10, 150), SINGLE: vendor.Rate(350, 3_500)}[path]
        wait_s = self._limits.setdefault(host + path, RateLimit(rate)).take(self.clock.monotonic_s())
        self.statuses[path][202 if wait_s is None else 429] += 1
        if wait_s is not None:
            return Response(429, {"retry-after": str(wait_s)}, b"")
        self.taken_events[host] += body.count(b'"unique_id"')
        told = self._limits[host + path].headers(self.clock.monotonic_s())
        return Response(202, {name.lower(): value for name, value in told.items()}, b"")

    def _note(self, host: str, told: dict[str, Any]) -> None:
        groups = told.get("events-bulk-create", {}).get("data", [])
        events = [one["attributes"] for group in groups for one in group["attributes"]["events"]["data"]] or [told]
        for event in events:
            self.taken_events[host] += 1
            self.arrived.setdefault(event["unique_id"], []).append(self.clock.monotonic_s())
            self.order[host, event["unique_id"].partition("/")[0]].append(event["unique_id"])

    def _account(self, host: str) -> Account:
        if host not in self._accounts:
            self._accounts[host] = Account(clock=self.clock)
            self._accounts[host].klaviyo.accept_keys(dict.fromkeys(ENVIRON.values()))
        return self._accounts[host]

    def _let_others_ask(self, host: str) -> None:
        now_s = self.clock.monotonic_s()
        while self.others_per_min and self._others_at_s <= now_s:
            self.others[self._account(host).send(b"", SINGLE).status] += 1
            self._others_at_s += 60.0 / self.others_per_min
        if not self.others_per_min:
            self._others_at_s = now_s

    @property
    def is_in_order(self) -> bool:
        """Tell whether each visitor's events came in the order in which they were accepted, each once."""
        numbers = [[int(one.partition("/")[2]) for one in ids] for ids in self.order.values()]
        return all(order == sorted(set(order)) for order in numbers)

    @property
    def asked(self) -> Counter[int]:
        """Every answer by its status."""
        return sum(self.statuses.values(), Counter())


class Rated:
    """A destination that believes in another rate."""

    def __init__(self, destination: Destination, rate: Rate) -> None:
        self._destination, self.rate = destination, rate

    def __getattr__(self, name: str) -> Any:
        return getattr(self._destination, name)


class World:
    """Made by `open`: pipelines by name, each stepping by itself while `run` lasts."""

    def __init__(self, room: Backroom, clock: WaitingClock) -> None:
        self.room, self.clock, self.vendor = room, clock, Vendor(clock)
        self.idle_s, self._is_over = 0.25, False
        self._events: list[Event] = []
        self.registry = CollectorRegistry()

    @classmethod
    async def open(cls, folder: Path, *files: str, rate: Rate | None = None) -> "World":
        """Run the pipelines of some files; `rate` stands for Klaviyo's own in what we believe of it."""
        clock = WaitingClock()
        world = cls(await Backroom.open(folder, clock, starts_lane=False), clock)
        world.lanes = Lanes(
            LaneParts(
                database=world.room.database,
                spool=world.room.reader,
                transport=world.vendor,
                clock=clock,
                wall=clock,
                metrics=DrainerMetrics(world.registry),
                pause=clock.pause,
                denied=world.room.resolver.denied,
                recall=lambda revision: compile_pipeline(revision.text, revision.file, ENVIRON),
                concurrency=32,
                page_events=100,
                hosts=HOSTS,
                uniform=lambda low, high: high,
            )
        )
        for file in files or (PIPELINE,):
            pipeline = compile_pipeline(file, "pipeline.yaml", ENVIRON)
            if rate is not None:
                pipeline = replace(pipeline, destination=Rated(pipeline.destination, rate))
            await world.lanes.put(pipeline)
        for name in world.lanes.names:
            sender = world.lanes._lanes[name].sender
            sender.send = partial(world._while_sending, sender.send)  # type: ignore[method-assign]
        return world

    async def _while_sending(self, send: Callable[..., Awaitable[Any]], *args: Any, **more: Any) -> Any:
        """Senders touch no file: they wait for turns and answers alone."""
        self.clock.works(-1)
        try:
            return await send(*args, **more)
        finally:
            self.clock.works(1)

    async def run(self, *works: Awaitable[None]) -> None:
        """Let every pipeline step until `works` are done; what it is at then it ends."""
        self._is_over = False
        tasks = [asyncio.create_task(self._step(name)) for name in self.lanes.names]
        done = asyncio.gather(*works)
        await asyncio.wait([*tasks, done], return_when=asyncio.FIRST_COMPLETED)
        self._is_over = True
        await asyncio.gather(*tasks)
        await done

    async def _step(self, name: str) -> None:
        self.clock.works(1)
        try:
            while not self._is_over:
                if not await self.lanes.step(name):
                    await self.rest(self.idle_s)
        finally:
            self.clock.works(-1)

    async def rest(self, seconds: float) -> None:
        """Wait beside the pipelines that are at work."""
        self.clock.works(-1)
        try:
            await self.clock.pause(seconds)
        finally:
            self.clock.works(1)

    async def know(self, visitors: Sequence[int]) -> None:
        """Let visitors say who they are."""
        for number in visitors:
            self._events.append(self._event(number, f"who-{number}", "identify", email=f"v{number}@shop.example"))
            if len(self._events) == STORED_AT_ONCE:
                await self.flush()
        await self.flush()

    async def store(self, visitor: int, number: int, name: str = "view_item") -> str:
        """Put one event into the spool; its id begins with its visitor's number."""
        self._events.append(self._event(visitor, f"{visitor}/{number}", name))
        return f"{visitor}/{number}"

    async def flush(self) -> None:
        """Store what was put, and resolve it."""
        self.clock.works(1)
        encoded, self._events = [encode(one) for one in self._events], []
        for start in range(0, len(encoded), STORED_AT_ONCE):
            await self.room.writer.append(encoded[start : start + STORED_AT_ONCE])
        await self.room.resolve()
        self.clock.works(-1)

    def _event(self, visitor: int, id: str, name: str, **traits: str) -> Event:
        now_ms = self.clock.now_ms()
        context = {"consent": {**GRANTED, "source": "explicit"}}
        return Event(id, name, now_ms, now_ms, "browser", browser(visitor), {}, dict(traits), context)

    def delivered(self, name: str) -> float:
        """Give how many events a pipeline has delivered, as far as it has settled them."""
        labels = {"pipeline": name, "fate": "delivered"}
        return self.registry.get_sample_value("edge_deliveries_settled_total", labels) or 0.0

    async def close(self) -> None:
        await self.room.close()
