"""Browser batches for tests, and what becomes of them."""

from typing import Any

import orjson

from edge.event import Event
from edge.wire import Arrival, Rejected, parse_events, read_batch

RECEIVED_MS = 1_795_284_000_120  # 2026-11-21T18:00:00.120Z
MOMENT = "2026-11-21T18:00:00.120Z"
ARRIVAL = Arrival(RECEIVED_MS, "browser", "ab" * 16, "203.0.113.9", "Mozilla/5.0", has_gpc=False)
OURS = {"ip": "203.0.113.9", "user_agent": "Mozilla/5.0"}
EVENT = {"id": "e-1", "name": "add_to_cart", "time": MOMENT, "properties": {"value": 48.5}}


def batch_bytes(*events: Any, **top: Any) -> bytes:
    return orjson.dumps({"sent_at": MOMENT, "context": {}, "events": list(events), **top})


def parse(*events: Any, arrival: Arrival = ARRIVAL, **top: Any) -> tuple[list[Event], list[Rejected]]:
    return parse_events(read_batch(batch_bytes(*events, **top)), arrival)


def parse_one(arrival: Arrival = ARRIVAL, top: dict[str, Any] | None = None, **changes: Any) -> Event:
    events, rejected = parse({**EVENT, **changes}, arrival=arrival, **(top or {}))
    assert rejected == []
    return events[0]


def code_of(event: Any, **top: Any) -> str:
    events, rejected = parse(event, **top)
    assert events == []
    return rejected[0].code


def nested(levels: int) -> Any:
    """Give `levels` lists, one in the other."""
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value
