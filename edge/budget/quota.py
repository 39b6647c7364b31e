"""What an answer's headers say of the account's rate; whatever stands in them, reading never fails.

Source: IETF httpapi draft "RateLimit header fields for HTTP", versions 00 to 07 (RateLimit-Limit, -Remaining, -Reset in
seconds, and the single RateLimit field), and the X-RateLimit-… fields that were before them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

MINUTE_S = 60.0
MAX_WINDOW_S = 3_600.0
MAX_CHARS = 500
_PREFIXES = ("ratelimit-", "x-ratelimit-")
_NUMBER = re.compile(r"[ \t]*([0-9]{1,9})[ \t]*(?:[;,].*)?", re.DOTALL)
_POLICY = re.compile(r"(?:^|,)[ \t]*([0-9]{1,9})[ \t]*;[ \t]*w[ \t]*=[ \t]*([0-9]{1,9})")
_MEMBER = re.compile(r"(?:^|,)[ \t]*(limit|remaining|reset)[ \t]*=[ \t]*([0-9]{1,9})(?![0-9])")


@dataclass(frozen=True, slots=True)
class Quota:
    """`remaining` of `limit` requests are left in a window of `window_s` seconds that ends in `reset_s`."""

    limit: int
    remaining: int
    reset_s: float
    window_s: float = MINUTE_S


def read_quota(headers: Mapping[str, str]) -> Quota | None:
    """Read the account's quota from an answer's headers.

    Args:
        headers: with names in lower case.
    Returns:
        None where they do not say all of limit, remaining and reset, or something that cannot be: no limit at all, or a
        window that ends later than it is long (as where the reset is a date).
    """
    told = _fields(headers)
    if told is None:
        return None
    limit, remaining, reset_s = told
    window_s = _window_s(headers, limit)
    if limit < 1 or reset_s > window_s or not 1.0 <= window_s <= MAX_WINDOW_S:
        return None
    return Quota(limit, min(remaining, limit), float(reset_s), window_s)


def _fields(headers: Mapping[str, str]) -> tuple[int, int, int] | None:
    for prefix in _PREFIXES:
        if prefix + "limit" not in headers:
            continue
        found = [
            _NUMBER.fullmatch(headers.get(prefix + name, "")[:MAX_CHARS]) for name in ("limit", "remaining", "reset")
        ]
        if all(found):
            limit, remaining, reset = (int(match[1]) for match in found if match)
            return limit, remaining, reset
    members = dict(_MEMBER.findall(headers["ratelimit"][:MAX_CHARS])) if "ratelimit" in headers else {}
    if len(members) < 3:
        return None
    return int(members["limit"]), int(members["remaining"]), int(members["reset"])


def _window_s(headers: Mapping[str, str], limit: int) -> float:
    """Give the length of the window that has this limit, a minute where none is named ("100, 10;w=1, 100;w=60")."""
    texts = (headers.get(name, "")[:MAX_CHARS] for name in ("ratelimit-limit", "ratelimit-policy"))
    named = {int(count): float(window_s) for text in texts for count, window_s in _POLICY.findall(text)}
    return named.get(limit, MINUTE_S)
