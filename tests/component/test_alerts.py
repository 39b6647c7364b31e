"""Alerts on their way: real HTTP to a receiver on loopback that takes, refuses, redirects, hangs or is not there."""

import asyncio
import base64
import hashlib
import hmac
import stat
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from edge.alerting import Limits, Seen
from edge.app.alert_memory import AlertMemory
from edge.app.alerts import AlertDesk
from edge.config import AlertsConfig
from edge.demo.world import free_port
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
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0

    async def take(self, request: web.Request) -> web.Response:
        self.requests.append((dict(request.headers), await request.read()))
        self.entered.set()
        await self.gate.wait()
        status = self.statuses.pop(0) if self.statuses else 204
        return web.Response(status=status, headers={"Location": "/elsewhere"}, body=b"visitor@shop.example" * 9)

    @property
    def told(self) -> list[tuple[str, str]]:
        bodies = [orjson.loads(body) for _, body in self.requests]
        return [(body["type"], body["data"]["alert"]) for body in bodies]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
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
        self.registry = CollectorRegistry()
        self.memory = folder / "alerts.json"
        webhook = Secret(f"http://127.0.0.1:{port}/{TOKEN}")
        limits = Limits(no_events_s=None)
        self.desk = AlertDesk(
            AlertsConfig(**{"webhook": webhook, "secret": SECRET, "allow_http": True, "limits": limits, **config}),
            "tea",
            seen=lambda: self.seen,
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


@pytest.fixture
async def make(tmp_path: Path, receiver: Receiver) -> AsyncIterator[Callable[..., Desk]]:
    transport = HttpTransport(timeout_s=0.2)
    await transport.open()
    yield lambda port=None, **config: Desk(tmp_path, port or receiver.port, transport, **config)
    await transport.close()


async def test_state_change_is_posted_once_and_signed(make, receiver):
    desk = make()
    for seen in (WELL, PAUSED, WELL):
        desk.see(seen)
        for _ in range(3):
            await desk.desk.tell()
    assert receiver.told == [("alert.raised", "paused"), ("alert.cleared", "paused")]
    for headers, body in receiver.requests:
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        made = base64.b64encode(hmac.digest(KEY, signed, hashlib.sha256)).decode()
        assert headers["webhook-signature"] == f"v1,{made}"
        assert headers["Content-Type"] == "application/json"
    assert desk.count("edge_alert_messages_total", result="told") == 2


async def test_refused_message_is_repeated_alike_after_growing_waits(make, receiver):
    desk, receiver.statuses = make(), [500, 429, 404, 302]
    desk.see(PAUSED)
    waits = []
    while len(receiver.requests) < 5:
        before, began_s = len(receiver.requests), desk.clock.monotonic_s()
        while len(receiver.requests) == before:
            await desk.desk.tell()
            desk.clock.advance(0.25)
        waits.append(desk.clock.monotonic_s() - began_s)
    assert waits == sorted(waits) and waits[-1] > waits[1] > waits[0]
    assert len({(headers["webhook-id"], body) for headers, body in receiver.requests}) == 1
    await desk.desk.tell()
    assert len(receiver.requests) == 5, "a redirect was followed, or a taken message told again"
    counted = [desk.count("edge_alert_messages_total", result=result) for result in ("failed", "told")]
    assert counted == [4, 1]


async def test_waits_never_grow_beyond_a_quarter_of_an_hour(make):
    desk = make(port=free_port())
    desk.see(PAUSED)
    for _ in range(40):
        desk.clock.advance(901)
        await desk.desk.tell()
    assert desk.count("edge_alert_messages_total", result="failed") == 40


async def test_receiver_that_hangs_keeps_nobody_waiting(make, receiver):
    desk = make()
    receiver.gate.clear()
    desk.see(PAUSED)
    telling = asyncio.create_task(desk.desk.tell())
    await receiver.entered.wait()
    for _ in range(100):
        desk.see(WELL, 5)
    assert not telling.done()
    assert desk.count("edge_alert_raised", alert="paused", about="klaviyo") is None, "judging did not go on"
    await telling
    assert desk.count("edge_alert_messages_total", result="failed") == 1


async def test_loops_go_on_beside_a_receiver_that_hangs_and_end_when_told(make, receiver):
    desk = make()
    receiver.gate.clear()
    desk.seen = PAUSED
    running = asyncio.create_task(desk.desk.run(desk.stop))
    await receiver.entered.wait()
    desk.stop.set()
    await asyncio.wait_for(running, 5)
    assert receiver.told[0] == ("alert.raised", "paused")


async def test_nothing_of_address_and_answer_is_logged(make, receiver):
    desk, receiver.statuses = make(), [400]
    gone = make(port=free_port())
    with capture_logs() as logs:
        for one in (desk, gone):
            one.see(PAUSED)
            await one.desk.tell()
    assert [line["event"] for line in logs] == ["alert raised", "alert not told"] * 2
    assert [line["reason"] for line in logs if line["event"] == "alert not told"] == [
        "400",
        "the connection was refused",
    ]
    assert TOKEN not in str(logs) and "visitor" not in str(logs)


async def test_without_an_address_alerts_are_judged_and_nobody_is_told(make, receiver):
    desk = make(webhook=None)
    running = asyncio.create_task(desk.desk.run(desk.stop))
    desk.seen = PAUSED
    while desk.count("edge_alert_raised", alert="paused", about="klaviyo") is None:
        await asyncio.sleep(0)
    desk.stop.set()
    await running
    assert receiver.requests == []


async def test_restarted_service_tells_only_what_is_new(make, receiver):
    desk = make()
    desk.see(PAUSED)
    await desk.desk.tell()
    assert stat.S_IMODE(desk.memory.stat().st_mode) == 0o600
    again = make()
    again.see(PAUSED)
    await again.desk.tell()
    again.see(WELL)
    await again.desk.tell()
    assert receiver.told == [("alert.raised", "paused"), ("alert.cleared", "paused")]
    assert AlertMemory(desk.memory).read() == []


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"null", b'[{"alert": "x"}]', b"\xff", b"[" * 9_999])
async def test_memory_that_cannot_be_read_costs_one_message_at_most(make, receiver, content):
    make().memory.write_bytes(content)
    desk = make()
    desk.see(PAUSED)
    await desk.desk.tell()
    assert receiver.told == [("alert.raised", "paused")]


async def test_memory_that_cannot_be_written_costs_nothing(make, receiver):
    desk = make()
    desk.memory.with_suffix(".new").mkdir()
    desk.see(PAUSED)
    with capture_logs() as logs:
        await desk.desk.tell()
        await desk.desk.tell()
    assert [line["event"] for line in logs] == ["alerts are not remembered"]
    assert receiver.told == [("alert.raised", "paused")]


async def test_mistake_of_ours_costs_one_round(make):
    desk = make(webhook=None)
    rounds = 0

    def seen() -> Seen:
        nonlocal rounds
        rounds += 1
        if rounds > 3:
            desk.stop.set()
        raise ValueError("visitor@shop.example")

    desk.desk._seen = seen
    with capture_logs() as logs:
        await desk.desk.run(desk.stop)
    assert [line["event"] for line in logs] == ["alerting failed unforeseen"] * 4
