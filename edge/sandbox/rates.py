"""Fixed rate windows, counted per account and endpoint.

Source: Klaviyo, "Rate limits, status codes, and errors", revision 2026-07-15: fixed windows, a burst one of a second
and a steady one of a minute.
"""

from math import ceil

from edge.sandbox.vendor import Rate

BURST_S = 1
STEADY_S = 60


class Window:
    """Counts up to `limit` in each whole `length_s` of the clock; the count starts anew at every boundary."""

    __slots__ = ("_index", "_used", "length_s", "limit")

    def __init__(self, limit: int, *, length_s: int) -> None:
        self.limit = limit
        self.length_s = length_s
        self._index = -1
        self._used = 0

    def turn(self, monotonic_s: float) -> None:
        """Start anew when the clock has entered a later window."""
        index = int(monotonic_s // self.length_s)
        if index > self._index:
            self._index, self._used = index, 0

    def take(self) -> None:
        self._used += 1

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self._used)

    def reset_s(self, monotonic_s: float) -> int:
        """Whole seconds until this window ends, at least one."""
        return max(1, ceil((self._index + 1) * self.length_s - monotonic_s))


class RateLimit:
    """One endpoint's burst and steady windows."""

    __slots__ = ("_burst", "_is_enforced", "_steady")

    def __init__(self, rate: Rate, *, is_enforced: bool = True) -> None:
        self._burst = Window(rate.burst_per_s, length_s=BURST_S)
        self._steady = Window(rate.steady_per_min, length_s=STEADY_S)
        self._is_enforced = is_enforced

    def take(self, monotonic_s: float) -> int | None:
        """Count one request in; or give the seconds to wait, and count nothing."""
        for window in (self._steady, self._burst):
            window.turn(monotonic_s)
            if self._is_enforced and not window.remaining:
                return window.reset_s(monotonic_s)
        self._steady.take()
        self._burst.take()
        return None

    def headers(self, monotonic_s: float) -> dict[str, str]:
        """The steady window, as every answer but a 429 reports it."""
        self._steady.turn(monotonic_s)
        return {
            "RateLimit-Limit": str(self._steady.limit),
            "RateLimit-Remaining": str(self._steady.remaining),
            "RateLimit-Reset": str(self._steady.reset_s(monotonic_s)),
        }
