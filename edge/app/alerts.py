"""Judges what processes report, and tells a webhook of what changes; nobody ever waits for it."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from edge import __version__
from edge.alerting import Alerts, Change, Judge, Message, Seen, body_of, headers_of
from edge.app.alert_memory import AlertMemory
from edge.clock import Clock
from edge.config import AlertsConfig
from edge.delivery import Request, Uniform, backoff_s
from edge.errors import TransportFailed
from edge.metrics import SupervisorMetrics
from edge.transport import Transport

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 2.0
ASK_EVERY_S = 1.0


class AlertDesk:
    """Two loops: `look` judges, `tell` posts what the receiver does not know yet, one message at a time."""

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
        told = memory.read() if config.webhook is not None else []
        self._alerts = Alerts(told, repeat_s=config.repeat_s, now_s=now_s)
        self._failures = 0
        self._wait_until_s = now_s

    async def run(self, stop: asyncio.Event) -> None:
        """Look and tell until told to stop; a mistake of ours in one round costs that round."""
        loops = [self._again(stop, self._look, LOOK_EVERY_S)]
        if self._config.webhook is not None:
            loops.append(self._again(stop, self.tell, ASK_EVERY_S))
        await asyncio.gather(*loops)

    def look(self) -> None:
        """Judge what is seen now, and log what changed."""
        now_s = self._clock.monotonic_s()
        judgement = self._judge.judge(self._seen(), now_s)
        for change in self._alerts.observe(judgement, now_s, self._clock.now_ms()):
            _log(change)
        self._metrics.raised.clear()
        for kind, about in self._alerts.raised:
            self._metrics.raised.labels(kind, about).set(1)

    async def tell(self) -> None:
        """Post the next message, if there is one and its time has come; a failure backs off, up to 15 minutes."""
        now_s = self._clock.monotonic_s()
        message = self._alerts.next_message(now_s) if now_s >= self._wait_until_s else None
        if message is None:
            return
        problem = await self._post(message)
        self._metrics.messages.labels("failed" if problem else "told").inc()
        if problem:
            self._failures += 1
            wait_s = backoff_s(self._failures, self._uniform)
            self._wait_until_s = self._clock.monotonic_s() + wait_s
            log.warning("alert not told", alert=message.key.kind, about=message.key.about, reason=problem)
            return
        self._failures = 0
        self._alerts.tell(message, self._clock.monotonic_s())
        await self._remember()

    async def _post(self, message: Message) -> str:
        """Say why the receiver did not take a message, "" when it did; its own words are not ours to repeat."""
        webhook = self._config.webhook
        assert webhook is not None, "nobody is told without an address"
        body = body_of(message, self._site)
        headers = headers_of(message, body, self._clock.now_ms(), self._config.secret)
        headers["User-Agent"] = f"datafly-edge/{__version__}"
        try:
            answer = await self._transport.send(Request("POST", webhook.reveal(), headers, body))
        except TransportFailed as error:
            return str(error)
        except Exception as error:  # whatever a receiver does to our client, the next try is the answer
            return type(error).__name__
        return "" if 200 <= answer.status < 300 else str(answer.status)

    async def _remember(self) -> None:
        try:
            await asyncio.to_thread(self._memory.write, self._alerts.told)
        except OSError as error:
            log.warning("alerts are not remembered", error=error.strerror)

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
