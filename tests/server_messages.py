"""Servers' messages for tests, and what becomes of them."""

from hashlib import blake2b
from typing import Any

from edge.event import Event
from edge.server_wire import Taken, parse_calls, read_calls

RECEIVED_MS = 1_795_284_000_120  # 2026-11-21T18:00:00.120Z
MOMENT = "2026-11-21T18:00:00.120Z"
SOURCE = "server:shop"
TRACK = {"type": "track", "messageId": "m-1", "userId": "c-19", "event": "Order Completed", "timestamp": MOMENT}


def key_of(whom: str) -> str:
    """Give the key of order of somebody, e.g. of "user:c-19"."""
    return blake2b(whom.encode(), digest_size=16).hexdigest()


def parse(*messages: Any, **top: Any) -> Taken:
    """Parse a batch of these messages."""
    return parse_calls(read_calls({"batch": list(messages), **top}, "batch"), SOURCE, RECEIVED_MS)


def parse_one(top: dict[str, Any] | None = None, **changes: Any) -> Event:
    """Parse one message, a good track where nothing else is said; None takes a key out."""
    taken = parse({key: value for key, value in {**TRACK, **changes}.items() if value is not None}, **(top or {}))
    assert taken.rejected == []
    return taken.kept[0]


def code_of(message: Any, **top: Any) -> str:
    """Give why a message is refused."""
    taken = parse(message, **top)
    assert taken.accepted == 0
    return taken.rejected[0].code
