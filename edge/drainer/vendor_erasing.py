"""Asking vendors to erase somebody: one call at a time, each account at its own rate, until it is answered for good."""

from collections.abc import Awaitable, Callable, Iterable, Sequence

import structlog

from edge.budget import Budget
from edge.clock import Clock
from edge.delivery import Delivered, Outcome, Refused, Rejected, Throttled, Uniform, backoff_s, told_of
from edge.destinations.base import CanErase, Destination, KeepsFiles
from edge.drainer.talking import converse, take_turn
from edge.identity import Named
from edge.ledger.vendor_erasing import VendorCall, VendorErasureLedger
from edge.metrics import DrainerMetrics
from edge.person import Identifiers
from edge.pipeline import Pipeline
from edge.transport import Transport

log = structlog.get_logger(__name__)

# What was on its way when the person was erased has arrived by then: a vendor must not make a profile of it afterwards.
FIRST_AFTER_S = 3.0
GIVE_UP_AFTER_S = 72 * 3_600.0
GONE = "no pipeline of this name runs any more"
TOO_LONG = "no good answer in 72 h"


def calls_for(pipelines: Iterable[Pipeline], names: Sequence[Named]) -> list[VendorCall]:
    """Give the calls that erase some identifiers at every vendor that offers it: one an account and identifier."""
    calls: list[VendorCall] = []
    for pipeline in _first_of_accounts(pipelines):
        destination = pipeline.destination
        if isinstance(destination, CanErase):
            calls += [
                VendorCall(pipeline.name, kind, value)
                for kind, value in names
                if destination.erase(Identifiers.of({kind: value})) is not None
            ]
    return calls


def without_calls(pipelines: Iterable[Pipeline], names: Sequence[Named]) -> list[str]:
    """Give the pipelines whose vendor is to be asked by hand, as it offers no call for any of these identifiers.

    Files of this machine have no vendor: they are written anew here.
    """
    pipelines = [one for one in pipelines if not isinstance(one.destination, KeepsFiles)]
    asked = {call.pipeline for call in calls_for(pipelines, names)}
    accounts = {_account(one) for one in pipelines if one.name in asked}
    return [one.name for one in pipelines if _account(one) not in accounts]


def _first_of_accounts(pipelines: Iterable[Pipeline]) -> list[Pipeline]:
    found: dict[tuple[str, str], Pipeline] = {}
    for pipeline in pipelines:
        found.setdefault(_account(pipeline), pipeline)
    return list(found.values())


def _account(pipeline: Pipeline) -> tuple[str, str]:
    """Name an account; one key may open several vendors behind one proxy."""
    return pipeline.integration, pipeline.destination.account


class VendorEraser:
    """Makes the calls that the ledger keeps; `find` gives the destination that a pipeline delivers to now."""

    def __init__(
        self,
        ledger: VendorErasureLedger,
        *,
        find: Callable[[str], Destination | None],
        transport: Transport,
        clock: Clock,
        uniform: Uniform,
        pause: Callable[[float], Awaitable[None]],
        metrics: DrainerMetrics,
    ) -> None:
        self._ledger, self._find, self._transport, self._clock = ledger, find, transport, clock
        self._uniform, self._pause, self._metrics = uniform, pause, metrics
        self._budgets: dict[str, Budget] = {}

    async def step(self) -> bool:
        """Make the next call that is due; False when there is none."""
        now_ms = self._clock.now_ms()
        call = await self._ledger.due(now_ms)
        if call is None:
            return False
        first_ms = call.since_ms + round(FIRST_AFTER_S * 1_000)
        if not call.attempts and now_ms < first_ms:
            await self._ledger.note_later(call, 0, first_ms, "")
            return True
        await self._settle(call, await self._ask(call))
        return True

    async def _ask(self, call: VendorCall) -> Outcome:
        destination = self._find(call.pipeline)
        if not isinstance(destination, CanErase):
            return Rejected(GONE)
        conversation = destination.erase(Identifiers.of({call.kind: call.value}))
        if conversation is None:
            return Rejected(f"the vendor has no call for a {call.kind}")
        budget = self._budgets.setdefault(destination.account, Budget(destination.erase_rate))
        await take_turn(budget, self._clock, self._pause)
        return (await converse(conversation, 1, self._transport.send)).outcomes[0]

    async def _settle(self, call: VendorCall, outcome: Outcome) -> None:
        now_ms, said = self._clock.now_ms(), type(outcome).__name__.lower()
        self._metrics.vendor_erasures.labels(call.pipeline, said).inc()
        match outcome:
            case Delivered():
                await self._ledger.note_end(call, "done", "")
            case Refused(reason) | Rejected(reason):
                log.error("a vendor refuses to erase", pipeline=call.pipeline, reason=told_of(reason))
                await self._ledger.note_end(call, "refused", reason)
            case _ if now_ms - call.since_ms > GIVE_UP_AFTER_S * 1_000:
                await self._ledger.note_end(call, "refused", TOO_LONG)
            case Throttled(after_s):
                await self._ledger.note_later(call, call.attempts, now_ms + round(after_s * 1_000), "429")
            case other:
                due_ms = now_ms + round(backoff_s(call.attempts + 1, self._uniform) * 1_000)
                await self._ledger.note_later(call, call.attempts + 1, due_ms, other.reason)
