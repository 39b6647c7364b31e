"""A value that never prints itself, and what a text shows that may hold one."""

import re
from typing import Any

SHOWN_CHARS = 60

_PREFIX = r"(?:[ps]k|whsec|shpss|shpat)_"
_WHOLE = re.compile(rf"{_PREFIX}\S*|\S{{20,}}")
_INSIDE = re.compile(rf"(?<![A-Za-z0-9_.])({_PREFIX})[^\s,:;'\"{{}}\[\]]*|([A-Za-z0-9+/_-]{{20,}}=*)")


class Secret:
    """A string shown as stars everywhere; `reveal()` is called only where a header or a signature is built."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Give the clear text."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(****)"

    def __str__(self) -> str:
        return "****"

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> Any:
        raise TypeError("a secret is not to be copied out of the process")


def looks_like_key(text: str) -> bool:
    """Tell whether a text written where a credential belongs seems to be one."""
    return _WHOLE.fullmatch(text) is not None


def masked(text: str) -> str:
    """Give a text for a message: what seems to be a credential is cut to its prefix, what is long to its beginning."""
    cut = _INSIDE.sub(_mask, text[: 2 * SHOWN_CHARS])
    return cut if len(cut) <= SHOWN_CHARS and len(text) <= 2 * SHOWN_CHARS else cut[:SHOWN_CHARS] + "…"


def _mask(found: re.Match[str]) -> str:
    if found[1]:
        return f"{found[1]}…"
    return "…" if _is_random(found[2]) else found[2]


def _is_random(run: str) -> bool:
    """Tell a key of letters and digits from words: it has digits, and several of them or letters of both cases."""
    digits = sum(map(str.isdigit, run))
    has_both_cases = run != run.lower() and run != run.upper()
    return digits > 0 and (has_both_cases or 2 < digits < len(run))
