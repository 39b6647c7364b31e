"""Many who ask one budget, in simulated time, and a vendor that counts in fixed windows."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from edge.budget import Budget, Lane, Turn
from edge.delivery import Rate
from edge.sandbox import vendor
from edge.sandbox.rates import RateLimit


@dataclass
class Asking:
    """Each lane keeps so many in line as told; whoever has had a turn stands in line again."""

    budget: Budget
    now_s: float = 0.0
    went: list[tuple[float, Lane]] = field(default_factory=list)

    def until(self, end_s: float, lanes: Iterable[Lane], name: str = "") -> list[tuple[float, Lane]]:
        """Let them ask until a moment, each one again when it was told to; give the turns that were taken."""
        first = len(self.went)
        due: dict[Turn, float] = {self.budget.join(name, lane): self.now_s for lane in lanes}
        while due:
            turn, at_s = min(due.items(), key=lambda item: item[1])
            if at_s >= end_s:
                break
            self.now_s = max(self.now_s, at_s)
            wait_s = self.budget.wait_s(turn, self.now_s)
            due[turn] = self.now_s + wait_s
            if wait_s == 0:
                self.took(turn)
                del due[turn]
                due[self.budget.join(name, turn.lane)] = self.now_s
        for turn in due:
            self.budget.leave(turn)
        self.now_s = max(self.now_s, end_s)
        return self.went[first:]

    def took(self, turn: Turn) -> None:
        """Note a turn; where a vendor is asked, it answers here."""
        self.went.append((self.now_s, turn.lane))


@dataclass
class AskingVendor(Asking):
    """A vendor answers each turn at once, and other integrations ask it evenly, so many a minute."""

    limit: RateLimit = field(default_factory=lambda: RateLimit(vendor.Rate(35, 350)))
    others_per_min: float = 0.0
    says_its_limits: bool = True
    statuses: Counter[int] = field(default_factory=Counter)
    others: Counter[int] = field(default_factory=Counter)
    _others_at_s: float = 0.0

    def took(self, turn: Turn) -> None:
        super().took(turn)
        self._let_others_ask()
        wait_s = self.limit.take(self.now_s)
        headers = self._headers() if wait_s is None else {}
        status = 202 if wait_s is None else 429
        self.statuses[status] += 1
        self.budget.answered(self.now_s, turn.name, status, headers)
        if wait_s is not None:
            self.budget.throttle(self.now_s, wait_s)

    def _headers(self) -> Mapping[str, str]:
        told = self.limit.headers(self.now_s).items() if self.says_its_limits else ()
        return {name.lower(): value for name, value in told}

    def _let_others_ask(self) -> None:
        if not self.others_per_min:
            self._others_at_s = self.now_s
        while self.others_per_min and self._others_at_s <= self.now_s:
            status = 202 if self.limit.take(self.now_s) is None else 429
            self.others[status] += 1
            self._others_at_s += 60.0 / self.others_per_min


def most_in_a_window(moments: Iterable[float], window_s: float, offset_s: float) -> int:
    """Give the most that fell into one of the vendor's fixed windows."""
    return max(Counter((moment - offset_s) // window_s for moment in moments).values(), default=0)


def a_tenth() -> Rate:
    """Give a tenth of Klaviyo's rate for single events, so that simulated minutes are cheap."""
    return Rate(burst_per_s=35, steady_per_min=350, named={"bulk": Rate(10, 150)})
