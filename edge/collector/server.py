"""The collector: request → envelopes → spool → answer. It knows nothing of pipelines or destinations."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

import structlog
from aiohttp import hdrs, web
from aiohttp.http import HttpVersion10, HttpVersion11
from multidict import istr

from edge.clock import SteadyClock
from edge.collector.address import Addresses
from edge.collector.answers import (
    all_stored,
    call_refusal,
    json_answer,
    no_content,
    not_stored,
    refusal,
    unexpected,
    wrong_method,
)
from edge.collector.calls import ServerCalls
from edge.collector.door import decompressed, read_body
from edge.collector.event_log import EventLog
from edge.collector.evidence import Evidence
from edge.collector.origin import Origins
from edge.collector.prepared import PreparedAnswers, can_answer
from edge.collector.protocol import Server
from edge.collector.settings import MAX_HEADER_BYTES, MAX_HEADERS, CollectorSettings
from edge.collector.static import Assets, Script, pinned_name, pinned_pattern
from edge.collector.vendor_cookies import VendorCookies
from edge.collector.visitor import Visitors
from edge.cookie import CookieSigner
from edge.errors import RequestRefused, StorageError, StorageFailed
from edge.event import BROWSER_SOURCE, encode
from edge.metrics import CollectorMetrics
from edge.server_wire import BATCH, KINDS
from edge.wire import Arrival, Rejected, consent_event, parse_events, read_batch

log = structlog.get_logger("edge.collector")

_SOCKET_MODE = 0o660  # the proxy belongs to the socket's group
_BACKLOG = 1_024
_FOREIGN_METHODS = frozenset({"CONNECT", "TRACE"})

_SEC_GPC = istr("Sec-GPC")

Handler: TypeAlias = Callable[[web.BaseRequest], Awaitable[web.Response]]


class _Read(NamedTuple):
    """What became of a batch; a consent answer has an envelope of its own where no event is good."""

    envelopes: list[bytes]
    accepted: int
    rejected: list[Rejected]
    set_cookies: tuple[str, ...]


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
        self._settings, self._spool, self._clock, self._metrics = settings, spool, clock, metrics
        self._visitors = Visitors(
            cookies,
            clock,
            random_bytes,
            wait_for_consent=settings.wait_for_consent,
            gpc_denies=settings.gpc_denies,
        )
        self._vendor_cookies = VendorCookies(settings, random_bytes, metrics)
        self._origins = Origins(settings.origins)
        self._addresses = Addresses(settings.trusted_proxies)
        self._script = Script(assets)
        self._prepared = PreparedAnswers(self._script)
        self._pinned = f"{settings.prefix}/{pinned_name(settings.script, assets.script)}"
        self._is_script = re.compile(pinned_pattern(settings.prefix, settings.script)).fullmatch
        script: dict[str, Handler] = {hdrs.METH_GET: self._send_script, hdrs.METH_HEAD: self._send_script}
        self._script_route = ("script", script)
        self._routes: dict[str, tuple[str, dict[str, Handler]]] = {
            settings.script_path: self._script_route,
            settings.events_path: ("events", {hdrs.METH_POST: self._take, hdrs.METH_OPTIONS: self._preflight}),
        }
        self._calls = ServerCalls(settings, spool, clock=clock, metrics=metrics)
        for address in (BATCH, *KINDS) if settings.write_keys else ():
            self._routes[settings.call_path(address)] = ("calls", {hdrs.METH_POST: partial(self._take_call, address)})
        self._server: Server | None = None
        self._listener: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; a unix socket left behind by a killed process is replaced."""
        self._server = Server(
            self._handle,
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
            answer = self._failure(error)
        self._metrics.request(endpoint, answer.status)
        return answer

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

    async def _send_script(self, request: web.BaseRequest) -> web.Response:
        headers = request.headers
        coding, known = headers.get(hdrs.ACCEPT_ENCODING), headers.get(hdrs.IF_NONE_MATCH)
        is_pinned = request.raw_path == self._pinned
        if known is None and can_answer(request):
            return self._prepared.script(request, coding, is_pinned=is_pinned)
        return self._script.answer(coding, known, is_pinned=is_pinned)

    async def _preflight(self, request: web.BaseRequest) -> web.Response:
        return no_content(self._origins.preflight(request.headers))

    async def _take(self, request: web.BaseRequest) -> web.Response:
        """Take a batch; whatever becomes of it, a page of ours can read the answer."""
        granted = self._origins.judge(request.headers)
        try:
            return await self._store(request, granted)
        except Exception as error:
            answer = self._failure(error)
        answer.headers.update(granted)
        return answer

    async def _take_call(self, address: str, request: web.BaseRequest) -> web.Response:
        """Take a server's call; it has nothing to do with cookies, origins and the connection's other end."""
        try:
            return await self._calls.take(request, address)
        except Exception as error:
            return call_refusal(self._why(error))

    async def _store(self, request: web.BaseRequest, granted: Mapping[str, str]) -> web.Response:
        sent = await read_body(request, self._settings.body_bytes, self._settings.body_deadline_s)
        read = self._read(request, sent)
        if read.envelopes:
            await self._spool.append(read.envelopes)
            self._metrics.accepted(BROWSER_SOURCE, len(read.envelopes))
        return self._told(request, read, granted)

    def _read(self, request: web.BaseRequest, sent: bytes) -> _Read:
        """Read a body to its end; of all that this takes only what is to be kept waits for the disk."""
        headers = request.headers
        self._metrics.body(len(sent))
        batch = read_batch(decompressed(sent, headers.get(hdrs.CONTENT_ENCODING), self._settings.body_bytes))
        has_gpc = headers.get(_SEC_GPC) == "1"
        cookie_header = headers.get(hdrs.COOKIE)
        evidence = Evidence(batch, cookie_header, self._settings.consent_meanings, has_gpc=has_gpc)
        visitor = self._visitors.identify(cookie_header, batch, evidence.heard)
        now_ms = self._clock.moment_ms(batch.sent_at_ms)
        vendor_ids = self._vendor_cookies.read(cookie_header)
        set_cookies = () if visitor.set_cookie is None else (visitor.set_cookie,)
        if self._settings.meta_cookies and self._visitors.allows_advertising(evidence.heard()):
            is_new, renews, origin = visitor.is_new, visitor.set_cookie is not None, headers.get(hdrs.ORIGIN)
            seen = self._vendor_cookies.with_metas(vendor_ids, batch, origin, now_ms, is_new=is_new, renews=renews)
            vendor_ids, set_cookies = seen.kept, (*set_cookies, *seen.set_cookies)
        arrival = Arrival(
            now_ms,
            BROWSER_SOURCE,
            visitor.browser,
            self._addresses.find(self._peer(request), headers.getall(hdrs.X_FORWARDED_FOR, ())),
            headers.get(hdrs.USER_AGENT),
            has_gpc,
            evidence.kept_cookies(),
            vendor_ids,
        )
        events, rejected = parse_events(batch, arrival)
        for one in rejected:
            self._metrics.rejected(one.code)
        envelopes = [encode(event) for event in events]
        if not events and evidence.heard().answers:
            envelopes = [encode(consent_event(batch, arrival))]
        return _Read(envelopes, len(events), rejected, set_cookies)

    def _told(self, request: web.BaseRequest, read: _Read, granted: Mapping[str, str]) -> web.Response:
        """Give the answer to a batch, with its cookies where anything of it was stored."""
        set_cookies = read.set_cookies
        if read.rejected:
            answer = _partly(read.accepted, read.rejected)
            answer.headers.update(granted)
            for value in set_cookies if read.envelopes else ():
                answer.headers.add(hdrs.SET_COOKIE, value)
            return answer
        if len(set_cookies) > 1 or not can_answer(request):
            return all_stored(granted, set_cookies)
        return self._prepared.all_stored(request, granted, set_cookies[0] if set_cookies else None)

    def _peer(self, request: web.BaseRequest) -> str | None:
        """Give the connection's other end: None on a unix socket, "" (nobody to trust) where it was never known."""
        if self._settings.listen[0] == "unix":
            return None
        return request.remote or ""

    def _failure(self, error: Exception) -> web.Response:
        return refusal(self._why(error))

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


def _partly(accepted: int, rejected: Sequence[Rejected]) -> web.Response:
    listed = [{"index": one.index, "code": one.code, "message": one.message} for one in rejected]
    if accepted:
        return json_answer(200, {"accepted": accepted, "rejected": listed})
    error = {"code": "no_valid_event", "message": "no event of this batch can be taken"}
    return json_answer(400, {"error": error, "accepted": 0, "rejected": listed})


def _is_smuggling(request: web.BaseRequest) -> bool:
    """Find what a proxy and this server may read differently: foreign versions, coded transfer in HTTP/1.0."""
    return request.version != HttpVersion10 or hdrs.TRANSFER_ENCODING in request.headers


async def _refuse_version(request: web.BaseRequest) -> web.Response:
    if request.version == HttpVersion10:
        why = RequestRefused(400, "bad_request", "HTTP/1.0 has no transfer coding")
    else:
        why = RequestRefused(505, "wrong_version", "this server speaks HTTP/1.1")
    answer = refusal(why)
    answer.force_close()
    return answer


async def _refuse_path(request: web.BaseRequest) -> web.Response:
    if request.method in _FOREIGN_METHODS:
        return wrong_method("GET, HEAD, POST, OPTIONS")
    if not request.raw_path.startswith("/"):
        raise RequestRefused(400, "bad_request", "a request line holds a path, not a whole address")
    raise RequestRefused(404, "not_found", "there is nothing at this path")


def _refuser(allow: str) -> Handler:
    async def refuse(request: web.BaseRequest) -> web.Response:
        return wrong_method(allow)

    return refuse


def _place(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else ""
