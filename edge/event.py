"""An event, and its envelope: the bytes that the spool keeps."""

from dataclasses import dataclass
from typing import Any

import orjson

from edge.jsontree import JSON

RESERVED_NAMES = frozenset({"page_view", "identify", "group", "consent", "reset"})
# Two names of one event; the right-hand one is used in pipelines, screens and metrics.
ALIASES = {"begin_checkout": "started_checkout"}
BROWSER_SOURCE = "browser"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing a visitor did.

    `id` is made by the source and is the de-duplication key from there to the vendor. `time_ms` is the source's
    clock, corrected; `received_at_ms` is ours. `browser` is the cookie id (32 hex digits): the order and
    partition key. `context` carries page, session, consent, locale …, and ip, user_agent and gpc as we saw them.
    """

    id: str
    name: str
    time_ms: int
    received_at_ms: int
    source: str
    browser: str
    properties: dict[str, JSON]
    traits: dict[str, JSON]
    context: dict[str, JSON]
    is_time_moved: bool = False

    @property
    def canonical_name(self) -> str:
        """The name that pipelines know the event by."""
        return ALIASES.get(self.name, self.name)

    @property
    def order_id(self) -> str | None:
        """A purchase's order id, else None."""
        if self.name != "purchase":
            return None
        value = self.properties.get("transaction_id")
        return str(value) if isinstance(value, str | int) and value != "" else None


def encode(event: Event) -> bytes:
    """Give the envelope: our own JSON, never the client's bytes."""
    return orjson.dumps(
        {
            "id": event.id,
            "name": event.name,
            "time": event.time_ms,
            "received_at": event.received_at_ms,
            "source": event.source,
            "browser": event.browser,
            "properties": event.properties,
            "traits": event.traits,
            "context": event.context,
            **({"time_moved": True} if event.is_time_moved else {}),
        }
    )


def decode(envelope: bytes) -> Event:
    """Read back what `encode` wrote.

    Raises:
        ValueError: the bytes are not an envelope (they passed their checksum, so this is a bug or a newer version).
    """
    raw: dict[str, Any] = orjson.loads(envelope)
    try:
        return Event(
            id=raw["id"],
            name=raw["name"],
            time_ms=raw["time"],
            received_at_ms=raw["received_at"],
            source=raw["source"],
            browser=raw["browser"],
            properties=raw["properties"],
            traits=raw["traits"],
            context=raw["context"],
            is_time_moved="time_moved" in raw,
        )
    except KeyError as error:
        raise ValueError(f"an envelope without {error}") from error
