"""What a vendor's answer says, read without trusting any of it."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from edge.delivery import Response

MAX_CODE = 10**9


def json_of(response: Response) -> dict[str, Any] | None:
    """Give an answer's JSON object, {} for any other JSON, None where it is no JSON at all."""
    try:
        answer = orjson.loads(response.body)
    except orjson.JSONDecodeError:
        return None
    return answer if isinstance(answer, dict) else {}


def object_of(response: Response) -> dict[str, Any] | None:
    """Give an answer's JSON object, None for anything else."""
    is_object = response.body.lstrip()[:1] == b"{"
    return json_of(response) if is_object else None


def code_of(value: object) -> int | None:
    """Give an error code; whatever else stands there is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_CODE else None


def retry_after_s(
    response: Response,
    *,
    unsaid_s: float = 30.0,
    unreadable_s: float | None = None,
    least_s: float = 1.0,
    most_s: float = 3_600.0,
    now_ms: int | None = None,
) -> float:
    """Give how long `Retry-After` asks to wait.

    Args:
        unsaid_s: where the header is absent.
        unreadable_s: where it cannot be read; None: as where it is absent.
        least_s, most_s: limits of what it says.
        now_ms: when the answer came, for a date; without it none is read.
    Source:
        RFC 9110, section 10.2.3: seconds, or an HTTP date.
    """
    header = response.headers.get("retry-after")
    if header is None:
        return unsaid_s
    text = header.strip()
    is_number = text.isascii() and text.isdecimal()
    told_s = float(text[:10]) if is_number else _until_s(text, now_ms)
    if told_s is None:
        return unsaid_s if unreadable_s is None else unreadable_s
    return min(max(told_s, least_s), most_s)


def _until_s(text: str, now_ms: int | None) -> float | None:
    """Give the seconds until an HTTP date, which may lie in the past; None where it is none."""
    if now_ms is None:
        return None
    try:
        until = parsedate_to_datetime(text)
        until = until if until.tzinfo is not None else until.replace(tzinfo=UTC)
        return (until - datetime.fromtimestamp(now_ms / 1_000, UTC)).total_seconds()
    except (ValueError, TypeError, IndexError, OverflowError, OSError):
        return None
