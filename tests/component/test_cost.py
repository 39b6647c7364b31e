"""What accepting and delivering cost, in counts that no busy machine changes; each gate is shown to be able to fail."""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import asynccontextmanager
from itertools import chain
from pathlib import Path
from types import FrameType

import aiohttp
from prometheus_client import CollectorRegistry

import edge
from bench.bodies import BODY_BYTES, body
from bench.works import ENVIRON, Taken, fill, names, pipeline_texts, size_of, views, works
from edge.clock import SteadyClock
from edge.collector import Assets, Collector, CollectorSettings, EventLog, Tell
from edge.consent import ALL_PURPOSES
from edge.cookie import CookieSigner
from edge.event import decode
from edge.foreign_links import hosts_of
from edge.metrics import CollectorMetrics
from edge.person import Identifiers
from edge.pipeline import Planned, compile_pipeline, plan
from edge.spool import SpoolReader, SpoolSettings, SpoolWriter
from tests.clock import FakeClock
from tests.running_collector import KEY, ORIGIN, SAME, SCRIPT, AwaitedLog, FakeTransport, head

REQUESTS = 64
OURS, AIOHTTPS = (str(Path(module.__file__).parent) for module in (edge, aiohttp))
EVENTS, VISITORS = 1_000, 100
# What a delivery is made of beside its payload.
AROUND = tuple(
    f"{OURS}/{part}"
    for part in ("app", "budget", "clock", "consent", "drainer", "ledger", "metrics", "resolver", "spool", "transport")
)
# Measured, with a tenth on top. Who makes one of them grow says so here, and why.
MOST_COMMITS_A_REQUEST = 2 / REQUESTS
MOST_CALLS_A_REQUEST = 68  # of our functions and aiohttp's, for a body with one event whose browser is new
MOST_CALLS_A_FURTHER_EVENT = 9.8
MOST_CALLS_A_PAYLOAD = 98  # of our own functions, from a stored view_item to its place in a job of Klaviyo's
MOST_RESOLVER_STATEMENTS = 2.02  # a journal row, and what an identify of every tenth event makes
MOST_DRAINER_STATEMENTS = 0.21  # some eighteen a page of a hundred: who and what is known now, two transactions
MOST_RESOLVER_CALLS = 46  # of our own functions, from the spool to the journal
MOST_DRAINER_CALLS = 92  # from the journal to the outcome, but for making the payload and its form
MOST_BYTES_A_BODY_BYTE = 2.1  # 1.1 of a body is the envelope, 1.15 its row in the spool, the rest the ledger's


class Crowd(AwaitedLog):
    """A log that lets nobody in before everybody is there: the load is the same at every run."""

    def __init__(self, spool: SpoolWriter) -> None:
        super().__init__()
        self._spool, self._here, self._all_here = spool, 0, asyncio.Event()

    async def append(self, envelopes: Sequence[bytes]) -> int:
        self._here += 1
        if self._here == REQUESTS:
            self._all_here.set()
        await self._all_here.wait()
        return await self._spool.append(envelopes)


class OneByOne(SpoolWriter):
    """The planted worsening: a commit for each request."""

    async def _commit(self, group):
        for waiter in group:
            await super()._commit([waiter])


class Calls:
    """Counts the calls of functions that lie in some places, a coroutine that goes on as one more."""

    def __init__(self, *places: str) -> None:
        self.count, self._places = 0, places

    def __call__(self, frame: FrameType, what: str, _: object) -> None:
        self.count += what == "call" and frame.f_code.co_filename.startswith(self._places)


class Statements:
    """Counts what SQLite is asked, a row of `executemany` as one, by its first word."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def __call__(self, statement: str) -> None:
        self.words.append(statement.split(maxsplit=1)[0].upper())


class AtOnce:
    """A log without a disk, so that no group of waiters is larger at one time than at another."""

    async def append(self, envelopes: Sequence[bytes]) -> int:
        return 1

    def append_soon(self, envelopes: Sequence[bytes], tell: Tell) -> None:
        tell(1)


@asynccontextmanager
async def collecting(spool: EventLog):
    settings = CollectorSettings(listen=("tcp", "127.0.0.1", 0), origins=(ORIGIN,), linger_s=0.02)
    collector = Collector(
        settings,
        spool,
        cookies=CookieSigner((KEY,)),
        clock=SteadyClock(FakeClock()),
        random_bytes=bytes,
        assets=Assets(SCRIPT),
        metrics=CollectorMetrics(CollectorRegistry()),
    )
    await collector.start()
    try:
        yield collector
    finally:
        await collector.stop(5.0)


async def commits_a_request(writer: type[SpoolWriter], folder: Path) -> float:
    spool, asked = writer(SpoolSettings(folder, free_bytes=0), FakeClock()), Statements()
    await spool.open()
    try:
        connector = aiohttp.TCPConnector(limit=0)
        session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        async with collecting(Crowd(spool)) as collector, session:
            url = f"http://127.0.0.1:{collector.port}/t/e"
            await spool._db.set_trace_callback(asked)
            answers = await asyncio.gather(*(session.post(url, data=body(1), headers=SAME) for _ in range(REQUESTS)))
        assert {answer.status for answer in answers} == {204}
        assert spool.last_seq == REQUESTS
    finally:
        await spool.close()
    return asked.words.count("COMMIT") / REQUESTS


async def calls_a_request(content: bytes, *, in_pieces: bool = False) -> float:
    """Give how many calls a request takes from its bytes to its answer, once everything is warm.

    Args:
        in_pieces: the head comes first and the body after it, so that aiohttp has to wait for it.
    """
    asked, transport = Calls(OURS, AIOHTTPS), FakeTransport()
    request = head(f"Content-Length: {len(content)}").replace(b"Connection: close\r\n", b"")
    pieces = (request, content) if in_pieces else (request + content,)

    async def ask(times: int) -> None:
        for _ in range(times):
            for piece in pieces:
                connection.data_received(piece)
                await asyncio.sleep(0)
            while not transport.written:
                await asyncio.sleep(0)
            assert transport.written.startswith(b"HTTP/1.1 204 ")
            transport.written = b""

    async with collecting(AtOnce()) as collector:
        connection = collector._server()
        connection.connection_made(transport)
        await asyncio.sleep(0)
        await ask(1)
        sys.setprofile(asked)
        try:
            await ask(REQUESTS)
        finally:
            sys.setprofile(None)
    return asked.count / REQUESTS


def calls_a_payload(envelopes: Sequence[bytes]) -> float:
    """Give how many calls of our functions it takes to plan an event, to render it and to put it into a bulk call."""
    [(file, text)] = pipeline_texts(1, endpoint="bulk_create_events").items()
    pipeline, hosts = compile_pipeline(text, file, ENVIRON), hosts_of((ORIGIN,), ())
    who = Identifiers(email="visitor@shop.example", vendor_ids=(("device", "203.0.113.9 Mozilla/5.0"),))

    def make() -> None:
        planned = [plan(pipeline, decode(envelope), who, ALL_PURPOSES, hosts) for envelope in envelopes]
        payloads = [one.payload for one in planned if isinstance(one, Planned)]
        assert len(payloads) == len(envelopes)
        next(pipeline.destination.deliver(payloads, 0))

    make()
    asked = Calls(OURS)
    sys.setprofile(asked)
    try:
        make()
    finally:
        sys.setprofile(None)
    return asked.count / len(envelopes)


class RowByRow(SpoolReader):
    """The planted worsening: pages of one event."""

    async def read(self, after, limit):
        return await super().read(after, 1)


async def statements_an_event(
    folder: Path, *, events: int = EVENTS, page_events: int = 100, reader: type[SpoolReader] = SpoolReader
) -> tuple[float, float]:
    """Give what resolver and drainer ask the ledger, an event each."""
    await fill(folder / "spool", chain(names(events // 10), views(events, events // 10)))
    vendor, known = Taken(), reader(folder / "spool")
    async with works(folder, pipeline_texts(1), vendor, page_events=page_events, reader=known) as made:
        counts = []
        for work in (made.resolve, made.drain):
            asked = Statements()
            for db in (made.database._db, made.database._reader):
                await db.set_trace_callback(asked)
            await work()
            counts.append(len(asked.words) / (events + events // 10))
    assert vendor.requests == events
    return counts[0], counts[1]


async def calls_an_event(
    folder: Path, *, events: int = EVENTS, page_events: int = 100, reader: type[SpoolReader] = SpoolReader
) -> tuple[float, float]:
    """Give how many calls of our functions an event takes: resolving it; delivering it, but for making its payload."""
    await fill(folder / "spool", chain(names(events // 10), views(events, events // 10)))
    counts = []
    async with works(
        folder, pipeline_texts(1), Taken(), page_events=page_events, reader=reader(folder / "spool")
    ) as made:
        for work, asked in ((made.resolve, Calls(OURS)), (made.drain, Calls(*AROUND))):
            sys.setprofile(asked)
            try:
                await work()
            finally:
                sys.setprofile(None)
            counts.append(asked.count / (events + events // 10))
    return counts[0], counts[1]


async def stored_a_body_byte(folder: Path, *, extra: bytes = b"") -> float:
    """Give what spool and ledger keep of delivered events, over the bytes of their bodies."""
    longer = (envelope[:-2] + extra + envelope[-2:] for envelope in views(EVENTS, VISITORS))
    await fill(folder / "spool", chain(names(VISITORS), longer))
    async with works(folder, pipeline_texts(1), Taken()) as made:
        await made.resolve()
        await made.drain()
    return size_of(folder) / (EVENTS * BODY_BYTES)


async def test_requests_that_come_together_share_their_commits(tmp_path):
    assert await commits_a_request(SpoolWriter, tmp_path) <= MOST_COMMITS_A_REQUEST


async def test_a_commit_for_each_request_would_be_noticed(tmp_path):
    assert await commits_a_request(OneByOne, tmp_path) > MOST_COMMITS_A_REQUEST


async def test_a_request_takes_few_calls_from_its_bytes_to_its_answer():
    assert await calls_a_request(body(1)) <= MOST_CALLS_A_REQUEST


async def test_a_further_event_takes_a_handful_of_calls():
    one, ten = await calls_a_request(body(1)), await calls_a_request(body(10))
    assert (ten - one) / 9 <= MOST_CALLS_A_FURTHER_EVENT


async def test_encoding_each_event_twice_would_be_noticed():
    """So it goes with bodies over the size that is proved at once."""
    one, ten = (body(events).replace(b'"Moon"', b'"%s"' % (b"M" * 16_000)) for events in (1, 10))
    assert (await calls_a_request(ten) - await calls_a_request(one)) / 9 > MOST_CALLS_A_FURTHER_EVENT


async def test_a_task_and_a_request_of_aiohttps_for_each_would_be_noticed():
    assert await calls_a_request(body(1), in_pieces=True) > MOST_CALLS_A_REQUEST


async def test_a_walk_over_every_body_would_be_noticed():
    walked = body(1).replace(b'"Moon Teapot"', b'"Moon\\u0000 Teapot"')
    assert await calls_a_request(walked) > MOST_CALLS_A_REQUEST


def test_a_payload_takes_few_calls_from_its_envelope_to_its_request():
    assert calls_a_payload([*views(VISITORS, VISITORS)]) <= MOST_CALLS_A_PAYLOAD


def test_a_look_at_every_text_of_an_event_would_be_noticed():
    walked = [envelope.replace(b'"Moon Teapot"', b'"Moon Teapot: blue"') for envelope in views(VISITORS, VISITORS)]
    assert calls_a_payload(walked) > MOST_CALLS_A_PAYLOAD


async def test_resolving_and_delivering_ask_the_ledger_page_by_page(tmp_path):
    resolving, delivering = await statements_an_event(tmp_path)
    assert resolving <= MOST_RESOLVER_STATEMENTS
    assert delivering <= MOST_DRAINER_STATEMENTS


async def test_resolving_and_delivering_an_event_take_few_calls(tmp_path):
    resolving, delivering = await calls_an_event(tmp_path)
    assert resolving <= MOST_RESOLVER_CALLS
    assert delivering <= MOST_DRAINER_CALLS


async def test_calls_that_are_made_an_event_instead_of_a_page_would_be_noticed(tmp_path):
    resolving, delivering = await calls_an_event(tmp_path, events=50, page_events=1, reader=RowByRow)
    assert resolving > MOST_RESOLVER_CALLS
    assert delivering > MOST_DRAINER_CALLS


async def test_asking_the_ledger_event_by_event_would_be_noticed(tmp_path):
    resolving, delivering = await statements_an_event(tmp_path, events=50, page_events=1, reader=RowByRow)
    assert resolving > MOST_RESOLVER_STATEMENTS
    assert delivering > MOST_DRAINER_STATEMENTS


async def test_what_is_kept_of_an_event_is_little_more_than_its_body(tmp_path):
    assert await stored_a_body_byte(tmp_path) <= MOST_BYTES_A_BODY_BYTE


async def test_a_third_of_each_body_kept_twice_would_be_noticed(tmp_path):
    third = b',"kept_twice":"' + b"x" * (BODY_BYTES // 3) + b'"'
    assert await stored_a_body_byte(tmp_path, extra=third) > MOST_BYTES_A_BODY_BYTE
