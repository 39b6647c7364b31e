"""Whose turn is next: lanes in the order of their haste, and a floor for those that always have to stand back."""

from dataclasses import dataclass
from enum import IntEnum

# A lane that waits gets at least every tenth turn.
FLOOR_EVERY = 10


class Lane(IntEnum):
    """What a request is about, the most urgent first."""

    LIVE = 0
    RETRY = 1
    BACKLOG = 2


LANES = tuple(Lane)


@dataclass(slots=True, eq=False)
class Turn:
    """One request's place in its lane; `name` is the account's rate that it counts against."""

    name: str
    lane: Lane
    is_taken: bool = False


class Queue:
    """First come, first served within a lane."""

    def __init__(self) -> None:
        self._lanes: list[dict[Turn, None]] = [{} for _ in LANES]
        self._stood_back = [0 for _ in LANES]

    @property
    def is_empty(self) -> bool:
        """Whether nobody waits."""
        return not any(self._lanes)

    def join(self, turn: Turn) -> None:
        """Stand at the end of a lane."""
        self._lanes[turn.lane][turn] = None

    def leave(self, turn: Turn) -> None:
        """Give a place up."""
        self._lanes[turn.lane].pop(turn, None)

    def next(self) -> Turn | None:
        """Give whose turn it is; None where nobody waits."""
        for lane in reversed(LANES):
            if self._lanes[lane] and self.is_owed(lane):
                return next(iter(self._lanes[lane]))
        return next((next(iter(turns)) for turns in self._lanes if turns), None)

    def is_owed(self, lane: Lane) -> bool:
        """Tell whether a lane has stood back for so long that its turn has come whoever else waits."""
        return self._stood_back[lane] >= FLOOR_EVERY - 1

    def ahead(self, turn: Turn) -> int:
        """Give how many come before somebody, at the least, as far as it is known now."""
        place = next((place for place, one in enumerate(self._lanes[turn.lane]) if one is turn), 0)
        in_haste = sum(map(len, self._lanes[: turn.lane]))
        until_owed = max(0, FLOOR_EVERY - 1 - self._stood_back[turn.lane]) + FLOOR_EVERY * place
        return min(in_haste + place, until_owed)

    def went_alone(self, lane: Lane) -> None:
        """Somebody of a lane had a turn without standing in line, as nobody did."""
        self._stood_back[lane] = 0

    def went(self, turn: Turn) -> None:
        """Somebody's turn is over."""
        self.leave(turn)
        self._stood_back[turn.lane] = 0
        for lane in LANES:
            if lane is not turn.lane:
                # Who gives up and comes again at once has still waited.
                self._stood_back[lane] += bool(self._lanes[lane])
