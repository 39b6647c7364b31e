"""What processes report of themselves for somebody to judge: figures and names of ours, nothing that visitors sent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class CollectorVitals:
    """`last_seq` is the last accepted event's number; free bytes are those of the spool's file system."""

    last_seq: int
    spool_bytes: int
    spool_limit_bytes: int
    free_bytes: int
    free_limit_bytes: int


@dataclass(frozen=True, slots=True)
class PipelineVitals:
    """`oldest_s` is how long its oldest event is behind or waiting; held ones wait for a person, not for us."""

    is_paused: bool = False
    oldest_s: float = 0.0
    dead: int = 0


@dataclass(frozen=True, slots=True)
class DrainerVitals:
    """How far decisions are behind arrivals, how each pipeline is, and how many problems each pipeline file has."""

    resolver_lag_s: float
    pipelines: Mapping[str, PipelineVitals] = field(default_factory=dict)
    file_problems: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Seen:
    """All that is known at one moment; None where a process has not told.

    `is_ready` has each process, `deaths` how often it ended unasked since the supervisor began.
    """

    collector: CollectorVitals | None = None
    drainer: DrainerVitals | None = None
    is_ready: Mapping[str, bool] = field(default_factory=dict)
    deaths: Mapping[str, int] = field(default_factory=dict)


def find_vitals(raw: Mapping[str, Any] | None) -> CollectorVitals | DrainerVitals | None:
    """Read what a report carries: `asdict` of either kind, None where it carries nothing."""
    if raw is None:
        return None
    if "resolver_lag_s" not in raw:
        return CollectorVitals(**raw)
    pipelines = {name: PipelineVitals(**vitals) for name, vitals in raw["pipelines"].items()}
    return DrainerVitals(raw["resolver_lag_s"], pipelines, dict(raw["file_problems"]))
