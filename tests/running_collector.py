"""A collector on a real socket, with a log that tests hold in their hands."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
from prometheus_client import CollectorRegistry

from edge.clock import SteadyClock
from edge.collector import Assets, Collector, CollectorSettings, Tell
from edge.cookie import CookieSigner
from edge.event import Event, decode
from edge.metrics import CollectorMetrics
from edge.secret import Secret
from tests.clock import FakeClock

ORIGIN = "https://shop.example"
SAME = {"Sec-Fetch-Site": "same-origin", "Origin": ORIGIN}
KEY = Secret("key-of-this-shop" * 2)
SCRIPT = b"window.datafly = 1;" * 200
WAIT_S = 5.0


class AwaitedLog:
    """A log that is told by its `append` alone."""

    def __init__(self) -> None:
        self._under_way: set[asyncio.Task[None]] = set()

    async def append(self, envelopes: Sequence[bytes]) -> int:
        raise NotImplementedError

    def append_soon(self, envelopes: Sequence[bytes], tell: Tell) -> None:
        async def appended() -> None:
            try:
                tell(await self.append(envelopes))
            except Exception as error:
                tell(error)

        task = asyncio.create_task(appended())
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)


class MemoryLog(AwaitedLog):
    """Keeps envelopes in a list; `gate` holds appends back, `error` makes them fail.

    Of `refusals` each makes one append fail. Of `lost_answers` each does so once the events are kept.
    """

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Event] = []
        self.error: Exception | None = None
        self.refusals: list[Exception] = []
        self.lost_answers: list[Exception] = []
        self.entered = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def append(self, envelopes: Sequence[bytes]) -> int:
        self.entered.set()
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        if self.refusals:
            raise self.refusals.pop()
        self.events += [decode(envelope) for envelope in envelopes]
        if self.lost_answers:
            raise self.lost_answers.pop()
        return len(self.events)


class FakeTransport(asyncio.Transport):
    """One end of a connection that keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.written, self.is_closed = b"", False

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    def write(self, data: bytes) -> None:
        self.written += data


@dataclass
class Answer:
    """What a request got."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["error"]["code"])

    @property
    def cookie(self) -> str:
        """`name=value` of Set-Cookie, "" when there is none."""
        return self.headers.get("Set-Cookie", "").partition(";")[0]


@dataclass
class Running:
    """A started collector and what surrounds it."""

    collector: Collector
    log: MemoryLog
    clock: FakeClock
    cookies: CookieSigner
    registry: CollectorRegistry
    session: aiohttp.ClientSession
    unix_path: str | None = None

    async def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        port = 80 if self.unix_path else self.collector.port
        async with self.session.request(
            method, f"http://127.0.0.1:{port}{path}", data=body, headers=headers, allow_redirects=False
        ) as response:
            return Answer(response.status, response.headers, await response.read())

    async def post(self, body: bytes | None = None, headers: Mapping[str, str] = SAME, **added: str) -> Answer:
        more = {name.replace("_", "-"): value for name, value in added.items()}
        return await self.request("POST", "/t/e", {**headers, **more}, batch() if body is None else body)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self.unix_path:
            return await asyncio.open_unix_connection(self.unix_path)
        return await asyncio.open_connection("127.0.0.1", self.collector.port)

    async def raw(self, data: bytes) -> bytes:
        """Send exactly these bytes, and give all that comes until the server closes."""
        reader, writer = await self.connect()
        writer.write(data)
        answer = await asyncio.wait_for(reader.read(), WAIT_S)
        writer.close()
        return answer

    def count(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


@asynccontextmanager
async def running(
    assets: Assets | None = None, keys: tuple[Secret, ...] = (KEY,), domain: str | None = None, **settings: Any
) -> AsyncIterator[Running]:
    """Start a collector on a free port, or where the settings say, and stop it afterwards."""
    told = CollectorSettings(**{"listen": ("tcp", "127.0.0.1", 0), "origins": (ORIGIN,), "linger_s": 0.02, **settings})
    log, clock, cookies, registry = MemoryLog(), FakeClock(), CookieSigner(keys, domain), CollectorRegistry()
    counter = itertools.count(1)
    collector = Collector(
        told,
        log,
        cookies=cookies,
        clock=SteadyClock(clock),
        random_bytes=lambda size: next(counter).to_bytes(size, "big"),
        assets=assets or Assets(SCRIPT),
        metrics=CollectorMetrics(registry),
    )
    await collector.start()
    path = told.listen[1] if told.listen[0] == "unix" else None
    connector = aiohttp.UnixConnector(path) if path else aiohttp.TCPConnector()
    try:
        async with aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=["User-Agent"],
        ) as session:
            yield Running(collector, log, clock, cookies, registry, session, path)
    finally:
        await collector.stop(WAIT_S)


def event(**changes: Any) -> dict[str, Any]:
    return {"id": "e-1", "name": "add_to_cart", "properties": {"value": 48.5}, **changes}


def batch(*events: Any, **context: Any) -> bytes:
    """Give a body with these events, one good one where none is named."""
    return orjson.dumps({"context": context, "events": list(events or (event(),))})


def head(*lines: str, path: str = "/t/e") -> bytes:
    """Give a POST's head from a page of ours."""
    fixed = (f"POST {path} HTTP/1.1", "Host: shop.example", "Sec-Fetch-Site: same-origin", "Connection: close")
    return ("\r\n".join((*fixed, *lines)) + "\r\n\r\n").encode("latin-1")
