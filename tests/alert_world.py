"""What alerts are judged by, made by hand: everything well, with what a test says otherwise."""

from dataclasses import replace
from typing import Any

from edge.alerting import Alerts, CollectorVitals, DrainerVitals, Judge, Key, Kind, Limits, PipelineVitals, Seen
from tests.clock import FakeClock

GB = 10**9
EVERY_S = 5.0
COLLECTOR = CollectorVitals(7, GB, 20 * GB, 50 * GB, GB)
DRAINER = DrainerVitals(0.0, {"klaviyo": PipelineVitals(), "archive": PipelineVitals()})
ROLES = {"collector": True, "drainer": True}
WELL = Seen(COLLECTOR, DRAINER, ROLES, dict.fromkeys(ROLES, 0))


def collector(**changes: Any) -> Seen:
    return replace(WELL, collector=replace(COLLECTOR, **changes))


def pipeline(**changes: Any) -> Seen:
    """Give one of two pipelines another look."""
    return replace(
        WELL, drainer=replace(DRAINER, pipelines={**DRAINER.pipelines, "klaviyo": PipelineVitals(**changes)})
    )


def drainer(**changes: Any) -> Seen:
    return replace(WELL, drainer=replace(DRAINER, **changes))


def unready(role: str) -> Seen:
    return replace(WELL, is_ready={**ROLES, role: False})


def died(role: str, times: int) -> Seen:
    return replace(WELL, deaths={**WELL.deaths, role: times})


class Watched:
    """Rules and clock together; the changes are kept as ("raised", "paused", "klaviyo")."""

    def __init__(self, limits: Limits | None = None, repeat_s: float | None = None) -> None:
        self.clock = FakeClock()
        self.judge = Judge(limits or Limits(), self.clock.monotonic_s())
        self.alerts = Alerts((), repeat_s=repeat_s, now_s=self.clock.monotonic_s())
        self.changes: list[tuple[str, str, str]] = []

    def see(self, seen: Seen, for_s: float = EVERY_S) -> list[tuple[str, str, str]]:
        """Let a state last; give what changed."""
        before = len(self.changes)
        for _ in range(round(for_s / EVERY_S)):
            self.clock.advance(EVERY_S)
            now_s = self.clock.monotonic_s()
            for change in self.alerts.observe(self.judge.judge(seen, now_s), now_s, self.clock.now_ms()):
                self.changes.append(("raised" if change.is_raised else "cleared", *change.key))
        return self.changes[before:]

    def told(self) -> list[tuple[str, str, int]]:
        """Take every message that is due, and give (state, kind, reminder) of each."""
        taken = []
        while message := self.alerts.next_message(self.clock.monotonic_s()):
            self.alerts.tell(message, self.clock.monotonic_s())
            taken.append(("raised" if message.is_raised else "cleared", str(message.key.kind), message.reminder))
        return taken


def raised(kind: Kind, about: str = "") -> list[tuple[str, str, str]]:
    return [("raised", *Key(kind, about))]


def cleared(kind: Kind, about: str = "") -> list[tuple[str, str, str]]:
    return [("cleared", *Key(kind, about))]
