"""Sending jobs: chains of batches side by side, one visitor's events in order, each answer turned into a settlement."""

import asyncio
import math
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import structlog

from edge.budget import Budget, Lane
from edge.clock import Clock
from edge.consent import Purpose
from edge.delivery import (
    DeadLetter,
    Delivered,
    Fate,
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
from edge.destinations.base import Choosy
from edge.drainer.batching import batch_size, chains_of
from edge.drainer.health import Health
from edge.drainer.inquiring import receipt_of
from edge.drainer.jobs import Job, waiting
from edge.drainer.letters import letter_of
from edge.drainer.talking import Answered, converse
from edge.errors import Interrupted
from edge.ledger.letters import UNCLEAR_REASON
from edge.ledger.records import Settlement
from edge.metrics import DrainerMetrics
from edge.pipeline import Pipeline
from edge.transport import Transport

log = structlog.get_logger(__name__)

Undelivered: TypeAlias = Retry | Throttled | Refused | Rejected | Unclear

UNCLEAR_WAIT_MS = 1_000
# What is not live begins nothing later than this, so that what comes meanwhile need not wait until all of it is sent.
HASTE_S = 0.5


class _NotNow(Exception):
    """Raised inside this file when a conversation may not begin now; what it is about stays behind."""


class _Withdrawn(Exception):
    """Raised inside this file when somebody withdrew while a conversation waited for its turn; it begins anew."""


@dataclass(slots=True)
class _Talk:
    """A conversation on its way. Until a moment its first request waits for its turn, which it may have already."""

    jobs: Sequence[Job]
    lane: Lane
    until_s: float
    has_turn: bool
    has_begun: bool = False


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
        wall: Clock,
        uniform: Uniform,
        pause: Callable[[float], Awaitable[None]],
        denied: Callable[[int, Iterable[int], Purpose], Purpose],
        metrics: DrainerMetrics,
        concurrency: int,
    ) -> None:
        self._pipeline, self._transport, self._budget, self._health = pipeline, transport, budget, health
        self._clock, self._wall, self._uniform, self._pause, self._metrics = clock, wall, uniform, pause, metrics
        self._denied, self._asked, self._concurrency = denied, int(pipeline.purposes), concurrency
        self._choosy = pipeline.destination if isinstance(pipeline.destination, Choosy) else None
        self.is_stopping = False

    async def send(self, jobs: Sequence[Job], *, is_backlog: bool = False) -> list[Settlement]:
        """Send jobs and give a settlement for each; those that had to stay behind wait without an attempt.

        Only what is live is begun whenever its turn comes; of the rest, what has no turn within half a second stays.
        """
        until_s = self._clock.monotonic_s() + HASTE_S
        size = batch_size(self._pipeline.destination, is_backlog=is_backlog)
        chains = deque(sorted(chains_of(jobs, size, self._goes_alone), key=_haste))
        settlements: list[Settlement] = []
        workers = [
            asyncio.create_task(self._send_chains(chains, until_s, settlements))
            for _ in range(min(self._concurrency, len(chains)))
        ]
        try:
            await asyncio.gather(*workers)
        except BaseException:
            # Nothing of this page may still be on its way when it is taken again.
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            raise
        return settlements

    def _goes_alone(self, job: Job) -> bool:
        return job.is_alone or (self._choosy is not None and self._choosy.goes_alone(job.payload))

    async def _send_chains(self, chains: deque[list[list[Job]]], until_s: float, settlements: list[Settlement]) -> None:
        """Send the next chain until there is none; many do so side by side."""
        while chains:
            settlements += await self._send_in_order(chains.popleft(), until_s)

    async def _send_in_order(self, chain: Sequence[Sequence[Job]], until_s: float) -> list[Settlement]:
        """Send batches one after the other; who has to wait, waits with all that follows of the same visitor."""
        settlements: list[Settlement] = []
        waiting_visitors: set[int] = set()
        for batch in chain:
            is_over = self._clock.monotonic_s() >= until_s
            goes: list[Job] = []
            for job in batch:
                if (is_over and job.lane is not Lane.LIVE) or job.visitor in waiting_visitors:
                    settlements.append(self._stay_behind(job))
                    waiting_visitors.add(job.visitor)
                else:
                    goes.append(job)
            made = await self._send_together(goes, until_s)
            settlements += made
            waiting_visitors |= {settlement.visitor for settlement in made if settlement.fate is Fate.WAITING}
        return settlements

    async def _send_together(self, jobs: Sequence[Job], until_s: float) -> list[Settlement]:
        """Send a batch in one conversation; who withdraws before its first request goes out has no part in it."""
        settlements: list[Settlement] = []
        has_turn = False
        while True:
            stopped = self._stopped(jobs)
            if stopped:
                settlements += [self._stop(job, stopped[job.seq]) for job in jobs if job.seq in stopped]
                jobs = [job for job in jobs if job.seq not in stopped]
            if not jobs:
                return settlements
            try:
                answered = await self._ask(jobs, until_s, has_turn=has_turn)
            except _NotNow:
                return settlements + [self._stay_behind(job) for job in jobs]
            except _Withdrawn:
                has_turn = True
            else:
                return settlements + self._settlements(jobs, answered)

    def _stopped(self, jobs: Sequence[Job]) -> dict[int, Fate]:
        """Give what may not go out any more at the last moment, by number.

        What may only say less now waits anew, and with it what follows of the same visitor.
        """
        now_ms, found, behind = self._clock.now_ms(), dict[int, Fate](), set[int]()
        for job in jobs:
            denied = int(self._denied(job.visitor, job.persons, job.asks))
            if self._asked & denied:
                found[job.seq] = Fate.WITHHELD
            elif job.visitor in behind or int(job.told) & denied:
                found[job.seq] = Fate.WAITING
                behind.add(job.visitor)
            elif self._pipeline.is_refused_at(job.payload.time_ms, now_ms):
                found[job.seq] = Fate.EXPIRED
        return found

    def _stop(self, job: Job, fate: Fate) -> Settlement:
        if fate is Fate.WAITING:
            return self._stay_behind(job)
        reason = self._pipeline.age_limit if fate is Fate.EXPIRED else ""
        return self._end(job, fate)._replace(attempts=job.attempts, reason=reason)

    async def _waits_for_turn(self, budget: str, lane: Lane, until_s: float) -> bool:
        """Wait for the budget's turn.

        False when it did not come until then, when the pipeline closed meanwhile or the vendor asks for a long rest.
        """
        turn = self._budget.join(budget, lane)
        try:
            while self._is_open(now_s := self._clock.monotonic_s()):
                wait_s = self._budget.wait_s(turn, now_s)
                if wait_s == 0:
                    return True
                if self._clock.monotonic_s() >= until_s:
                    return False
                await self._pause(wait_s)
            return False
        finally:
            self._budget.leave(turn)

    def _takes_turn(self, budget: str, lane: Lane) -> bool:
        """Take the budget's turn where nobody stands in line for it, as it is mostly."""
        now_s = self._clock.monotonic_s()
        return self._is_open(now_s) and self._budget.take(budget, lane, now_s)

    def _is_open(self, now_s: float) -> bool:
        return not self.is_stopping and self._budget.pause_s(now_s) == 0 and self._health.allowance(now_s) > 0

    async def _ask(self, jobs: Sequence[Job], until_s: float, *, has_turn: bool) -> Answered:
        now_ms, fresh_ms = self._clock.now_ms(), self._pipeline.fresh_for_s * 1_000
        payloads = [
            replace(job.payload, is_backfill=True) if now_ms - job.payload.time_ms > fresh_ms else job.payload
            for job in jobs
        ]
        talk = _Talk(jobs, min([job.lane for job in jobs]), until_s, has_turn)
        try:
            conversation = self._pipeline.destination.deliver(payloads, self._wall.now_ms())
            answered = await converse(conversation, len(jobs), partial(self._say, talk))
        except (_NotNow, _Withdrawn):
            raise
        except Exception as error:  # a mistake of ours costs these events a repeat, each by itself
            log.exception("delivery failed unforeseen", pipeline=self._pipeline.name, seqs=[job.seq for job in jobs])
            answered = Answered([Unclear(type(error).__name__)] * len(jobs))
        self._learn(answered)
        return answered

    async def _say(self, talk: _Talk, request: Request) -> Response:
        """Send a conversation's next request when its turn has come and nobody whom it is about has withdrawn.

        A conversation that has begun waits for its turns as long as it takes.

        Raises:
            TransportFailed: no complete answer; Interrupted where it was not sent at all.
        """
        is_first, has_turn = not talk.has_begun, talk.has_turn
        talk.has_begun, talk.has_turn = True, False
        if not has_turn and not self._takes_turn(request.budget, talk.lane):
            limit_s = talk.until_s if is_first and talk.lane is not Lane.LIVE else math.inf
            if not await self._waits_for_turn(request.budget, talk.lane, limit_s):
                raise _NotNow if is_first else Interrupted("not sent, the rest waits")
        if self._stopped(talk.jobs):
            raise _Withdrawn if is_first else Interrupted("not sent, somebody withdrew meanwhile")
        response = await self._transport.send(request)
        self._budget.answered(self._clock.monotonic_s(), request.budget, response.status, response.headers)
        return response

    def _learn(self, answered: Answered) -> None:
        now_s, outcomes = self._clock.monotonic_s(), answered.outcomes
        kinds = Counter(map(type, outcomes))
        for kind, events in kinds.items():
            self._metrics.answers.add(events, self._pipeline.name, kind.__name__.lower())
        if Throttled in kinds:
            self._budget.throttle(now_s, max(one.after_s for one in outcomes if isinstance(one, Throttled)))
        if Refused in kinds:
            self._health.refused(now_s, next(one.reason for one in outcomes if isinstance(one, Refused)))
        elif Delivered in kinds or Rejected in kinds:
            self._health.worked()
        elif Throttled not in kinds and not answered.was_interrupted:
            self._health.failed(now_s)

    def _settlements(self, jobs: Sequence[Job], answered: Answered) -> list[Settlement]:
        """Settle a conversation's jobs one by one; those that go again go at one moment."""
        draw, now_ms = self._uniform(0.0, 1.0), self._clock.now_ms()
        is_alone, is_shared = not answered.is_known, len(jobs) > 1
        settlements = []
        for job, outcome in zip(jobs, answered.outcomes, strict=True):
            if isinstance(outcome, Delivered):
                settlements.append(self._delivered(job, outcome, now_ms))
                continue
            letter = self._letter(job, outcome, answered, is_shared=is_shared)
            told = job._replace(is_alone=True) if is_alone else job
            settlements.append(self._unsent(told, outcome, now_ms, draw, letter))
        return settlements

    def _delivered(self, job: Job, outcome: Delivered, now_ms: int) -> Settlement:
        name = outcome.receipt
        receipt = receipt_of(self._pipeline.destination, name, now_ms) if name else None
        attempts = job.attempts + 1
        return Settlement(job.seq, job.visitor, Fate.DELIVERED, attempts, is_stranger=job.is_stranger, receipt=receipt)

    def _unsent(
        self, job: Job, outcome: Undelivered, now_ms: int, draw: float, letter: DeadLetter | None
    ) -> Settlement:
        match outcome:
            case Retry(reason):
                wait_s = backoff_s(job.attempts + 1, lambda low, high: low + draw * (high - low))
                return waiting(job, now_ms + round(wait_s * 1_000), reason, attempts=job.attempts + 1)
            case Throttled(after_s):
                return waiting(job, now_ms + round(after_s * 1_000), "429", attempts=job.attempts)
            case Refused(reason):
                return waiting(job, now_ms, reason, attempts=job.attempts)
            case Unclear(reason, is_final=False) if not job.reason.startswith(UNCLEAR_REASON):
                return waiting(job, now_ms + UNCLEAR_WAIT_MS, f"{UNCLEAR_REASON}: {reason}", attempts=job.attempts + 1)
            case Unclear() | Rejected():
                return self._end(job, Fate.DEAD)._replace(letter=letter)

    def _letter(self, job: Job, outcome: Undelivered, answered: Answered, *, is_shared: bool) -> DeadLetter | None:
        if not isinstance(outcome, Rejected | Unclear):
            return None
        return letter_of(job, outcome, answered, is_shared=is_shared)

    def _end(self, job: Job, fate: Fate) -> Settlement:
        return Settlement(
            seq=job.seq,
            visitor=job.visitor,
            fate=fate,
            attempts=job.attempts + 1,
            event_id=job.event_id,
            event_name=job.event_name,
            is_stranger=job.is_stranger,
            time_ms=job.payload.time_ms,
            told=job.told,
        )

    def _stay_behind(self, job: Job) -> Settlement:
        return waiting(job, self._clock.now_ms(), job.reason or "behind", attempts=job.attempts)


def _haste(chain: Sequence[Sequence[Job]]) -> Lane:
    return min([job.lane for batch in chain for job in batch])
