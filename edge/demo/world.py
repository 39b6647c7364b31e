"""The demonstration's parts, started and stopped together: sandbox, sidecar, shop."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from edge.archive_files import lines_of
from edge.clock import SystemClock
from edge.demo.shop import make_shop
from edge.demo.vendors import variables
from edge.sandbox import start
from edge.shipped import shipped

READY_WITHIN_S = 60.0
STOP_WITHIN_S = 20.0

CONFIG = """\
# Written by `edge demo`; see config/edge.yaml for every key.
site:      {{name: tea-and-kiln, origins: ["{shop}"], phone_region: GB}}
data_dir:  {folder}/data
pipelines: {pipelines}
spool:     {{free_bytes: 10MB}}
collector: {{listen: "unix:{folder}/edge.sock"}}
ops:       {{listen: "127.0.0.1:{ops}"}}
"""


@dataclass(frozen=True, slots=True)
class World:
    """Where everything listens."""

    shop: str
    sandbox: str
    ops: str
    config: Path
    data_dir: Path
    session: aiohttp.ClientSession

    async def readiness(self) -> dict[str, Any]:
        """Give what the sidecar says of itself."""
        async with self.session.get(f"{self.ops}/readyz") as answer:
            state: dict[str, Any] = await answer.json()
            return state

    async def received(self) -> dict[str, Any]:
        """Give what each of the fake vendors was sent and took."""
        async with self.session.get(f"{self.sandbox}/received") as answer:
            received: dict[str, Any] = await answer.json()
            return received

    def archived(self) -> list[bytes]:
        """Give the lines of the archive; the day's file is still open."""
        return [line for file in sorted(self.data_dir.glob("archive/*.jsonl.gz*")) for line in lines_of(file)]


class NotReady(Exception):
    """Raised when the sidecar ended, or was not ready in time."""


@asynccontextmanager
async def running_world(folder: Path, environ: Mapping[str, str], *, shop_port: int = 0) -> AsyncIterator[World]:
    """Start everything on loopback, and end it again, each process by its own pid.

    Args:
        folder: a new directory for configuration, data and the socket.
        environ: for the sidecar; credentials that it does not hold are the sandbox's.
        shop_port: 0 takes a free one.
    Raises:
        NotReady: the sidecar ended or did not become ready; its own log says why.
    """
    async with AsyncExitStack() as stack:
        sandbox = await start(clock=SystemClock())
        stack.push_async_callback(sandbox.close)
        shop_port, ops_port = shop_port or free_port(), free_port()
        shop = f"http://127.0.0.1:{shop_port}"
        config = folder / "edge.yaml"
        text = CONFIG.format(shop=shop, folder=folder, pipelines=shipped("pipelines"), ops=ops_port)
        config.write_text(text, "utf-8")
        process = await _serve(stack, folder, config, variables(sandbox, environ))
        await _open_shop(stack, make_shop(folder / "edge.sock"), shop_port)
        session = await stack.enter_async_context(aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()))
        world = World(shop, sandbox.url, f"http://127.0.0.1:{ops_port}", config, folder / "data", session)
        await _until_ready(world, process)
        yield world


def free_port() -> int:
    """Give a port on loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _serve(
    stack: AsyncExitStack, folder: Path, config: Path, environ: Mapping[str, str]
) -> asyncio.subprocess.Process:
    log = stack.enter_context((folder / "edge.log").open("wb"))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "edge", "serve", "--config", str(config)), env=dict(environ), stderr=log, cwd=folder
    )
    stack.push_async_callback(_end, process)
    return process


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_WITHIN_S)
    except TimeoutError:
        process.kill()
        await process.wait()


async def _open_shop(stack: AsyncExitStack, app: web.Application, port: int) -> None:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", port).start()


async def _until_ready(world: World, process: asyncio.subprocess.Process) -> None:
    deadline_s = asyncio.get_running_loop().time() + READY_WITHIN_S
    while asyncio.get_running_loop().time() < deadline_s:
        if process.returncode is not None:
            raise NotReady(f"the sidecar ended with exit code {process.returncode}")
        try:
            if (await world.readiness())["ready"]:
                return
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(0.05)
    raise NotReady(f"the sidecar was not ready within {READY_WITHIN_S:.0f} s")


def environment() -> dict[str, str]:
    """Give this process's environment, where the caller may have set or broken a credential."""
    return dict(os.environ)
