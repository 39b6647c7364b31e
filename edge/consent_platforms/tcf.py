"""IAB Europe's Transparency and Consent Framework, version 2: the core segment of a TC string.

Only consents count: a legitimate interest is no consent, and what we do rests on nothing else.
Source: IAB Tech Lab, "Consent string and vendor list formats v2", core string, fields in order with their bits:
version 6, created 36, last updated 36, CMP id 12, CMP version 12, screen 6, language 12, vendor list version 12,
policy version 6, service specific 1, non-standard texts 1, special features 12, purposes' consents 24, purposes'
legitimate interests 24, purpose one treatment 1, publisher's country 12.
"""

import base64
import re
from functools import lru_cache

from edge.consent import ALL_PURPOSES, Purpose
from edge.consent_platforms.reading import Reading
from edge.jsontree import JSON

PURPOSES = 11  # those the framework has defined; the rest of the 24 bits is reserved
ADS = Purpose.MARKETING | Purpose.ADVERTISING
# 1 store on the device, 3 and 4 personalised advertising, 7 measure advertising, 8 measure content.
# What vendors may also base on a legitimate interest (2, 9, 10, 11) is often not asked for, and so decides nothing.
MEANINGS: dict[str, Purpose] = {str(number): Purpose.NONE for number in range(1, PURPOSES + 1)} | {
    "1": ALL_PURPOSES,
    "3": ADS,
    "4": ADS,
    "7": ADS,
    "8": Purpose.ANALYTICS,
}

_CORE_CHARS = 36  # the 213 bits above, six a letter
_CORE_BITS = _CORE_CHARS * 6
_CORE = re.compile(rf"([A-Za-z0-9_-]{{{_CORE_CHARS}}})[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_.-]*)?")


def read(value: JSON) -> Reading | None:
    """Read a TC string, or what `__tcfapi` gives: {"tcString": "CP…", "gdprApplies": true, "eventStatus": "tcloaded"}.

    Returns:
        Every purpose's consent; nothing where the law does not apply or the visitor is still being asked; None when
        it cannot be read.
    """
    if isinstance(value, str):
        return _read_string(value)
    if not isinstance(value, dict):
        return None
    if value.get("gdprApplies") is False:
        return Reading()
    text = value.get("tcString")
    found = _read_string(text) if isinstance(text, str) else None
    return Reading() if found is not None and value.get("eventStatus") == "cmpuishown" else found


@lru_cache(512)
def _read_string(text: str) -> Reading | None:
    core = _CORE.fullmatch(text)
    if core is None:
        return None
    bits = int.from_bytes(base64.urlsafe_b64decode(core[1]), "big")

    def number(start: int, width: int) -> int:
        return bits >> (_CORE_BITS - start - width) & ((1 << width) - 1)

    if number(0, 6) != 2:
        return None
    consents = {str(purpose): bool(number(151 + purpose, 1)) for purpose in range(1, PURPOSES + 1)}
    if number(200, 1):
        del consents["1"]  # the publisher's law did not ask for it: its bit says nothing
    return Reading(
        answered=consents,
        own_ms=number(42, 36) * 100,
        version=f"2.{number(132, 6)}",
        banner=f"cmp {number(78, 12)}.{number(90, 12)} list {number(120, 12)}",
    )
