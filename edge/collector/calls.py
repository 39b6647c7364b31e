"""Servers' calls: write key → envelopes → spool → answer. No cookie, no origin, no address of the peer."""

import asyncio
from collections.abc import Sequence
from typing import Any

from aiohttp import hdrs, web

from edge.clock import SteadyClock
from edge.collector.answers import Answer, all_taken, call_refusal, json_answer
from edge.collector.door import decompressed, read_body
from edge.collector.event_log import EventLog
from edge.collector.settings import CollectorSettings
from edge.collector.write_keys import KEY_CODES, WriteKeys
from edge.errors import RequestRefused
from edge.event import encode
from edge.metrics import CollectorMetrics
from edge.server_wire import UNSUPPORTED, Calls, parse_calls, read_calls
from edge.wire import Rejected, read_json

SPAN_MESSAGES = 100  # a few ms


class ServerCalls:
    """Takes what servers post, and answers as their libraries expect."""

    def __init__(
        self, settings: CollectorSettings, spool: EventLog, *, clock: SteadyClock, metrics: CollectorMetrics
    ) -> None:
        self._settings, self._spool, self._clock, self._metrics = settings, spool, clock, metrics
        self._keys = WriteKeys(settings.write_keys)

    async def take(self, request: web.BaseRequest, address: str) -> Answer:
        """Take one request at {prefix}/v1/{address}; its answer comes after the commit.

        Raises:
            RequestRefused: no part of it can be taken.
            StorageError: nothing of it was stored.
        """
        try:
            source, body = await self._received(request)
        except RequestRefused as why:
            if why.code in KEY_CODES:
                self._metrics.key_refused(why.code)
            raise
        return await self._stored(read_calls(body, address), source)

    async def _received(self, request: web.BaseRequest) -> tuple[str, Any]:
        """Give who posts, and the body's JSON; a wrong key in the header is refused before the body is read."""
        source = self._keys.find(request.headers.get(hdrs.AUTHORIZATION))
        limit_bytes = self._settings.call_bytes
        sent = await read_body(request, limit_bytes, self._settings.body_deadline_s)
        self._metrics.body(len(sent))
        body = read_json(decompressed(sent, request.headers.get(hdrs.CONTENT_ENCODING), limit_bytes))
        return source or self._keys.find_in(body), body

    async def _stored(self, calls: Calls, source: str) -> Answer:
        """Commit what is good, and say what was not; between spans of a large batch others have their turn."""
        envelopes: list[bytes] = []
        rejected: list[Rejected] = []
        received_at_ms, accepted = self._clock.moment_ms(calls.sent_at_ms), 0
        for start in range(0, len(calls.messages), SPAN_MESSAGES):
            taken = parse_calls(calls, source, received_at_ms, start=start, stop=start + SPAN_MESSAGES)
            envelopes += [encode(event) for event in taken.kept]
            rejected += taken.rejected
            accepted += taken.accepted
            await asyncio.sleep(0)
        for one in rejected:
            self._metrics.rejected(one.code)
        if envelopes:
            await self._spool.append(envelopes)
            self._metrics.accepted(source, len(envelopes))
        return _partly(accepted, rejected) if rejected else all_taken()


def _partly(accepted: int, rejected: Sequence[Rejected]) -> Answer:
    """Tell which messages were refused.

    As long as anything was taken, or nothing was wrong but that we do not support it, the answer is good: a library
    gives a whole batch up on 400, and would repeat it on anything worse.
    """
    listed = [{"index": one.index, "code": one.code, "message": one.message} for one in rejected]
    if accepted or all(one.code == UNSUPPORTED for one in rejected):
        return json_answer(200, {"success": True, "accepted": accepted, "rejected": listed})
    first = rejected[0]
    why = RequestRefused(400, first.code, first.message)
    if len(rejected) > 1:
        why = RequestRefused(400, "no_valid_event", "no message of this batch can be taken")
    return call_refusal(why, accepted=0, rejected=listed)
