"""One HTTP client for every destination: no cookies, no redirects, bounded answers, one connection pool."""

from typing import Protocol

import aiohttp

from edge.delivery import Request, Response
from edge.errors import TransportFailed

MAX_ANSWER_BYTES = 1_000_000


class Transport(Protocol):
    """Sends one request and gives its complete answer."""

    async def send(self, request: Request) -> Response:
        """Raises TransportFailed when there is no complete answer; whether it arrived is then unknown."""
        ...


class HttpTransport:
    """aiohttp's client, strict."""

    def __init__(self, *, timeout_s: float) -> None:
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, connect=min(10.0, timeout_s))
        self._session: aiohttp.ClientSession

    async def open(self) -> None:
        """Make the connection pool."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),  # each sender bounds its own: a hanging vendor costs no other one
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=self._timeout,
            skip_auto_headers=("User-Agent", "Content-Type"),
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()

    async def send(self, request: Request) -> Response:
        try:
            async with self._session.request(
                request.method, request.url, headers=request.headers, data=request.body, allow_redirects=False
            ) as answer:
                body = await _bounded(answer)
                headers = {name.lower(): value for name, value in answer.headers.items()}
                return Response(answer.status, headers, body)
        except TimeoutError as error:
            raise TransportFailed("no answer in time") from error
        except aiohttp.ClientError as error:
            raise TransportFailed(_kind_of(error)) from error


async def _bounded(answer: aiohttp.ClientResponse) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in answer.content.iter_chunked(65_536):
        size += len(part)
        if size > MAX_ANSWER_BYTES:
            answer.close()
            raise TransportFailed(f"an answer of more than {MAX_ANSWER_BYTES} bytes")
        parts.append(part)
    return b"".join(parts)


def _kind_of(error: aiohttp.ClientError) -> str:
    """Say what failed without quoting the other side: its text may hold anything."""
    match error:
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
