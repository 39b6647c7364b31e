"""Real processes under load: a service to hurt, visitors who never give up, and a file of what was promised to them.

The file of acknowledgements is this driver's own, and every line of it is on disk before the visitor goes on. What
is judged from it, see `verdict.py`, never asks the service what it believes of itself.
"""

import asyncio
import itertools
import json
import os
import random
import shutil
import signal
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from edge.clock import SystemClock
from edge.demo.world import free_port
from edge.sandbox import Running, start
from edge.sandbox.klaviyo import KEY, Klaviyo
from edge.sandbox.received import Exchange
from edge.shipped import shipped

ORIGIN = "https://shop.example"
ROLES = ("collector", "drainer")
READY_S = 15.0
SETTLED_S = 240.0  # what some thousand events take at the rate that the fake vendor allows
STOP_S = 20.0
ANSWER_S = 5.0
LOOK_EVERY_S = 0.02
REPEAT_AFTER_S = 0.1
GRANTED = dict.fromkeys(("functional", "analytics", "marketing", "advertising"), "granted")

CONFIG = """\
site:      {{origins: ["{origin}"]}}
data_dir:  {data_dir}
pipelines: {pipelines}
spool:     {{{spool}}}
collector: {{listen: "unix:{folder}/edge.sock"}}
ops:       {{listen: "127.0.0.1:{ops}"}}
"""


def seeded() -> random.Random:
    """Give this run's randomness; SEED in the environment repeats a run, and a failed one shows its seed."""
    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(10**6))
    print(f"SEED={seed}")
    return random.Random(seed)


async def until(is_met: Callable[[], bool | Awaitable[bool]], within_s: float, what: str) -> float:
    """Look again and again until a condition holds; give the seconds it took. Raises AssertionError."""
    began_s = time.monotonic()
    while True:
        met = is_met()
        if met if isinstance(met, bool) else await met:
            return time.monotonic() - began_s
        assert time.monotonic() - began_s < within_s, f"not within {within_s:.0f} s: {what}"
        await asyncio.sleep(LOOK_EVERY_S)


def lives(pid: int) -> bool:
    """Tell whether a process is there and has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def klaviyo_alone(folder: Path) -> Path:
    """Give a folder with the shipped Klaviyo pipeline alone: every other one would count the same events once more."""
    alone = folder / "shipped"
    alone.mkdir(exist_ok=True)
    shutil.copy(shipped("pipelines/klaviyo-events.yaml"), alone)
    return alone


class Service:
    """`edge serve` as a process of its own, and the two that it starts."""

    def __init__(self, folder: Path, base_url: str, *, spool: str = "", pipelines: Path | None = None) -> None:
        self.folder, self.socket, self.log = folder, folder / "edge.sock", folder / "edge.log"
        self.data_dir = folder / "data"
        self.config = folder / "edge.yaml"
        self.process: asyncio.subprocess.Process
        self._ops = f"http://127.0.0.1:{(port := free_port())}"
        self._pids: set[int] = set()
        self._session: aiohttp.ClientSession
        self._environ = {**os.environ, "KLAVIYO_PRIVATE_API_KEY": KEY, "KLAVIYO_BASE_URL": base_url}
        told = {"origin": ORIGIN, "folder": folder, "data_dir": self.data_dir}
        told["pipelines"] = pipelines or klaviyo_alone(folder)
        self.config.write_text(CONFIG.format(**told, ops=port, spool=spool or "free_bytes: 1MB"))

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Service"]:
        """Start it; whatever happens, nothing that it started is left behind."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_S)) as self._session:
            try:
                await self.start()
                yield self
            finally:
                await self._end()

    async def start(self) -> None:
        """Start the supervisor anew on the same data."""
        self.process = await self.spawn()
        self._pids.add(self.process.pid)

    async def spawn(self) -> asyncio.subprocess.Process:
        """Run `edge serve`; what it logs is appended to the log file."""
        with self.log.open("ab") as log:
            command = (sys.executable, "-m", "edge", "serve", "--config", str(self.config))
            return await asyncio.create_subprocess_exec(
                *command, env=self._environ, stderr=log, stdin=asyncio.subprocess.DEVNULL
            )

    async def state(self) -> dict[str, Any]:
        """Give what /readyz says; nobody there is not ready."""
        try:
            async with self._session.get(f"{self._ops}/readyz") as answer:
                state: dict[str, Any] = await answer.json()
        except (aiohttp.ClientError, TimeoutError):
            return {"ready": False}
        self._pids |= {state[role]["pid"] for role in ROLES if state[role].get("pid")}
        return state

    async def pid(self, role: str) -> int:
        """Give a child's process id."""
        found: int = (await self.state())[role]["pid"]
        return found

    async def until_ready(self, *gone: int, within_s: float = READY_S) -> float:
        """Wait until both children are ready and none of them is one that is gone; give the seconds it took."""

        async def is_ready() -> bool:
            state = await self.state()
            return state["ready"] is True and not any(state[role]["pid"] in gone for role in ROLES)

        return await until(is_ready, within_s, f"/readyz after a fault; see {self.log}")

    async def kill(self, role: str) -> int:
        """End a child without a word; give the process id it had."""
        pid = await self.pid(role)
        os.kill(pid, signal.SIGKILL)
        return pid

    async def stop(self) -> int:
        """Ask it to end, and give its exit code."""
        self.process.terminate()
        return await asyncio.wait_for(self.process.wait(), STOP_S)

    def logged(self, event: str) -> int:
        """Count the log lines of one event."""
        return self.log.read_text().count(f'"event": "{event}"')

    async def _end(self) -> None:
        if self.process.returncode is None:
            with suppress(TimeoutError):
                await self.stop()
        for pid in self._pids:
            if lives(pid) and str(self.config).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
        await self.process.wait()


class Promises:
    """What visitors were told is stored: one line an event, durable before the visitor goes on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    async def write(self, events: Sequence[dict[str, Any]], visitor: int, status: int) -> None:
        """Write down an answer for every event of its request."""
        at_ms = time.time_ns() // 1_000_000
        facts = [
            {"id": e["id"], "visitor": visitor, "number": e["properties"]["number"], "status": status, "at_ms": at_ms}
            for e in events
        ]
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
    """One browser: says who it is, then tells numbered events; repeats the same body until it hears a yes."""

    def __init__(self, number: int, run: str, session: aiohttp.ClientSession, promises: Promises, answers: Answers):
        self.number, self.answers = number, answers
        self.is_stopping = False
        self._run, self._session, self._promises = run, session, promises
        self._context = {"session": {"id": uuid.uuid4().hex, "number": 1}, "consent": {**GRANTED, "source": "explicit"}}
        self._numbers = itertools.count()
        self._cookie = ""

    async def introduce(self) -> None:
        """Identify."""
        await self.tell([self._event("identify", {"email": f"visitor{self.number}@shop.example"})])

    async def visit(self, rng: random.Random, *, pause_s: float, padding: int = 0) -> None:
        """Look at things until told to stop, or until the run's events are told."""
        while not self.is_stopping:
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
                await self._promises.write(events, self.number, status)
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
    _visits: list[asyncio.Task[None]] = field(default_factory=list)

    async def introduce(self) -> None:
        """Let every visitor say who it is."""
        await asyncio.gather(*(visitor.introduce() for visitor in self.visitors))

    def open_doors(self, rng: random.Random, *, pause_s: float = 0.15, padding: int = 0) -> None:
        """Let every visitor walk about, side by side."""
        for visitor in self.visitors:
            own = random.Random(rng.random())
            self._visits.append(asyncio.create_task(visitor.visit(own, pause_s=pause_s, padding=padding)))

    async def close_doors(self) -> None:
        """Let every visitor finish what it is saying, until it is answered with a yes."""
        for visitor in self.visitors:
            visitor.is_stopping = True
        async with asyncio.timeout(READY_S):
            await asyncio.gather(*self._visits)
        self._visits.clear()

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
    return await start(port=port, clock=SystemClock(), vendors=[Klaviyo(rates=None)])


@asynccontextmanager
async def running_world(folder: Path, *, visitors: int = 10, **service: Any) -> AsyncIterator[World]:
    """Start sandbox, service and visitors' connections; the service is not waited for."""
    print(f"data, log and promises: {folder}")
    async with AsyncExitStack() as stack:
        sandboxes = [await open_sandbox()]
        stack.push_async_callback(lambda: sandboxes[-1].close())
        serving = Service(folder, sandboxes[0].base_url("klaviyo"), **service)
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
        people = [Visitor(number, run, session, promises, answers) for number in range(visitors)]
        world = World(folder, serving, sandboxes, promises, answers, people, session)
        stack.push_async_callback(_go_home, world)
        yield world


async def _go_home(world: World) -> None:
    for visit in world._visits:
        visit.cancel()
    await asyncio.gather(*world._visits, return_exceptions=True)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
