"""One event on its way to one destination, and how it waits."""

from typing import NamedTuple

from edge.budget import Lane
from edge.consent import Purpose
from edge.delivery import Fate, Payload
from edge.ledger.records import Settlement


class Job(NamedTuple):
    """One event on its way to one destination; `attempts` were made before, and `reason` says why it goes again.

    `is_stranger`: it goes under its visitor's own id; `joins`: it says beside that who it is.
    Denials of `asks` by one of `persons` stop it, as the visitor's do. `told` was granted when it was rendered.
    `is_alone`: the vendor may have it already, so no other event's fate may hang on the same request. `lane` says how
    soon it gets a turn.
    A tuple, as one is made an event and pipeline.
    """

    seq: int
    visitor: int
    payload: Payload
    since_ms: int
    attempts: int = 0
    event_id: str = ""
    event_name: str = ""
    reason: str = ""
    lane: Lane = Lane.LIVE
    is_stranger: bool = False
    joins: bool = False
    persons: tuple[int, ...] = ()
    asks: Purpose = Purpose.NONE
    told: Purpose = Purpose.NONE
    is_alone: bool = False


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
        is_live=job.lane is not Lane.BACKLOG,
        is_stranger=job.is_stranger,
        told=job.told,
        is_alone=job.is_alone,
    )
