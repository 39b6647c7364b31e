"""Judges what processes report, and tells a webhook of what changes; nobody ever waits for it."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from edge import __version__
from edge.alerting import Alerts, Change, Judge, Message, Seen, body_of, headers_of
from edge.app.alert_memory import AlertMemory
from edge.clock import Clock
from edge.config import AlertsConfig
from edge.delivery import CAP_S, Request, Uniform, backoff_s
from edge.destinations.answers import retry_after_s
from edge.errors import TransportFailed
from edge.metrics import SupervisorMetrics
from edge.transport import Transport

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 1.0
# Chat services take about so many; one that takes fewer answers 429, and is obeyed.
TELL_EVERY_S = 0.5
REMEMBER_EVERY_S = 1.0


class AlertDesk:
    """Three loops, none of which waits for another.

    `look` judges, `tell` posts what the receiver does not know yet, one message at a time, `remember` keeps both over
    restarts.
    """

    def __init__(
        self,
        config: AlertsConfig,
        site: str,
        *,
        seen: Callable[[], Seen],
        transport: Transport,
        clock: Clock,
        memory: AlertMemory,
        metrics: SupervisorMetrics,
        uniform: Uniform,
        rest: Callable[[float], Awaitable[None]],
    ) -> None:
        self._config, self._site, self._seen = config, site, seen
        self._transport, self._clock, self._memory, self._metrics = transport, clock, memory, metrics
        self._uniform, self._rest = uniform, rest
        now_s = clock.monotonic_s()
        self._judge = Judge(config.limits, now_s)
        self._remembered = memory.read() if config.webhook is not None else []
        self._alerts = Alerts(self._remembered, repeat_s=config.repeat_s, now_s=now_s)
        self._failures, self._is_forgetful = 0, False
        self._wait_until_s = now_s

    async def run(self, stop: asyncio.Event) -> None:
        """Look and tell until told to stop; a mistake of ours in one round costs that round."""
        loops = [self._again(stop, self._look, LOOK_EVERY_S)]
        if self._config.webhook is not None:
            loops.append(self._again(stop, self.tell, TELL_EVERY_S))
            loops.append(self._again(stop, self.remember, REMEMBER_EVERY_S))
        await asyncio.gather(*loops)
        if self._config.webhook is not None:
            await self.remember()

    def look(self) -> None:
        """Judge what is seen now, and log what changed."""
        now_s = self._clock.monotonic_s()
        seen = self._seen()
        for role, is_ready in seen.is_ready.items():
            self._metrics.ready.labels(role).set(is_ready)
        judgement = self._judge.judge(seen, now_s)
        for change in self._alerts.observe(judgement, now_s, self._clock.now_ms()):
            _log(change)
        self._metrics.raised.clear()
        for kind, about in self._alerts.raised:
            self._metrics.raised.labels(kind, about).set(1)

    async def tell(self) -> None:
        """Post the next message, if there is one and its time has come; failures back off, up to 15 minutes."""
        now_s = self._clock.monotonic_s()
        message = self._alerts.next_message(now_s) if now_s >= self._wait_until_s else None
        if message is None:
            return
        problem, asked_s = await self._post(message)
        self._metrics.messages.labels("failed" if problem else "told").inc()
        now_s = self._clock.monotonic_s()
        if not problem:
            self._failures = 0
            self._alerts.tell(message, now_s)
            return
        self._failures += 1
        self._wait_until_s = now_s + max(asked_s, backoff_s(self._failures, self._uniform))
        self._alerts.put_off(message)
        log.warning("alert not told", alert=message.key.kind, about=message.key.about, reason=problem)

    async def remember(self) -> None:
        """Write down what has changed since the last time; a disk that does not take it is tried again."""
        fresh = self._alerts.to_remember
        if fresh == self._remembered:
            return
        try:
            await asyncio.to_thread(self._memory.write, fresh)
        except OSError as error:
            if not self._is_forgetful:
                log.warning("alerts are not remembered", error=error.strerror)
            self._is_forgetful = True
        else:
            self._remembered, self._is_forgetful = fresh, False

    async def _post(self, message: Message) -> tuple[str, float]:
        """Say why the receiver did not take a message, "" when it did, and for how long it asks to be left alone.

        Its own words are not ours to repeat.
        """
        webhook = self._config.webhook
        assert webhook is not None, "nobody is told without an address"
        body = body_of(message, self._site)
        headers = headers_of(message, body, self._clock.now_ms(), self._config.secrets)
        headers["User-Agent"] = f"datafly-edge/{__version__}"
        try:
            answer = await self._transport.send(Request("POST", webhook.reveal(), headers, body))
        except TransportFailed as error:
            return str(error), 0.0
        except Exception as error:  # whatever a receiver does to our client, the next try is the answer
            return type(error).__name__, 0.0
        if 200 <= answer.status < 300:
            return "", 0.0
        return str(answer.status), retry_after_s(answer, unsaid_s=0.0, most_s=CAP_S, now_ms=self._clock.now_ms())

    async def _look(self) -> None:
        self.look()

    async def _again(self, stop: asyncio.Event, work: Callable[[], Awaitable[None]], every_s: float) -> None:
        while not stop.is_set():
            try:
                await work()
            except Exception:
                log.exception("alerting failed unforeseen")
            await self._rest(every_s)


def _log(change: Change) -> None:
    key, reading = change.key, change.reading
    if not change.is_raised:
        log.info("alert cleared", alert=key.kind, about=key.about)
        return
    value, limit = (None if one is None else round(one, 1) for one in (reading.value, reading.limit))
    log.warning("alert raised", alert=key.kind, about=key.about, value=value, limit=limit)
