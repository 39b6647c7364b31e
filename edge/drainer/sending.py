"""Sending jobs: visitors side by side, one visitor's events in order, each answer turned into a settlement."""

import asyncio
import math
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import orjson
import structlog

from edge.budget import Budget
from edge.clock import Clock
from edge.consent import Purpose
from edge.delivery import (
    Conversation,
    DeadLetter,
    Delivered,
    Fate,
    Outcome,
    Payload,
    Refused,
    Rejected,
    Request,
    Response,
    Retry,
    Throttled,
    Unclear,
    Uniform,
    backoff_s,
)
from edge.drainer.health import Health
from edge.errors import TransportFailed
from edge.ledger.records import Settlement
from edge.metrics import DrainerMetrics
from edge.pipeline import Pipeline
from edge.transport import Transport

log = structlog.get_logger(__name__)

SECRET_HEADERS = frozenset({"authorization", "access-token", "x-api-key"})
_SECRET_QUERY = re.compile(r"(?<=[?&])(api_secret|access_token|key|token)=[^&]*")
MAX_KEPT_CHARS = 20_000
UNCLEAR = "answer not understood"
UNCLEAR_WAIT_MS = 1_000


@dataclass(frozen=True, slots=True)
class Job:
    """One event on its way to one destination; `attempts` were made before.

    `is_stranger`: it goes under its visitor's own id; `joins`: it says beside that who it is.
    Denials of `asks` by one of `persons` stop it, as the visitor's do. `told` was granted when it was rendered.
    """

    seq: int
    visitor: int
    payload: Payload
    since_ms: int
    attempts: int = 0
    event_id: str = ""
    event_name: str = ""
    was_unclear: bool = False
    is_live: bool = True
    is_stranger: bool = False
    joins: bool = False
    persons: tuple[int, ...] = ()
    asks: Purpose = Purpose.NONE
    told: Purpose = Purpose.NONE


@dataclass(frozen=True, slots=True)
class Answered:
    """An outcome with what was said and heard last."""

    outcome: Outcome
    request: Request | None = None
    response: Response | None = None


class Sender:
    """Sends for one pipeline within its account's budget."""

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        transport: Transport,
        budget: Budget,
        health: Health,
        clock: Clock,
        uniform: Uniform,
        pause: Callable[[float], Awaitable[None]],
        denied: Callable[[int, Iterable[int], Purpose], Purpose],
        metrics: DrainerMetrics,
        concurrency: int,
    ) -> None:
        self._pipeline, self._transport, self._budget, self._health = pipeline, transport, budget, health
        self._clock, self._uniform, self._pause, self._metrics = clock, uniform, pause, metrics
        self._denied = denied
        self._turns = asyncio.Semaphore(concurrency)
        self.is_stopping = False

    async def send(self, jobs: Sequence[Job], *, until_s: float = math.inf) -> list[Settlement]:
        """Send jobs and give a settlement for each; those that had to stay behind wait without an attempt.

        Nothing is begun at `until_s` (monotonic) or later.
        """
        by_visitor: dict[int, list[Job]] = {}
        for job in jobs:
            by_visitor.setdefault(job.visitor, []).append(job)
        tasks = [asyncio.create_task(self._send_in_order(group, until_s)) for group in by_visitor.values()]
        try:
            groups = await asyncio.gather(*tasks)
        except BaseException:
            # Nothing of this page may still be on its way when it is taken again.
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise
        return [settlement for group in groups for settlement in group]

    async def _send_in_order(self, jobs: Sequence[Job], until_s: float) -> list[Settlement]:
        settlements: list[Settlement] = []
        async with self._turns:
            for index, job in enumerate(jobs):
                if self._clock.monotonic_s() >= until_s or not await self._may_send():
                    return settlements + [self._stay_behind(later) for later in jobs[index:]]
                stopped = self._stopped(job)
                if stopped is not None:
                    settlements.append(stopped)
                    continue
                settlement = self._settlement(job, await self._ask(job))
                settlements.append(settlement)
                if settlement.fate is Fate.WAITING:
                    return settlements + [self._stay_behind(later) for later in jobs[index + 1 :]]
        return settlements

    def _stopped(self, job: Job) -> Settlement | None:
        """End what may not go out any more, at the last moment."""
        if self._pipeline.purposes & self._denied(job.visitor, job.persons, job.asks):
            return replace(self._end(job, Fate.WITHHELD), attempts=job.attempts)
        if self._pipeline.is_refused_at(job.payload.time_ms, self._clock.now_ms()):
            return replace(self._end(job, Fate.EXPIRED), attempts=job.attempts, reason=self._pipeline.age_limit)
        return None

    async def _may_send(self) -> bool:
        """Wait for the budget's turn; False when the pipeline closed meanwhile or the vendor asks for a long rest."""
        now_s = self._clock.monotonic_s()
        if self.is_stopping or not self._health.allowance(now_s) or self._budget.pause_s(now_s) > 0:
            return False
        wait_s = self._budget.take(now_s)
        if wait_s > 0:
            await self._pause(wait_s)
        now_s = self._clock.monotonic_s()
        return not self.is_stopping and self._budget.pause_s(now_s) == 0 and self._health.allowance(now_s) > 0

    async def _ask(self, job: Job) -> Answered:
        is_old = self._clock.now_ms() - job.payload.time_ms > self._pipeline.fresh_for_s * 1_000
        payload = replace(job.payload, is_backfill=job.payload.is_backfill or is_old)
        try:
            conversation = self._pipeline.destination.deliver([payload], self._clock.now_ms())
            answered = await converse(conversation, self._transport)
        except Exception as error:  # a mistake of ours costs this one event, not its neighbours
            log.exception("delivery failed unforeseen", pipeline=self._pipeline.name, seq=job.seq)
            answered = Answered(Unclear(type(error).__name__))
        self._metrics.answers.labels(self._pipeline.name, type(answered.outcome).__name__.lower()).inc()
        self._learn(answered.outcome)
        return answered

    def _learn(self, outcome: Outcome) -> None:
        now_s = self._clock.monotonic_s()
        match outcome:
            case Retry() | Unclear():
                self._health.failed(now_s)
            case Refused(reason):
                self._health.refused(now_s, reason)
            case Throttled(after_s):
                self._budget.throttle(now_s, after_s)
            case _:
                self._health.worked()

    def _settlement(self, job: Job, answered: Answered) -> Settlement:
        now_ms = self._clock.now_ms()
        match answered.outcome:
            case Delivered():
                return self._end(job, Fate.DELIVERED)
            case Retry(reason):
                due_ms = now_ms + round(backoff_s(job.attempts + 1, self._uniform) * 1_000)
                return waiting(job, due_ms, reason, attempts=job.attempts + 1)
            case Throttled(after_s):
                return waiting(job, now_ms + round(after_s * 1_000), "429", attempts=job.attempts)
            case Refused(reason):
                return waiting(job, now_ms, reason, attempts=job.attempts)
            case Unclear(reason) if not job.was_unclear:
                return waiting(job, now_ms + UNCLEAR_WAIT_MS, f"{UNCLEAR}: {reason}", attempts=job.attempts + 1)
            case Unclear(reason) | Rejected(reason):
                return replace(self._end(job, Fate.DEAD), letter=letter_of(job, reason, answered))

    def _end(self, job: Job, fate: Fate) -> Settlement:
        return Settlement(
            seq=job.seq,
            visitor=job.visitor,
            fate=fate,
            attempts=job.attempts + 1,
            event_id=job.event_id,
            event_name=job.event_name,
            is_stranger=job.is_stranger,
        )

    def _stay_behind(self, job: Job) -> Settlement:
        return waiting(job, self._clock.now_ms(), "behind", attempts=job.attempts)


def waiting(job: Job, due_ms: int | None, reason: str, *, attempts: int) -> Settlement:
    """Keep a job's rendered payload for later."""
    return Settlement(
        seq=job.seq,
        visitor=job.visitor,
        fate=Fate.WAITING,
        attempts=attempts,
        due_at_ms=due_ms,
        payload=job.payload.body,
        time_ms=job.payload.time_ms,
        since_ms=job.since_ms,
        reason=reason,
        is_live=job.is_live,
        is_stranger=job.is_stranger,
        told=job.told,
    )


async def converse(conversation: Conversation, transport: Transport) -> Answered:
    """Drive one payload's conversation; a failed transport is a retry, the request may or may not have arrived."""
    request: Request | None = None
    response: Response | None = None
    try:
        request = next(conversation)
        while True:
            response = await transport.send(request)
            request = conversation.send(response)
    except StopIteration as end:
        return Answered(end.value[0], request, response)
    except TransportFailed as error:
        return Answered(Retry(str(error)), request, response)
    finally:
        conversation.close()


def letter_of(job: Job, reason: str, answered: Answered) -> DeadLetter:
    """Write a dead letter: the request with its credentials masked, the answer as it came."""
    return DeadLetter(
        reason=reason,
        request=shown_request(answered.request) if answered.request else "",
        response=_shown_response(answered.response) if answered.response else "",
        payload=job.payload.body,
    )


def shown_request(request: Request) -> str:
    """Give a request as JSON text, credentials masked."""
    headers = {n: "****" if n.lower() in SECRET_HEADERS else v for n, v in request.headers.items()}
    body = request.body.decode("utf-8", "replace")[:MAX_KEPT_CHARS]
    url = _SECRET_QUERY.sub(r"\1=****", request.url)
    return orjson.dumps({"method": request.method, "url": url, "headers": headers, "body": body}).decode()


def _shown_response(response: Response) -> str:
    body = response.body.decode("utf-8", "replace")[:MAX_KEPT_CHARS]
    return orjson.dumps({"status": response.status, "headers": dict(response.headers), "body": body}).decode()
