"""Values that may appear nowhere but where they belong, a vendor that says them back in every way, and what must not.

Each canary stands for one kind of value that visitors, servers or the environment bring. All of them have KANARIE in
them or are one of the few that cannot; no file, folder or name of these tests has.
"""

import asyncio
from dataclasses import dataclass, field

from aiohttp import web

EMAIL = "kanarie@shop.example"
GONE = "gone-kanarie@shop.example"
PHONE = "+447700900911"
NAME = "Moon Kanarie"
IP = "203.0.113.77"
ORDER = "o-kanarie-4711"
USER_AGENT = "KanarieBrowser/9.1"
QUERY = "q=kanarie-query"
COOKIE = "kanarie-cookie"
CLICK = "kanarie-click-0123456789"
EVENT_ID = "kanarie-event-1"
WRITE_KEY = "kanarie-write-key-0123456789"
API_KEY = "pk_kanarie0123456789abcdef0123456789ab"
COOKIE_KEY = "kanarie-cookie-key-0123456789abcdef0123456789"
TOKEN = "kanarie-token-of-the-webhook"

MARKS = (b"kanarie", PHONE.lstrip("+").encode(), IP.encode())


def found_in(text: bytes) -> list[bytes]:
    """Give the lines that hold a canary."""
    return [line for line in text.splitlines() if any(mark in line.lower() for mark in MARKS)]


@dataclass
class Parrot:
    """A vendor that says back what it was told, by the path it is asked at; and a receiver that keeps alerts."""

    requests: list[bytes] = field(default_factory=list)
    alerts: list[bytes] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)
    port: int = 0

    async def start(self) -> web.AppRunner:
        """Listen on a free port of loopback."""
        app = web.Application()
        app.router.add_post("/alerts/{token}", self._keep)
        app.router.add_post("/{behaviour}/{rest:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        return runner

    async def _keep(self, request: web.Request) -> web.Response:
        self.alerts.append(await request.read())
        return web.Response(status=500 if len(self.alerts) == 1 else 204, body=TOKEN.encode())

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        behaviour = request.match_info["behaviour"]
        told = b"\n".join(f"{name}: {value}".encode() for name, value in request.headers.items())
        told += b"\n\n" + await request.read()
        self.requests.append(told)
        self.asked.add(behaviour)
        match behaviour:
            case "hang":
                await asyncio.Event().wait()  # until the client or the test leaves
            case "cut":
                assert request.transport is not None
                request.transport.write(b"HTTP/1.1 202 kanarie\r\nContent-Length: 99\r\n\r\n" + told[:40])
                request.transport.close()
            case "garbage":
                assert request.transport is not None
                request.transport.write(b"kanarie\x00\xff " + told + b"\r\n\r\n")
                request.transport.close()
        status = int(behaviour) if behaviour.isdecimal() else 200
        # Each could be a code or a place in the payload, by its form.
        codes = (IP, ORDER, PHONE.lstrip("+"), EMAIL, "kanarie")
        said = {"title": NAME, "detail": told.decode("latin-1")}
        errors = [{**said, "code": code, "source": {"pointer": f"/{code}"}} for code in codes]
        hostile = {"Retry-After": EMAIL, "X-Said": f"{NAME} {PHONE}", "Location": f"/202/?{QUERY}"}
        return web.json_response({"errors": errors}, status=status, headers=hostile, reason=NAME)
