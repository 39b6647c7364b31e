"""The answers, as values: their headers are the same for every one, and no client byte is ever in them."""

from typing import Any, NamedTuple, TypeAlias

import orjson
from aiohttp import hdrs, web

from edge.errors import RequestRefused, StorageBusy, StorageError, StorageFull

Headers: TypeAlias = tuple[tuple[str, str], ...]

HEADERS: Headers = (
    ("Server", "datafly-edge"),
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "sandbox"),
)
NOT_STORED: Headers = (*HEADERS, ("Cache-Control", "no-store"))
_JSON: Headers = (*NOT_STORED, ("Content-Type", "application/json"))
AUTHENTICATE = 'Basic realm="datafly-edge", charset="UTF-8"'
# Read by the shop's script and by every proxy on the way: seconds until another try is worth it.
RETRY_FULL_S = 30
RETRY_BUSY_S = 1
RETRY_FAILED_S = 5


class Answer(NamedTuple):
    """What a request is answered; `closes`: and that its connection ends. A tuple, as one is made a request."""

    status: int
    headers: Headers
    body: bytes = b""
    set_cookies: tuple[str, ...] = ()
    closes: bool = False

    def plus(self, *headers: tuple[str, str]) -> "Answer":
        """Give the answer with more headers."""
        return self._replace(headers=(*self.headers, *headers))


def response(answer: Answer) -> web.Response:
    """Give an answer as aiohttp sends it."""
    made = web.Response(status=answer.status, headers=answer.headers, body=answer.body or None)
    for value in answer.set_cookies:
        made.headers.add(hdrs.SET_COOKIE, value)
    if answer.closes:
        made.force_close()
    return made


def no_content(granted: Headers, set_cookies: tuple[str, ...] = ()) -> Answer:
    """There is nothing to say but what a page of this origin is granted."""
    return Answer(204, NOT_STORED + granted, b"", set_cookies)


def json_answer(status: int, content: Any) -> Answer:
    """A small JSON object."""
    return Answer(status, _JSON, orjson.dumps(content))


def refusal(why: RequestRefused, **more: Any) -> Answer:
    """Nothing was taken, and why; a body that was not read to its end closes the connection."""
    answer = json_answer(why.status, {"error": {"code": why.code, "message": why.message}, **more})
    if why.retry_after_s is not None:
        answer = answer.plus(("Retry-After", str(why.retry_after_s)))
    return answer._replace(closes=why.status in (408, 413))


def all_taken() -> Answer:
    """Everything that a server posted was stored; its libraries look for this very object."""
    return json_answer(200, {"success": True})


def call_refusal(why: RequestRefused, **more: Any) -> Answer:
    """Nothing of a server's call was taken: our own words for that, and those that its libraries read."""
    answer = refusal(why, success=False, code=why.code, message=why.message, **more)
    return answer.plus(("WWW-Authenticate", AUTHENTICATE)) if why.status == 401 else answer


def wrong_method(allow: str) -> Answer:
    """The path is ours, the method is not."""
    return refusal(RequestRefused(405, "wrong_method", f"this path answers {allow}")).plus(("Allow", allow))


def not_stored(error: StorageError) -> RequestRefused:
    """Give the refusal for what could not be stored; nothing of the request was kept."""
    if isinstance(error, StorageFull):
        return _later("storage_full", "there is no room at the moment", RETRY_FULL_S)
    if isinstance(error, StorageBusy):
        return _later("storage_busy", "too much waits already", RETRY_BUSY_S)
    return _later("storage_failed", "storage failed, a restart is under way", RETRY_FAILED_S)


def unexpected() -> RequestRefused:
    """Give the refusal for what nobody foresaw; the log has the place."""
    return _later("unavailable", "the request could not be handled", RETRY_FAILED_S)


def _later(code: str, message: str, retry_after_s: int) -> RequestRefused:
    return RequestRefused(503, code, message, retry_after_s=retry_after_s)
