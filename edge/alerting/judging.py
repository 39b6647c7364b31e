"""What is seen, held against limits: a reading for everything that may be wrong, good, bad or in between."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from edge.alerting.vitals import CollectorVitals, DrainerVitals, Seen

HOUR_S, GB = 3_600.0, 10**9
DEAD_WINDOW_S = HOUR_S
RESTARTS_WINDOW_S = 600.0
# Good again only well below the limit: what stands at it says nothing new.
GOOD_SHARE = 0.5
GOOD_SPOOL_SHARE = 0.9
# Events are refused at spool.free_bytes: whoever is to prevent that must hear of it before.
FREE_MARGIN = 1.25
GOOD_FREE_SHARE = 1.2


class Kind(StrEnum):
    """What may be wrong. The set is closed."""

    PAUSED = "paused"
    PIPELINE_FILE = "pipeline_file"
    DEAD_LETTERS = "dead_letters"
    QUEUE_AGE = "queue_age"
    RESOLVER_LAG = "resolver_lag"
    SPOOL = "spool"
    DISK = "disk"
    NO_EVENTS = "no_events"
    NOT_READY = "not_ready"
    RESTARTS = "restarts"


class Key(NamedTuple):
    """What may be wrong with what: a pipeline, a pipeline's file or a process; "" for the whole."""

    kind: Kind
    about: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on something is wrong; None never judges it."""

    queue_age_s: float | None = 900.0
    dead_letters: int | None = 20
    resolver_lag_s: float | None = 60.0
    spool_percent: int | None = 80
    free_bytes: int | None = 2 * GB
    no_events_s: float | None = 6 * HOUR_S
    not_ready_s: float | None = 120.0
    restarts: int | None = 3


@dataclass(frozen=True, slots=True)
class Reading:
    """One figure; neither bad nor good means that what held before still does."""

    is_bad: bool
    is_good: bool
    value: float | None = None
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """The readings, and the kinds whose source has told: what such a kind has no reading of is not there any more."""

    readings: Mapping[Key, Reading]
    told: frozenset[Kind]


class Judge:
    """Remembers of the past what limits over a time need."""

    def __init__(self, limits: Limits, now_s: float) -> None:
        self._limits, self._began_s = limits, now_s
        self._dead: dict[str, _Window] = {}
        self._deaths: dict[str, _Window] = {}
        self._unready_since_s: dict[str, float] = {}
        self._last_seq: int | None = None
        self._event_at_s = now_s
        self._has_seen_event = False

    def judge(self, seen: Seen, now_s: float) -> Judgement:
        """Give a reading of everything that can be judged now."""
        readings = dict(self._processes(seen, now_s))
        told = {Kind.NOT_READY, Kind.RESTARTS}
        if "collector" in seen.is_ready:
            told |= {Kind.NO_EVENTS}
            readings.update(self._traffic(seen.collector, now_s))
        if seen.collector is not None:
            told |= {Kind.SPOOL, Kind.DISK}
            readings.update(self._room(seen.collector))
        if seen.drainer is not None:
            told |= {Kind.PAUSED, Kind.PIPELINE_FILE, Kind.DEAD_LETTERS, Kind.QUEUE_AGE, Kind.RESOLVER_LAG}
            readings.update(self._delivery(seen.drainer, now_s))
        return Judgement(readings, frozenset(told))

    def _processes(self, seen: Seen, now_s: float) -> Iterator[tuple[Key, Reading]]:
        for role, is_ready in seen.is_ready.items():
            since_s = self._unready_since_s.setdefault(role, now_s)
            if is_ready:
                del self._unready_since_s[role]
            if (limit_s := self._limits.not_ready_s) is not None:
                waited_s = 0.0 if is_ready else now_s - since_s
                is_bad = not is_ready and waited_s >= limit_s
                yield Key(Kind.NOT_READY, role), Reading(is_bad, is_ready, waited_s, limit_s)
        for role, deaths in seen.deaths.items():
            window = self._deaths.setdefault(role, _Window(RESTARTS_WINDOW_S, now_s, 0))
            within, limit = window.add(deaths, now_s), self._limits.restarts
            if limit is not None:
                is_good = within == 0 and window.is_full(now_s)
                yield Key(Kind.RESTARTS, role), Reading(within >= limit, is_good, within, limit)

    def _traffic(self, vitals: CollectorVitals | None, now_s: float) -> Iterator[tuple[Key, Reading]]:
        """Judge silence; before a first event nobody can say that events come again."""
        if vitals is not None and vitals.last_seq != self._last_seq:
            self._has_seen_event = self._has_seen_event or self._last_seq is not None
            self._last_seq, self._event_at_s = vitals.last_seq, now_s
        if (limit_s := self._limits.no_events_s) is not None:
            quiet_s = now_s - self._event_at_s
            is_bad = quiet_s >= limit_s
            yield Key(Kind.NO_EVENTS), Reading(is_bad, not is_bad and self._has_seen_event, quiet_s, limit_s)

    def _room(self, vitals: CollectorVitals) -> Iterator[tuple[Key, Reading]]:
        if (limit := self._limits.spool_percent) is not None:
            percent = 100.0 * vitals.spool_bytes / vitals.spool_limit_bytes
            yield Key(Kind.SPOOL), Reading(percent >= limit, percent < limit * GOOD_SPOOL_SHARE, percent, limit)
        if self._limits.free_bytes is not None:
            least, free = max(self._limits.free_bytes, vitals.free_limit_bytes * FREE_MARGIN), vitals.free_bytes
            yield Key(Kind.DISK), Reading(free < least, free >= least * GOOD_FREE_SHARE, free, least)

    def _delivery(self, vitals: DrainerVitals, now_s: float) -> Iterator[tuple[Key, Reading]]:
        if (lag_limit_s := self._limits.resolver_lag_s) is not None:
            yield Key(Kind.RESOLVER_LAG), _age(vitals.resolver_lag_s, lag_limit_s)
        for file, problems in vitals.file_problems.items():
            yield Key(Kind.PIPELINE_FILE, file), Reading(problems > 0, problems == 0, problems)
        for name, pipeline in vitals.pipelines.items():
            yield Key(Kind.PAUSED, name), Reading(pipeline.is_paused, not pipeline.is_paused)
            if (age_limit_s := self._limits.queue_age_s) is not None:
                yield Key(Kind.QUEUE_AGE, name), _age(pipeline.oldest_s, age_limit_s)
            window = self._dead.setdefault(name, _Window(DEAD_WINDOW_S, now_s, pipeline.dead))
            within, limit = window.add(pipeline.dead, now_s), self._limits.dead_letters
            if limit is not None:
                is_good = within <= limit * GOOD_SHARE and window.is_full(now_s)
                yield Key(Kind.DEAD_LETTERS, name), Reading(within >= limit, is_good, within, limit)
        for name in self._dead.keys() - vitals.pipelines.keys():
            del self._dead[name]


class _Window:
    """How much a count has grown within the last seconds; it keeps one step for each of at most 61 parts of them."""

    def __init__(self, length_s: float, now_s: float, count: int) -> None:
        self._length_s, self._began_s, self._last = length_s, now_s, count
        self._steps: deque[tuple[float, int]] = deque()

    def add(self, count: int, now_s: float) -> int:
        """Take the count as it is now; give its growth. Letters that were replayed do not make others undone."""
        grown, self._last = max(0, count - self._last), count
        part_s = now_s - now_s % (self._length_s / 60)
        if grown and self._steps and self._steps[-1][0] == part_s:
            grown += self._steps.pop()[1]
        if grown:
            self._steps.append((part_s, grown))
        while self._steps and self._steps[0][0] <= now_s - self._length_s:
            self._steps.popleft()
        return sum(step for _, step in self._steps)

    def is_full(self, now_s: float) -> bool:
        """Tell whether it has looked for as long as it looks back."""
        return now_s - self._began_s >= self._length_s


def _age(age_s: float, limit_s: float) -> Reading:
    return Reading(age_s >= limit_s, age_s < limit_s * GOOD_SHARE, age_s, limit_s)
