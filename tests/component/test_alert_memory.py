"""What the service remembers of alerts over restarts: nothing is told twice, and nothing is lost untold."""

import asyncio
import stat

import orjson
import pytest
from structlog.testing import capture_logs

from edge.alerting import Key, Kind
from edge.app.alert_memory import AlertMemory
from edge.demo.world import free_port
from tests.alert_desk import PAUSED, open_desks, open_receiver
from tests.alert_world import WELL, pipeline


@pytest.fixture
async def receiver():
    async with open_receiver() as receiver:
        yield receiver


@pytest.fixture
async def make(tmp_path, receiver):
    async with open_desks(tmp_path, receiver) as make:
        yield make


async def test_restarted_service_tells_only_what_is_new(make, receiver):
    desk = make()
    desk.see(PAUSED)
    await desk.desk.tell()
    await desk.desk.remember()
    assert stat.S_IMODE(desk.memory.stat().st_mode) == 0o600
    again = make()
    again.see(PAUSED)
    await again.desk.tell()
    again.see(WELL)
    await again.desk.tell()
    await again.desk.remember()
    assert receiver.told == [("alert.raised", "paused"), ("alert.cleared", "paused")]
    assert AlertMemory(desk.memory).read() == []


async def test_change_that_nobody_was_told_of_is_told_after_a_restart(make, receiver):
    """The letters died before the restart: the figures that are judged afterwards do not show them any more."""
    desk, letters = make(port=free_port()), pipeline(dead=25)
    desk.see(WELL)
    desk.see(letters)
    await desk.desk.tell()
    await desk.desk.remember()
    again = make()
    again.see(letters)
    await again.desk.tell()
    assert [orjson.loads(body)["data"]["alert"] for _, body in receiver.requests] == ["dead_letters"]
    assert "had 25 dead letters" in orjson.loads(receiver.requests[0][1])["text"]


async def test_nothing_is_written_while_nothing_changes(make):
    desk = make(port=free_port())
    desk.see(PAUSED)
    await desk.desk.remember()
    desk.memory.unlink()
    desk.see(PAUSED)
    await desk.desk.tell()
    await desk.desk.remember()
    assert not desk.memory.exists()


async def test_what_stands_is_kept_when_the_service_stops(make):
    desk = make(port=free_port())
    desk.seen = PAUSED
    running = asyncio.create_task(desk.desk.run(desk.stop))
    while desk.count("edge_alert_raised", alert="paused", about="klaviyo") is None:
        await asyncio.sleep(0)
    desk.stop.set()
    await running
    (kept,) = AlertMemory(desk.memory).read()
    assert (kept.key, kept.is_raised, kept.is_told) == (Key(Kind.PAUSED, "klaviyo"), True, False)


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{}", b"[1]", b"null", b'[{"alert": "x"}]', b"\xff", b"[" * 9_999, b'[{"key": ["paused", "klaviyo"]}]'),
        b'[{"key": ["never", ""], "since_ms": 1, "reminders": 0, "is_raised": true, "is_told": true, "value": 1}]',
    ],
)
async def test_memory_that_cannot_be_read_costs_one_message_at_most(make, receiver, content):
    make().memory.write_bytes(content)
    desk = make()
    desk.see(PAUSED)
    await desk.desk.tell()
    assert receiver.told == [("alert.raised", "paused")]


async def test_memory_that_cannot_be_written_costs_nothing_and_is_said_once(make, receiver):
    desk = make()
    desk.memory.with_suffix(".new").mkdir()
    desk.see(PAUSED)
    with capture_logs() as logs:
        for _ in range(2):
            await desk.desk.tell()
            await desk.desk.remember()
    assert [line["event"] for line in logs] == ["alerts are not remembered"]
    assert receiver.told == [("alert.raised", "paused")]
    desk.memory.with_suffix(".new").rmdir()
    await desk.desk.remember()
    assert len(AlertMemory(desk.memory).read()) == 1
