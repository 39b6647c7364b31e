"""What stands, and what the receiver was told: one message a state change, and a few reminders of what stays."""

from collections.abc import Iterable
from dataclasses import dataclass

from edge.alerting.judging import Judgement, Key, Reading
from edge.alerting.message import Message

# A reading must say the same for this long: less would tell of every blink.
RAISE_AFTER_S = 10.0
CLEAR_AFTER_S = 60.0
MAX_REMINDERS = 5

_GONE = Reading(is_bad=False, is_good=True)


@dataclass(frozen=True, slots=True)
class Remembered:
    """An alert that the receiver knows as raised; what outlives a restart."""

    key: Key
    since_ms: int
    reminders: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """An alert that was raised or cleared just now."""

    key: Key
    is_raised: bool
    reading: Reading


@dataclass(slots=True)
class _Standing:
    reading: Reading
    is_raised: bool = False
    since_ms: int = 0
    turning_s: float | None = None
    is_told: bool = False
    told_s: float = 0.0
    reminders: int = 0

    @property
    def is_worth_keeping(self) -> bool:
        return self.is_raised or self.is_told or self.turning_s is not None


class Alerts:
    """Says what to tell next: where what stands differs from what was told.

    A receiver that was away hears what stands then, and nothing of what came and went meanwhile; so nothing piles up.
    """

    def __init__(self, told: Iterable[Remembered], *, repeat_s: float | None, now_s: float) -> None:
        self._repeat_s = repeat_s
        self._standing = {
            one.key: _Standing(_GONE, True, one.since_ms, None, True, now_s, one.reminders) for one in told
        }

    @property
    def raised(self) -> list[Key]:
        """What stands now, sorted."""
        return sorted(key for key, standing in self._standing.items() if standing.is_raised)

    @property
    def told(self) -> list[Remembered]:
        """What the receiver knows as raised, sorted."""
        known = [(key, one) for key, one in self._standing.items() if one.is_told]
        return sorted((Remembered(key, one.since_ms, one.reminders) for key, one in known), key=lambda one: one.key)

    def observe(self, judgement: Judgement, now_s: float, now_ms: int) -> list[Change]:
        """Take new readings; give what changed. What nobody told of stays as it was."""
        for key, first in judgement.readings.items():
            if first.is_bad and key not in self._standing:
                self._standing[key] = _Standing(first)
        changes = []
        for key, standing in list(self._standing.items()):
            reading = judgement.readings.get(key)
            if reading is None and key.kind in judgement.told:
                reading = _GONE
            if reading is not None and self._turns(standing, reading, now_s):
                standing.is_raised, standing.since_ms = not standing.is_raised, now_ms
                standing.reminders = 0 if standing.is_raised else standing.reminders
                changes.append(Change(key, standing.is_raised, reading))
            if not standing.is_worth_keeping:
                del self._standing[key]
        return changes

    def next_message(self, now_s: float) -> Message | None:
        """Give what the receiver does not know yet, else a reminder that is due."""
        for key, one in self._standing.items():
            if one.is_raised != one.is_told:
                return Message(key, one.is_raised, one.since_ms, one.reading)
        for key, one in self._standing.items():
            is_due = self._repeat_s is not None and now_s - one.told_s >= self._repeat_s
            if one.is_raised and is_due and one.reminders < MAX_REMINDERS:
                return Message(key, True, one.since_ms, one.reading, one.reminders + 1)
        return None

    def tell(self, message: Message, now_s: float) -> None:
        """Note that the receiver took a message."""
        one = self._standing.get(message.key)
        if one is None:
            return
        one.is_told, one.told_s, one.reminders = message.is_raised, now_s, message.reminder
        if not one.is_worth_keeping:
            del self._standing[message.key]

    def _turns(self, standing: _Standing, reading: Reading, now_s: float) -> bool:
        """Tell whether readings have spoken against what stands for long enough."""
        standing.reading = reading
        is_against = reading.is_good if standing.is_raised else reading.is_bad
        if not is_against:
            standing.turning_s = None
            return False
        if standing.turning_s is None:
            standing.turning_s = now_s
        if now_s - standing.turning_s < (CLEAR_AFTER_S if standing.is_raised else RAISE_AFTER_S):
            return False
        standing.turning_s = None
        return True
