"""One account's budget: its rates, what is learned of them, and the rest that a 429 asks for."""

from collections.abc import Mapping

from edge.budget.learning import Pace
from edge.budget.quota import MINUTE_S, read_quota
from edge.budget.turns import Lane, Queue, Turn
from edge.budget.windows import Window
from edge.delivery import Rate

# How much of an account's rate is ours unless the configuration says otherwise.
SHARE = 0.8
MAX_PAUSE_S = 3_600.0
# So much of what is left free of a window fills steadily; the rest of it may go at once.
STEADY_PACE, BURST_PACE = 0.95, 0.5
# What waits in a backlog leaves this share of a burst to those in haste.
KEPT_FOR_LIVE = 0.5
# Those before may give up, and those who come may be in more haste: nobody sleeps for longer without looking.
MIN_WAIT_S, MAX_WAIT_S = 0.002, 0.5
TOO_MANY = 429


class Budget:
    """The turns of everybody who asks one account, whatever pipeline it is for.

    Each named rate has its own line and windows. A pause is the whole account's, whichever call was answered so.
    Who wants to ask joins, waits for as long as `wait_s` says until that is 0, and leaves in any case.
    """

    def __init__(self, rate: Rate, *, share: float = SHARE) -> None:
        rates = {"": rate, **rate.named}
        self._counters = {name: _Counter(named, share) for name, named in rates.items()}
        self._not_before_s = float("-inf")

    def join(self, name: str = "", lane: Lane = Lane.LIVE) -> Turn:
        """Stand in line for one request that counts against a rate; `leave` must follow, whatever happens."""
        turn = Turn(name, lane)
        self._counters[name].queue.join(turn)
        return turn

    def take(self, name: str, lane: Lane, now_s: float) -> bool:
        """Take a turn at once where nobody stands in line and there is room; else somebody has to join."""
        return self.pause_s(now_s) == 0 and self._counters[name].take(lane, now_s)

    def wait_s(self, turn: Turn, now_s: float) -> float:
        """Give 0 where the turn is taken now, else how many seconds to wait before asking again (monotonic time)."""
        if turn.is_taken:
            return 0.0
        pause_s = self.pause_s(now_s)
        return pause_s if pause_s > 0 else self._counters[turn.name].wait_s(turn, now_s)

    def leave(self, turn: Turn) -> None:
        """Be in line no more; nothing where the turn was taken."""
        self._counters[turn.name].queue.leave(turn)

    def answered(self, now_s: float, name: str, status: int, headers: Mapping[str, str]) -> None:
        """Learn from an answer, whatever it says; names of headers are in lower case."""
        counter = self._counters[name]
        if status == TOO_MANY:
            counter.pace.refused(now_s)
        elif quota := read_quota(headers):
            counter.pace.told(now_s, quota)

    def throttle(self, now_s: float, after_s: float) -> None:
        """The vendor said 429, or the same in words of its own: nobody asks again before `after_s` seconds are over."""
        self._not_before_s = max(self._not_before_s, now_s + min(after_s, MAX_PAUSE_S))
        is_known = any(counter.pace.was_refused(now_s) for counter in self._counters.values())
        for counter in self._counters.values():
            if not is_known:  # no status said which rate it was
                counter.pace.refused(now_s)
            counter.drain(now_s)

    def pause_s(self, now_s: float) -> float:
        """Give how long the vendor's 429 still keeps everyone waiting."""
        return max(0.0, self._not_before_s - now_s)

    def per_min(self, now_s: float, name: str = "") -> float:
        """Give how many requests a minute a rate has for us now."""
        return self._counters[name].pace.per_min(now_s)


class _Counter:
    """One rate: a line, a burst window of a second, a steady one of a minute, and what of them is ours."""

    def __init__(self, rate: Rate, share: float) -> None:
        self.queue, self.pace = Queue(), Pace(rate.steady_per_min, share)
        self._burst_share, self._whole = share * rate.burst_per_s, self.pace.whole
        self._per_min = self._whole
        is_even = self._whole / MINUTE_S > BURST_PACE * self._burst_share
        self._burst = Window(1.0, self._burst_share, pace=STEADY_PACE if is_even else BURST_PACE)
        self._steady = Window(MINUTE_S, self._whole, pace=STEADY_PACE)

    def take(self, lane: Lane, now_s: float) -> bool:
        if not self.queue.is_empty:
            return False
        self._follow(now_s)
        if self._room_in_s(now_s, lane) > 0.0:
            return False
        self.queue.went_alone(lane)
        self._spend(now_s)
        return True

    def wait_s(self, turn: Turn, now_s: float) -> float:
        self._follow(now_s)
        behind, is_next = self.queue.ahead(turn), self.queue.next() is turn
        wait_s = self._room_in_s(now_s, turn.lane, behind=0 if is_next else behind)
        if is_next and wait_s == 0.0:
            self._take(turn, now_s)
            return 0.0
        return min(MAX_WAIT_S, max(MIN_WAIT_S, wait_s))

    def _room_in_s(self, now_s: float, lane: Lane, *, behind: int = 0) -> float:
        """Give how long until both windows have room for somebody of a lane."""
        kept_share = KEPT_FOR_LIVE if lane is Lane.BACKLOG and not self.queue.is_owed(lane) else 0.0
        burst_s = self._burst.wait_s(now_s, behind=behind, kept_share=kept_share)
        return max(burst_s, self._steady.wait_s(now_s, behind=behind, kept_share=kept_share))

    def drain(self, now_s: float) -> None:
        self._burst.drain(now_s)
        self._steady.drain(now_s)

    def _take(self, turn: Turn, now_s: float) -> None:
        turn.is_taken = True
        self.queue.went(turn)
        self._spend(now_s)

    def _spend(self, now_s: float) -> None:
        self.pace.sent(now_s)
        self._burst.take(now_s)
        self._steady.take(now_s)

    def _follow(self, now_s: float) -> None:
        """Give the windows what is ours by now."""
        per_min = self.pace.per_min(now_s)
        if per_min != self._per_min:
            self._per_min = per_min
            self._steady.set_limit(per_min)
            self._burst.set_limit(self._burst_share * per_min / self._whole)
