"""How much of a rate is ours now: down at once when the vendor or its headers say so, up again little by little."""

from collections import deque

from edge.budget.quota import MAX_WINDOW_S, MINUTE_S, Quota

# A 429 leaves so much of what was; those that were on their way together are one.
LESS, TOGETHER_S = 0.7, 5.0
# So much of the whole comes back in a minute.
MORE_PER_MIN = 0.1
# Headers alone never take us below the first share of the declared rate, 429s not below the second.
HEADER_FLOOR, FLOOR = 0.05, 0.01
# What is left free for the others beside what they are seen to use once a window was watched for so long.
MARGIN, WATCH_S = 0.05, 15.0


class Pace:
    """The requests a minute that one rate has for us.

    Args:
        per_min: what the vendor declares for the account.
        share: how much of that we may use, over 0 to 1; the rest is for the shop's other integrations.
    """

    def __init__(self, per_min: float, share: float) -> None:
        self._declared, self._share = per_min, share
        self._limit = per_min
        self._now = self.whole
        self._at_s: float | None = None
        self._refused_at_s = float("-inf")
        self._cap, self._cap_until_s = float("inf"), float("-inf")
        self._sent = _Sent()

    @property
    def whole(self) -> float:
        """The most there can be: our share of what the vendor declares, or says in its headers where that is less."""
        return max(1.0, self._share * self._limit)

    def per_min(self, now_s: float) -> float:
        """Give how many a minute may be sent now; 1 or more."""
        self._rise(now_s)
        capped = min(self._now, self._cap) if now_s < self._cap_until_s else self._now
        return max(1.0, capped)

    def sent(self, now_s: float) -> None:
        """Count a request of ours."""
        self._sent.add(now_s)

    def was_refused(self, now_s: float) -> bool:
        """Tell whether the vendor has answered 429 just now."""
        return now_s - self._refused_at_s < TOGETHER_S

    def refused(self, now_s: float) -> None:
        """The vendor answered 429."""
        if not self.was_refused(now_s):
            self._rise(now_s)
            self._refused_at_s = now_s
            self._now = max(1.0, FLOOR * self._declared, LESS * self._now)

    def told(self, now_s: float, quota: Quota) -> None:
        """Learn from an answer's headers: the limit, what others use of it, and what is left of this window."""
        self._rise(now_s)
        a_minute, floor = MINUTE_S / quota.window_s, HEADER_FLOOR * self._declared
        self._limit = min(self._declared, max(floor, quota.limit * a_minute))
        left = quota.remaining * MINUTE_S / max(quota.reset_s, 1.0)
        self._cap, self._cap_until_s = max(floor, left), now_s + quota.reset_s
        watched_s = quota.window_s - quota.reset_s
        if watched_s >= min(WATCH_S, quota.window_s / 2):
            own = self._sent.since(now_s - watched_s - 1.0)  # vendors round the reset up to a whole second
            others = max(0, quota.limit - quota.remaining - own) * MINUTE_S / watched_s
            self._now = min(self._now, max(floor, (1.0 - MARGIN) * quota.limit * a_minute - others))

    def _rise(self, now_s: float) -> None:
        elapsed_s = 0.0 if self._at_s is None else max(0.0, now_s - self._at_s)
        self._at_s = now_s if self._at_s is None else max(now_s, self._at_s)
        self._now = min(self.whole, self._now + MORE_PER_MIN * self.whole * elapsed_s / MINUTE_S)


class _Sent:
    """Our own requests, counted by the second, for as long as any window lasts."""

    def __init__(self) -> None:
        self._seconds: deque[list[int]] = deque()

    def add(self, now_s: float) -> None:
        if self._seconds and self._seconds[-1][0] >= int(now_s):
            self._seconds[-1][1] += 1
        else:
            self._seconds.append([int(now_s), 1])
        while self._seconds[0][0] < now_s - MAX_WINDOW_S:
            self._seconds.popleft()

    def since(self, moment_s: float) -> int:
        """Count what was sent in the second of a moment and later."""
        count = 0
        for second, requests in reversed(self._seconds):
            if second < int(moment_s):
                break
            count += requests
        return count
