"""How often each fault is played: few times in `make test`, more in `make test-faults`, which sets FAULTS=long."""

import os
from dataclasses import dataclass


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


FAST = Counts(
    are_long=False,
    kills=5,
    supervisor_kills=1,
    deaths_each=1,
    power_cuts=2,
    network_each=1,
    kills_in_bad_network=2,
    stream_bytes=7_000_000,
)
LONG = Counts(
    are_long=True,
    kills=25,
    supervisor_kills=3,
    deaths_each=2,
    power_cuts=12,
    network_each=3,
    kills_in_bad_network=8,
    stream_bytes=12_000_000,
)
COUNTS = LONG if os.environ.get("FAULTS") == "long" else FAST
