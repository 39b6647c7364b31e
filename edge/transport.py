"""One HTTP client for every destination: no cookies, no redirects, bounded answers, one connection pool; and the
archive's files, written by a thread of their own.

Requests whose address was not chosen freely by the operator go through a pool of their own, which connects to public
addresses only: a name is resolved once, each address is judged, and what was judged is what is connected to.
"""

import asyncio
import errno
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from edge.archive_files import ArchiveFiles, Finds
from edge.delivery import Append, Request, Response
from edge.errors import TransportFailed
from edge.public_address import is_public

T = TypeVar("T")

MAX_ANSWER_BYTES = 1_000_000
APPENDED = Response(200, {}, b"")
NOT_PUBLIC = "the host has no public address"


class Transport(Protocol):
    """Sends one request and gives its complete answer; appends lines to a file and says so when they are on disk."""

    async def send(self, request: Request) -> Response:
        """Raises TransportFailed when there is no complete answer; it says whether the request may have arrived."""
        ...


class NotPublic(OSError):
    """Raised inside this file before anything is sent to an address that is not public."""


class JudgingResolver(AbstractResolver):
    """Resolves by another resolver and gives public addresses only."""

    def __init__(self, inner: AbstractResolver, is_allowed: Callable[[str], bool] = is_public) -> None:
        self._inner, self._is_allowed = inner, is_allowed

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        allowed = [one for one in found if self._is_allowed(one["host"])]
        if not allowed:
            raise NotPublic(NOT_PUBLIC)
        return allowed

    async def close(self) -> None:
        await self._inner.close()


class HttpTransport:
    """aiohttp's client, strict.

    Args:
        timeout_s: for one request and its whole answer.
        resolver: makes what resolves names for requests that may only go to public addresses.
        is_allowed: tells which addresses those are.
        files: what is appended to; its root is the data directory.
    """

    def __init__(
        self,
        *,
        timeout_s: float,
        resolver: Callable[[], AbstractResolver] = aiohttp.ThreadedResolver,
        is_allowed: Callable[[str], bool] = is_public,
        files: ArchiveFiles | None = None,
    ) -> None:
        self._timeout_s, self._files = timeout_s, files or ArchiveFiles(Path())
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, connect=min(10.0, timeout_s))
        self._resolver, self._is_allowed = resolver, is_allowed
        self._session: aiohttp.ClientSession
        self._public: aiohttp.ClientSession
        self._writer: ThreadPoolExecutor

    async def open(self) -> None:
        """Make the connection pools, and the one thread that writes files: a slow disk holds up no name's lookup."""
        self._writer = ThreadPoolExecutor(1, "archive")
        self._session = self._pool()
        self._public = self._pool(
            resolver=JudgingResolver(self._resolver(), self._is_allowed),
            socket_factory=self._judged_socket,
            use_dns_cache=False,
        )

    async def close(self) -> None:
        """Close every connection; what is being written is written to its end."""
        self._writer.shutdown(wait=False, cancel_futures=True)
        await self._session.close()
        await self._public.close()

    async def send(self, request: Request) -> Response:
        if isinstance(request, Append):
            await self._on_disk(lambda: self._files.append(request.path, request.body))
            return APPENDED
        session = self._session if request.is_private_allowed else self._public
        try:
            answer = await session.request(
                request.method, request.url, headers=request.headers, data=request.body, allow_redirects=False
            )
            body = await _bounded(answer)
            return Response(answer.status, {name.lower(): value for name, value in answer.headers.items()}, body)
        except aiohttp.ConnectionTimeoutError as error:
            raise TransportFailed("no connection in time", may_have_arrived=False) from error
        except TimeoutError as error:
            raise TransportFailed("no answer in time") from error
        except aiohttp.ClientConnectorError as error:
            raise TransportFailed(_kind_of(error), may_have_arrived=False) from error
        except aiohttp.ClientError as error:
            raise TransportFailed(_kind_of(error)) from error

    async def tidy(self, directory: str, *, open_from_ms: int, kept_from_ms: int) -> None:
        """Close an archive's files of days that are over, and remove those of days that are kept no longer."""
        days = {"open_day": _day(open_from_ms), "kept_from": _day(kept_from_ms)}
        await self._on_disk(lambda: self._files.tidy(directory, **days))

    async def forget(self, directory: str, sought: Finds) -> int:
        """Take somebody's lines out of an archive; give how many there were. Takes as long as it takes."""
        return await asyncio.get_running_loop().run_in_executor(self._writer, self._files.forget, directory, sought)

    async def _on_disk(self, work: Callable[[], T]) -> T:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await asyncio.get_running_loop().run_in_executor(self._writer, work)
        except TimeoutError as error:
            raise TransportFailed("the disk did not answer in time") from error
        except OSError as error:
            is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            what = "the disk is full" if is_full else f"the disk failed ({errno.errorcode.get(error.errno or 0, '?')})"
            raise TransportFailed(what) from error

    def _pool(self, **how: Any) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            # without a limit: each sender bounds its own, a hanging vendor costs no other one
            connector=aiohttp.TCPConnector(limit=0, **how),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=self._timeout,
            skip_auto_headers=("User-Agent", "Content-Type"),
        )

    def _judged_socket(self, address: tuple[Any, Any, int, str, tuple[Any, ...]]) -> socket.socket:
        """Make a socket for the very address that is connected to next: one in the URL never meets a resolver."""
        family, kind, protocol, _, where = address
        if not self._is_allowed(where[0]):
            raise NotPublic(NOT_PUBLIC)
        return socket.socket(family, kind, protocol)


def _day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1_000, UTC).date().isoformat()


async def _bounded(answer: aiohttp.ClientResponse) -> bytes:
    """Read an answer to its end, which gives its connection back; anything else closes that."""
    content, body = answer.content, b""
    try:
        while not content.at_eof():
            body += await content.readany()
            if len(body) > MAX_ANSWER_BYTES:
                raise TransportFailed(f"an answer of more than {MAX_ANSWER_BYTES} bytes")
    except BaseException:
        answer.close()
        raise
    return body


def _kind_of(error: aiohttp.ClientError) -> str:
    """Say what failed without quoting the other side: its text may hold anything."""
    match error:
        case aiohttp.ClientConnectorError(os_error=NotPublic()):
            return NOT_PUBLIC
        case aiohttp.ClientConnectorDNSError():
            return "the host name was not found"
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
            return "the TLS connection failed"
        case aiohttp.ClientConnectorError():
            return "the connection was refused"
        case aiohttp.ClientPayloadError():
            return "the answer was cut"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError():
            return "the connection was reset"
        case _:
            return "the answer is not HTTP"
