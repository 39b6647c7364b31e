"""The answers: their headers are the same for every one, and no client byte is ever in them."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from aiohttp import hdrs, web

from edge.errors import RequestRefused, StorageBusy, StorageError, StorageFull

HEADERS: Mapping[str, str] = {
    "Server": "datafly-edge",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox",
}
NOT_STORED: Mapping[str, str] = {**HEADERS, "Cache-Control": "no-store"}
JSON_TYPE = "application/json"
AUTHENTICATE = 'Basic realm="datafly-edge", charset="UTF-8"'
# Read by the shop's script and by every proxy on the way: seconds until another try is worth it.
RETRY_FULL_S = 30
RETRY_BUSY_S = 1
RETRY_FAILED_S = 5


def no_content(granted: Mapping[str, str]) -> web.Response:
    """There is nothing to say but what a page of this origin is granted."""
    return web.Response(status=204, headers={**NOT_STORED, **granted})


def all_stored(granted: Mapping[str, str], set_cookies: Iterable[str]) -> web.Response:
    """Everything was stored, and these cookies are set."""
    answer = no_content(granted)
    for value in set_cookies:
        answer.headers.add(hdrs.SET_COOKIE, value)
    return answer


def json_answer(status: int, content: Any) -> web.Response:
    """A small JSON object."""
    return web.Response(status=status, body=orjson.dumps(content), content_type=JSON_TYPE, headers=NOT_STORED)


def refusal(why: RequestRefused, **more: Any) -> web.Response:
    """Nothing was taken, and why; a body that was not read to its end closes the connection."""
    answer = json_answer(why.status, {"error": {"code": why.code, "message": why.message}, **more})
    if why.retry_after_s is not None:
        answer.headers["Retry-After"] = str(why.retry_after_s)
    if why.status in (408, 413):
        answer.force_close()
    return answer


def all_taken() -> web.Response:
    """Everything that a server posted was stored; its libraries look for this very object."""
    return json_answer(200, {"success": True})


def call_refusal(why: RequestRefused, **more: Any) -> web.Response:
    """Nothing of a server's call was taken: our own words for that, and those that its libraries read."""
    answer = refusal(why, success=False, code=why.code, message=why.message, **more)
    if why.status == 401:
        answer.headers["WWW-Authenticate"] = AUTHENTICATE
    return answer


def wrong_method(allow: str) -> web.Response:
    """The path is ours, the method is not."""
    answer = refusal(RequestRefused(405, "wrong_method", f"this path answers {allow}"))
    answer.headers["Allow"] = allow
    return answer


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
