"""Requests that are there in whole when they are parsed: taken at once, without aiohttp's task, request and response.

Removable: with `protocol.Server` in place of `DirectServer` every request goes the plain way, and tests compare what
both send byte for byte. Direct is only what needs nothing of that way: HTTP/1.1, a connection that stays open and has
no other request under way, a body that came with its head, a client that reads. Many names of aiohttp's are private
here, so its minor version is pinned.
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Any, NamedTuple, TypeAlias

from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import HttpVersion11, RawRequestMessage
from multidict import CIMultiDictProxy

from edge.collector.answers import Answer, Headers
from edge.collector.protocol import Connection, Server

Take: TypeAlias = Callable[[CIMultiDictProxy[str], str, bytes, Callable[[Answer], None]], None]


class Route(NamedTuple):
    """Who takes a request, by its headers, its connection's other end and its body; and as what it is counted."""

    endpoint: str
    take: Take


Routes: TypeAlias = Mapping[tuple[str, str], Route]  # by method and raw path
Count: TypeAlias = Callable[[str, int], None]


class DirectServer(Server):
    """Makes connections that take some requests directly."""

    def __init__(self, handler: Any, routes: Routes, count: Count, **options: Any) -> None:
        super().__init__(handler, **options)
        self.routes, self.count = routes, count

    def __call__(self) -> Connection:
        return DirectConnection(self, self.routes, self.count, **self.options)


class DirectConnection(Connection):
    """One connection; while a direct request is under way, aiohttp's own loop sleeps and what follows queues."""

    __slots__ = ("_count", "_endpoint", "_remote", "_routes")

    def __init__(self, server: Server, routes: Routes, count: Count, **options: Any) -> None:
        super().__init__(server, **options)
        self._routes, self._count, self._endpoint, self._remote = routes, count, "", ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._remote = self.remote

    def data_received(self, data: bytes) -> None:
        idle = self._waiter
        if idle is None or idle.done():  # aiohttp's loop is at work, or is about to be
            super().data_received(data)
            return
        self._waiter = None  # it is not woken before it is known whose request it is
        try:
            super().data_received(data)
        finally:
            self._waiter = idle
        if self._messages and not self._request_in_progress and not self._take():
            self._wake()

    def resume_reading(self, resume_parser: bool = True) -> None:
        if self._reading_paused:  # a stream asks for it after each body, and even parsing nothing has its price
            super().resume_reading(resume_parser)

    def _take(self) -> bool:
        """Take the one request that is there; False where it has to go the plain way."""
        message, payload = self._messages[0]
        if (
            len(self._messages) > 1
            or not isinstance(message, RawRequestMessage)
            or message.version is not HttpVersion11
            or message.should_close
            or message.upgrade
            or message.chunked
            or not payload.is_eof()
            or self.writing_paused
            or self._close
        ):
            return False
        route = self._routes.get((message.method, message.path))
        if route is None:
            return False
        assert self._parser is not None  # it goes with the connection, and then nothing comes any more
        self._messages.clear()
        self._parser.message_consumed()
        self._request_in_progress, self._endpoint = True, route.endpoint  # a shutdown waits for it
        route.take(message.headers, self._remote, payload.read_nowait(), self._answer)
        return True

    def _answer(self, answer: Answer) -> None:
        """Send an answer, unless the client has left, and let what came meanwhile go on."""
        self._count(self._endpoint, answer.status)
        transport = self.transport
        if transport is not None and not transport.is_closing():
            transport.write(sent_as(answer))
            if answer.closes or self._close:
                transport.close()
        self._request_in_progress = False
        if self._handler_waiter is not None:
            self._handler_waiter.set_result(None)
        self._next_keepalive_close_time = self._loop.time() + self.keepalive_timeout
        if self._messages:
            self._wake()

    def _wake(self) -> None:
        """Let aiohttp's own loop take what is queued."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _process_keepalive(self) -> None:
        if self._request_in_progress:  # aiohttp sees its own loop asleep, and would close what is not idle
            self._next_keepalive_close_time = self._loop.time() + self.keepalive_timeout
        super()._process_keepalive()


def sent_as(answer: Answer) -> bytes:
    """Give the bytes that aiohttp would send on a connection of HTTP/1.1."""
    lines = [_head(answer.status, answer.headers)]
    lines += [f"Set-Cookie: {value}\r\n" for value in answer.set_cookies]
    if answer.body:
        lines.append(f"Content-Length: {len(answer.body)}\r\n")
    lines.append(f"Date: {rfc822_formatted_time()}\r\n")
    lines.append("Connection: close\r\n\r\n" if answer.closes else "\r\n")
    return "".join(lines).encode() + answer.body


@lru_cache(64)
def _head(status: int, headers: Headers) -> str:
    told = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{told}"
