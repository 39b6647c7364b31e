"""The control sockets: how verbs that change something ask the process that owns what they change.

A request is one line of JSON; answers are lines of JSON, the last one with `"kind": "end"` or `"kind": "error"`. The
socket is its owner's alone (0600, and the other side's user is looked at), its lines are bounded and so is every wait.
"""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import orjson
import structlog

from edge.errors import EdgeError, StorageBusy

log = structlog.get_logger(__name__)

CONTROL_SOCKET, COLLECTOR_SOCKET = "control.sock", "collector.sock"
MAX_LINE_BYTES = 16_384
REQUEST_S = 5.0
WRITE_S = 5.0
ANSWER_S = 30.0
AGAIN_S = 5.0
MAX_CLIENTS = 8
_LONGEST_PATH = 100  # of the 108 bytes that a socket's address has

Told: TypeAlias = dict[str, Any]
Verb: TypeAlias = Callable[[Told], AsyncGenerator[Told, None]]


class NobodyAnswers(EdgeError):
    """Raised when nothing listens on a control socket: the service does not run."""


class ControlServer:
    """Answers on one socket. Made by the process that holds the role's lock, so that what lies there is stale."""

    def __init__(self, path: Path, verbs: Mapping[str, Verb]) -> None:
        self._path, self._verbs = path, dict(verbs)
        self._server: asyncio.Server | None = None
        self._trying: asyncio.Task[None] | None = None
        self._clients = 0

    async def start(self) -> None:
        """Listen; a socket file that a killed process left is replaced. A full disk only makes it later."""
        try:
            await self._listen()
        except OSError as error:
            log.error("no control socket for now", file=self._path.name, reason=error.strerror)
            self._trying = asyncio.create_task(self._try_again())

    async def _try_again(self) -> None:
        while self._server is None:
            await asyncio.sleep(AGAIN_S)
            with contextlib.suppress(OSError):
                await self._listen()

    async def _listen(self) -> None:
        fresh = self._path.with_name(f"{self._path.name}.new")
        fresh.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with _address(fresh) as address:
                listening.bind(address)
            fresh.chmod(0o600)
            fresh.replace(self._path)
        except OSError:
            listening.close()
            raise
        self._server = await asyncio.start_unix_server(self._serve, sock=listening, limit=MAX_LINE_BYTES)

    async def stop(self) -> None:
        """Stop listening; who is being answered is cut off, and what was asked goes on by itself or after a restart."""
        if self._trying is not None:
            self._trying.cancel()
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients += 1
        try:
            if self._clients > MAX_CLIENTS:
                await _write(writer, _error("too many ask at once; try again"))
            elif not _is_same_user(writer):
                await _write(writer, _error("another user's process may not ask"))
            else:
                await self._answer(reader, writer)
        except (ConnectionError, TimeoutError):
            log.info("who asked has left")
        finally:
            self._clients -= 1
            writer.close()
            with contextlib.suppress(ConnectionError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), WRITE_S)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await _read(reader)
            verb = self._verbs.get(str(request.get("verb")))
            if verb is None:
                raise ValueError(f"the verb is not known; accepted is one of {', '.join(self._verbs)}")
            async with contextlib.aclosing(verb(request)) as answers:
                async for told in answers:
                    await _write(writer, told)
        except (ValueError, EdgeError) as error:
            await _write(writer, _error(str(error)))
        except (ConnectionError, TimeoutError):
            raise
        except Exception as error:
            log.exception("a verb failed")
            await _write(writer, _error(type(error).__name__))


async def _read(reader: asyncio.StreamReader) -> Told:
    try:
        line = await asyncio.wait_for(reader.readuntil(b"\n"), REQUEST_S)
    except asyncio.LimitOverrunError as error:
        raise ValueError(f"the request is longer than {MAX_LINE_BYTES} bytes") from error
    except asyncio.IncompleteReadError as error:
        raise ConnectionResetError from error
    try:
        request = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise ValueError("the request is not a line of JSON") from error
    if not isinstance(request, dict):
        raise ValueError("the request is not a JSON object")
    return request


async def _write(writer: asyncio.StreamWriter, told: Told) -> None:
    writer.write(orjson.dumps(told) + b"\n")
    await asyncio.wait_for(writer.drain(), WRITE_S)


def _error(text: str) -> Told:
    return {"kind": "error", "message": text}


def _is_same_user(writer: asyncio.StreamWriter) -> bool:
    """Tell whether the other side runs as our user, or as the machine's own."""
    descriptor = os.dup(writer.get_extra_info("socket").fileno())
    with socket.socket(fileno=descriptor) as peer:
        _, user, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return user in (os.geteuid(), 0)


@contextmanager
def _address(path: Path) -> Iterator[str]:
    """Give an address for a path however long: beyond the limit by way of its folder's descriptor."""
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def ask(path: Path, request: Told, *, answer_s: float = ANSWER_S) -> Iterator[Told]:
    """Ask over a control socket and give the answers as they come; blocks, for the command line.

    Args:
        answer_s: how long to wait for each line.
    Raises:
        NobodyAnswers: nothing listens there.
        StorageBusy: the answer stopped before its end.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as calling:
        calling.settimeout(answer_s)
        try:
            with _address(path) as address:
                calling.connect(address)
            calling.sendall(orjson.dumps(request) + b"\n")
        except OSError as error:
            raise NobodyAnswers(f"{path}: nobody answers ({error.strerror})") from error
        try:
            with calling.makefile("rb") as lines:
                for line in lines:
                    told: Told = orjson.loads(line)
                    yield told
                    if told.get("kind") in ("end", "error"):
                        return
        except (OSError, orjson.JSONDecodeError) as error:
            raise StorageBusy("the service stopped answering; what was asked goes on when it runs again") from error
    raise StorageBusy("the service ended before it was done; what was asked goes on when it runs again")


async def ask_once(path: Path, request: Told) -> Told:
    """Ask over a control socket for one answer, without blocking anybody.

    Raises:
        NobodyAnswers, StorageBusy: as `ask` does.
    """
    return await asyncio.to_thread(lambda: list(ask(path, request))[-1])
