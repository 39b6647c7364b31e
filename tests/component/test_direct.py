"""Requests taken directly: to the last byte what aiohttp would send, and only where that is certain."""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from aiohttp import web

from edge.collector.answers import Answer, json_answer, no_content, refusal, response
from edge.collector.direct import DirectConnection, DirectServer, Route, sent_as
from edge.collector.origin import Origins
from edge.collector.protocol import Server
from edge.collector.static import Assets, Script
from edge.errors import RequestRefused, StorageFull
from tests.running_collector import ORIGIN, SCRIPT, WAIT_S, FakeTransport, Running, batch, event, head, running

SCRIPTS = Script(Assets(SCRIPT, script_br=b"as-brotli"))
COOKIE = "__Host-dfid=value; Max-Age=34560000; Path=/; Secure; HttpOnly; SameSite=Lax"
DATE = re.compile(rb"Date: (\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT)\r\n")
GRANTED = Origins((ORIGIN,))
OWN = GRANTED.judge({"Sec-Fetch-Site": "same-origin"})
OTHER = GRANTED.judge({"Sec-Fetch-Site": "same-site", "Origin": ORIGIN})
NO_ROOM = RequestRefused(503, "storage_full", "there is no room", retry_after_s=30)
ANSWERS = {
    "204": no_content(OWN),
    "204 with a cookie": no_content(OWN, (COOKIE,)),
    "204 with two, of another origin": no_content(OTHER, (COOKIE, "_fbp=fb.1.2.3; Path=/")),
    "200": json_answer(200, {"accepted": 1, "rejected": [{"index": 1}]}).plus(*OTHER)._replace(set_cookies=(COOKIE,)),
    "400": json_answer(400, {"error": {"code": "no_valid_event"}}).plus(*OWN),
    "403": refusal(RequestRefused(403, "foreign_origin", "of another shop")),
    "413": refusal(RequestRefused(413, "too_big", "too big")).plus(*OWN),
    "503": refusal(NO_ROOM).plus(*OWN),
    **{f"script {coding}": SCRIPTS.answer(coding, None) for coding in ("", "gzip", "gzip, br")},
    "pinned script": SCRIPTS.answer("br", None, is_pinned=True),
    "304": SCRIPTS.answer("br", dict(SCRIPTS.answer("br", None).headers)["ETag"]),
}
REQUEST = b"POST %s HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 2\r\n\r\n{}"


class Counted:
    """What was counted of the direct requests, and the ways that were taken, in their order."""

    def __init__(self) -> None:
        self.counts: list[tuple[str, int]] = []
        self.ways: list[str] = []

    def count(self, endpoint: str, status: int) -> None:
        self.counts.append((endpoint, status))


class Doors:
    """A server whose one path is answered directly or plainly, and whoever asks there waits until `open` is called."""

    def __init__(self, answer: Answer = ANSWERS["204"], *, waits: bool = False) -> None:
        self.counted, self._answer, self._waits = Counted(), answer, waits
        self._sends: list[Callable[[Answer], None]] = []
        self.server = DirectServer(
            self._plain, {("POST", "/"): Route("door", self._direct)}, self.counted.count, connections=9
        )

    async def _plain(self, request: web.BaseRequest) -> web.Response:
        self.counted.ways.append("plain")
        return response(self._answer)

    def _direct(self, _headers: object, _remote: str, _sent: bytes, send: Callable[[Answer], None]) -> None:
        self.counted.ways.append("direct")
        self._sends.append(send)
        if not self._waits:
            self.open()

    def open(self) -> None:
        self._sends.pop()(self._answer)


async def connected(server: DirectServer) -> tuple[DirectConnection, FakeTransport]:
    connection, transport = server(), FakeTransport()
    assert isinstance(connection, DirectConnection)
    connection.connection_made(transport)
    await turns()
    return connection, transport


async def turns() -> None:
    """Let everything run that can."""
    for _ in range(10):
        await asyncio.sleep(0)


@asynccontextmanager
async def listening(server: Server) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.sockets[0].getsockname()[1])
    try:
        yield reader, writer
    finally:
        writer.close()
        listener.close()
        await server.shutdown(WAIT_S)


def statuses(data: bytes) -> list[bytes]:
    return re.findall(rb"HTTP/1\.[01] (\d{3})", data)


@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_is_to_the_byte_what_aiohttp_would_send(name: str) -> None:
    doors, answer = Doors(ANSWERS[name]), ANSWERS[name]
    size = len(sent_as(answer))
    async with listening(doors.server) as (reader, writer):
        sent = list[bytes]()
        for path in (b"/plain", b"/") if not answer.closes else (b"/plain",):
            writer.write(REQUEST % path)
            sent.append(DATE.sub(b"Date: now\r\n", await asyncio.wait_for(reader.readexactly(size), WAIT_S)))
    assert len(DATE.findall(sent_as(answer))) == 1
    assert set(sent) == {DATE.sub(b"Date: now\r\n", sent_as(answer))}
    assert doors.counted.ways == (["plain"] if answer.closes else ["plain", "direct"])


async def test_an_answer_that_closes_closes_its_connection() -> None:
    connection, transport = await connected(Doors(ANSWERS["413"]).server)
    connection.data_received(REQUEST % b"/")
    assert b"Connection: close\r\n" in transport.written
    assert transport.is_closed


@pytest.mark.parametrize(
    ("asked", "way"),
    [
        (REQUEST % b"/", "direct"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}", "direct"),
        (b"POST / HTTP/1.1\r\nHost: x\r\n\r\n", "direct"),
        (REQUEST % b"/else", "plain"),
        (b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", "plain"),
        (b"POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}", "plain"),
        (b"POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}", "plain"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}", "plain"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n{}", "plain"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", "plain"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: 2\r\n\r\n{}", "plain"),
        (REQUEST % b"/" * 2, "plain"),
    ],
)
async def test_only_a_whole_request_on_a_connection_that_stays_open_is_taken_directly(asked: bytes, way: str) -> None:
    doors = Doors()
    connection, transport = await connected(doors.server)
    connection.data_received(asked)
    await turns()
    connection.force_close()
    assert doors.counted.ways[0] == way
    assert doors.counted.counts == ([("door", 204)] if way == "direct" else [])
    assert statuses(transport.written) == [b"204"] * len(doors.counted.ways)


async def test_who_does_not_read_is_answered_the_plain_way_that_waits_for_it() -> None:
    doors = Doors()
    connection, _ = await connected(doors.server)
    connection.pause_writing()
    for _ in range(2):
        connection.data_received(REQUEST % b"/")
        await turns()
    assert doors.counted.ways == ["plain"]
    connection.resume_writing()
    await turns()
    assert doors.counted.ways == ["plain", "plain"]
    connection.force_close()


async def test_what_comes_while_an_answer_is_awaited_is_answered_after_it_and_in_its_order() -> None:
    doors = Doors(waits=True)
    connection, transport = await connected(doors.server)
    connection.data_received(REQUEST % b"/")
    connection.data_received(REQUEST % b"/" + (REQUEST % b"/")[:20])
    connection.data_received((REQUEST % b"/")[20:])
    await turns()
    assert (doors.counted.ways, transport.written) == (["direct"], b"")
    doors.open()
    assert statuses(transport.written) == [b"204"]
    await turns()
    assert doors.counted.ways == ["direct", "plain", "plain"]
    assert statuses(transport.written) == [b"204"] * 3
    connection.data_received(REQUEST % b"/")
    assert doors.counted.ways[3:] == ["direct"]
    connection.force_close()


@pytest.mark.parametrize("is_behind", [False, True])
async def test_a_body_that_ends_while_aiohttps_loop_is_about_to_wake_is_left_to_it(is_behind: bool) -> None:
    """The loop goes on in a later turn than it was woken in, and finds what it was woken for."""
    doors = Doors(waits=is_behind)
    connection, transport = await connected(doors.server)
    if is_behind:
        connection.data_received(REQUEST % b"/")
    connection.data_received((REQUEST % b"/")[:-2])
    if is_behind:
        doors.open()
    connection.data_received((REQUEST % b"/")[-2:])
    await turns()
    connection.data_received(REQUEST % b"/else")
    await turns()
    assert doors.counted.ways == [*["direct"] * is_behind, "plain", "plain"]
    assert statuses(transport.written) == [b"204"] * len(doors.counted.ways)
    connection._next_keepalive_close_time = 0.0
    connection._process_keepalive()
    assert transport.is_closed, "it is closed when it is idle for too long"


async def test_a_connection_for_which_memory_lacks_ends_in_whole() -> None:
    class Unheld:
        def __bytes__(self) -> bytes:
            raise MemoryError

    doors = Doors()
    connection, _ = await connected(doors.server)
    with pytest.raises(MemoryError):
        connection.data_received(Unheld())  # type: ignore[arg-type]
    connection.connection_lost(None)
    await turns()
    assert doors.server.connections == []


async def test_what_is_no_http_behind_a_direct_request_is_refused_after_its_answer() -> None:
    doors = Doors(waits=True)
    connection, transport = await connected(doors.server)
    connection.data_received(REQUEST % b"/")
    connection.data_received(b"canary\r\n\r\n")
    doors.open()
    await turns()
    assert statuses(transport.written) == [b"204", b"400"]
    assert transport.is_closed


async def test_a_connection_is_closed_when_it_is_idle_for_too_long_and_not_while_an_answer_is_awaited() -> None:
    doors = Doors(waits=True)
    connection, transport = await connected(doors.server)
    connection.data_received(REQUEST % b"/")
    connection._next_keepalive_close_time = 0.0
    connection._process_keepalive()
    assert not transport.is_closed
    doors.open()
    connection._process_keepalive()
    assert not transport.is_closed, "it is not idle for long"
    connection._next_keepalive_close_time = 0.0
    connection._process_keepalive()
    assert transport.is_closed


async def test_nothing_is_written_to_a_client_that_has_left() -> None:
    doors = Doors(waits=True)
    connection, transport = await connected(doors.server)
    connection.data_received(REQUEST % b"/")
    connection.connection_lost(None)
    doors.open()
    await turns()
    assert transport.written == b""
    assert doors.counted.counts == [("door", 204)], "what was stored was stored"


async def test_a_stop_waits_for_an_answer_and_takes_nothing_more() -> None:
    doors = Doors(waits=True)
    connection, transport = await connected(doors.server)
    connection.data_received(REQUEST % b"/")
    doors.server.pre_shutdown()
    stopping = asyncio.create_task(doors.server.shutdown(WAIT_S))
    await turns()
    connection.data_received(REQUEST % b"/")
    assert not stopping.done()
    doors.open()
    await asyncio.wait_for(stopping, WAIT_S)
    assert statuses(transport.written) == [b"204"]
    assert transport.is_closed


async def test_an_answer_that_takes_longer_than_a_stop_waits_is_not_missed_by_anybody() -> None:
    doors = Doors(waits=True)
    connection, transport = await connected(doors.server)
    connection.data_received(REQUEST % b"/")
    doors.server.pre_shutdown()
    await asyncio.wait_for(doors.server.shutdown(0.01), WAIT_S)
    doors.open()
    assert (transport.written, transport.is_closed) == (b"", True)


KINDS = (
    REQUEST % b"/",
    REQUEST % b"/else",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\n\r\n",
)
LAST = (b"", b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"canary\r\n\r\n")


@pytest.mark.parametrize("seed", range(40))
async def test_however_requests_are_cut_and_joined_the_answers_are_those_of_the_plain_way(seed: int) -> None:
    rng = random.Random(seed)
    data = b"".join(rng.choices(KINDS, k=12)) + rng.choice(LAST)
    cuts = sorted(rng.sample(range(1, len(data)), rng.choice((0, 3, 30))))
    pieces = [data[start:end] for start, end in pairwise((0, *cuts, len(data)))]
    sent: list[tuple[bytes, bool]] = []
    for server in (Doors().server, Server(Doors()._plain, access_log=None)):
        connection, transport = server(), FakeTransport()
        connection.connection_made(transport)
        await turns()
        for piece in pieces:
            connection.data_received(piece)
            if rng.random() < 0.5:
                await turns()
        for _ in range(12):
            await turns()
        sent.append((DATE.sub(b"", transport.written), transport.is_closed))
        connection.force_close()
    assert sent[0] == sent[1]
    assert statuses(sent[0][0])


async def test_a_batch_that_came_whole_is_answered_as_one_that_came_in_pieces() -> None:
    bodies = [batch(), batch(event(), event(name="1")), batch(event(name="1")), b"{", b"", batch(context={"a": 1})]
    async with running() as edge:
        for site in (b"same-origin", b"cross-site"):
            for body in bodies:
                request = head(f"Content-Length: {len(body)}").replace(b"Connection: close\r\n", b"")
                request = request.replace(b"same-origin", site)
                answers = [await _answer(edge, request, body, in_pieces=pieces) for pieces in (False, True)]
                assert answers[0] == answers[1], body
    assert len(edge.log.events) == 2 * 3


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


async def test_a_disk_that_is_full_is_told_to_a_page_of_ours_and_the_connection_stays() -> None:
    async with running() as edge:
        edge.log.refusals = [StorageFull("no room")]
        assert [(await edge.post()).status for _ in range(2)] == [503, 204]
    assert edge.count("edge_requests_total", endpoint="events", status="503") == 1


async def _answer(edge: Running, request: bytes, body: bytes, *, in_pieces: bool) -> bytes:
    reader, writer = await edge.connect()
    for data in (request, body) if in_pieces else (request + body,):
        writer.write(data)
        await turns()
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), WAIT_S)
    size = re.search(rb"Content-Length: (\d+)", answer)
    answer += await asyncio.wait_for(reader.readexactly(int(size[1])), WAIT_S) if size else b""
    writer.close()
    return re.sub(rb"dfid=[\w-]+", b"dfid=x", DATE.sub(b"", answer))
