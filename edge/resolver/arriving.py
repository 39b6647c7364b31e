"""An event on its arrival in the resolver, and what it claims."""

from typing import NamedTuple

from edge.event import Event
from edge.identity import BROWSER_LEVEL
from edge.person import Identifiers
from edge.resolver.late import Marks
from edge.spool import Row


class Arrived(NamedTuple):
    """A spool row with its parsed event, None when its bytes are damaged or erased; what it claims on which evidence.

    `marks` are the tombstones it may meet, where it is old enough for one.
    A tuple, as one is made an event: it costs a third of what a frozen dataclass does.
    """

    row: Row
    event: Event | None
    key: bytes
    claimed: Identifiers
    level: int = BROWSER_LEVEL
    order_id: str | None = None
    marks: Marks | None = None
