"""The body: read within a size and a time, and decompressed by us, for the server's own way hides a cut body."""

import asyncio
import zlib

from aiohttp import web
from aiohttp.client_exceptions import ClientError

from edge.errors import RequestRefused

_WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


async def read_body(request: web.BaseRequest, limit_bytes: int, deadline_s: float) -> bytes:
    """Give a request's body as it came, still compressed.

    Raises:
        RequestRefused: 413 over the limit, before a byte is read where the length is declared; 408 when it is
            not there in time; 400 when the client left or broke the protocol on the way.
    """
    if (request.content_length or 0) > limit_bytes:
        raise too_big(limit_bytes)
    content = request.content
    try:
        if content.is_eof():
            body = content.read_nowait()
            if len(body) > limit_bytes:
                raise too_big(limit_bytes)
            return body
        async with asyncio.timeout(deadline_s):
            return await _read_slowly(request, limit_bytes)
    except TimeoutError as error:
        raise RequestRefused(408, "slow_body", f"the body took over {deadline_s:g} s") from error
    except (ConnectionError, web.RequestPayloadError, ClientError) as error:
        raise RequestRefused(400, "cut_body", "the body ended before its end") from error


async def _read_slowly(request: web.BaseRequest, limit_bytes: int) -> bytes:
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(_CONTINUE)
        request.writer.output_size = 0  # so that the answer itself is still the first thing sent
    body = bytearray()
    while chunk := await request.content.readany():
        body += chunk
        if len(body) > limit_bytes:
            raise too_big(limit_bytes)
    return bytes(body)


def decompressed(body: bytes, coding: str | None, limit_bytes: int) -> bytes:
    """Undo a Content-Encoding without ever making more than the limit.

    Raises:
        RequestRefused: 415 for a coding we do not know, 413 when more comes out than allowed, 400 when the data is
            corrupt, cut, or followed by something else.
    """
    name = coding.strip().lower() if coding else ""
    if name in ("", "identity"):
        return body
    bits = _WINDOW_BITS.get(name)
    if bits is None:
        raise RequestRefused(415, "unknown_coding", "a body may be coded as gzip or deflate, once")
    decoder = zlib.decompressobj(bits)
    try:
        plain = decoder.decompress(body, limit_bytes + 1)
    except zlib.error as error:
        raise RequestRefused(400, "corrupt_body", "the compressed body is corrupt") from error
    if len(plain) > limit_bytes:
        raise too_big(limit_bytes)
    if not decoder.eof or decoder.unused_data:
        raise RequestRefused(400, "corrupt_body", "the compressed body is cut, or has more than one part")
    return plain


def too_big(limit_bytes: int) -> RequestRefused:
    """Give the refusal of a body over the limit."""
    return RequestRefused(413, "too_big", f"a body may have {limit_bytes} bytes, also after decompression")
