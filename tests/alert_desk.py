"""A desk that judges what a test sees and posts over real HTTP, and a receiver that does what the test says."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import orjson
from aiohttp import web
from prometheus_client import CollectorRegistry

from edge.alerting import Limits, Seen
from edge.app.alert_memory import AlertMemory
from edge.app.alerts import AlertDesk
from edge.config import AlertsConfig
from edge.metrics import SupervisorMetrics
from edge.secret import Secret
from edge.transport import HttpTransport
from tests.alert_world import WELL, pipeline
from tests.clock import FakeClock

KEY = b"k" * 32
SECRET = Secret("whsec_" + base64.b64encode(KEY).decode())
PAUSED = pipeline(is_paused=True)
TOKEN = "hunter2-in-the-address"


@dataclass
class Receiver:
    """Keeps every request; answers with `statuses` in turn, then with 204; while `gate` is closed it says nothing."""

    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0

    async def take(self, request: web.Request) -> web.Response:
        self.requests.append((dict(request.headers), await request.read()))
        self.entered.set()
        await self.gate.wait()
        status = self.statuses.pop(0) if self.statuses else 204
        headers = {"Location": "/elsewhere", **self.headers}
        return web.Response(status=status, headers=headers, body=b"visitor@shop.example" * 9)

    @property
    def told(self) -> list[tuple[str, str]]:
        bodies = [orjson.loads(body) for _, body in self.requests]
        return [(body["type"], body["data"]["alert"]) for body in bodies]


@asynccontextmanager
async def open_receiver() -> AsyncIterator[Receiver]:
    """Listen on a free port of loopback."""
    receiver, app = Receiver(), web.Application()
    receiver.gate.set()
    app.router.add_post("/{path:.*}", receiver.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.port = runner.addresses[0][1]
    yield receiver
    receiver.gate.set()
    await runner.cleanup()


class Desk:
    """A desk whose world a test directs."""

    def __init__(self, folder: Path, port: int, transport: HttpTransport, **config: Any) -> None:
        self.seen, self.clock, self.stop = WELL, FakeClock(), asyncio.Event()
        self.eyes: Callable[[], Seen] = lambda: self.seen
        self.registry = CollectorRegistry()
        self.memory = folder / "alerts.json"
        webhook = Secret(f"http://127.0.0.1:{port}/{TOKEN}")
        limits = Limits(no_events_s=None)
        self.desk = AlertDesk(
            AlertsConfig(**{"webhook": webhook, "secrets": (SECRET,), "allow_http": True, "limits": limits, **config}),
            "tea",
            seen=lambda: self.eyes(),
            transport=transport,
            clock=self.clock,
            memory=AlertMemory(self.memory),
            metrics=SupervisorMetrics(self.registry),
            uniform=lambda low, high: high,
            rest=self.rest,
        )

    async def rest(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await asyncio.sleep(0)

    def see(self, seen: Seen, for_s: float = 70.0) -> None:
        self.seen = seen
        for _ in range(round(for_s / 5)):
            self.clock.advance(5)
            self.desk.look()

    def count(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


Make: TypeAlias = Callable[..., Desk]


@asynccontextmanager
async def open_desks(folder: Path, receiver: Receiver) -> AsyncIterator[Make]:
    """Give what makes desks over one memory: make(port=None, **alerts)."""
    transport = HttpTransport(timeout_s=0.2)
    await transport.open()
    yield lambda port=None, **config: Desk(folder, port or receiver.port, transport, **config)
    await transport.close()
