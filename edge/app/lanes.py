"""The running pipelines: one drainer a name, replaced whole between two of its steps."""

import random
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from edge.budget import SHARE, Budget
from edge.clock import Clock
from edge.consent import Purpose
from edge.delivery import Uniform
from edge.destinations.base import Destination
from edge.drainer import PipelineDrainer, Sender
from edge.drainer.health import Health
from edge.foreign_links import Hosts
from edge.ledger import Database, DeliveryLedger, revisions
from edge.ledger.records import Revision, Terms
from edge.metrics import DrainerMetrics
from edge.pipeline import Pipeline
from edge.spool import SpoolReader
from edge.transport import Transport


def revision_of(pipeline: Pipeline) -> Revision:
    """Give what the ledger keeps of a pipeline's content."""
    file = Path(pipeline.file).name
    terms = Terms(
        pipeline.is_known_by_click, pipeline.anonymous, pipeline.purposes, pipeline.is_enabled, pipeline.fresh_for_s
    )
    return Revision(pipeline.name, pipeline.integration, file, pipeline.hash, pipeline.text, terms)


@dataclass(frozen=True, slots=True)
class LaneParts:
    """What every pipeline's drainer shares with the others; vendors are told the moment by `wall`."""

    database: Database
    spool: SpoolReader
    transport: Transport
    clock: Clock
    wall: Clock
    metrics: DrainerMetrics
    pause: Callable[[float], Awaitable[None]]
    denied: Callable[[int, Iterable[int], Purpose], Purpose]
    recall: Callable[[Revision], Pipeline | None]
    concurrency: int
    page_events: int
    hosts: Hosts
    account_share: float = SHARE
    uniform: Uniform = field(default=random.uniform)


@dataclass(slots=True)
class _Lane:
    drainer: PipelineDrainer
    sender: Sender
    health: Health
    is_open: bool = False


class Lanes:
    """What runs now, by name. Who steps looks the drainer up before each step, so that no swap falls within one."""

    def __init__(self, parts: LaneParts) -> None:
        self._parts = parts
        self._budgets: dict[tuple[str, str], Budget] = {}
        self._lanes: dict[str, _Lane] = {}
        self._stepping: dict[str, _Lane] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._lanes

    @property
    def names(self) -> list[str]:
        """The names of the pipelines that run."""
        return list(self._lanes)

    @property
    def pipelines(self) -> list[Pipeline]:
        """What runs from its next step on."""
        return [lane.drainer.pipeline for lane in self._lanes.values()]

    def find(self, name: str) -> Pipeline | None:
        """Give the pipeline that runs under a name from its next step on."""
        lane = self._lanes.get(name)
        return lane.drainer.pipeline if lane is not None else None

    def waits_for(self, name: str) -> str:
        """Say why a pipeline sends nothing now; "" when it does."""
        if name not in self._lanes:
            return "no pipeline of this name runs"
        if name in self.paused:
            return "the pipeline is paused, its credentials are refused"
        return "the destination does not answer well" if self.is_blocked(name) else ""

    def destination(self, name: str) -> Destination | None:
        """Give what a pipeline delivers to from its next step on."""
        lane = self._lanes.get(name)
        return lane.drainer.pipeline.destination if lane is not None else None

    @property
    def drainers(self) -> list[PipelineDrainer]:
        """What steps next, one a pipeline."""
        return [lane.drainer for lane in self._lanes.values()]

    @property
    def paused(self) -> dict[str, str]:
        """Why pipelines are paused, by name."""
        reasons = {name: lane.health.paused_reason for name, lane in self._lanes.items()}
        return {name: reason for name, reason in reasons.items() if reason}

    def runs(self, pipeline: Pipeline) -> bool:
        """Tell whether a pipeline's very content runs, from the file that it came from."""
        lane = self._lanes.get(pipeline.name)
        return lane is not None and revision_of(lane.drainer.pipeline) == revision_of(pipeline)

    async def put(self, pipeline: Pipeline) -> None:
        """Run a pipeline from its next step on, in the place of the one that has its name.

        Health goes on with the name: an open circuit stays open. Budgets belong to accounts, whoever uses them.
        """
        ledger = await DeliveryLedger.register(self._parts.database, revision_of(pipeline), self._parts.clock.now_ms())
        before = self._lanes.get(pipeline.name) or self._stepping.get(pipeline.name)
        health = before.health if before else Health(self._parts.uniform)
        self._lanes[pipeline.name] = self._lane(pipeline, ledger, health)

    async def end(self, name: str) -> None:
        """Let a pipeline end with the step that it is in; what is open in it stays in the ledger."""
        await revisions.retire(self._parts.database, name)
        self._lanes.pop(name, None)
        if name not in self._stepping:
            self._forget(name)

    def stop(self) -> None:
        """Let everything that is being sent come to its end soon; what is not sent yet stays behind."""
        for lane in (*self._lanes.values(), *self._stepping.values()):
            lane.sender.is_stopping = True

    async def step(self, name: str) -> bool:
        """Let a pipeline do the next piece of work; False when there is none for now."""
        lane = self._stepping[name] = self._lanes[name]
        try:
            if not lane.is_open:
                await lane.drainer.open()
                lane.is_open = True
            return await lane.drainer.step()
        finally:
            del self._stepping[name]
            if name not in self._lanes:
                self._forget(name)

    def is_blocked(self, name: str) -> bool:
        """Whether news from the resolver are of no use to a pipeline now."""
        return name in self._lanes and self._lanes[name].drainer.is_blocked

    def _forget(self, name: str) -> None:
        """Take an ended pipeline's states, which would stand still for ever, out of the metrics."""
        for gauge in (self._parts.metrics.paused, self._parts.metrics.cursor):
            with suppress(KeyError):
                gauge.remove(name)

    def _lane(self, pipeline: Pipeline, ledger: DeliveryLedger, health: Health) -> _Lane:
        parts, destination = self._parts, pipeline.destination
        account = pipeline.integration, destination.account  # one key may open several vendors behind one proxy
        budget = self._budgets.setdefault(account, Budget(destination.rate, share=parts.account_share))
        sender = Sender(
            pipeline,
            transport=parts.transport,
            budget=budget,
            health=health,
            clock=parts.clock,
            wall=parts.wall,
            uniform=parts.uniform,
            pause=parts.pause,
            denied=parts.denied,
            metrics=parts.metrics,
            concurrency=parts.concurrency,
        )
        drainer = PipelineDrainer(
            pipeline,
            ledger=ledger,
            spool=parts.spool,
            sender=sender,
            health=health,
            budget=budget,
            clock=parts.clock,
            metrics=parts.metrics,
            pause=parts.pause,
            recall=parts.recall,
            page_events=parts.page_events,
            hosts=parts.hosts,
        )
        return _Lane(drainer, sender, health)
