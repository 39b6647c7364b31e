"""The control socket: for its owner alone, bounded, and not to be disturbed by whoever asks."""

import asyncio
import contextlib
import socket
import stat
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import pytest

from edge.app.control import MAX_LINE_BYTES, ControlServer, NobodyAnswers, Told, ask, ask_once
from edge.errors import StorageBusy


async def count(request: Told) -> AsyncGenerator[Told, None]:
    for number in range(3):
        yield {"kind": "progress", "number": number}
    yield {"kind": "end"}


async def fail(request: Told) -> AsyncGenerator[Told, None]:
    raise RuntimeError("visitor@shop.example")
    yield {}


@contextlib.asynccontextmanager
async def serving(path: Path) -> AsyncIterator[ControlServer]:
    server = ControlServer(path, {"count": count, "fail": fail})
    await server.start()
    yield server
    await server.stop()


async def said(path: Path, line: bytes) -> list[bytes]:
    """Send bytes as they are; give the lines that come back."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    with contextlib.suppress(ConnectionError):
        writer.write(line)
        await writer.drain()
    lines = (await reader.read()).splitlines()
    writer.close()
    return lines


async def test_answers_come_line_by_line_to_the_end(tmp_path):
    async with serving(tmp_path / "control.sock"):
        told = await asyncio.to_thread(lambda: list(ask(tmp_path / "control.sock", {"verb": "count"})))
    assert told == [*({"kind": "progress", "number": number} for number in range(3)), {"kind": "end"}]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"nonsense\n", b"the request is not a line of JSON"),
        (b"[1]\n", b"the request is not a JSON object"),
        (b'{"verb": "drop"}\n', b"the verb is not known; accepted is one of count, fail"),
        (b'{"verb": ["count"]}\n', b"the verb is not known; accepted is one of count, fail"),
        (b"\xff\xfe\n", b"the request is not a line of JSON"),
        (b'{"verb": "fail"}\n', b"RuntimeError"),
        (b"x" * (MAX_LINE_BYTES + 1_000) + b"\n", b"the request is longer than 16384 bytes"),
    ],
)
async def test_nonsense_is_refused_and_the_next_one_is_answered(tmp_path, line, message):
    path = tmp_path / "control.sock"
    async with serving(path):
        assert await said(path, line) == [b'{"kind":"error","message":"' + message + b'"}']
        assert await ask_once(path, {"verb": "count"}) == {"kind": "end"}


async def test_a_client_that_leaves_disturbs_nobody(tmp_path):
    path = tmp_path / "control.sock"
    async with serving(path):
        for line in (b"", b'{"verb"', b'{"verb": "count"}\n'):
            _, writer = await asyncio.open_unix_connection(str(path))
            writer.write(line)
            writer.transport.abort()
        assert await ask_once(path, {"verb": "count"}) == {"kind": "end"}


async def test_the_file_is_its_owners_alone_and_one_left_by_a_killed_process_is_replaced(tmp_path):
    path = tmp_path / "control.sock"
    stale = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    stale.bind(str(path))
    stale.close()
    with pytest.raises(NobodyAnswers):
        await ask_once(path, {"verb": "count"})
    async with serving(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert await ask_once(path, {"verb": "count"}) == {"kind": "end"}
    assert not path.exists()
    with pytest.raises(NobodyAnswers):
        await ask_once(path, {"verb": "count"})


async def test_a_service_that_ends_in_the_middle_is_told_apart_from_one_that_is_done(tmp_path):
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b'{"kind":"progress"}\n')
        writer.close()

    server = await asyncio.start_unix_server(cut, str(tmp_path / "control.sock"))
    with pytest.raises(StorageBusy, match="the service ended before it was done"):
        await ask_once(tmp_path / "control.sock", {"verb": "count"})
    server.close()


async def test_a_folder_with_a_long_name_is_no_hindrance(tmp_path):
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    async with serving(folder / "control.sock"):
        assert await ask_once(folder / "control.sock", {"verb": "count"}) == {"kind": "end"}
