"""An event on its arrival in the resolver: what it claims, and the keys by which it is known."""

import hashlib
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


def event_key(source: str, event_id: str) -> bytes:
    """Give the 128-bit hash by which an event is known once per source."""
    return hashlib.blake2b(f"{source}\0{event_id}".encode(), digest_size=16).digest()


def order_key(order_id: str) -> bytes:
    """Give the 128-bit hash by which a purchase is known once, whatever its source."""
    return hashlib.blake2b(f"order\0{order_id}".encode(), digest_size=16).digest()
