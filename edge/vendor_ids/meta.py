"""Meta's `_fbp` and `_fbc`: fb.<index>.<milliseconds>.<random or fbclid>, and the cookies that hold them.

Source: Meta, Conversions API, "fbp and fbc parameters" (2026-09); facebook-business 26.0.3, parameter builder.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

MAX_AGE_S: Final = 90 * 86_400
RANDOM_BYTES: Final = 4
# A server that sets no cookie writes 1, whatever its host.
SERVERS_INDEX: Final = 1

_HEAD = r"fb\.[0-9]\.([0-9]{13})\."
# The fifth part is what Meta's own builder appends.
_FBP = re.compile(_HEAD + r"[0-9]{1,20}(?:\.[A-Za-z0-9_-]{1,16})?")
_FBC = re.compile(_HEAD + r"([A-Za-z0-9_-]{1,512})(?:\.[A-Za-z0-9_-]{1,16})?")
_FBCLID = re.compile(r"[A-Za-z0-9_-]{1,512}")


def read_fbp(text: str) -> str | None:
    """Give `_fbp` as it came, None where it is none."""
    return text if _FBP.fullmatch(text) else None


def read_fbc(text: str) -> str | None:
    """Give `_fbc` as it came, None where it is none; case counts."""
    return text if _FBC.fullmatch(text) else None


def fbclid_of(fbc: str) -> str:
    """Give the click that a good `_fbc` is about."""
    return fbc.split(".")[3]


def clicked_at_ms(fbc: str) -> int:
    """Give when the click of a good `_fbc` was first seen."""
    return int(fbc.split(".")[2])


def fbc_of(fbclid: str, at_ms: int, index: int = SERVERS_INDEX) -> str | None:
    """Make `_fbc` for a click that was first seen at a moment; None where the click's id is none."""
    return f"fb.{index}.{at_ms:013}.{fbclid}" if _FBCLID.fullmatch(fbclid) else None


def fbp_of(random: bytes, at_ms: int, index: int) -> str:
    """Make `_fbp` for a browser that has none."""
    return f"fb.{index}.{at_ms:013}.{int.from_bytes(random, 'big') & 0x7FFFFFFF}"


def index_of(host: str) -> int:
    """Give how deep a cookie's host lies: 1 for shop.example, 2 for www.shop.example."""
    return min(max(host.strip(".").count("."), 0), 9)


@dataclass(frozen=True, slots=True)
class MetaCookies:
    """How the two are set: `domain` as the visitor cookie's, `index` for its depth."""

    index: int
    domain: str | None = None

    def wanted(
        self, found: Mapping[str, object], fbclid: str | None, now_ms: int, random_bytes: Callable[[int], bytes]
    ) -> dict[str, str]:
        """Give what a browser lacks: `fbp`, and `fbc` where the page's URL brings another click than its cookie.

        Args:
            found: the ids that the request's cookies brought, {"fbp": "fb.1.…"}.
            fbclid: of the page's URL.
        """
        made: dict[str, str] = {}
        if "fbp" not in found:
            made["fbp"] = fbp_of(random_bytes(RANDOM_BYTES), now_ms, self.index)
        fbc = fbc_of(fbclid, now_ms, self.index) if fbclid is not None else None
        held = found.get("fbc")
        if fbc is not None and (not isinstance(held, str) or fbclid_of(held) != fbclid):
            made["fbc"] = fbc
        return made

    def header_value(self, kind: str, value: str) -> str:
        """Give the whole Set-Cookie value of `fbp` or `fbc`; Meta's own pixel reads it, so it is not HttpOnly."""
        place = f"; Domain={self.domain}" if self.domain else ""
        return f"_{kind}={value}; Max-Age={MAX_AGE_S}{place}; Path=/; Secure; SameSite=Lax"
