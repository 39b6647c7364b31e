"""The demonstration shop: static pages, and the sidecar behind them on the same origin.

The pages in `pages/` are plain files at the paths they are served under, so nginx can serve the very same
folder: `root edge/demo/pages; index index.html;` and a `location /t/` that goes to the sidecar.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, UnixConnector, hdrs, web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

PAGES: Final = Path(__file__).parent / "pages"
PAGE_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'; "
        "require-trusted-types-for 'script'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
ANSWER_WITHIN: Final = ClientTimeout(total=30.0, connect=5.0)
MAX_HEADER_BYTES: Final = 32_768

# These describe one connection, not the message (RFC 9110, 7.6.1); Expect is answered by this server itself.
HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
NEVER_ADDED: Final = (hdrs.USER_AGENT, hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE)

SIDECAR: Final = web.AppKey("sidecar", ClientSession)


def make_shop(upstream: Path | str, *, prefix: str = "/t") -> web.Application:
    """Give the shop: its pages, and everything under `prefix` passed to the sidecar byte for byte.

    Args:
        upstream: the sidecar: a unix socket ("/run/edge.sock" or "unix:/run/edge.sock") or "http://127.0.0.1:8080".
        prefix: the path that belongs to the sidecar; the tag in the pages says "/t".
    Returns:
        An application that opens its connections on startup and closes them on cleanup. While the sidecar is
        away its paths answer 502, and 504 when it does not answer in time; the pages do not notice.
    """
    base = str(upstream).rstrip("/") if _is_url(upstream) else "http://sidecar"

    async def sidecar_session(app: web.Application) -> AsyncIterator[None]:
        app[SIDECAR] = _open_session(upstream)
        yield
        await app[SIDECAR].close()

    async def pass_on(request: web.Request) -> web.StreamResponse:
        return await _pass_on(request, URL(base + request.rel_url.raw_path_qs, encoded=True))

    async def mark_pages(request: web.Request, response: web.StreamResponse) -> None:
        if not request.path.startswith(f"{prefix}/"):
            response.headers.update(PAGE_HEADERS)

    # A compressed body passes as it is. Long cookies are the sidecar's to judge, not this server's.
    app = web.Application(
        handler_args={
            "auto_decompress": False,
            "max_line_size": MAX_HEADER_BYTES,
            "max_field_size": MAX_HEADER_BYTES,
        }
    )
    app.cleanup_ctx.append(sidecar_session)
    app.on_response_prepare.append(mark_pages)
    app.router.add_route("*", f"{prefix}/{{rest:.*}}", pass_on)
    app.router.add_get("/", _home)
    app.router.add_static("/", PAGES)
    return app


async def _home(_request: web.Request) -> web.FileResponse:
    return web.FileResponse(PAGES / "index.html")


def _is_url(upstream: Path | str) -> bool:
    return str(upstream).startswith(("http://", "https://"))


def _open_session(upstream: Path | str) -> ClientSession:
    # A connection of its own for each request: one kept from before a restart of the sidecar would fail a beacon.
    connector = (
        TCPConnector(force_close=True)
        if _is_url(upstream)
        else UnixConnector(str(upstream).removeprefix("unix:"), force_close=True)
    )
    return ClientSession(
        connector=connector,
        cookie_jar=DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=NEVER_ADDED,
        timeout=ANSWER_WITHIN,
        max_line_size=MAX_HEADER_BYTES,
        max_field_size=MAX_HEADER_BYTES,
    )


async def _pass_on(request: web.Request, url: URL) -> web.StreamResponse:
    """Give the sidecar's answer to this request; 502 or 504 instead of an answer that did not begin."""
    exchange = request.app[SIDECAR].request(
        request.method,
        url,
        headers=_request_headers(request),
        data=request.content if request.can_read_body else None,
        allow_redirects=False,
    )
    try:
        answer = await exchange
    except TimeoutError:
        return web.Response(status=504, text="The sidecar did not answer in time.\n")
    except (ClientError, OSError):
        return web.Response(status=502, text="The sidecar is away.\n")
    async with answer:
        response = web.StreamResponse(
            status=answer.status, reason=answer.reason, headers=_end_to_end_headers(answer.headers)
        )
        await response.prepare(request)
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
        await response.write_eof()
        return response


def _request_headers(request: web.Request) -> CIMultiDict[str]:
    """The browser's headers; who it is and how it came are this server's word, not the browser's."""
    headers = _end_to_end_headers(request.headers)
    headers[hdrs.X_FORWARDED_PROTO] = request.scheme
    headers.popall(hdrs.X_FORWARDED_FOR, None)
    if request.remote:  # a unix socket's peer has no address
        headers[hdrs.X_FORWARDED_FOR] = request.remote
    return headers


def _end_to_end_headers(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """A copy in the same order, repeated names kept, without the headers of the one connection."""
    named = {name.strip().lower() for value in headers.getall(hdrs.CONNECTION, ()) for name in value.split(",")}
    dropped = HOP_BY_HOP | named
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in dropped)
