"""aiohttp's server with our own words for what its parser refuses: its own page repeats the client's bytes."""

import asyncio
from typing import Any

import structlog
from aiohttp import web

from edge.collector.answers import refusal, response, unexpected
from edge.collector.settings import MAX_CONNECTIONS
from edge.errors import RequestRefused

log = structlog.get_logger("edge.collector")


class Connection(web.RequestHandler):
    """One connection; its error answers, its log lines and its end differ from aiohttp's."""

    __slots__ = ()

    @property
    def remote(self) -> str:
        """The connection's other end; "" on a unix socket, and where it was never known."""
        name = self.peername
        return str(name[0]) if isinstance(name, tuple) else ""

    def data_received(self, data: bytes) -> None:
        """Take what came; aiohttp takes nothing while it closes, not even the rest of the body that it waits for."""
        if not (self._close or self._force_close) or self.transport is None:
            super().data_received(data)
            return
        was = self._close, self._force_close
        self._close = self._force_close = False
        try:
            super().data_received(data)
        finally:
            self._close, self._force_close = was

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP with 400, and what escaped our own handler with 503; both close the connection."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was sent already")
        if status == 400:
            answer = refusal(RequestRefused(400, "bad_request", "this is not a well-formed HTTP request"))
        else:
            answer = refusal(unexpected())
        log.debug("request refused by the parser", status=answer.status, error=type(exc).__name__)
        return response(answer._replace(closes=True))

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Log the kind of an error and never its text, which may hold the client's bytes."""
        log.error("connection failed", error=type(kw.get("exc_info")).__name__)


class Server(web.Server):
    """Makes our connections. A client that leaves does not cut a commit: handlers run to their end.

    Beyond so many `connections` each further one is closed as it comes: the last file handles are the spool's.
    """

    def __init__(self, handler: Any, *, connections: int = MAX_CONNECTIONS, **options: Any) -> None:
        super().__init__(handler, handler_cancellation=False)
        self.options = {**options, "loop": asyncio.get_running_loop()}
        self._most, self._open = connections, 0

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        self._open += 1
        if self._open > self._most:
            asyncio.get_running_loop().call_soon(transport.abort)  # after what aiohttp has begun for it

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        super().connection_lost(handler, exc)
        self._open -= 1

    def __call__(self) -> Connection:
        return Connection(self, **self.options)
