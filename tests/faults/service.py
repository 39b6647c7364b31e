"""The service as processes: `edge serve` whole, or its two parts each by itself, to be hurt and started again."""

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

from edge.demo.world import free_port
from edge.sandbox.klaviyo import KEY
from edge.shipped import shipped

ORIGIN = "https://shop.example"
ROLES = ("collector", "drainer")
READY_S = 30.0  # some seconds are enough for a machine that has nothing else to do
STOP_S = 20.0
ANSWER_S = 5.0
LOOK_EVERY_S = 0.02

CONFIG = """\
site:      {{origins: ["{origin}"]}}
data_dir:  {data_dir}
pipelines: {pipelines}
spool:     {{{spool}}}
collector: {{listen: "unix:{folder}/edge.sock"}}
drainer:   {{{drainer}}}
ops:       {{listen: "127.0.0.1:{ops}"}}
"""


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


def is_halted(pid: int) -> bool:
    """Tell whether a process was told to stop where it is, and has."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def klaviyo_alone(folder: Path) -> Path:
    """Give a folder with the shipped Klaviyo pipeline alone: every other one would count the same events once more."""
    alone = folder / "shipped"
    alone.mkdir(exist_ok=True)
    shutil.copy(shipped("pipelines/klaviyo-events.yaml"), alone)
    return alone


class Service:
    """`edge serve` as a process of its own, and the two that it starts."""

    def __init__(
        self, folder: Path, base_url: str, *, spool: str = "", drainer: str = "", pipelines: Path | None = None
    ) -> None:
        self.folder, self.socket, self.log = folder, folder / "edge.sock", folder / "edge.log"
        self.data_dir = folder / "data"
        self.process: asyncio.subprocess.Process
        self._pids: set[int] = set()
        self._session: aiohttp.ClientSession
        self._environ = {**os.environ, "KLAVIYO_PRIVATE_API_KEY": KEY, "KLAVIYO_BASE_URL": base_url}
        self._told = {"origin": ORIGIN, "folder": folder, "data_dir": self.data_dir}
        self._told |= {"pipelines": pipelines or klaviyo_alone(folder), "drainer": drainer}
        self._told["spool"] = spool or "free_bytes: 1MB"
        self.config, self._ops = self._configure("edge")

    def _configure(self, name: str) -> tuple[Path, str]:
        """Write a configuration with an ops listener of its own; give the file and that listener's address."""
        file, ops = self.folder / f"{name}.yaml", free_port()
        file.write_text(CONFIG.format(**self._told, ops=ops))
        return file, f"http://127.0.0.1:{ops}"

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

    async def spawn(self) -> asyncio.subprocess.Process:
        """Run `edge serve`; what it logs is appended to the log file."""
        return await self._run("-m", "edge", "serve", "--config", str(self.config))

    async def _run(self, *arguments: str) -> asyncio.subprocess.Process:
        with self.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, *arguments, env=self._environ, stderr=log, stdin=asyncio.subprocess.DEVNULL
            )
        self._pids.add(process.pid)
        return process

    async def state(self) -> dict[str, Any]:
        """Give what /readyz says; nobody there is not ready."""
        return await self._readyz(self._ops)

    async def healthz(self) -> int:
        """Give the status of /healthz."""
        async with self._session.get(f"{self._ops}/healthz") as answer:
            return answer.status

    async def _readyz(self, ops: str) -> dict[str, Any]:
        try:
            async with self._session.get(f"{ops}/readyz") as answer:
                state: dict[str, Any] = await answer.json()
        except (aiohttp.ClientError, TimeoutError):
            return {"ready": False}
        self._pids |= {state[role]["pid"] for role in ROLES if state.get(role, {}).get("pid")}
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
        self._end_left()
        await self.process.wait()

    def _end_left(self) -> None:
        for pid in self._pids:
            if lives(pid) and str(self.folder).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)


class Parts(Service):
    """Collector and drainer without a supervisor, started by the test itself, each with a seam swapped or none.

    What is swapped is said by `part.py`: a step of the work at which the process dies, or a bug that is planted.
    `also` are more of its options, for both.
    """

    also: tuple[str, ...] = ()

    def __init__(self, folder: Path, base_url: str, *, bug: str = "", **more: Any) -> None:
        super().__init__(folder, base_url, **more)
        self._bug = bug
        self._configs = {role: self._configure(role) for role in ROLES}
        self.processes: dict[str, asyncio.subprocess.Process] = {}

    async def start(self) -> None:
        """Start both, as they are meant to be."""
        for role in ROLES:
            await self.begin(role)

    async def begin(self, role: str, die_at: str = "", fail_at: str = "") -> None:
        """Start one part.

        `die_at` is a step and at which time it is reached, e.g. "settle:3"; `fail_at` a call on a log, "sync:5".
        """
        file, _ = self._configs[role]
        swapped = ("--bug", self._bug, "--die-at", die_at, "--fail-at", fail_at, *self.also)
        self.processes[role] = await self._run("-m", "tests.faults.part", role, str(file), *swapped)

    async def state(self) -> dict[str, Any]:
        """Give what both say of themselves."""
        states = [await self._readyz(ops) for _, ops in self._configs.values()]
        parts = {role: state.get(role, {"ready": False}) for role, state in zip(ROLES, states, strict=True)}
        return {"ready": all(state["ready"] for state in states), **parts}

    async def pid(self, role: str) -> int:
        return self.processes[role].pid

    async def kill(self, role: str) -> int:
        """End a part without a word, and start it again at once."""
        pid = await self.end_part(role)
        await self.begin(role)
        return pid

    async def end_part(self, role: str) -> int:
        """End a part without a word; give the process id it had."""
        process = self.processes[role]
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
        await process.wait()
        return process.pid

    async def stop(self) -> int:
        """Ask both to end, and give the worse exit code."""
        for process in self.processes.values():
            if process.returncode is None:
                process.terminate()
        async with asyncio.timeout(STOP_S):
            codes = [await process.wait() for process in self.processes.values()]
        return max(codes, key=abs)

    async def _end(self) -> None:
        with suppress(TimeoutError):
            await self.stop()
        for role in self.processes:
            await self.end_part(role)
