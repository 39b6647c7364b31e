"""Browsers' batches: origin → body → envelopes → spool → answer."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeAlias

from aiohttp import hdrs, web
from multidict import CIMultiDictProxy, istr

from edge.clock import SteadyClock
from edge.collector.address import Addresses
from edge.collector.answers import Answer, Headers, json_answer, no_content, refusal
from edge.collector.door import decompressed, read_body, too_big
from edge.collector.event_log import EventLog
from edge.collector.evidence import Evidence
from edge.collector.origin import Origins
from edge.collector.settings import CollectorSettings
from edge.collector.vendor_cookies import VendorCookies
from edge.collector.visitor import Visitors
from edge.cookie import CookieSigner
from edge.errors import RequestRefused
from edge.event import BROWSER_SOURCE, encode
from edge.metrics import CollectorMetrics
from edge.wire import Arrival, Rejected, consent_event, parse_envelopes, read_batch

Send: TypeAlias = Callable[[Answer], None]
Why: TypeAlias = Callable[[Exception], RequestRefused]

_SEC_GPC = istr("Sec-GPC")


class _Read(NamedTuple):
    """What became of a batch; a consent answer has an envelope of its own where no event is good."""

    envelopes: list[bytes]
    accepted: int
    rejected: list[Rejected]
    set_cookies: tuple[str, ...]


class BrowserBatches:
    """Takes what browsers post; whatever becomes of a batch, a page of ours can read the answer."""

    def __init__(
        self,
        settings: CollectorSettings,
        spool: EventLog,
        *,
        cookies: CookieSigner,
        clock: SteadyClock,
        random_bytes: Callable[[int], bytes],
        metrics: CollectorMetrics,
        why: Why,
    ) -> None:
        """Take what it works with; `why` turns what was raised into a refusal."""
        self.origins = Origins(settings.origins)
        self._settings, self._spool, self._clock, self._metrics, self._why = settings, spool, clock, metrics, why
        self._visitors = Visitors(
            cookies,
            clock,
            random_bytes,
            wait_for_consent=settings.wait_for_consent,
            gpc_denies=settings.gpc_denies,
        )
        self._vendor_cookies = VendorCookies(settings, random_bytes, metrics)
        self._addresses = Addresses(settings.trusted_proxies)

    async def take(self, request: web.BaseRequest) -> Answer:
        """Take a request whose body may still be on its way.

        Raises:
            RequestRefused: 403, before a byte of the body is read.
        """
        granted = self.origins.judge(request.headers)
        try:
            sent = await read_body(request, self._settings.body_bytes, self._settings.body_deadline_s)
        except RequestRefused as why:
            return refusal(why).plus(*granted)
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._store(request.headers, request.remote or "", sent, granted, partial(_settle, answered))
        return await answered

    def take_whole(self, headers: CIMultiDictProxy[str], remote: str, sent: bytes, send: Send) -> None:
        """Take a request that is there to its end; it is answered once, now or after the commit."""
        try:
            granted = self.origins.judge(headers)
        except RequestRefused as why:
            send(refusal(why))
        else:
            self._store(headers, remote, sent, granted, send)

    def _store(self, headers: CIMultiDictProxy[str], remote: str, sent: bytes, granted: Headers, send: Send) -> None:
        try:
            read = self._read(headers, remote, sent)
            if read.envelopes:
                self._spool.append_soon(read.envelopes, partial(self._stored, read, granted, send))
                return
            answer = _told(read, granted)
        except Exception as error:
            answer = self._refused(error, granted)
        send(answer)

    def _stored(self, read: _Read, granted: Headers, send: Send, outcome: int | Exception) -> None:
        if isinstance(outcome, Exception):
            send(self._refused(outcome, granted))
            return
        self._metrics.accepted(BROWSER_SOURCE, len(read.envelopes))
        send(_told(read, granted))

    def _refused(self, error: Exception, granted: Headers) -> Answer:
        return refusal(self._why(error)).plus(*granted)

    def _read(self, headers: CIMultiDictProxy[str], remote: str, sent: bytes) -> _Read:
        """Read a body to its end; of all that this takes only what is to be kept waits for the disk."""
        limit_bytes = self._settings.body_bytes
        if len(sent) > limit_bytes:
            raise too_big(limit_bytes)
        self._metrics.body(len(sent))
        batch = read_batch(decompressed(sent, headers.get(hdrs.CONTENT_ENCODING), limit_bytes))
        has_gpc = headers.get(_SEC_GPC) == "1"
        cookie_header = headers.get(hdrs.COOKIE)
        evidence = Evidence(batch, cookie_header, self._settings.consent_meanings, has_gpc=has_gpc)
        visitor = self._visitors.identify(cookie_header, batch, evidence.heard)
        now_ms = self._clock.moment_ms(batch.sent_at_ms)
        vendor_ids, unreadable = self._vendor_cookies.read(cookie_header)
        set_cookies = () if visitor.set_cookie is None else (visitor.set_cookie,)
        if self._settings.meta_cookies and self._visitors.allows_advertising(evidence.heard()):
            is_new, renews, origin = visitor.is_new, visitor.set_cookie is not None, headers.get(hdrs.ORIGIN)
            seen = self._vendor_cookies.with_metas(
                vendor_ids, unreadable, batch, origin, now_ms, is_new=is_new, renews=renews
            )
            vendor_ids, set_cookies = seen.kept, (*set_cookies, *seen.set_cookies)
        peer = None if self._settings.listen[0] == "unix" else remote
        arrival = Arrival(
            now_ms,
            BROWSER_SOURCE,
            visitor.browser,
            self._addresses.find(peer, headers.getall(hdrs.X_FORWARDED_FOR, ())),
            headers.get(hdrs.USER_AGENT),
            has_gpc,
            evidence.kept_cookies(),
            vendor_ids,
        )
        envelopes, rejected = parse_envelopes(batch, arrival)
        for one in rejected:
            self._metrics.rejected(one.code)
        accepted = len(envelopes)
        if not envelopes and evidence.heard().answers:
            envelopes = [encode(consent_event(batch, arrival))]
        return _Read(envelopes, accepted, rejected, set_cookies)


def _told(read: _Read, granted: Headers) -> Answer:
    """Give the answer to a batch, with its cookies where anything of it was stored."""
    if not read.rejected:
        return no_content(granted, read.set_cookies)
    set_cookies = read.set_cookies if read.envelopes else ()
    return _partly(read.accepted, read.rejected).plus(*granted)._replace(set_cookies=set_cookies)


def _partly(accepted: int, rejected: list[Rejected]) -> Answer:
    listed = [{"index": one.index, "code": one.code, "message": one.message} for one in rejected]
    if accepted:
        return json_answer(200, {"accepted": accepted, "rejected": listed})
    error = {"code": "no_valid_event", "message": "no event of this batch can be taken"}
    return json_answer(400, {"error": error, "accepted": 0, "rejected": listed})


def _settle(answered: asyncio.Future[Answer], answer: Answer) -> None:
    if not answered.done():  # else who waited for it was told to end
        answered.set_result(answer)
