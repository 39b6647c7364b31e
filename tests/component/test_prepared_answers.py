"""Answers made beforehand: to the last byte what aiohttp would send, and only where that is certain."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from edge.collector.answers import all_stored
from edge.collector.origin import Origins
from edge.collector.prepared import Prepared, PreparedAnswers
from edge.collector.protocol import Server
from edge.collector.random_pool import RandomPool
from edge.collector.static import Assets, Script
from tests.running_collector import ORIGIN, SCRIPT, WAIT_S, batch, head, running

SCRIPTS = Script(Assets(SCRIPT, script_br=b"as-brotli"))
ANSWERS = PreparedAnswers(SCRIPTS)
COOKIE = "__Host-dfid=value; Max-Age=34560000; Path=/; Secure; HttpOnly; SameSite=Lax"
DATE = re.compile(rb"Date: (\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT)\r\n")
GRANTED = Origins((ORIGIN,))
OWN = GRANTED.judge({"Sec-Fetch-Site": "same-origin"})
OTHER = GRANTED.judge({"Sec-Fetch-Site": "same-site", "Origin": ORIGIN})


@asynccontextmanager
async def answering(*makes: Callable[[web.BaseRequest], web.Response]) -> AsyncIterator[int]:
    """Answer by the path, /0 with the first, and so on; give the port."""

    async def handle(request: web.BaseRequest) -> web.Response:
        return makes[int(request.raw_path[1:])](request)

    server = Server(handle, access_log=None)
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        await server.shutdown(WAIT_S)


async def told(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, method: str = "POST") -> bytes:
    """Ask on an open connection, and give the bytes of one answer, its date blanked."""
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: shop.example\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), WAIT_S)
    size = re.search(rb"Content-Length: (\d+)", answer)
    if size:
        answer += await asyncio.wait_for(reader.readexactly(int(size[1])), WAIT_S)
    assert len(DATE.findall(answer)) == 1
    return DATE.sub(b"Date: now\r\n", answer)


@pytest.mark.parametrize("granted", [OWN, OTHER], ids=["own", "other origin"])
@pytest.mark.parametrize("cookie", [None, COOKIE], ids=["plain", "cookie"])
async def test_a_204_is_to_the_byte_what_aiohttp_would_send(granted: dict[str, str], cookie: str | None) -> None:
    plain = lambda request: all_stored(granted, [cookie] if cookie else [])  # noqa: E731
    quick = lambda request: ANSWERS.all_stored(request, granted, cookie)  # noqa: E731
    async with answering(plain, quick) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        answers = [await told(reader, writer, path) for path in ("/0", "/1", "/1", "/0")]
        writer.close()
    assert answers[0].startswith(b"HTTP/1.1 204 No Content\r\n")
    assert (b"Set-Cookie" in answers[0]) == (cookie is not None)
    assert set(answers) == {answers[0]}


@pytest.mark.parametrize("coding", [None, "gzip", "gzip, br"])
@pytest.mark.parametrize("is_pinned", [True, False])
async def test_the_script_is_to_the_byte_what_aiohttp_would_send(coding: str | None, is_pinned: bool) -> None:
    plain = lambda request: SCRIPTS.answer(coding, None, is_pinned=is_pinned)  # noqa: E731
    quick = lambda request: ANSWERS.script(request, coding, is_pinned=is_pinned)  # noqa: E731
    async with answering(plain, quick) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        answers = [await told(reader, writer, path, "GET") for path in ("/0", "/1", "/1", "/0")]
        writer.close()
    assert answers[0].startswith(b"HTTP/1.1 200 OK\r\n")
    assert set(answers) == {answers[0]}


@pytest.mark.parametrize(
    ("asked", "first_line"),
    [
        (head(f"Content-Length: {len(batch())}") + batch(), b"HTTP/1.1 204 No Content"),
        (b"GET /t/datafly.js HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"HTTP/1.1 200 OK"),
        (b"GET /t/datafly.js HTTP/1.0\r\n\r\n", b"HTTP/1.0 200 OK"),
    ],
)
async def test_whose_connection_is_to_be_closed_is_told_so_and_it_is(asked: bytes, first_line: bytes) -> None:
    async with running() as edge:
        answer = await edge.raw(asked)
    assert answer.split(b"\r\n", 1)[0] == first_line
    assert b"Connection: close\r\n" in answer or b"HTTP/1.0" in first_line


async def test_head_gets_no_body_on_a_connection_that_stays_open() -> None:
    async with running() as edge:
        reader, writer = await edge.connect()
        for method, path in (("HEAD", "/t/datafly.js"), ("GET", "/t/none")):
            writer.write(f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        answers = [await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), WAIT_S) for _ in range(2)]
        writer.close()
    assert [answer.split()[1] for answer in answers] == [b"200", b"404"]


async def test_an_error_after_an_answer_sends_no_second_one() -> None:
    class Breaking(Prepared):
        async def write_eof(self, data: bytes = b"") -> None:
            await super().write_eof(data)
            raise RuntimeError("after the write")

    async with answering(lambda request: Breaking(request, 204, "HTTP/1.1 204 No Content\r\n")) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /0 HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), WAIT_S)
        writer.close()
    assert answer.count(b"HTTP/1.1") == 1


class FakeTransport:
    """What a request needs of its connection, which may be closing."""

    def __init__(self, *, is_closing: bool) -> None:
        self._is_closing, self.written, self.drained, self.output_size = is_closing, b"", 0, 0

    def is_closing(self) -> bool:
        return self._is_closing

    def write(self, data: bytes) -> None:
        self.written += data

    async def drain(self) -> None:
        self.drained += len(self.written)


class FakeRequest:
    def __init__(self, transport: FakeTransport | None) -> None:
        self.transport, self.writer = transport, transport or FakeTransport(is_closing=True)


@pytest.mark.parametrize("transport", [None, FakeTransport(is_closing=True)])
async def test_nothing_is_written_to_a_client_that_has_left(transport: FakeTransport | None) -> None:
    request = FakeRequest(transport)
    with pytest.raises(ConnectionResetError):
        await ANSWERS.all_stored(request, OWN, None).write_eof()  # type: ignore[arg-type]
    assert (request.writer.written, request.writer.output_size) == (b"", 0)


async def test_who_does_not_read_is_waited_for() -> None:
    transport = FakeTransport(is_closing=False)
    await ANSWERS.script(FakeRequest(transport), None, is_pinned=False).write_eof()  # type: ignore[arg-type]
    assert transport.drained == len(transport.written) == transport.output_size > len(SCRIPT)


def test_random_bytes_are_given_once_and_in_their_order() -> None:
    asked: list[int] = []

    def source(size: int) -> bytes:
        asked.append(size)
        return bytes(number % 251 for number in range(size))

    take = RandomPool(source).take
    found = b"".join(take(16) for _ in range(256))
    assert found == bytes(number % 251 for number in range(4_096))
    assert asked == [4_096]
    assert (take(5_000), asked) == (source(5_000), [4_096, 5_000, 5_000])
