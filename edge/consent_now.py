"""What is granted of an event by now: the decision as it was made, and what was answered since. Pure."""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from edge.consent import ALL_PURPOSES, MASKS, Answer, Purpose

_ALL = int(ALL_PURPOSES)
MAX_REMEMBERED = 4_096


class Decided(NamedTuple):
    """One event's stored decision, as masks; `waits` was neither granted nor denied. `is_server`: a server told it.

    A tuple, as one is made an event.
    """

    granted: int
    waits: int = 0
    is_server: bool = False


class Since(NamedTuple):
    """What was answered by now, as masks: by the event's visitor, and by its browser's newest epoch.

    `elsewhere` is what the visitor's person answered in other browsers; only servers' events go by it.
    A tuple, as one is made an event.
    """

    granted: int = 0
    denied: int = 0
    browser_denied: int = 0
    elsewhere: Answer | None = None


@dataclass(frozen=True, slots=True)
class Now:
    """Of an event's purposes, which are granted by now, which of the decision were withdrawn, which are still open."""

    granted: Purpose
    withdrawn: Purpose
    waits: Purpose


@lru_cache(MAX_REMEMBERED)  # of a shop's events nearly all ask one of a few questions
def as_of_now(decided: Decided, since: Since) -> Now:
    """Give what holds for an event now.

    What was granted stays so until somebody denies it; what was open goes by the first answer. A server's event goes
    by its person's answers where its own visitor gave none; there a denial in one browser is one in all.
    """
    denied = since.denied | since.browser_denied
    answered = decided.waits & since.granted
    if decided.is_server and since.elsewhere is not None:
        silent = _ALL & ~(since.granted | since.denied)
        denied |= int(since.elsewhere.denied) & silent
        answered |= decided.waits & int(since.elsewhere.granted) & silent
    granted = decided.granted | answered
    return Now(
        MASKS[granted & ~denied & _ALL],
        MASKS[granted & denied & _ALL],
        MASKS[decided.waits & ~granted & ~denied & _ALL],
    )


def asks_person(decided: Decided, since: Since) -> Purpose:
    """Give the purposes in which a person's denial in another browser would still stop an event."""
    return MASKS[_ALL & ~(since.granted | since.denied)] if decided.is_server else Purpose.NONE
