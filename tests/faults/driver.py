"""Real processes under load: a service to hurt, visitors who never give up, and a file of what was promised to them.

The file of acknowledgements is this driver's own, and every line of it is on disk before the visitor goes on. What
is judged from it, see `verdict.py`, never asks the service what it believes of itself.
"""

import asyncio
import itertools
import json
import os
import random
import sqlite3
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from edge.clock import SystemClock
from edge.sandbox import Running, start
from edge.sandbox.klaviyo import Klaviyo
from edge.sandbox.received import Exchange
from tests.faults.proxy import Proxy
from tests.faults.service import ANSWER_S, ORIGIN, READY_S, ROLES, Service, lives, until

__all__ = ["READY_S", "ROLES", "SETTLED_S", "World", "lives", "open_sandbox", "running_world", "seeded", "until"]

SETTLED_S = 240.0
REPEAT_AFTER_S = 0.1
CROWD_EVERY_S = 0.1
# Klaviyo's rate lets 58 events a second through: what waits for it must not grow with the time that a slow machine
# takes for everything else.
CROWD = 150
KEPT = 10**6  # requests that the sandbox remembers: those of two hours
GRANTED = dict.fromkeys(("functional", "analytics", "marketing", "advertising"), "granted")
DENIED = dict.fromkeys(GRANTED, "denied")
DONE = "SELECT coalesce(sum(events), 0) FROM tally WHERE fate NOT IN ('waiting', 'held')"


def seeded() -> random.Random:
    """Give this run's randomness; SEED in the environment repeats a run, and a failed one shows its seed."""
    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(10**6))
    print(f"SEED={seed}")
    return random.Random(seed)


class Promises:
    """What visitors were told is stored: one line an event, durable before the visitor goes on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    async def write(
        self, events: Sequence[dict[str, Any]], visitor: int, status: int, *, is_allowed: bool = True
    ) -> None:
        """Write down an answer for every event of its request, and whether it may be delivered at all."""
        told = {"visitor": visitor, "status": status, "at_ms": time.time_ns() // 1_000_000, "is_allowed": is_allowed}
        facts = [{"id": e["id"], "number": e["properties"]["number"], **told} for e in events]
        await asyncio.to_thread(self._append, "".join(json.dumps(fact) + "\n" for fact in facts).encode())

    def read(self) -> list[dict[str, Any]]:
        """Give every promise, in the order it was made."""
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _append(self, lines: bytes) -> None:
        os.write(self._descriptor, lines)
        os.fsync(self._descriptor)


@dataclass(slots=True)
class Answers:
    """What all visitors heard: statuses with Retry-After, "" where no answer came; when the last 2xx was."""

    heard: list[tuple[int, str]] = field(default_factory=list)
    cut: int = 0
    accepted: int = 0

    @property
    def refusals(self) -> list[tuple[int, str]]:
        """Every answer that was not a yes."""
        return [one for one in self.heard if not 200 <= one[0] < 300]


class Visitor:
    """One browser: says who it is, then tells numbered events; repeats the same body until it hears a yes.

    One that denies says who it is as well, and nothing of it may ever be delivered.
    """

    def __init__(
        self,
        number: int,
        run: str,
        session: aiohttp.ClientSession,
        promises: Promises,
        answers: Answers,
        *,
        denies: bool = False,
    ) -> None:
        self.number, self.answers, self.denies = number, answers, denies
        self.is_stopping = False
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()
        self._run, self._session, self._promises = run, session, promises
        consent = {**(DENIED if denies else GRANTED), "source": "explicit"}
        self._context = {"session": {"id": uuid.uuid4().hex, "number": 1}, "consent": consent}
        self._numbers = itertools.count()
        self._cookie = ""

    async def introduce(self) -> None:
        """Identify."""
        await self.tell([self._event("identify", {"email": f"visitor{self.number}@shop.example"})])

    async def visit(self, rng: random.Random, *, pause_s: float, padding: int = 0) -> None:
        """Look at things until told to stop, or until the run's events are told."""
        while not self.is_stopping:
            await self.may_go_on.wait()
            await self.tell([self._event("view_item", padding=padding) for _ in range(rng.choice((1, 1, 2)))])
            await asyncio.sleep(rng.uniform(0, pause_s))

    async def look(self, padding: int = 0) -> None:
        """Look at one thing."""
        await self.tell([self._event("view_item", padding=padding)])

    async def tell(self, events: list[dict[str, Any]]) -> None:
        """Send one batch, the same bytes until it is taken; anything but a yes or a "later" is an error of ours."""
        body = json.dumps({"sent_at": _now(), "context": self._context, "events": events}).encode()
        while True:
            status = await self._post(body)
            if 200 <= status < 300:
                await self._promises.write(events, self.number, status, is_allowed=not self.denies)
                self.answers.accepted += len(events)
                return
            assert status in (0, 503), f"a visitor was told {status}"
            await asyncio.sleep(REPEAT_AFTER_S)

    async def _post(self, body: bytes) -> int:
        """Give the status; 0 when no answer came."""
        headers = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin", "Content-Type": "text/plain;charset=UTF-8"}
        if self._cookie:
            headers["Cookie"] = self._cookie
        try:
            async with self._session.post("http://shop/t/e", data=body, headers=headers) as answer:
                await answer.read()
        except (aiohttp.ClientError, TimeoutError):
            self.answers.cut += 1
            return 0
        self.answers.heard.append((answer.status, answer.headers.get("Retry-After", "")))
        self._cookie = answer.headers.get("Set-Cookie", self._cookie).partition(";")[0]
        return answer.status

    def _event(self, name: str, traits: dict[str, str] | None = None, padding: int = 0) -> dict[str, Any]:
        number = next(self._numbers)
        item = {"item_name": f"Cup {self.number}.{number}", "value": number, "number": number, "padding": "x" * padding}
        event = {"id": f"{self._run}-{self.number}-{number}", "name": name, "time": _now(), "properties": item}
        return {**event, "traits": traits} if traits else event


@dataclass
class World:
    """Everything of one run."""

    folder: Path
    service: Service
    sandboxes: list[Running]
    promises: Promises
    answers: Answers
    visitors: list[Visitor]
    session: aiohttp.ClientSession
    proxy: Proxy | None = None
    injected: Counter[str] = field(default_factory=Counter)
    _visits: list[asyncio.Task[None]] = field(default_factory=list)
    _keeper: asyncio.Task[None] | None = None

    async def introduce(self) -> None:
        """Let every visitor say who it is."""
        await asyncio.gather(*(visitor.introduce() for visitor in self.visitors))

    def open_doors(self, rng: random.Random, *, pause_s: float = 0.15, padding: int = 0, crowd: int = CROWD) -> None:
        """Let every visitor walk about, side by side, until so many events have not ended that it is crowded."""
        for visitor in self.visitors:
            own = random.Random(rng.random())
            self._visits.append(asyncio.create_task(visitor.visit(own, pause_s=pause_s, padding=padding)))
        self._keeper = asyncio.create_task(self._keep_door(crowd))

    async def _keep_door(self, crowd: int) -> None:
        """Let visitors wait while there is a crowd."""
        while True:
            is_crowded = self.answers.accepted - self.ended() > crowd
            for visitor in self.visitors:
                visitor.may_go_on.clear() if is_crowded else visitor.may_go_on.set()
            await asyncio.sleep(CROWD_EVERY_S)

    def ended(self) -> int:
        """Give how many events have ended, as our ledger has it: nothing is judged by this number."""
        try:
            with closing(sqlite3.connect(f"file:{self.service.data_dir}/ledger.db?mode=ro", uri=True)) as db:
                number: int = db.execute(DONE).fetchone()[0]
        except sqlite3.Error:
            return self.answers.accepted  # its disk is away for the moment
        return number

    async def close_doors(self) -> None:
        """Let every visitor finish what it is saying, until it is answered with a yes."""
        await self._end_keeper()
        for visitor in self.visitors:
            visitor.is_stopping = True
            visitor.may_go_on.set()
        async with asyncio.timeout(READY_S):
            await asyncio.gather(*self._visits)
        self._visits.clear()

    async def go_home(self) -> None:
        """End every visit, wherever it is."""
        await self._end_keeper()
        for visit in self._visits:
            visit.cancel()
        await asyncio.gather(*self._visits, return_exceptions=True)

    async def _end_keeper(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
            self._keeper = None

    async def kill(self, role: str) -> int:
        """End a process of the service without a word, and note that; give the process id it had."""
        pid = await self.service.kill(role)
        self.injected[f"kill -9 of the {role}"] += 1
        return pid

    async def until_accepted(self, more: int, within_s: float, what: str = "visitors are answered with a yes") -> float:
        """Wait until this many more events were acknowledged; give the seconds it took."""
        wanted = self.answers.accepted + more
        return await until(lambda: self.answers.accepted >= wanted, within_s, what)

    @property
    def exchanges(self) -> list[Exchange]:
        """Everything that destinations received, in order."""
        assert not any(running.sandbox.received.forgotten for running in self.sandboxes), "the sandbox kept not all"
        return [exchange for running in self.sandboxes for exchange in running.sandbox.received]

    async def script_status(self) -> int:
        """Fetch the collector's script; 0 when nobody answers."""
        try:
            async with self.session.get("http://shop/t/datafly.js") as answer:
                await answer.read()
                return answer.status
        except (aiohttp.ClientError, TimeoutError):
            return 0


async def open_sandbox(port: int = 0) -> Running:
    """Start a fake Klaviyo without rate limits: what is tested here is not the vendor's patience."""
    return await start(port=port, clock=SystemClock(), vendors=[Klaviyo(rates=None)], kept=KEPT)


@asynccontextmanager
async def running_world(
    folder: Path,
    *,
    visitors: int = 10,
    deniers: int = 0,
    proxy: Proxy | None = None,
    kind: type[Service] = Service,
    **service: Any,
) -> AsyncIterator[World]:
    """Start sandbox, service and visitors' connections; the service is not waited for.

    Args:
        deniers: so many visitors more, who deny everything.
        proxy: stands between the service and the sandbox.
        kind: which form of the service; `service` is what it is made with.
    """
    print(f"data, log and promises: {folder}")
    async with AsyncExitStack() as stack:
        sandboxes = [await open_sandbox()]
        stack.push_async_callback(lambda: sandboxes[-1].close())
        base_url = sandboxes[0].base_url("klaviyo")
        if proxy is not None:
            base_url = f"{await stack.enter_async_context(proxy.open(sandboxes[0].port))}/klaviyo"
        serving = kind(folder, base_url, **service)
        session = await stack.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(str(serving.socket), limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=ANSWER_S),
            )
        )
        await stack.enter_async_context(serving.open())
        promises, answers, run = Promises(folder / "promises.jsonl"), Answers(), uuid.uuid4().hex[:8]
        stack.callback(promises.close)
        people = [
            Visitor(number, run, session, promises, answers, denies=number >= visitors)
            for number in range(visitors + deniers)
        ]
        world = World(folder, serving, sandboxes, promises, answers, people, session, proxy)
        stack.push_async_callback(world.go_home)
        yield world


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
