"""Which single values Klaviyo takes: times, addresses, numbers, codes, and the limits inside properties.

Source: Klaviyo API, revision 2026-07-15, and "Events API overview" (limitations). Where a unit or a bound is left open
there (KB, nesting, an offset in a time), the stricter reading is used.
"""

import re
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from edge.sandbox.shape import Check, Report, child, kind_of, text
from edge.sandbox.vendor import JSON

MAX_PROPERTIES = 400
MAX_STRING_BYTES = 100_000
MAX_ARRAY_ITEMS = 4_000
MAX_LEVELS = 10

_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_OLDEST = datetime(2000, 1, 1, tzinfo=UTC)
_EMAIL = re.compile(
    r"(?!\.)(?!.*\.\.)[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}(?<!\.)"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9-]{0,61}[A-Za-z0-9]"
)
_MAX_EMAIL_CHARS = 254


def _matching(pattern: str, *, wanted: str, max_chars: int | None = None) -> Check:
    compiled = re.compile(pattern)
    return text(is_good=lambda value: compiled.fullmatch(value) is not None, wanted=wanted, max_chars=max_chars)


email = _matching(_EMAIL.pattern, wanted="a valid e-mail address", max_chars=_MAX_EMAIL_CHARS)
phone = _matching(r"\+[1-9][0-9]{6,14}", wanted="a phone number in E.164 form, such as '+15005550006'")
currency = _matching(r"[A-Z]{3}", wanted="an ISO 4217 code, such as 'EUR'")
locale = _matching(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", wanted="a BCP 47 tag, such as 'en-GB'")


def read_time(value: str) -> datetime | None:
    """An ISO-8601 date-time with its offset; None for anything else."""
    if not _DATE_TIME.fullmatch(value):
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


def event_time(now_ms: int) -> Check:
    """After the start of 2000, and at most a year ahead of `now_ms`."""
    newest = datetime.fromtimestamp(now_ms / 1000, UTC) + timedelta(days=365)

    def check(report: Report, pointer: str, value: JSON) -> None:
        when = read_time(value) if isinstance(value, str) else None
        if when is None:
            report.wrong(pointer, "Must be an ISO-8601 date-time with an offset, such as '2026-11-20T14:03:09Z'.")
        elif when <= _OLDEST:
            report.wrong(pointer, "Must be after the year 2000 has begun.")
        elif when > newest:
            report.wrong(pointer, "Must not be more than one year in the future.")

    return check


def _is_address(value: str) -> bool:
    try:
        ip_address(value)
    except ValueError:
        return False
    return True


address = text(is_good=_is_address, wanted="an IP address")


def degrees(limit: float) -> Check:
    """A latitude or longitude, as a number or as its text."""

    def check(report: Report, pointer: str, value: JSON) -> None:
        try:
            is_good = not isinstance(value, bool | dict | list | None) and -limit <= float(value) <= limit
        except ValueError:
            is_good = False
        if not is_good:
            report.wrong(pointer, f"Must be between -{limit} and {limit}.")

    return check


def event_properties(report: Report, pointer: str, value: JSON) -> None:
    """The object with an event's own properties; its keys are free."""
    if not isinstance(value, dict):
        report.wrong(pointer, f"Must be an object, not {kind_of(value)}.")
        return
    if len(value) > MAX_PROPERTIES:
        report.wrong(pointer, f"Must not exceed {MAX_PROPERTIES} properties; there are {len(value)}.")
    within_limits(report, pointer, value)


def within_limits(report: Report, pointer: str, value: JSON, *, level: int = 1) -> None:
    """Strings, arrays and nesting at any depth; the value itself is the first level."""
    match value:
        case None:
            report.note(pointer, "null is stored as it is")
        case str() if len(value.encode()) > MAX_STRING_BYTES:
            report.wrong(pointer, f"A string must not exceed {MAX_STRING_BYTES} bytes.")
        case dict() | list() if level > MAX_LEVELS:
            report.wrong(pointer, f"Must not be nested deeper than {MAX_LEVELS} levels.")
        case dict():
            for key, inner in value.items():
                within_limits(report, child(pointer, key), inner, level=level + 1)
        case list():
            if len(value) > MAX_ARRAY_ITEMS:
                report.wrong(pointer, f"An array must not exceed {MAX_ARRAY_ITEMS} items; this has {len(value)}.")
            for index, inner in enumerate(value):
                within_limits(report, f"{pointer}/{index}", inner, level=level + 1)
