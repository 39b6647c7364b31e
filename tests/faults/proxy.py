"""A bad network between the drainer and its vendor: one request after the other meets what a script deals it.

It forwards a request as it came, over a connection of its own, and writes down what it did: which events the request
told of, how often it reached the vendor, and what was answered. The vendor's record is another one, by another hand.
"""

import asyncio
import random
import re
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

Kind: TypeAlias = Literal[
    "pass",
    "refuse",
    "reset before",
    "reset after",
    "delay",
    "silence",
    "cut",
    "wrong length",
    "garbage",
    "nonsense",
    "huge",
    "redirect",
    "429 with Retry-After",
    "429 without Retry-After",
    "429 with a date",
    "5xx before",
    "5xx after",
    "drip",
    "close",
    "twice",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
# What nobody can understand: met once by an event, it is repeated; twice, the event is a dead letter.
UNCLEAR: frozenset[Kind] = frozenset({"nonsense", "redirect"})
REFUSED_S, DELAY_S, DRIP_S = 0.3, 0.3, 0.002
HUGE_BYTES = 3_000_000
_IDS = re.compile(rb'"unique_id": ?"([^"]+)"')
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CONNECTION = re.compile(rb"\r\nconnection:[^\r]*", re.IGNORECASE)
_JSON = b"Content-Type: application/vnd.api+json\r\n"


@dataclass(frozen=True, slots=True)
class Dealt:
    """What became of one request: its events, how often it reached the vendor, the status that was sent (0: none)."""

    kind: Kind
    ids: tuple[str, ...]
    reached: int
    status: int


class Deck:
    """Deals every kind so many times, shuffled, between requests that pass; then everything passes.

    Args:
        each: how often each kind is dealt.
        passes: how many requests pass for one that does not.
    """

    def __init__(
        self, rng: random.Random, *, kinds: Sequence[Kind] = KINDS[1:], each: int = 1, passes: int = 2
    ) -> None:
        cards = [*kinds] * each
        passing: list[Kind] = ["pass"] * (passes * len(cards))
        self._cards = [*cards, *passing]
        rng.shuffle(self._cards)
        self._met: set[str] = set()

    @property
    def is_empty(self) -> bool:
        """Whether every kind was dealt as often as it should be."""
        return all(card == "pass" for card in self._cards)

    def deal(self, ids: Sequence[str]) -> Kind:
        """Give what a request meets; nothing unclear a second time for the same event: that waits for another one."""
        for at, kind in enumerate(self._cards):
            if kind not in UNCLEAR or self._met.isdisjoint(ids):
                del self._cards[at]
                self._met |= set(ids) if kind in UNCLEAR else set()
                return kind
        return "pass"


class Proxy:
    """Listens on a free port of loopback; `deck` may be exchanged at any moment."""

    def __init__(self, deck: Deck | None = None) -> None:
        self.deck = deck
        self.dealt: list[Dealt] = []
        self.followed = 0
        self.is_refusing_key = False
        self._host, self.port, self._upstream = "127.0.0.1", 0, 0
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()
        self._reopening: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def open(self, upstream: int) -> AsyncIterator[str]:
        """Stand before a port; gives the address to talk to."""
        self._upstream = upstream
        await self._listen()
        try:
            yield f"http://{self._host}:{self.port}"
        finally:
            if self._reopening is not None:
                self._reopening.cancel()
            self.shut()
            tasks = [*self._talks, *([self._reopening] if self._reopening else [])]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def shut(self) -> None:
        """Listen no more: whoever comes is refused, whoever is there stays."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def reopen(self) -> None:
        """Listen again."""
        if self._server is None:
            await self._listen()

    @property
    def injected(self) -> Counter[str]:
        """How often each kind was dealt; what passed is none."""
        return Counter(f"network: {one.kind}" for one in self.dealt if one.kind != "pass")

    @property
    def forwarded(self) -> int:
        """How many requests reached the vendor."""
        return sum(one.reached for one in self.dealt)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._talk, self._host, self.port, reuse_address=True)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "a connection is served by a task"
        self._talks.add(task)
        task.add_done_callback(self._talks.discard)
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the drainer has left, or died
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Serve one request; give whether the connection goes on."""
        request = await _read(reader)
        if request is None:
            return False
        if b" /followed " in request.partition(b"\r\n")[0]:
            self.followed += 1
        ids = tuple(sorted({found.decode() for found in _IDS.findall(request)}))
        kind: Kind = self.deck.deal(ids) if self.deck else "pass"
        place = len(self.dealt)
        self.dealt.append(Dealt(kind, ids, 0, 0))

        async def ask(times: int) -> bytes:
            answer = b""
            for _ in range(times):
                answer = await self._ask(request)
                self.dealt[place] = Dealt(kind, ids, self.dealt[place].reached + 1, 0)
            return answer

        if self.is_refusing_key:
            answer = _answer(401, b'{"errors":[{"code":"not_authenticated"}]}')
        else:
            answer = await self._answer_of(kind, ask)
        status = int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0
        self.dealt[place] = Dealt(kind, ids, self.dealt[place].reached, status)
        return await self._send(kind, answer, reader, writer)

    async def _answer_of(self, kind: Kind, ask: Callable[[int], Awaitable[bytes]]) -> bytes:
        """Give the bytes that go back, b"" for none."""
        match kind:
            case "refuse" | "reset before" | "silence":
                return b""
            case "delay":
                await asyncio.sleep(DELAY_S)
            case "garbage":
                return b"\x16\x03\x01\x02" * 20 + b"\r\n\r\n"
            case "429 with Retry-After":
                return _answer(429, b"{}", b"Retry-After: 1\r\n")
            case "429 without Retry-After":
                return _answer(429, b"{}")
            case "429 with a date":
                return _answer(429, b"{}", b"Retry-After: Thu, 01 Jan 1970 00:00:00 GMT\r\n")
            case "5xx before":
                return _answer(503, b"<html>upstream</html>")
            case "twice":
                return await ask(2)
        answer = await ask(1)
        match kind:
            case "reset after":
                return b""
            case "cut":
                return answer[: len(answer) // 2]
            case "wrong length":
                return _LENGTH.sub(b"\r\nContent-Length: 10000", answer)
            case "nonsense":
                return _answer(200, b"<html>Please sign in</html>")
            case "huge":
                return _answer(202, b"x" * HUGE_BYTES)
            case "redirect":
                where = f"Location: http://{self._host}:{self.port}/followed\r\n".encode()
                return _answer(302, b"", where)
            case "5xx after":
                return _answer(502, b"{}")
        return answer

    async def _send(
        self, kind: Kind, answer: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Send what is left of the answer, in the way that the kind says; give whether the connection goes on."""
        match kind:
            case "refuse":
                self._refuse_for_a_while()
                _reset(writer)
                return False
            case "reset before" | "reset after":
                _reset(writer)
                return False
            case "silence":
                await reader.read(1)  # until the other side has had enough
                return False
            case "drip":
                for byte in answer:
                    writer.write(bytes([byte]))
                    await writer.drain()
                    await asyncio.sleep(DRIP_S)
                return True
        writer.write(answer)
        await writer.drain()
        return kind not in ("cut", "wrong length", "garbage", "close")

    def _refuse_for_a_while(self) -> None:
        self.shut()

        async def later() -> None:
            await asyncio.sleep(REFUSED_S)
            await self.reopen()

        if self._reopening is None or self._reopening.done():
            self._reopening = asyncio.create_task(later())

    async def _ask(self, request: bytes) -> bytes:
        """Put a request to the vendor; give its whole answer, as of a connection that stays open."""
        reader, writer = await asyncio.open_connection(self._host, self._upstream)
        try:
            head, _, body = request.partition(b"\r\n\r\n")
            writer.write(_CONNECTION.sub(b"", head) + b"\r\nConnection: close\r\n\r\n" + body)
            await writer.drain()
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
        return _CONNECTION.sub(b"", head) + b"\r\n\r\n" + body


async def _read(reader: asyncio.StreamReader) -> bytes | None:
    """Give one request, head and body; None where the connection ended between two."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    length = _LENGTH.search(head)
    return head + (await reader.readexactly(int(length[1])) if length else b"")


def _answer(status: int, body: bytes, more: bytes = b"") -> bytes:
    return b"HTTP/1.1 %d Said\r\n%sContent-Length: %d\r\n%s\r\n%s" % (status, _JSON, len(body), more, body)


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST instead of FIN."""
    found = writer.get_extra_info("socket")
    if found is not None:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
