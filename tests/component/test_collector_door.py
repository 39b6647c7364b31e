"""Hostile bodies and hostile HTTP: always our own short answer, never a stored byte, never an echo."""

import asyncio
import gzip
import re
import zlib
from collections.abc import Callable

import pytest

from tests.running_collector import ORIGIN, SAME, WAIT_S, batch, event, head, running

GZIPPED = gzip.compress(batch(), mtime=0)
BOMB = gzip.compress(b" " * 50_000_000, mtime=0)
LIMIT = 262_144
STATUS_LINE = re.compile(rb"HTTP/\d\.\d (\d{3}) ")


@pytest.mark.parametrize(
    ("coding", "compress"),
    [
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        (" GZip ", gzip.compress),
        ("deflate", zlib.compress),
        ("identity", bytes),
    ],
)
async def test_these_codings_are_undone(coding: str, compress: Callable[[bytes], bytes]) -> None:
    async with running() as edge:
        assert (await edge.post(compress(batch()), Content_Encoding=coding)).status == 204
    assert len(edge.log.events) == 1


@pytest.mark.parametrize(
    ("coding", "body", "status", "code"),
    [
        ("gzip", b"not gzip", 400, "corrupt_body"),
        ("gzip", b"", 400, "corrupt_body"),
        ("gzip", GZIPPED[:-9], 400, "corrupt_body"),
        ("gzip", GZIPPED[:-1], 400, "corrupt_body"),
        ("gzip", GZIPPED[:-8] + b"\0" * 8, 400, "corrupt_body"),
        ("gzip", GZIPPED + GZIPPED, 400, "corrupt_body"),
        ("gzip", zlib.compress(batch()), 400, "corrupt_body"),
        ("deflate", GZIPPED, 400, "corrupt_body"),
        ("deflate", zlib.compress(batch())[:-2], 400, "corrupt_body"),
        ("gzip", BOMB, 413, "too_big"),
        ("gzip", gzip.compress(GZIPPED), 400, "bad_json"),
        ("br", b"x", 415, "unknown_coding"),
        ("zstd", b"x", 415, "unknown_coding"),
        ("gzip, gzip", GZIPPED, 415, "unknown_coding"),
        ("foo", batch(), 415, "unknown_coding"),
    ],
)
async def test_a_body_that_cannot_be_undone_is_refused(coding: str, body: bytes, status: int, code: str) -> None:
    async with running() as edge:
        lines = head(f"Content-Encoding: {coding}", f"Content-Length: {len(body)}")
        answer = await edge.raw(lines + body)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert f'"code":"{code}"'.encode() in answer
    assert edge.log.events == []


async def test_a_body_of_exactly_the_limit_is_taken_and_one_more_byte_is_not() -> None:
    def padded(size: int) -> bytes:
        return batch().ljust(size)

    async with running() as edge:
        assert (await edge.post(padded(LIMIT))).status == 204
        assert (await edge.post(gzip.compress(padded(LIMIT)), Content_Encoding="gzip")).status == 204
        too_big = [
            await edge.raw(head(f"Content-Length: {LIMIT + 1}")),  # refused before a byte of it was sent
            await edge.raw(head("Transfer-Encoding: chunked") + f"{LIMIT + 1:x}\r\n".encode() + padded(LIMIT + 1)),
        ]
        assert (await edge.post(gzip.compress(padded(LIMIT + 1)), Content_Encoding="gzip")).status == 413
    assert [answer[:13] for answer in too_big] == [b"HTTP/1.1 413 "] * 2
    assert len(edge.log.events) == 2


async def test_a_chunked_body_is_taken() -> None:
    async with running() as edge:
        chunks = b"".join(b"1\r\n%c\r\n" % letter for letter in batch()) + b"0\r\n\r\n"
        assert (await edge.raw(head("Transfer-Encoding: chunked") + chunks)).startswith(b"HTTP/1.1 204 ")


async def test_any_content_type_is_read_as_json() -> None:
    async with running() as edge:
        for kind in ("text/plain;charset=UTF-8", "application/json", "application/x-www-form-urlencoded", "x"):
            assert (await edge.post(Content_Type=kind)).status == 204


async def test_a_slow_body_is_408() -> None:
    async with running(body_deadline_s=0.02) as edge:
        answer = await edge.raw(head("Content-Length: 100") + b'{"events":[')
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"slow_body"' in answer


async def test_a_body_cut_by_its_client_stores_nothing_and_is_counted() -> None:
    async with running() as edge:
        reader, writer = await edge.connect()
        writer.write(head("Content-Length: 10000", "Expect: 100-continue") + batch())
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), WAIT_S)
        writer.transport.abort()
        await edge.collector.stop(WAIT_S)
    assert edge.log.events == []
    assert edge.count("edge_requests_total", endpoint="events", status="400") == 1


async def test_a_client_that_waits_to_be_asked_is_asked() -> None:
    async with running() as edge:
        reader, writer = await edge.connect()
        writer.write(head(f"Content-Length: {len(batch())}", "Expect: 100-continue"))
        assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), WAIT_S) == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(batch())
        assert (await asyncio.wait_for(reader.read(), WAIT_S)).startswith(b"HTTP/1.1 204 ")
        writer.close()


TRANSFER_IN_1_0 = b"POST /t/e HTTP/1.0\r\nSec-Fetch-Site: same-origin\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01canary\r\n\r\n", 400),
        (b"GET /t/canary\x00 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /t/e HTTP/1.1\r\nHost: x\r\ncanary\r\n\r\n", 400),
        (b"GET /t/e HTTP/1.1\r\nHost: x\r\nX: can\x00ary\r\n\r\n", 400),
        (b"GET /t/e HTTP/1.1\r\nHost: x\r\nX: " + b"canary" * 1_600 + b"\r\n\r\n", 400),
        (b"GET /t/e HTTP/1.1\r\nHost: x\r\n" + b"X: canary\r\n" * 101 + b"\r\n", 400),
        (b"GET http://canary/t/datafly.js HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400),
        (b"GET /t/..%2fcanary HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404),
        (b"GET /t/%64atafly.js HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404),
        (b"GET /t/../t/datafly.js HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404),
        (b"CONNECT canary:443 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 405),
        (b"GET /t/datafly.js HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        (TRANSFER_IN_1_0 + b"GET /t/datafly.js HTTP/1.0\r\n\r\n", 400),
        (head("Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\n", 400),
        (head("Transfer-Encoding: chunked") + b"3\r\nabc\r\nZZcanary\r\n", 400),
        (head("Content-Length: 6") + b"canary", 400),
        (head("Content-Length: 2", path="/t/canary") + b"{}", 404),
    ],
)
async def test_strange_http_gets_one_short_answer_and_no_echo(data: bytes, status: int) -> None:
    async with running() as edge:
        answer = await edge.raw(data)
        assert (await edge.post()).status == 204
    assert answer.split(b" ", 2)[1] == str(status).encode()
    assert len(STATUS_LINE.findall(answer)) == 1
    assert b"\r\nServer: datafly-edge\r\n" in answer
    assert b"\r\nContent-Type: application/json\r\n" in answer
    assert b'{"error":{"code":' in answer
    assert b"canary" not in answer


async def test_an_upgrade_is_ignored_and_the_next_request_is_still_one() -> None:
    async with running() as edge:
        upgrade = b"GET /t/x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        answer = await edge.raw(upgrade + b"GET /t/datafly.js HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert STATUS_LINE.findall(answer) == [b"404", b"200"]


async def test_nothing_a_client_sent_comes_back() -> None:
    canary = "c4n4ry"
    told = {"User-Agent": canary, "Cookie": f"__Host-dfid={canary}; x={canary}", "X-Forwarded-For": canary}
    async with running() as edge:
        bodies = [batch(event(id=canary)), batch(event(name=f"<{canary}>")), batch(event(time=canary)), canary.encode()]
        answers = [await edge.post(body, {**SAME, **told}) for body in bodies]
        answers += [
            await edge.post(headers={**told, "Origin": f"https://{canary}.example"}),
            await edge.post(headers={**SAME, **told, "Content-Encoding": canary}),
            await edge.request("GET", f"/t/{canary}?{canary}", told),
            await edge.request("GET", "/t/datafly.js", {**told, "If-None-Match": canary, "Accept-Encoding": canary}),
            await edge.request("OPTIONS", "/t/e", {"Origin": ORIGIN, "Access-Control-Request-Headers": canary}),
        ]
    assert [answer.status for answer in answers] == [204, 400, 400, 400, 403, 415, 404, 200, 204]
    for answer in answers:
        assert canary not in str(answer.headers) + answer.body.decode()
