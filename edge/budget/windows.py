"""A rate as the vendor counts it: so many in each fixed window, wherever on the clock its windows begin."""

# What is left out of the sum below, so that rounding never makes one too many.
SLACK = 0.01
ENOUGH = 1.0 - 1e-6


class Window:
    """A token bucket that lets at most `limit` begin in any span as long as the window.

    It fills at `pace` of the limit and holds the rest of it: who begins n in less than a window has had at most
    (1 - pace) * limit + 1 tokens at its beginning and pace * limit since, so n is at most the limit.
    """

    def __init__(self, window_s: float, limit: float, *, pace: float) -> None:
        self._window_s, self._pace = window_s, pace
        self._at_s: float | None = None
        self._level = float("inf")
        self.set_limit(limit)

    def set_limit(self, limit: float) -> None:
        """From now on let so many begin, at least one a window."""
        self._limit = max(1.0, limit)
        self._room = (1.0 - self._pace) * self._limit + 1.0 - SLACK
        self._per_s = self._pace * self._limit / self._window_s  # how fast it fills
        self._level = min(self._room, self._level)

    def wait_s(self, now_s: float, *, behind: int = 0, kept_share: float = 0.0) -> float:
        """Give how long until one more may begin behind some others.

        It leaves a share of the room, beyond its own place, to whoever comes.
        """
        self._refill(now_s)
        missing = ENOUGH + behind + kept_share * (self._room - 1.0) - self._level
        return missing / self._per_s if missing > 1e-9 else 0.0

    def take(self, now_s: float) -> None:
        """Begin one."""
        self._refill(now_s)
        self._level -= 1.0

    def drain(self, now_s: float) -> None:
        """Let no burst follow a rest."""
        self._refill(now_s)
        self._level = min(self._level, 0.0)

    def _refill(self, now_s: float) -> None:
        if self._at_s is None:
            self._at_s = now_s
        elif now_s > self._at_s:
            self._level = min(self._room, self._level + (now_s - self._at_s) * self._per_s)
            self._at_s = now_s
