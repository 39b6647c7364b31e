"""The collector: request → envelopes → spool → answer. It knows nothing of pipelines or destinations."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TypeAlias

import structlog
from aiohttp import hdrs, web
from aiohttp.http import HttpVersion10, HttpVersion11
from multidict import CIMultiDictProxy

from edge.clock import SteadyClock
from edge.collector.answers import (
    Answer,
    call_refusal,
    no_content,
    not_stored,
    refusal,
    response,
    unexpected,
    wrong_method,
)
from edge.collector.batches import BrowserBatches, Send
from edge.collector.calls import ServerCalls
from edge.collector.direct import DirectServer, Route
from edge.collector.event_log import EventLog
from edge.collector.protocol import Server
from edge.collector.settings import MAX_HEADER_BYTES, MAX_HEADERS, CollectorSettings
from edge.collector.static import Assets, Script, pinned_name, pinned_pattern
from edge.cookie import CookieSigner
from edge.errors import RequestRefused, StorageError, StorageFailed
from edge.metrics import CollectorMetrics
from edge.server_wire import BATCH, KINDS

log = structlog.get_logger("edge.collector")

_SOCKET_MODE = 0o660  # the proxy belongs to the socket's group
_BACKLOG = 1_024
_FOREIGN_METHODS = frozenset({"CONNECT", "TRACE"})

Handler: TypeAlias = Callable[[web.BaseRequest], Awaitable[Answer]]


class Collector:
    """One listener: the script, the endpoint that takes browsers' batches, and the calls of servers."""

    def __init__(
        self,
        settings: CollectorSettings,
        spool: EventLog,
        *,
        cookies: CookieSigner,
        clock: SteadyClock,
        random_bytes: Callable[[int], bytes],
        assets: Assets,
        metrics: CollectorMetrics,
    ) -> None:
        self.failed = asyncio.Event()  # storage is not to be trusted again: the process has to end
        self._settings, self._metrics = settings, metrics
        self._batches = BrowserBatches(
            settings,
            spool,
            cookies=cookies,
            clock=clock,
            random_bytes=random_bytes,
            metrics=metrics,
            why=self._why,
        )
        self._calls = ServerCalls(settings, spool, clock=clock, metrics=metrics)
        self._script = Script(assets)
        self._pinned = f"{settings.prefix}/{pinned_name(settings.script, assets.script)}"
        self._is_script = re.compile(pinned_pattern(settings.prefix, settings.script)).fullmatch
        script: dict[str, Handler] = {hdrs.METH_GET: self._send_script, hdrs.METH_HEAD: self._send_script}
        self._script_route = ("script", script)
        self._routes: dict[str, tuple[str, dict[str, Handler]]] = {
            settings.script_path: self._script_route,
            settings.events_path: ("events", {hdrs.METH_POST: self._batches.take, hdrs.METH_OPTIONS: self._preflight}),
        }
        for address in (BATCH, *KINDS) if settings.write_keys else ():
            self._routes[settings.call_path(address)] = ("calls", {hdrs.METH_POST: partial(self._take_call, address)})
        self._direct = {
            (hdrs.METH_POST, settings.events_path): Route("events", self._batches.take_whole),
            (hdrs.METH_GET, settings.script_path): Route("script", partial(self._send_script_now, False)),
            (hdrs.METH_GET, self._pinned): Route("script", partial(self._send_script_now, True)),
        }
        self._server: Server | None = None
        self._listener: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; a unix socket left behind by a killed process is replaced."""
        self._server = DirectServer(
            self._handle,
            self._direct,
            self._metrics.request,
            connections=self._settings.connections,
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=self._settings.keep_alive_s,
            lingering_time=self._settings.linger_s,
            max_headers=MAX_HEADERS,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
        )
        loop = asyncio.get_running_loop()
        listen = self._settings.listen
        if listen[0] == "tcp":
            self._listener = await loop.create_server(self._server, listen[1], listen[2], backlog=_BACKLOG)
        else:
            self._listener = await loop.create_unix_server(self._server, listen[1], backlog=_BACKLOG)
            Path(listen[1]).chmod(_SOCKET_MODE)

    @property
    def port(self) -> int:
        """The TCP port in use, also when the settings said 0.

        Raises:
            RuntimeError: the collector does not listen on TCP now.
        """
        if self._listener is None or self._settings.listen[0] != "tcp":
            raise RuntimeError("the collector does not listen on TCP")
        port: int = self._listener.sockets[0].getsockname()[1]
        return port

    async def stop(self, limit_s: float) -> None:
        """Take no new connection, and give requests in flight until the limit to be answered."""
        if self._listener is None or self._server is None:
            return
        self._listener.close()
        await asyncio.sleep(0)  # what was accepted a moment ago begins to be handled, and so is waited for
        self._server.pre_shutdown()
        await self._server.shutdown(limit_s)
        self._listener = self._server = None

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        endpoint, handler = self._route(request)
        try:
            answer = await handler(request)
        except Exception as error:
            answer = refusal(self._why(error))
        self._metrics.request(endpoint, answer.status)
        return response(answer)

    def _route(self, request: web.BaseRequest) -> tuple[str, Handler]:
        """Find a handler by the raw path; a query that a proxy added is ignored."""
        path = request.raw_path
        known = self._routes.get(path) or self._routes.get(path.partition("?")[0])
        if known is None and self._is_script(path):
            known = self._script_route
        if request.version != HttpVersion11 and _is_smuggling(request):
            return "other", _refuse_version
        if known is None:
            return "other", _refuse_path
        endpoint, handlers = known
        return endpoint, handlers.get(request.method) or _refuser(", ".join(handlers))

    async def _send_script(self, request: web.BaseRequest) -> Answer:
        return self._script_for(request.headers, is_pinned=request.raw_path == self._pinned)

    def _send_script_now(
        self, is_pinned: bool, headers: CIMultiDictProxy[str], _remote: str, _sent: bytes, send: Send
    ) -> None:
        send(self._script_for(headers, is_pinned=is_pinned))

    def _script_for(self, headers: CIMultiDictProxy[str], *, is_pinned: bool) -> Answer:
        coding, known = headers.get(hdrs.ACCEPT_ENCODING), headers.get(hdrs.IF_NONE_MATCH)
        return self._script.answer(coding, known, is_pinned=is_pinned)

    async def _preflight(self, request: web.BaseRequest) -> Answer:
        return no_content(self._batches.origins.preflight(request.headers))

    async def _take_call(self, address: str, request: web.BaseRequest) -> Answer:
        """Take a server's call; it has nothing to do with cookies, origins and the connection's other end."""
        try:
            return await self._calls.take(request, address)
        except Exception as error:
            return call_refusal(self._why(error))

    def _why(self, error: Exception) -> RequestRefused:
        """Turn what was raised into a refusal; what nobody foresaw is logged by its place, never by its text."""
        if isinstance(error, RequestRefused):
            return error
        if isinstance(error, StorageError):
            if isinstance(error, StorageFailed):
                self.failed.set()
            return not_stored(error)
        log.error("request failed", error=type(error).__name__, place=_place(error))
        return unexpected()


def _is_smuggling(request: web.BaseRequest) -> bool:
    """Find what a proxy and this server may read differently: foreign versions, coded transfer in HTTP/1.0."""
    return request.version != HttpVersion10 or hdrs.TRANSFER_ENCODING in request.headers


async def _refuse_version(request: web.BaseRequest) -> Answer:
    if request.version == HttpVersion10:
        why = RequestRefused(400, "bad_request", "HTTP/1.0 has no transfer coding")
    else:
        why = RequestRefused(505, "wrong_version", "this server speaks HTTP/1.1")
    return refusal(why)._replace(closes=True)


async def _refuse_path(request: web.BaseRequest) -> Answer:
    if request.method in _FOREIGN_METHODS:
        return wrong_method("GET, HEAD, POST, OPTIONS")
    if not request.raw_path.startswith("/"):
        raise RequestRefused(400, "bad_request", "a request line holds a path, not a whole address")
    raise RequestRefused(404, "not_found", "there is nothing at this path")


def _refuser(allow: str) -> Handler:
    async def refuse(request: web.BaseRequest) -> Answer:
        return wrong_method(allow)

    return refuse


def _place(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else ""
