"""A request without a complete answer: it is said whether it may have arrived."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from edge.delivery import Request
from edge.errors import TransportFailed
from edge.transport import HttpTransport


@pytest.fixture
async def transport() -> AsyncIterator[HttpTransport]:
    made = HttpTransport(timeout_s=0.3)
    await made.open()
    yield made
    await made.close()


async def failure(transport: HttpTransport, url: str) -> tuple[str, bool]:
    with pytest.raises(TransportFailed) as caught:
        await transport.send(Request("POST", url, {}, b"{}"))
    return str(caught.value), caught.value.may_have_arrived


async def answering(answer: bytes | None) -> asyncio.Server:
    """Listen on a free port; after a request answer these bytes and hang up, or say nothing for ever."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer is None:
            await reader.read()
        writer.write(answer or b"")
        writer.close()

    return await asyncio.start_server(talk, "127.0.0.1", 0)


async def test_connection_that_was_never_made_carried_nothing(transport: HttpTransport) -> None:
    server = await answering(b"")
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    assert await failure(transport, f"http://127.0.0.1:{port}/") == ("the connection was refused", False)


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (b"", "the connection was reset"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "the answer was cut"),
        (b"SSH-2.0-x\r\n\r\n", "the answer is not HTTP"),
        (None, "no answer in time"),
    ],
)
async def test_request_without_a_complete_answer_may_have_arrived(
    transport: HttpTransport, answer: bytes | None, what: str
) -> None:
    async with await answering(answer) as server:
        assert await failure(transport, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/") == (what, True)
        server.close()
