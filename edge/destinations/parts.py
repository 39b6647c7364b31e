"""Several payloads a request: cut by count and size, and what is refused is cut further until only the bad ones are."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from edge.delivery import (
    Conversation,
    Delivered,
    Outcome,
    Payload,
    Refused,
    Rejected,
    Request,
    Response,
    Retry,
    Throttled,
    Unclear,
)
from edge.errors import TransportFailed

BEHIND = "behind a request that failed"

# What came of one part: an outcome for all of it, or those that the vendor names as bad, by their place in the part.
Said: TypeAlias = Outcome | Mapping[int, Rejected]
Sent: TypeAlias = Generator[Request, Response, Said]


def spans_of(sizes_bytes: Iterable[int], *, max_count: int, max_bytes: int) -> list[range]:
    """Cut items, in order, into as few parts as the limits allow, a byte for each comma included.

    One item that is larger than `max_bytes` stands alone.
    """
    spans: list[range] = []
    total_bytes = 0
    for place, size_bytes in enumerate(sizes_bytes):
        total_bytes += size_bytes + 1
        if not spans or len(spans[-1]) == max_count or total_bytes > max_bytes:
            spans.append(range(place, place))
            total_bytes = size_bytes + 1
        spans[-1] = range(spans[-1].start, place + 1)
    return spans


def in_parts(parts: Iterable[Sequence[int]], send: Callable[[Sequence[int]], Sent]) -> Conversation:
    """Send part after part; of one that is rejected in the end only the bad items are.

    A part whose bad items the vendor names goes again without them; one that is rejected as a whole is halved. After
    an answer that is no word about the items themselves the rest is not tried: a later event of a visitor must not
    overtake an earlier one. Nor is it after a request without an answer: what was answered before stands.

    Args:
        parts: the places of payloads, together 0 to n - 1.
        send: sends one part; it may need several requests (a token). What it does not catch of TransportFailed is a
            retry.
    Returns:
        n outcomes. At most 2n - 1 times something is sent.
    """
    outcomes: dict[int, Outcome] = {}
    waiting = deque(parts)
    total = sum(map(len, waiting))
    while waiting:
        part = waiting.popleft()
        try:
            said = yield from send(part)
        except TransportFailed as error:
            said = Retry(str(error))
        if isinstance(said, Mapping):
            outcomes |= {part[at]: rejected for at, rejected in said.items()}
            waiting.extendleft([rest] if (rest := [place for at, place in enumerate(part) if at not in said]) else [])
            continue
        if isinstance(said, Rejected) and len(part) > 1:
            half = len(part) // 2
            waiting.extendleft((part[half:], part[:half]))
            continue
        if isinstance(said, Unclear) and len(part) > 1:
            said = replace(said, response=None)  # it may speak of several visitors, and would be kept with each
        outcomes |= dict.fromkeys(part, said)
        if not isinstance(said, Delivered | Rejected):
            rest_said = said if isinstance(said, Throttled | Refused) else Retry(BEHIND)
            return [outcomes.get(place, rest_said) for place in range(total)]
    return [outcomes[place] for place in range(total)]


def in_requests(
    payloads: Sequence[Payload],
    *,
    ask: Callable[[Sequence[Payload]], Request],
    read: Callable[[Response, int], Outcome],
    max_count: int,
    max_bytes: int,
) -> Conversation:
    """Send payloads in order, as many a request as may be, see `in_parts`.

    Args:
        ask: puts a request around some payloads.
        read: gives what an answer means for so many payloads together.
        max_count: payloads a request.
        max_bytes: of their bodies together; one larger than that goes alone.
    """

    def send(places: Sequence[int]) -> Sent:
        response = yield ask([payloads[place] for place in places])
        return read(response, len(places))

    sizes_bytes = (len(payload.body) for payload in payloads)
    return (yield from in_parts(spans_of(sizes_bytes, max_count=max_count, max_bytes=max_bytes), send))
