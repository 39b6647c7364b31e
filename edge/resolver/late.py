"""What arrives late of somebody who was erased, and what is a new beginning."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from edge.event import Event
from edge.identity import normal, session_of
from edge.ledger.tombstones import tombstone_of, tombstone_of_browser, tombstone_of_session
from edge.person import Identifiers
from edge.secret import Secret
from edge.wire import MAX_PAST_MS

MAX_ADDRESSES = 50
_ADDRESS = re.compile(r"[\w.+-]{1,64}@[\w.-]{1,190}")


@dataclass(frozen=True, slots=True)
class Marks:
    """The tombstones that an event would meet, if there are any: its browser's, its session's, those of its names."""

    browser: bytes
    session: bytes | None
    names: tuple[bytes, ...]

    def hashes(self) -> list[bytes]:
        """Give all of them."""
        return [self.browser, *([self.session] if self.session else []), *self.names]


def may_be_late(event: Event, buried_ms: int) -> bool:
    """Tell whether an event is of before an erasure: accepted before it, or done before it by its own clock.

    An event whose own time was so long ago that it had to be moved may have been done at any time.
    """
    is_moved_up = event.time_ms <= event.received_at_ms - MAX_PAST_MS
    return is_moved_up or min(event.time_ms, event.received_at_ms) <= buried_ms


def marks_of(event: Event, claimed: Identifiers, key: Secret) -> Marks:
    """Give what to look for: besides what an event claims, every address that stands anywhere in it."""
    session = session_of(event.context)
    names = {tombstone_of(kind, value, key) for kind, value in claimed.items()}
    names |= {tombstone_of("email", address, key) for address in _addresses(event)}
    return Marks(
        tombstone_of_browser(event.browser, key),
        tombstone_of_session(event.browser, session, key) if session is not None else None,
        tuple(names),
    )


def is_named_late(event: Event, marks: Marks, buried: Mapping[bytes, int]) -> bool:
    """Tell whether an event of before an erasure names whom it erased, or belongs to one of that browser's sessions."""
    told = (*marks.names, marks.session) if marks.session else marks.names
    return any(mark in buried and may_be_late(event, buried[mark]) for mark in told)


def is_of_late_browser(event: Event, marks: Marks, buried: Mapping[bytes, int]) -> bool:
    """Tell whether an event of before an erasure comes from a browser of whom it erased; others may have used it."""
    return marks.browser in buried and may_be_late(event, buried[marks.browser])


def _addresses(event: Event) -> set[str]:
    found: set[str] = set()
    for text in _texts([event.properties, event.traits, event.context]):
        for match in _ADDRESS.finditer(text):
            address = normal("email", match[0].rstrip("."), "")
            if address is not None:
                found.add(address)
            if len(found) >= MAX_ADDRESSES:
                return found
    return found


def _texts(tree: object) -> Iterator[str]:
    """Give every text that may hold an address, a key as well, and as it reads where it is percent-encoded."""
    if isinstance(tree, str):
        if "%40" in tree:
            yield unquote(tree)
        elif "@" in tree:
            yield tree
    elif isinstance(tree, dict):
        for key, value in tree.items():
            yield from _texts(key)
            yield from _texts(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _texts(value)
