"""Time, handed in: wall time labels, monotonic time measures waits, steady time says how old things are."""

import time
from typing import Protocol

# As long as a machine may have been off, a start believes its clock at once: half of what is kept and held for.
MAX_GAP_MS = 7 * 86_400_000
# Steady time runs at most so many times as fast as time passes, and at least at half its pace: a minute of a clock that
# is wrong by years makes everything ten minutes older, five hours of sleep are caught up with in half an hour, and
# whatever is due while the clock is behind comes, if later.
FASTEST, SLOWEST = 10.0, 0.5
# From here on the two disagree, and somebody should know.
FAR_MS = 300_000


class Clock(Protocol):
    """What everything that reads a clock takes."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch, UTC."""
        ...

    def monotonic_s(self) -> float:
        """Seconds that never go backwards."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        return time.monotonic()


class SteadyClock:
    """A wall clock that cannot jump: what expires, is purged or is due goes by it.

    It agrees with the wall clock, which it follows within `SLOWEST` and `FASTEST`. Monotonic time is the machine's.
    """

    def __init__(self, clock: Clock, seen_ms: int | None = None) -> None:
        """Begin at the wall clock, or where steady time was seen last if the clock cannot be believed.

        Args:
            seen_ms: what a steady clock said before it ended, or None where there is no saying.
        """
        self._clock = clock
        now_ms = clock.now_ms()
        is_believed = seen_ms is None or seen_ms <= now_ms <= seen_ms + MAX_GAP_MS
        self._at_ms = float(now_ms if is_believed or seen_ms is None else seen_ms)
        self._looked_s = clock.monotonic_s()

    def now_ms(self) -> int:
        """Milliseconds since the epoch, UTC; never less than before."""
        now_s, ahead_ms = self._clock.monotonic_s(), self._clock.now_ms() - self._at_ms
        passed_ms = (now_s - self._looked_s) * 1_000
        self._at_ms += min(max(ahead_ms, SLOWEST * passed_ms), FASTEST * passed_ms)
        self._looked_s = now_s
        return round(self._at_ms)

    def monotonic_s(self) -> float:
        return self._clock.monotonic_s()

    def moment_ms(self, theirs_ms: int | None) -> int:
        """Give the moment that something arrives: by the wall clock or, where it disagrees, by the likelier of the two.

        Args:
            theirs_ms: the sender's own clock, which says who of the two is right; None where it told nothing.
        """
        steady_ms, wall_ms = self.now_ms(), self._clock.now_ms()
        if abs(wall_ms - steady_ms) <= FAR_MS:
            return wall_ms
        if theirs_ms is None:
            return steady_ms
        return min(wall_ms, steady_ms, key=lambda one: abs(one - theirs_ms))

    @property
    def off_ms(self) -> int:
        """How far the wall clock is ahead of steady time; below 0 where it is behind."""
        at_ms = self.now_ms()
        return self._clock.now_ms() - at_ms
