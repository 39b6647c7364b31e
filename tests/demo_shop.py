"""The demonstration shop with a client, in front of a stand-in for the sidecar."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import DummyCookieJar, web
from aiohttp.test_utils import TestClient, TestServer

from edge.demo.shop import make_shop

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Sidecar:
    """A stand-in that keeps what arrives, as it arrived."""

    answer: Answer
    requests: list[tuple[str, str, list[tuple[str, str]], bytes]] = field(default_factory=list)

    def application(self) -> web.Application:
        app = web.Application(handler_args={"auto_decompress": False})
        app.router.add_route("*", "/{rest:.*}", self._handle)
        return app

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        headers = [(name.decode(), value.decode()) for name, value in request.raw_headers]
        self.requests.append((request.method, request.raw_path, headers, await request.read()))
        return await self.answer(request)

    def header(self, name: str) -> list[str]:
        return [value for given, value in self.requests[-1][2] if given.lower() == name.lower()]


async def accepted(_request: web.Request) -> web.Response:
    return web.Response(status=204)


@asynccontextmanager
async def listening(app: web.Application, socket: Path | None) -> AsyncIterator[str]:
    """The application on a unix socket, or on TCP without one; gives what `make_shop` takes as upstream."""
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.UnixSite(runner, str(socket)) if socket else web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield str(socket) if socket else f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def shop_client(upstream: Path | str) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    async with TestClient(
        TestServer(make_shop(upstream)), cookie_jar=DummyCookieJar(), auto_decompress=False
    ) as client:
        yield client
