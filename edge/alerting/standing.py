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
    """An alert that stands, or that the receiver knows as raised; what outlives a restart.

    What is raised and not told, or told and not raised any more, is a change that the receiver does not know yet.
    `value` and `limit` are those that it was raised or cleared by.
    """

    key: Key
    since_ms: int
    reminders: int = 0
    is_raised: bool = True
    is_told: bool = True
    value: float | None = None
    limit: float | None = None


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
    turned_by: Reading = _GONE

    @property
    def is_worth_keeping(self) -> bool:
        return self.is_raised or self.is_told or self.turning_s is not None


class Alerts:
    """Says what to tell next: where what stands differs from what was told.

    A receiver that was away hears what stands then, and nothing of what came and went meanwhile; so nothing piles up.
    """

    def __init__(self, remembered: Iterable[Remembered], *, repeat_s: float | None, now_s: float) -> None:
        self._repeat_s = repeat_s
        self._standing = {one.key: _recalled(one, now_s) for one in remembered}

    @property
    def raised(self) -> list[Key]:
        """What stands now, sorted."""
        return sorted(key for key, standing in self._standing.items() if standing.is_raised)

    @property
    def to_remember(self) -> list[Remembered]:
        """What stands and what the receiver knows as raised, sorted."""
        kept = [(key, one) for key, one in self._standing.items() if one.is_raised or one.is_told]
        return sorted((_to_remember(key, one) for key, one in kept), key=lambda one: one.key)

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
                standing.is_raised, standing.since_ms, standing.turned_by = not standing.is_raised, now_ms, reading
                standing.reminders = 0 if standing.is_raised else standing.reminders
                changes.append(Change(key, standing.is_raised, reading))
            if not standing.is_worth_keeping:
                del self._standing[key]
        return changes

    def next_message(self, now_s: float) -> Message | None:
        """Give what the receiver does not know yet, else a reminder that is due."""
        for key, one in self._standing.items():
            if one.is_raised != one.is_told:
                return Message(key, one.is_raised, one.since_ms, one.turned_by)
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

    def put_off(self, message: Message) -> None:
        """Let others go before a message that was not taken: nobody waits behind one that the receiver never takes."""
        if (one := self._standing.pop(message.key, None)) is not None:
            self._standing[message.key] = one

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


def _recalled(one: Remembered, now_s: float) -> _Standing:
    reading = Reading(one.is_raised, not one.is_raised, one.value, one.limit)
    return _Standing(reading, one.is_raised, one.since_ms, None, one.is_told, now_s, one.reminders, reading)


def _to_remember(key: Key, one: _Standing) -> Remembered:
    value, limit = one.turned_by.value, one.turned_by.limit
    return Remembered(key, one.since_ms, one.reminders, one.is_raised, one.is_told, value, limit)
