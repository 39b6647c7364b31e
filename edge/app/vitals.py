"""What the drainer's process tells of itself, so that somebody can judge it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from edge.alerting import DrainerVitals, PipelineVitals
from edge.app.lanes import Lanes
from edge.app.reloading import Reloader
from edge.clock import Clock
from edge.ledger.ages import PipelineStanding, read_standings
from edge.metrics import DrainerMetrics
from edge.resolver import Resolver

LOOK_EVERY_S = 5.0
# A look takes at most this share of the time, however many events wait.
LOOK_SHARE = 0.02


class VitalSigns:
    """Looks into the ledger every few seconds, and puts together what is known at any moment."""

    def __init__(
        self, ledger: Path, resolver: Resolver, lanes: Lanes, reloader: Reloader, metrics: DrainerMetrics, clock: Clock
    ) -> None:
        self._ledger, self._resolver, self._lanes, self._reloader = ledger, resolver, lanes, reloader
        self._metrics, self._clock = metrics, clock
        self._standings: dict[str, PipelineStanding] | None = None

    async def follow(self, stop: asyncio.Event, rest: Callable[[float], Awaitable[None]]) -> None:
        """Look again and again until told to stop."""
        while not stop.is_set():
            began_s = self._clock.monotonic_s()
            await self.look()
            took_s = self._clock.monotonic_s() - began_s
            await rest(max(LOOK_EVERY_S, took_s / LOOK_SHARE))

    async def look(self) -> None:
        """Read how the pipelines stand; what cannot be read stays as it was."""
        found = await read_standings(self._ledger)
        if found is None:
            return
        for name in (self._standings or {}).keys() - found.keys() | found.keys() - set(self._lanes.names):
            with suppress(KeyError):
                self._metrics.oldest.remove(name)
        self._standings = {name: one for name, one in found.items() if name in self._lanes}

    def now(self) -> DrainerVitals | None:
        """Give what is known, and show it as metrics; None before the first look, when all would seem gone."""
        if self._standings is None:
            return None
        now_ms, paused = self._clock.now_ms(), self._lanes.paused
        lag_s = self._resolver.lag_ms / 1_000
        self._metrics.resolver_lag.set(lag_s)
        pipelines = {}
        for name, one in self._standings.items():
            oldest_s = max(0, now_ms - one.oldest_ms) / 1_000 if one.oldest_ms is not None else 0.0
            self._metrics.oldest.labels(name).set(oldest_s)
            pipelines[name] = PipelineVitals(name in paused, oldest_s, one.dead)
        return DrainerVitals(lag_s, pipelines, self._reloader.problem_counts)
