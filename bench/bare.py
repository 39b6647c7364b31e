"""The base of the ratios: servers that do the least, on the same Python, aiohttp and event loop as ours.

    python -m bench.bare PORT [BODY_BYTES_OF_GET] [BURN_US]

POST /bare reads the body and answers 204; POST /loads parses it too; GET /get gives a fixed body; POST /sink takes
what a vendor would take and counts it; GET /taken gives that count and when the first came; GET /reset forgets it.
BURN_US wastes that much CPU in each POST: a server slowed on purpose, to show that the bars can be missed.
"""

import asyncio
import sys
import time

import orjson
import uvloop
from aiohttp import web


class Bare:
    """Low-level handlers, without a log, routes by a dictionary."""

    def __init__(self, get_bytes: int, burn_us: int) -> None:
        self._content, self._burn_s = b"x" * get_bytes, burn_us / 1e6
        self._taken, self._first_s = 0, 0.0
        self._routes = {
            "/bare": self._bare,
            "/t/e": self._bare,
            "/loads": self._loads,
            "/get": self._get,
            "/taken": self._count,
            "/reset": self._reset,
        }

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        return await self._routes.get(request.raw_path, self._sink)(request)

    async def _bare(self, request: web.BaseRequest) -> web.Response:
        await request.read()
        if self._burn_s:
            end_s = time.thread_time() + self._burn_s
            while time.thread_time() < end_s:
                pass
        return web.Response(status=204)

    async def _loads(self, request: web.BaseRequest) -> web.Response:
        orjson.loads(await request.read())
        return web.Response(status=204)

    async def _get(self, _: web.BaseRequest) -> web.Response:
        return web.Response(body=self._content)

    async def _sink(self, request: web.BaseRequest) -> web.Response:
        await request.read()
        if not self._taken:
            self._first_s = time.time()
        self._taken += 1
        return web.Response(status=503 if request.raw_path.startswith("/broken") else 202)

    async def _count(self, _: web.BaseRequest) -> web.Response:
        return web.json_response({"taken": self._taken, "first_s": self._first_s})

    async def _reset(self, _: web.BaseRequest) -> web.Response:
        self._taken, self._first_s = 0, 0.0
        return web.Response(status=204)


async def serve(port: int, get_bytes: int = 5_200, burn_us: int = 0) -> None:
    server = web.Server(Bare(get_bytes, burn_us).handle, access_log=None)
    await asyncio.get_running_loop().create_server(server, "127.0.0.1", port, backlog=1_024)
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(*map(int, sys.argv[1:])))
