"""A whole shop on loopback: nginx with the demo's pages, `edge serve` behind it, the fake vendors it delivers to."""

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from edge.clock import SystemClock
from edge.demo.shop import PAGE_HEADERS, PAGES
from edge.ledger import LedgerView
from edge.ledger.looking import PipelineDepth
from edge.sandbox import start
from edge.sandbox.app import Running
from edge.sandbox.klaviyo import KEY
from edge.sandbox.received import Exchange
from edge.shipped import shipped
from tests.nginx import DEADLINE_S, LOOPBACK, POLL_S, Nginx, end, free_port, serving_pages

CONFIG = """\
site:      {{name: shop, origins: ["{origin}"], phone_region: GB}}
data_dir:  data
pipelines: {pipelines}
spool:     {{free_bytes: 10MB}}
collector: {{listen: "unix:{folder}/edge.sock"}}
ops:       {{listen: "{host}:{ops}"}}
"""


@dataclass
class Sidecar:
    """`edge serve` as a process, which may be killed and started again on the same data."""

    folder: Path
    ops: str
    environ: dict[str, str]
    session: aiohttp.ClientSession
    process: asyncio.subprocess.Process | None = None
    children: list[int] = field(default_factory=list)

    @property
    def config(self) -> Path:
        return self.folder / "edge.yaml"

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    async def start(self) -> None:
        """Start it, and return when it can store and deliver."""
        with (self.folder / "edge.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "edge", "serve", "--config", str(self.config)), env=self.environ, stderr=log
            )
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not await self._is_ready():
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            pytest.fail(f"the sidecar was not ready within {DEADLINE_S:.0f} s:\n{self.log}", pytrace=False)

    async def kill(self) -> None:
        """End all three processes with SIGKILL; return when none of them holds anything any more."""
        assert self.process is not None
        self.process.kill()
        await self.process.wait()
        for pid in self.children:
            os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(DEADLINE_S):
            while not all(map(_is_free, self.data_dir.glob("*.lock"))):
                await asyncio.sleep(POLL_S)

    async def stop(self) -> None:
        """End it as a service manager does."""
        if self.process is not None:
            await end(self.process)

    @property
    def log(self) -> str:
        return (self.folder / "edge.log").read_text("utf-8", "replace")

    def snippet(self, part: str) -> str:
        """Give what `edge snippet` prints for this configuration."""
        command = [sys.executable, "-m", "edge", "snippet", "--part", part, "--config", str(self.config)]
        return subprocess.run(command, env=self.environ, check=True, capture_output=True, text=True).stdout

    async def depth(self) -> PipelineDepth:
        """Give where the pipeline to Klaviyo stands, read from the ledger while the service runs."""
        view = await LedgerView.open(self.data_dir / "ledger.db")
        try:
            (depth,) = [one for one in await view.depths() if one.name == "klaviyo_events"]
            return depth
        finally:
            await view.close()

    async def _is_ready(self) -> bool:
        assert self.process is not None
        if self.process.returncode is not None:
            pytest.fail(f"the sidecar ended with {self.process.returncode}:\n{self.log}", pytrace=False)
        try:
            async with self.session.get(f"{self.ops}/readyz") as answer:
                state = await answer.json()
        except aiohttp.ClientError:
            return False
        if state["ready"]:
            self.children = [state["collector"]["pid"], state["drainer"]["pid"]]
        return bool(state["ready"])


@dataclass
class Storefront:
    """Everything that runs, and what the fake Klaviyo has taken."""

    nginx: Nginx
    sidecar: Sidecar
    vendors: Running

    @property
    def origin(self) -> str:
        return self.nginx.origin

    @property
    def exchanges(self) -> list[Exchange]:
        return self.vendors.sandbox.received.of("klaviyo")

    @property
    def events(self) -> list[dict[str, Any]]:
        """What is on profiles, in the order of recording."""
        return self._taken("events")

    @property
    def profiles(self) -> list[dict[str, Any]]:
        return self._taken("profiles")

    @property
    def metrics(self) -> list[str]:
        return [event["metric"] for event in self.events]

    async def delivered(self, count: int) -> None:
        """Return when so many events were recorded and no request is open."""
        received = self.vendors.sandbox.received
        try:
            await received.until(
                lambda: len(self.events) >= count and not any(one.is_open for one in received), timeout_s=DEADLINE_S
            )
        except TimeoutError:
            pytest.fail(f"only {self.metrics} within {DEADLINE_S:.0f} s:\n{self.sidecar.log}", pytrace=False)

    async def settled(self) -> PipelineDepth:
        """Return when the pipeline has come to every event and nothing waits; gives where it stands then."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                depth = await self.sidecar.depth()
                if depth.behind == 0 and not depth.events.get("waiting"):
                    return depth
                await asyncio.sleep(POLL_S)

    def _taken(self, what: str) -> list[dict[str, Any]]:
        taken: Any = self.vendors.sandbox.vendor("klaviyo").taken()[what]
        return list(taken)


@asynccontextmanager
async def open_shop(folder: Path) -> AsyncIterator[Storefront]:
    """Open it in a new directory; at the end every process is ended by its own pid."""
    async with AsyncExitStack() as stack:
        vendors = await start(clock=SystemClock())
        stack.push_async_callback(vendors.close)
        session = await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()))
        port, ops = free_port(), free_port()
        environ = {**os.environ, "KLAVIYO_PRIVATE_API_KEY": KEY, "KLAVIYO_BASE_URL": vendors.base_url("klaviyo")}
        sidecar = Sidecar(folder, f"http://{LOOPBACK}:{ops}", environ, session)
        origin, pipelines = f"http://{LOOPBACK}:{port}", shipped("pipelines")
        sidecar.config.write_text(
            CONFIG.format(origin=origin, pipelines=pipelines, folder=folder, host=LOOPBACK, ops=ops)
        )
        upstream = folder / "datafly-upstream.conf"
        told = await asyncio.to_thread(sidecar.snippet, "upstream")
        upstream.write_text(told.replace("/var/lib/nginx", str(folder)))
        stack.push_async_callback(sidecar.stop)
        await sidecar.start()
        nginx = await stack.enter_async_context(
            serving_pages(
                folder / "nginx",
                PAGES,
                port=port,
                upstream=upstream,
                locations=shipped("nginx/datafly.conf"),
                headers=PAGE_HEADERS,
            )
        )
        yield Storefront(nginx, sidecar, vendors)


def attributes_of(exchange: Exchange) -> dict[str, Any]:
    """Give the event that a Create Event request carried."""
    attributes: dict[str, Any] = orjson.loads(exchange.request.body)["data"]["attributes"]
    return attributes


def _is_free(lock: Path) -> bool:
    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
