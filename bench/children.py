"""Processes that the benchmark starts: each has a time-out and is ended by its own id, whatever happens."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from bench.measure import file_system

ROOT = Path(__file__).parents[1]
LIMIT_S = 300.0
STARTED_S = 30.0
STOPPED_S = 15.0
LOOK_EVERY_S = 0.005
CONFIG = """\
site:      {{origins: ["https://shop.example"]}}
data_dir:  {folder}/data
pipelines: {folder}/pipelines
collector: {{listen: "127.0.0.1:{port}"}}
ops:       {{listen: "127.0.0.1:{ops}"}}
"""
PIPELINES = ROOT / "pipelines"
ALLOWED = sorted(os.sched_getaffinity(0))  # before this process takes a core of its own


class ChildFailed(Exception):
    """Raised when a child does not come up, or ends before it should."""


@contextmanager
def temporary() -> Iterator[Path]:
    """Give a folder on a real disk, gone afterwards.

    Raises:
        ChildFailed: the system's folder for temporary files lies in memory, where a sync costs nothing.
    """
    folder = Path(tempfile.mkdtemp(prefix="edge-bench-"))
    try:
        if file_system(folder) in ("tmpfs", "ramfs"):
            raise ChildFailed(f"{folder} lies in memory; TMPDIR has to name a folder on a disk")
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """Give a port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@dataclass(slots=True)
class Child:
    """A process of ours; `cores` says where it runs."""

    process: subprocess.Popen[bytes]
    log: Path
    port: int = 0
    ops: int = 0

    @property
    def pid(self) -> int:
        return self.process.pid

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait()

    async def stop(self) -> None:
        """Ask it to end, and end it when it does not."""
        if self.process.poll() is None:
            self.process.terminate()
        stop_s = time.monotonic() + STOPPED_S
        while self.process.poll() is None and time.monotonic() < stop_s:
            await asyncio.sleep(LOOK_EVERY_S)
        if self.process.poll() is None:
            self.kill()

    def trouble(self) -> str:
        """Give the end of what it logged."""
        return self.log.read_text("utf-8", "replace")[-400:] if self.log.exists() else ""


def environ(**more: str) -> dict[str, str]:
    """Give the environment of a child: this tree's modules, no proxy, and a key that opens nothing."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return {**kept, "PYTHONPATH": str(ROOT), "KLAVIYO_PRIVATE_API_KEY": "pk_benchmark_only", **more}


@asynccontextmanager
async def started(
    arguments: Sequence[str], log: Path, *, core: int | None = None, env: Mapping[str, str] | None = None
) -> AsyncIterator[Child]:
    """Run `sys.executable` with arguments on a core of its own; ended at the end, or after its time-out."""
    with log.open("ab") as out:
        process = subprocess.Popen(  # noqa: ASYNC220 - ended by its own id, from a timer too
            [sys.executable, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=dict(env or environ()),
            cwd=ROOT,
        )
    child = Child(process, log)
    limit = asyncio.get_running_loop().call_later(LIMIT_S, process.kill)
    try:
        if core is not None:
            with contextlib.suppress(OSError):
                os.sched_setaffinity(process.pid, {core})
        yield child
    finally:
        limit.cancel()
        if process.poll() is None:
            process.send_signal(signal.SIGKILL if sys.exc_info()[0] else signal.SIGTERM)
        await _ended(child)


async def _ended(child: Child) -> None:
    try:
        await child.stop()
    finally:
        if child.process.poll() is None:
            child.kill()


@asynccontextmanager
async def bare(log: Path, *, core: int | None = None, get_bytes: int = 5_200, burn_us: int = 0) -> AsyncIterator[Child]:
    """Run the base's server."""
    port = free_port()
    told = ["-m", "bench.bare", str(port), str(get_bytes), str(burn_us)]
    async with started(told, log, core=core) as child:
        child.port = port
        await listening(child, port)
        yield child


def shop(folder: Path, *, pipelines: Mapping[str, str] | None = None) -> tuple[Path, int, int]:
    """Write a shop's files: settings as shipped but for addresses and folders; the shipped pipeline, or those told.

    Returns:
        The configuration's file, the collector's port and the port of its ops listener.
    """
    (folder / "pipelines").mkdir(parents=True, exist_ok=True)
    shipped = {path.name: path.read_text("utf-8") for path in PIPELINES.glob("*.yaml")}
    for name, text in (shipped if pipelines is None else pipelines).items():
        (folder / "pipelines" / name).write_text(text, "utf-8")
    port, ops, file = free_port(), free_port(), folder / "edge.yaml"
    file.write_text(CONFIG.format(folder=folder, port=port, ops=ops), "utf-8")
    return file, port, ops


@asynccontextmanager
async def collector(
    folder: Path,
    *,
    core: int | None = None,
    env: Mapping[str, str] | None = None,
    pipelines: Mapping[str, str] | None = None,
) -> AsyncIterator[Child]:
    """Run our collector as its users start it, over a folder's data; ready when this is entered."""
    file, port, ops = shop(folder, pipelines=pipelines)
    told = ["-m", "edge", "serve", "--only", "collector", "--config", str(file)]
    async with started(told, folder / "collector.log", core=core, env=env) as child:
        child.port, child.ops = port, ops
        await ready(child)
        yield child


async def output(arguments: Sequence[str], limit_s: float, **env: str) -> str:
    """Run `sys.executable` to its end and give what it printed.

    Raises:
        ChildFailed: it took too long, or printed nothing.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environ(**env),
        cwd=ROOT,
    )
    try:
        printed, trouble = await asyncio.wait_for(process.communicate(), limit_s)
    except TimeoutError as error:
        raise ChildFailed(f"{' '.join(arguments[:2])} took more than {limit_s:g} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if not printed.strip():
        raise ChildFailed(f"{' '.join(arguments[:2])} ended with {process.returncode}: {trouble.decode()[-300:]}")
    return printed.decode()


async def listening(child: Child, port: int) -> None:
    """Wait until somebody listens."""
    stop_s = time.monotonic() + STARTED_S
    while time.monotonic() < stop_s:
        _still_there(child)
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(LOOK_EVERY_S)
    raise ChildFailed(f"nobody listens after {STARTED_S:g} s: {child.trouble()}")


async def ready(child: Child) -> None:
    """Wait until a process of ours says that it is ready."""
    await listening(child, child.ops)
    stop_s = time.monotonic() + STARTED_S
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < stop_s:
            _still_there(child)
            async with session.get(f"http://127.0.0.1:{child.ops}/readyz") as answer:
                if answer.status == 200:
                    return
            await asyncio.sleep(LOOK_EVERY_S)
    raise ChildFailed(f"not ready after {STARTED_S:g} s: {child.trouble()}")


async def asked(port: int, path: str) -> Any:
    """Give what a JSON address of the loopback says."""
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as answer:
        return await answer.json() if answer.status == 200 else None


async def size_of(port: int, path: str) -> int:
    """Give how many bytes a browser gets there."""
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        asked_for = session.get(f"http://127.0.0.1:{port}{path}", headers={"Accept-Encoding": "gzip"})
        async with asked_for as answer:
            return len(await answer.read())


def _still_there(child: Child) -> None:
    if child.process.poll() is not None:
        raise ChildFailed(f"a child ended with {child.process.returncode}: {child.trouble()}")


@dataclass(slots=True)
class Bench:
    """One run: how long, how often, where, and who else is on the machine."""

    folder: Path
    rounds: int = 7
    seconds: float = 1.2
    backlog: int = 1_000_000
    is_quick: bool = False
    stop_s: float = float("inf")
    grace_s: float = 180.0
    foreign_cores: list[float] = field(default_factory=list)
    fsync_p99_ms: list[float] = field(default_factory=list)
    base_per_s: list[float] = field(default_factory=list)
    lags_ms: list[float] = field(default_factory=list)
    _folders: int = 0

    @property
    def server_core(self) -> int | None:
        """Where servers run; None where there is but one core."""
        return ALLOWED[0] if len(ALLOWED) > 1 else None

    @property
    def other_core(self) -> int | None:
        """Where the generator runs."""
        return ALLOWED[1] if len(ALLOWED) > 1 else None

    def new_folder(self) -> Path:
        """Give an empty folder on the measured disk."""
        self._folders += 1
        folder = self.folder / str(self._folders)
        folder.mkdir()
        return folder

    def left_s(self) -> float:
        """Give how long what runs now may go on; QUICK ends within 90 seconds whatever hangs."""
        return max(1.0, self.stop_s + self.grace_s - time.monotonic())

    def has_time(self) -> bool:
        """Tell whether another goal may begin."""
        return time.monotonic() < self.stop_s
