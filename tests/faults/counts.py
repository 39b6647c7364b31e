"""How often each fault is played: few times in `make test`, more in `make test-faults`, which sets FAULTS=long."""

import os
from dataclasses import dataclass

FAST_STEPS = 3


@dataclass(frozen=True, slots=True)
class Counts:
    """How often a test plays its fault; a table of `docs/reliability.md` shows them."""

    are_long: bool
    kills: int
    supervisor_kills: int
    deaths_each: int
    power_cuts: int
    network_each: int
    kills_in_bad_network: int
    stream_bytes: int
    restarts: int
    flips: int
    crash_states: int
    failing_calls: int
    alterations: int
    alterations_with_bug: int

    def steps(self, known: int) -> int:
        """Give how many deaths are played of so many steps: some of them, which the seed chooses, or all."""
        return known * self.deaths_each if self.are_long else min(known, FAST_STEPS)


FAST = Counts(
    are_long=False,
    kills=3,
    supervisor_kills=1,
    deaths_each=1,
    power_cuts=2,
    network_each=1,
    kills_in_bad_network=1,
    stream_bytes=6_000_000,
    restarts=1,
    flips=10,
    crash_states=300,
    failing_calls=100,
    alterations=78,
    alterations_with_bug=39,
)
LONG = Counts(
    are_long=True,
    kills=15,
    supervisor_kills=3,
    deaths_each=1,
    power_cuts=8,
    network_each=2,
    kills_in_bad_network=6,
    stream_bytes=12_000_000,
    restarts=5,
    flips=100,
    crash_states=2_000,
    failing_calls=600,
    alterations=1_000,
    alterations_with_bug=104,
)
COUNTS = LONG if os.environ.get("FAULTS") == "long" else FAST
