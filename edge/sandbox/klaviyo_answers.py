"""Klaviyo's errors, in its own JSON:API form.

Source: Klaviyo API, revision 2026-07-15, "Rate limits, status codes, and errors": every error has id, code, title and
detail; status, source, links and meta come along in practice. A 429 has an integer Retry-After and no RateLimit-*.
"""

from collections.abc import Callable, Mapping, Sequence

import orjson

from edge.sandbox.shape import Problem
from edge.sandbox.vendor import JSON, Answer

MEDIA_TYPE = "application/vnd.api+json"

_WORDS: Mapping[int, tuple[str, str]] = {
    400: ("invalid", "Invalid input."),
    401: ("not_authenticated", "Authentication credentials were not provided or are not valid."),
    403: ("permission_denied", "You do not have permission to perform this action."),
    404: ("not_found", "Not found."),
    405: ("method_not_allowed", "Method not allowed."),
    409: ("conflict", "Conflict."),
    410: ("revision_retired", "This revision is no longer supported."),
    413: ("payload_too_large", "The payload is too large."),
    415: ("unsupported_media_type", "Unsupported media type."),
    429: ("throttled", "Request was throttled."),
    503: ("service_unavailable", "The service is unavailable."),
}


class Answers:
    """Makes answers; ids are handed in so that a test can know them."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id

    def invalid(self, problems: Sequence[Problem]) -> Answer:
        """400 with one error for each problem, each pointing at its place."""
        return self._errors(400, [self._error(400, one.detail, source={"pointer": one.pointer}) for one in problems])

    def refused(self, status: int, detail: str, *, source: dict[str, JSON] | None = None) -> Answer:
        return self._errors(status, [self._error(status, detail, source=source or {})])

    def throttled(self, retry_after_s: int) -> Answer:
        answer = self.refused(429, f"Request was throttled. Expected available in {retry_after_s} seconds.")
        return Answer(answer.status, answer.body, {**answer.headers, "Retry-After": str(retry_after_s)})

    def _error(self, status: int, detail: str, *, source: dict[str, JSON]) -> JSON:
        code, title = _WORDS.get(status, ("error", "A server error occurred." if status >= 500 else "Refused."))
        return {
            "id": self._new_id(),
            "status": status,
            "code": code,
            "title": title,
            "detail": detail,
            "source": source,
            "links": {},
            "meta": {},
        }

    def _errors(self, status: int, errors: list[JSON]) -> Answer:
        return Answer(status, orjson.dumps({"errors": errors}), {"Content-Type": MEDIA_TYPE})
