"""How fast one vendor account may be asked; pure: the time comes with every call."""

from edge.delivery import Rate

MAX_PAUSE_S = 3_600.0


class Budget:
    """Token buckets for the account's rate and for each of its named ones, and the pause that a 429 asks for.

    A pause is the whole account's, whichever call was answered so.
    """

    def __init__(self, rate: Rate) -> None:
        self._buckets = {"": _Buckets(rate), **{name: _Buckets(named) for name, named in rate.named.items()}}
        self._not_before_s = float("-inf")

    def take(self, now_s: float, name: str = "") -> float:
        """Take one request; give how many seconds to wait before it may be sent (monotonic time)."""
        return max(self._buckets[name].take(now_s), self.pause_s(now_s))

    def throttle(self, now_s: float, after_s: float) -> None:
        """The vendor said 429: nobody of this account asks again before `after_s` seconds are over."""
        self._not_before_s = max(self._not_before_s, now_s + min(after_s, MAX_PAUSE_S))
        for buckets in self._buckets.values():
            buckets.drain()

    def pause_s(self, now_s: float) -> float:
        """Give how long the vendor's 429 still keeps everyone waiting."""
        return max(0.0, self._not_before_s - now_s)


class _Buckets:
    """A burst and a steady window of one rate."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._burst = float(rate.burst_per_s)
        self._steady = float(rate.burst_per_s)  # never a whole minute at once: the vendor's windows are fixed
        self._at_s: float | None = None

    def take(self, now_s: float) -> float:
        self._refill(now_s)
        self._burst -= 1.0
        self._steady -= 1.0
        burst_wait_s = max(0.0, -self._burst / self._rate.burst_per_s)
        return max(burst_wait_s, -self._steady * 60.0 / self._rate.steady_per_min)

    def drain(self) -> None:
        """Let no burst follow a pause."""
        self._burst = min(self._burst, 0.0)

    def _refill(self, now_s: float) -> None:
        elapsed_s = 0.0 if self._at_s is None else max(0.0, now_s - self._at_s)
        self._at_s = now_s
        self._burst = min(float(self._rate.burst_per_s), self._burst + elapsed_s * self._rate.burst_per_s)
        self._steady = min(float(self._rate.burst_per_s), self._steady + elapsed_s * self._rate.steady_per_min / 60.0)
