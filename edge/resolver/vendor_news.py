"""What an event adds to a visitor's vendor ids: what it tells, what it was seen with, what its person's others have."""

from collections.abc import Iterable

from edge.consent import Purpose
from edge.event import Event
from edge.ledger.records import VisitorState
from edge.person import KeptKind, VendorId
from edge.vendor_ids import CLICKS, PURPOSES, Found, brought, is_news, kept_as, same_click

NEEDED = int(PURPOSES["device"])


def told_by(
    event: Event, visitor: VisitorState, seq: int, earlier: Iterable[VisitorState], *, is_newest: bool
) -> list[VendorId]:
    """Give what is news of an event's cookies and landing URL.

    Args:
        earlier: the browser's epochs before its newest one.
        is_newest: the visitor is its browser's newest epoch.
    """
    moment_ms, earlier = event.received_at_ms, tuple(earlier)
    news = []
    for found in brought(event.context, event.time_ms):
        known = visitor.vendor_id(found.kind)
        if is_news(found, known, moment_ms) and _is_own(found, earlier, is_newest=is_newest):
            news.append(kept_as(found, known, seq, moment_ms))
    return news


def _is_own(found: Found, earlier: Iterable[VisitorState], *, is_newest: bool) -> bool:
    """Tell whether an id is this visitor's.

    A late event's cookies are those of now, and so somebody else's clicks. One that the browser had before it became
    somebody else's is not taken again: after a logout it still stands in the address bar, and in the cookie.
    """
    if found.kind not in CLICKS:
        return True
    if not found.is_landing and not is_newest:
        return False
    before = (other.vendor_id(found.kind) for other in earlier)
    return not any(known is not None and same_click(found, known) for known in before)


def device_of(visitor: VisitorState, event: Event, seq: int, granted: Purpose) -> list[VendorId]:
    """Give what a person's browser was seen with, where it is news and may be used: servers' events have none."""
    ip, user_agent = event.context.get("ip"), event.context.get("user_agent")
    if visitor.person is None or not ip or not user_agent or NEEDED & ~int(granted):
        return []
    value, known = f"{ip} {user_agent}", visitor.vendor_id("device")
    if known is not None and known.value == value:
        return []
    return [VendorId("device", value, seq, event.received_at_ms)]


def lent(visitor: VisitorState, lenders: Iterable[VisitorState], seq: int, granted: Purpose) -> list[VendorId]:
    """Give what a server's visitor gets of its person's others: of each kind the newest, where it has another.

    Args:
        lenders: the person's visitors. What one of them has denied, and what is not `granted`, is not lent; nor is
            the token of a mail, as a server's event names somebody anyway.
    """
    newest: dict[KeptKind, VendorId] = {}
    for lender in lenders:
        denied = lender.answer.denied if lender.answer is not None else Purpose.NONE
        for one in lender.vendor_ids if lender.id != visitor.id else ():
            is_newer = one.kind not in newest or newest[one.kind].seq < one.seq
            if one.kind != "kx" and is_newer and not PURPOSES[one.kind] & (denied | ~granted):
                newest[one.kind] = one
    known = {one.kind: one.value for one in visitor.vendor_ids}
    return [
        VendorId(one.kind, one.value, seq, one.at_ms) for one in newest.values() if known.get(one.kind) != one.value
    ]
