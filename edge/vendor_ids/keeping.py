"""What an event brings of vendors' ids, and whether that is news for its visitor."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from edge.jsontree import JSON
from edge.person import KeptKind, VendorId
from edge.vendor_ids import meta
from edge.vendor_ids.cookies import VENDOR_IDS_KEY
from edge.vendor_ids.kinds import BROWSERS_OWN, CLICKS, holds
from edge.vendor_ids.landing import ids_in, page_url


@dataclass(frozen=True, slots=True)
class Found:
    """An id that an event brought; `is_landing`: in its page's URL. `own_ms` is when it was clicked, as it says."""

    kind: KeptKind
    value: str
    is_landing: bool = False
    own_ms: int | None = None


def brings_any(told: JSON, url: str) -> bool:
    """Tell whether an event's cookies or its page's URL may bring an id; mostly neither does."""
    return bool(told) or "=" in url


def brought(context: Mapping[str, JSON], time_ms: int) -> tuple[Found, ...]:
    """Give what an event's cookies and URL brought, one of each kind.

    A URL counts before a cookie: it is the click itself. For Meta's click the cookie's form is taken, where it is the
    same click. A click without a cookie was first seen when its event happened.
    """
    told, url = context.get(VENDOR_IDS_KEY), page_url(context)
    if not brings_any(told, url):
        return ()
    landing = ids_in(url)
    found = {one.kind: one for one in _from_cookies(told)} if isinstance(told, dict) else {}
    for name, value in landing.items():
        one = _from_landing(name, value, time_ms)
        held = found.get(one.kind)
        found[one.kind] = replace(held, is_landing=True) if held and same_click(held, one) else one
    return tuple(found.values())


def same_click(one: Found | VendorId, other: Found | VendorId) -> bool:
    """Tell whether two ids of a kind are of one click, though written differently."""
    if one.kind == "fbc":
        return meta.fbclid_of(one.value) == meta.fbclid_of(other.value)
    return one.value == other.value


def is_news(found: Found, known: VendorId | None, moment_ms: int) -> bool:
    """Tell whether what an event brought takes the place of what is known of its kind.

    A browser's own id does when it is another. So does a click in a URL. A cookie outlives its click, so it only fills
    a gap, unless it says that its click came later; or it is the vendor's own form of the click that is known.
    """
    if known is None:
        return True
    if found.value == known.value:
        return False
    if found.kind not in CLICKS:
        return True
    if same_click(found, known):
        return not found.is_landing and holds(known, moment_ms)
    if found.is_landing or not holds(known, moment_ms):
        return True
    return found.own_ms is not None and found.own_ms > known.at_ms


def kept_as(found: Found, known: VendorId | None, seq: int, moment_ms: int) -> VendorId:
    """Give the news as it is kept: a click is as old as it says, but never of the future; one and the same, as it was.

    Args:
        moment_ms: when the event was accepted.
    """
    at_ms = moment_ms
    if known is not None and found.kind in CLICKS and same_click(found, known):
        at_ms = known.at_ms
    elif found.own_ms is not None:
        at_ms = min(found.own_ms, moment_ms)
    return VendorId(found.kind, found.value, seq, at_ms)


def _from_cookies(told: Mapping[str, JSON]) -> list[Found]:
    found = []
    for kind, given in told.items():
        value, own_ms = given if isinstance(given, list) and len(given) == 2 else (given, None)
        if isinstance(value, str) and (kind in CLICKS or kind in BROWSERS_OWN):
            if kind == "fbc":
                if meta.read_fbc(value) is None:
                    continue
                own_ms = meta.clicked_at_ms(value)
            found.append(Found(kind, value, own_ms=own_ms if isinstance(own_ms, int) else None))
    return found


def _from_landing(name: str, value: str, time_ms: int) -> Found:
    if name == "fbclid":
        return Found("fbc", f"fb.{meta.SERVERS_INDEX}.{time_ms:013}.{value}", is_landing=True)
    kind: KeptKind = "kx" if name == "_kx" else name  # type: ignore[assignment]  # the closed set of ids_in
    return Found(kind, value, is_landing=True)
