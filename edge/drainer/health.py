"""May a pipeline send now? A circuit breaker and the pause after refused credentials; pure."""

from edge.delivery import Uniform

FAILURES_TO_OPEN = 5
MAX_PROBE_WAIT_S = 5.0
REFUSED_PROBE_S = 900.0
UNLIMITED = 1_000_000


class Health:
    """Closed while things go well; after five failures in a row one probe at a time, at most every 5 s.

    Refused credentials pause the pipeline: one probe every 15 minutes.
    """

    def __init__(self, uniform: Uniform) -> None:
        self._uniform = uniform
        self._failures = 0
        self._probe_at_s = float("-inf")
        self.paused_reason: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether only probes may be sent."""
        return self.paused_reason is not None or self._failures >= FAILURES_TO_OPEN

    def allowance(self, now_s: float) -> int:
        """Give how many events may be sent now: any number, one probe, or none."""
        if not self.is_open:
            return UNLIMITED
        return 1 if now_s >= self._probe_at_s else 0

    def worked(self) -> None:
        """The destination answered sensibly: go on at full speed."""
        self._failures = 0
        self.paused_reason = None

    def failed(self, now_s: float) -> None:
        """The destination failed once more; what was under way when the circuit opened says nothing new."""
        if self._failures >= FAILURES_TO_OPEN and now_s < self._probe_at_s:
            return
        self._failures += 1
        over = self._failures - FAILURES_TO_OPEN
        if over >= 0:
            wait_s = min(MAX_PROBE_WAIT_S, 0.5 * 2.0 ** min(over, 10))
            self._probe_at_s = now_s + self._uniform(wait_s / 2, wait_s)

    def stay_paused(self, reason: str) -> None:
        """The credentials were refused before this process, or this file, began: probe at once, they may be mended."""
        self.paused_reason, self._probe_at_s = reason, float("-inf")

    def refused(self, now_s: float, reason: str) -> None:
        """The credentials were refused."""
        self.paused_reason = reason
        self._probe_at_s = now_s + REFUSED_PROBE_S
