"""The kinds of vendors' ids: whose they are, how long they hold, and what has to be granted to give them on.

Source: docs/identity.md, "Vendor ids"; the vendors' own life times there.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from edge.consent import MASKS, Purpose
from edge.person import Identifiers, KeptKind, VendorId

DAY_MS: Final = 86_400_000
CLICK_HOLDS_MS: Final = 90 * DAY_MS
SESSION_HOLDS_MS: Final = DAY_MS

# The browser's, whoever sits before it: a new epoch has them too. All others are clicks, and a click is somebody's.
BROWSERS_OWN: Final[frozenset[KeptKind]] = frozenset({"fbp", "ga_client_id", "ga_session_id", "ttp"})
CLICKS: Final[frozenset[KeptKind]] = frozenset({"fbc", "ttclid", "gclid", "gbraid", "wbraid", "msclkid", "kx"})

# How long an id holds; one that is not here, for ever. The token of a mail is its vendor's to judge.
HOLDS_MS: Final[Mapping[KeptKind, int]] = {
    **dict.fromkeys(CLICKS - {"kx"}, CLICK_HOLDS_MS),
    "ga_session_id": SESSION_HOLDS_MS,
}
# What must be granted before an id reaches any mapping. A mail's token goes by its pipeline's purposes alone.
PURPOSES: Final[Mapping[KeptKind, Purpose]] = {
    **dict.fromkeys(("fbp", "ttp", "device", *(CLICKS - {"kx"})), Purpose.ADVERTISING),
    **dict.fromkeys(("ga_client_id", "ga_session_id"), Purpose.ANALYTICS),
    "kx": Purpose.NONE,
}
# The kinds that may be given on, by the mask of what is granted.
_ALLOWED: Final = tuple(frozenset(kind for kind, asked in PURPOSES.items() if not asked & ~mask) for mask in MASKS)


def holds(one: VendorId, moment_ms: int) -> bool:
    """Tell whether an id holds for an event that was accepted at a moment."""
    limit_ms = HOLDS_MS.get(one.kind)
    return limit_ms is None or moment_ms - one.at_ms <= limit_ms


def known_at(
    person: Identifiers,
    kept: Iterable[VendorId],
    moment_ms: int,
    *,
    own_id: str | None = None,
    introduces: bool = False,
) -> Identifiers:
    """Give what a visitor is known by at a moment: its person's identifiers, and what holds of its own ids.

    Args:
        own_id: stands for the visitor before vendors; None where the person's word for it stays.
        introduces: an event is to say who the stranger was that they know by it, if anybody is named.
    """
    held = [(one.kind, one.value) for one in kept if holds(one, moment_ms)]
    if not held and own_id is None:
        return person
    kx = next((value for kind, value in held if kind == "kx"), person.kx)
    ids = tuple([one for one in held if one[0] != "kx"]) if held else person.vendor_ids
    own_id, is_told = own_id or person.anonymous_id, introduces and bool(person)
    return Identifiers(person.email, person.phone, person.customer_id, kx, ids, own_id, is_told)


def allowed(identifiers: Identifiers, granted: Purpose) -> Identifiers:
    """Give identifiers without the vendors' ids whose purpose is not granted."""
    if not identifiers.vendor_ids:
        return identifiers
    kinds = _ALLOWED[granted]
    kept = [one for one in identifiers.vendor_ids if one[0] in kinds]
    is_whole = len(kept) == len(identifiers.vendor_ids)
    return identifiers if is_whole else replace(identifiers, vendor_ids=tuple(kept))
