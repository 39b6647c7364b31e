"""Asking vendors what became of events that they took: one call at a time, each account at its own rate."""

import math
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

import structlog

from edge.budget import Budget
from edge.clock import Clock
from edge.delivery import (
    CAP_S,
    Conversation,
    Delivered,
    Inquiry,
    Outcome,
    Refused,
    Rejected,
    Throttled,
    Told,
    Unclear,
    Undecided,
    Uniform,
    backoff_s,
    told_of,
)
from edge.destinations.base import Destination, TellsLater
from edge.drainer.talking import converse, take_turn
from edge.errors import StorageFull
from edge.ledger.receipts import UNTOLD, OpenReceipt, Receipt, ReceiptLedger, Said, Verdict
from edge.metrics import DrainerMetrics
from edge.pipeline import Pipeline
from edge.transport import Transport

log = structlog.get_logger(__name__)

TIDY_EVERY_S, FULL_REST_S = 60.0, 60.0
LEAST_AGAIN_S = 60.0


def receipt_of(destination: Destination, name: str, now_ms: int) -> Receipt | None:
    """Give what is kept of a delivery about which a vendor says more later; None where it does not."""
    if not name or not isinstance(destination, TellsLater):
        return None
    due_ms, until_ms = (now_ms + round(s * 1_000) for s in (destination.inquire_after_s, destination.inquire_for_s))
    return Receipt(name, due_ms, until_ms)


@dataclass(slots=True)
class _Account:
    """How fast one account may be asked, and until when it is left alone (monotonic)."""

    budget: Budget
    rests_until_s: float = -math.inf
    failures: int = 0


class Inquirer:
    """Asks about the receipts that the ledger keeps; `pipelines` are those that run now.

    What it learns is counted and logged; it changes nothing about an event, and where it stands still only diagnoses
    are late.
    """

    def __init__(
        self,
        ledger: ReceiptLedger,
        *,
        pipelines: Callable[[], Iterable[Pipeline]],
        transport: Transport,
        clock: Clock,
        wall: Clock,
        uniform: Uniform,
        pause: Callable[[float], Awaitable[None]],
        metrics: DrainerMetrics,
    ) -> None:
        self._ledger, self._pipelines, self._transport, self._clock = ledger, pipelines, transport, clock
        self._wall, self._uniform, self._pause, self._metrics = wall, uniform, pause, metrics
        self._accounts: dict[str, _Account] = {}
        self._tidy_at_s = self._full_until_s = -math.inf

    async def step(self) -> bool:
        """Ask about the next receipt that is due; False when there is none, or no room to note an answer."""
        if self._clock.monotonic_s() < self._full_until_s:
            return False
        try:
            return await self._step()
        except StorageFull as error:
            log.warning("inquiries wait for room", error=str(error))
            self._full_until_s = self._clock.monotonic_s() + FULL_REST_S
            return False

    async def _step(self) -> bool:
        await self._tidy()
        asked = {one.name: one.destination for one in self._pipelines() if isinstance(one.destination, TellsLater)}
        now_s = self._clock.monotonic_s()
        awake = {name: one for name, one in asked.items() if self._account(one).rests_until_s <= now_s}
        receipt = await self._ledger.due(awake, self._clock.now_ms())
        if receipt is None:
            return False
        destination = awake[receipt.pipeline]
        await self._settle(receipt, destination, await self._ask(receipt, destination))
        return True

    def _account(self, destination: TellsLater) -> _Account:
        account = self._accounts.get(destination.account)
        if account is None:
            account = self._accounts[destination.account] = _Account(Budget(destination.inquiry_rate, share=1.0))
        return account

    async def _ask(self, receipt: OpenReceipt, destination: TellsLater) -> Told | Undecided | Outcome:
        await take_turn(self._account(destination).budget, self._clock, self._pause)
        said: list[Told | Undecided | Outcome] = []
        try:
            inquiry = destination.inquire(receipt.name, self._wall.now_ms())
            answered = await converse(_with_one_outcome(inquiry, said), 1, self._transport.send)
        except Exception as error:  # a mistake of ours costs this receipt a repeat, and nobody else anything
            log.exception("inquiry failed unforeseen", pipeline=receipt.pipeline)
            return Unclear(type(error).__name__)
        return said[0] if said else answered.outcomes[0]

    async def _settle(self, receipt: OpenReceipt, destination: TellsLater, said: Told | Undecided | Outcome) -> None:
        account, now_ms = self._account(destination), self._clock.now_ms()
        self._metrics.inquiries.labels(receipt.pipeline, type(said).__name__.lower()).inc()
        account.failures = account.failures + 1 if isinstance(said, Outcome) and _is_failure(said) else 0
        match said:
            case Told():
                await self._note(receipt, _said(said, receipt.events))
            case Rejected():
                await self._note(receipt, {UNTOLD: receipt.events})
            case Undecided():
                again_ms = max(now_ms - receipt.since_ms, round(LEAST_AGAIN_S * 1_000))
                await self._ledger.note_later(receipt, 0, now_ms + again_ms)
            case Throttled(after_s):
                await self._rest(receipt, account, after_s, attempts=receipt.attempts)
            case Refused(reason):
                why = told_of(reason)
                log.error("a vendor does not say what became of events", pipeline=receipt.pipeline, reason=why)
                await self._rest(receipt, account, CAP_S, attempts=receipt.attempts)
            case _:
                own_s = backoff_s(receipt.attempts + 1, self._uniform)
                others_s = backoff_s(account.failures, self._uniform)
                await self._rest(receipt, account, others_s, attempts=receipt.attempts + 1, own_s=own_s)

    async def _rest(
        self, receipt: OpenReceipt, account: _Account, after_s: float, *, attempts: int, own_s: float = 0.0
    ) -> None:
        """Leave an account alone for a while, and this receipt no less; another one comes first then."""
        account.rests_until_s = self._clock.monotonic_s() + after_s
        due_ms = self._clock.now_ms() + round(max(after_s, own_s) * 1_000)
        await self._ledger.note_later(receipt, attempts, due_ms)

    async def _note(self, receipt: OpenReceipt, said: Said) -> None:
        await self._ledger.note_told(receipt, said)
        self._count(receipt.pipeline, said)
        refused = {reason: events for (verdict, reason), events in said.items() if verdict == "refused"}
        if refused:
            log.warning(
                "a vendor threw away events that it had taken",
                pipeline=receipt.pipeline,
                events=receipt.events,
                reasons=refused,
            )

    def _count(self, pipeline: str, said: Said) -> None:
        for (verdict, reason), events in said.items():
            self._metrics.told_later.labels(pipeline, verdict, reason).inc(events)

    async def _tidy(self) -> None:
        """Now and then end what nobody answered in time, and forget what was said long ago."""
        if self._clock.monotonic_s() < self._tidy_at_s:
            return
        while over := await self._ledger.give_up(self._clock.now_ms()):
            by_pipeline = Counter[str]()
            for receipt in over:
                by_pipeline[receipt.pipeline] += receipt.events
            for pipeline, events in by_pipeline.items():
                self._count(pipeline, {UNTOLD: events})
                log.warning("a vendor never said what became of events", pipeline=pipeline, events=events)
        await self._ledger.forget(self._clock.now_ms())
        self._tidy_at_s = self._clock.monotonic_s() + TIDY_EVERY_S


def _with_one_outcome(inquiry: Inquiry, said: list[Told | Undecided | Outcome]) -> Conversation:
    """Make an inquiry a conversation about one payload; what it returns is put into `said`."""
    said.append((yield from inquiry))
    return [Delivered()]


def _is_failure(outcome: Outcome) -> bool:
    return not isinstance(outcome, Rejected | Throttled | Refused)


def _said(told: Told, events: int) -> Said:
    """Give verdicts of a receipt's events; no more are believed than there were."""
    said: dict[tuple[Verdict, str], int] = {}
    for reason, count in told.refused.items():
        said["refused", reason] = min(count, events)
    for reason, count in told.warned.items():
        said["warned", reason] = min(count, events)
    refused = sum(count for (verdict, _), count in said.items() if verdict == "refused")
    said["counted", ""] = max(0, events - refused)
    return said
