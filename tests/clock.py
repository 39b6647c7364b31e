"""A clock that tests move by hand."""


class FakeClock:
    """Both clocks stand still until `advance`."""

    def __init__(self, now_ms: int = 1_795_000_000_000) -> None:
        self._now_ms = now_ms
        self._monotonic_s = 1_000.0

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic_s(self) -> float:
        return self._monotonic_s

    def advance(self, seconds: float) -> None:
        self._now_ms += round(seconds * 1_000)
        self._monotonic_s += seconds

    def jump(self, seconds: float) -> None:
        """Set the wall clock, as an operator or a virtual machine does; no time passes."""
        self._now_ms += round(seconds * 1_000)
