"""The demonstration shop's way to the sidecar: what passes, passes unchanged."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, DummyCookieJar, web
from aiohttp.test_utils import TestClient, TestServer

from edge.demo.shop import make_shop
from tests.demo_shop import Sidecar, accepted, listening, shop_client


@pytest.fixture(params=["unix", "tcp"])
def socket(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "sidecar.sock" if request.param == "unix" else None


async def test_a_request_reaches_the_sidecar_unchanged(socket: Path | None) -> None:
    sidecar = Sidecar(accepted)
    body = gzip.compress(b'{"events":[]}')
    sent = {
        "Host": "shop.example",
        "Origin": "https://shop.example",
        "Sec-Fetch-Site": "same-origin",
        "Sec-Fetch-Mode": "cors",
        "Sec-Fetch-Dest": "empty",
        "Sec-GPC": "1",
        "Cookie": '__Host-dfid=v1.abc; other="x y"',
        "Content-Type": "text/plain;charset=UTF-8",
        "Content-Encoding": "gzip",
        "Accept": "*/*",
        "Accept-Encoding": "gzip, br",
        "User-Agent": "Browser/1.0",
        "Content-Length": str(len(body)),
    }
    async with listening(sidecar.application(), socket) as upstream, shop_client(upstream) as client:
        answer = await client.post("/t/e", data=body, headers=sent)

    assert answer.status == 204
    method, path, headers, received = sidecar.requests[0]
    assert (method, path, received) == ("POST", "/t/e", body)
    added = {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "Connection": "close"}
    assert dict(headers) == sent | added
    assert len(headers) == len(sent | added)


async def test_nothing_is_added_that_the_browser_did_not_say(socket: Path | None) -> None:
    sidecar = Sidecar(accepted)
    async with listening(sidecar.application(), socket) as upstream, shop_client(upstream) as client:
        skipped = ("User-Agent", "Accept", "Accept-Encoding")
        await client.get("/t/datafly.js", headers={"Host": "shop.example"}, skip_auto_headers=skipped)

    assert sorted(name for name, _ in sidecar.requests[0][2]) == [
        "Connection",
        "Host",
        "X-Forwarded-For",
        "X-Forwarded-Proto",
    ]


async def test_a_body_of_unknown_length_arrives_whole(socket: Path | None) -> None:
    sidecar = Sidecar(accepted)

    async def chunks() -> AsyncIterator[bytes]:
        for part in (b"a" * 70_000, b"b" * 70_000):
            yield part

    async with listening(sidecar.application(), socket) as upstream, shop_client(upstream) as client:
        await client.post("/t/e", data=chunks())

    assert sidecar.requests[0][3] == b"a" * 70_000 + b"b" * 70_000


@pytest.mark.parametrize("path", ["/t/v1/track", "/t/a%2Fb/%7Ec", "/t/e?x=1&y=%20"])
async def test_the_path_is_not_rewritten(tmp_path: Path, path: str) -> None:
    sidecar = Sidecar(accepted)
    async with listening(sidecar.application(), tmp_path / "s.sock") as upstream:
        runner = web.AppRunner(make_shop(upstream))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        reader, writer = await asyncio.open_connection(*runner.addresses[0][:2])
        writer.write(f"GET {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n".encode())
        async with asyncio.timeout(10):
            assert (await reader.read()).startswith(b"HTTP/1.1 204 No Content\r\n")
        writer.close()
        await runner.cleanup()

    assert sidecar.requests[0][1] == path


async def test_an_answer_reaches_the_browser_unchanged(socket: Path | None) -> None:
    body = gzip.compress(b"answer" * 100)

    async def answer(_request: web.Request) -> web.Response:
        response = web.Response(status=200, reason="Fine", body=body, content_type="application/json")
        response.headers["Content-Encoding"] = "gzip"
        response.headers["Cache-Control"] = "no-store"
        response.headers["ETag"] = '"abc"'
        response.headers.add("Set-Cookie", "__Host-dfid=v1.a; Max-Age=34560000; Path=/; Secure; HttpOnly; SameSite=Lax")
        response.headers.add("Set-Cookie", "_fbp=fb.1.2.3; Path=/; Secure; SameSite=Lax")
        return response

    sidecar = Sidecar(answer)
    async with listening(sidecar.application(), socket) as upstream:
        async with shop_client(upstream) as client:
            through = await client.get("/t/x")
            through_body = await through.read()
        async with ClientSession(auto_decompress=False, cookie_jar=DummyCookieJar()) as session:
            if socket is None:
                direct = await session.get(f"{upstream}/t/x")
                assert [item for item in through.headers.items() if item[0] != "Date"] == [
                    item for item in direct.headers.items() if item[0] != "Date"
                ]

    assert (through.status, through.reason, through_body) == (200, "Fine", body)
    assert through.headers.getall("Set-Cookie") == [
        "__Host-dfid=v1.a; Max-Age=34560000; Path=/; Secure; HttpOnly; SameSite=Lax",
        "_fbp=fb.1.2.3; Path=/; Secure; SameSite=Lax",
    ]
    assert "Content-Security-Policy" not in through.headers


@pytest.mark.parametrize("status", [204, 304, 400, 413, 429, 503, 302])
async def test_every_status_passes_with_its_headers(tmp_path: Path, status: int) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Retry-After": "7", "Location": "/elsewhere"})

    async with (
        listening(Sidecar(answer).application(), tmp_path / "s.sock") as upstream,
        shop_client(f"unix:{upstream}") as client,
    ):
        through = await client.post("/t/e", data=b"{}", allow_redirects=False)

    assert (through.status, through.headers["Retry-After"], through.headers["Location"]) == (status, "7", "/elsewhere")


async def test_head_has_the_length_and_no_body(tmp_path: Path) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=b"12345")

    sidecar = Sidecar(answer)
    async with listening(sidecar.application(), tmp_path / "s.sock") as upstream, shop_client(upstream) as client:
        through = await client.head("/t/datafly.js")
        assert (through.headers["Content-Length"], await through.read()) == ("5", b"")
        assert (await client.get("/t/datafly.js")).status == 200
    assert [request[0] for request in sidecar.requests] == ["HEAD", "GET"]


@pytest.mark.parametrize(
    "claimed",
    [
        [("X-Forwarded-For", "203.0.113.9")],
        [("x-forwarded-for", "203.0.113.9"), ("X-Forwarded-For", "198.51.100.7")],
        [("X-Forwarded-For", "203.0.113.9"), ("Connection", "keep-alive, X-Forwarded-For")],
    ],
)
async def test_a_browser_cannot_claim_another_address(tmp_path: Path, claimed: list[tuple[str, str]]) -> None:
    sidecar = Sidecar(accepted)
    async with listening(sidecar.application(), tmp_path / "s.sock") as upstream, shop_client(upstream) as client:
        await client.post("/t/e", data=b"{}", headers=[*claimed, ("X-Forwarded-Proto", "https")])

    assert sidecar.header("X-Forwarded-For") == ["127.0.0.1"]
    assert sidecar.header("X-Forwarded-Proto") == ["http"]


async def test_sidecar_paths_answer_502_while_it_is_away_and_the_pages_go_on(socket: Path | None) -> None:
    sidecar = Sidecar(accepted)
    async with listening(sidecar.application(), socket) as upstream:
        pass
    async with shop_client(upstream) as client:
        assert (await client.post("/t/e", data=b"{}")).status == 502
        assert (await client.get("/cart.html")).status == 200
        if socket:
            async with listening(sidecar.application(), socket):
                assert (await client.post("/t/e", data=b"{}")).status == 204


async def test_only_the_given_prefix_is_passed_on(tmp_path: Path) -> None:
    sidecar = Sidecar(accepted)
    async with (
        listening(sidecar.application(), tmp_path / "s.sock") as upstream,
        TestClient(TestServer(make_shop(upstream, prefix="/d"))) as client,
    ):
        assert (await client.get("/d/datafly.js")).status == 204
        assert (await client.get("/t/datafly.js")).status == 404
        assert (await client.get("/metrics")).status == 404
    assert [request[1] for request in sidecar.requests] == ["/d/datafly.js"]
