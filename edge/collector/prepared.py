"""Answers as bytes made beforehand, for the two that are given all day: half the price of a whole `web.Response`.

Removable: `edge.collector.answers.all_stored` and `Script.answer` are their plain twins; tests compare them byte for
byte. Whatever is not exactly the common case goes the plain way; `can_answer` says what that is. Two names of aiohttp's
are private here (`_keep_alive`, `_status`), so its minor version is pinned.
"""

from collections.abc import Mapping

from aiohttp import hdrs, web
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import HttpVersion11

from edge.collector.answers import NOT_STORED
from edge.collector.static import Script


class Prepared(web.Response):
    """One answer, written at once and whole, or not at all; nothing after the write makes another one."""

    _keep_alive = True

    def __init__(self, request: web.BaseRequest, status: int, head: str, body: bytes = b"") -> None:
        self._status = status  # not the parent's: what that sets up is what this does without
        self._of, self._head, self._content = request, head, body

    async def prepare(self, request: web.BaseRequest) -> None:
        """Prepare nothing."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Write the answer, unless the client has left: what it sent stays stored.

        Raises:
            ConnectionResetError: it has left.
        """
        transport, writer = self._of.transport, self._of.writer
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has left")
        told = f"{self._head}Date: {rfc822_formatted_time()}\r\n\r\n".encode("latin-1") + self._content
        writer.output_size = len(told)  # so that nobody sends a second answer
        transport.write(told)
        await writer.drain()  # who does not read is not written to any more


class PreparedAnswers:
    """The heads, each made once."""

    def __init__(self, script: Script) -> None:
        self._stored: dict[int, tuple[Mapping[str, str], str]] = {}
        self._script = script
        self._variants: dict[int, tuple[str, bytes]] = {}

    def all_stored(self, request: web.BaseRequest, granted: Mapping[str, str], set_cookie: str | None) -> Prepared:
        """Give the answer to a batch of which all was stored.

        Args:
            granted: one of the few mappings made at the start, with the headers for the page's origin.
            set_cookie: the value of its Set-Cookie, which nobody but us has made.
        """
        known = self._stored.get(id(granted))
        if known is None:
            known = self._stored[id(granted)] = granted, _head("204 No Content", {**NOT_STORED, **granted})
        if set_cookie is None:
            return Prepared(request, 204, known[1])
        return Prepared(request, 204, f"{known[1]}{hdrs.SET_COOKIE}: {set_cookie}\r\n")

    def script(self, request: web.BaseRequest, coding: str | None, *, is_pinned: bool) -> Prepared:
        """Give the whole script in the best coding that the client takes."""
        headers, body = self._script.chosen(coding, is_pinned=is_pinned)
        known = self._variants.get(id(headers))
        if known is None:
            told = {**headers, hdrs.CONTENT_LENGTH: str(len(body))}
            known = self._variants[id(headers)] = _head("200 OK", told), body
        return Prepared(request, 200, *known)


def can_answer(request: web.BaseRequest) -> bool:
    """Tell whether bytes made beforehand are right: HTTP/1.1, on a connection that stays open, and not to HEAD."""
    return request.version == HttpVersion11 and request.keep_alive and request.method != hdrs.METH_HEAD


def _head(status: str, headers: Mapping[str, str]) -> str:
    return "".join((f"HTTP/1.1 {status}\r\n", *(f"{name}: {value}\r\n" for name, value in headers.items())))
