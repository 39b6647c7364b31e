"""The machine's clock jumps for a minute, or stands still: nothing is purged, expires, waits for ever or is repeated.

In one process, where time is a number and every jump is played with and without a restart: one visitor's events wait
for a vendor that is away, a stranger's are held, segments are sealed and passed, and more comes in meanwhile.
`test_clock_processes.py` plays the same with real ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

from edge.clock import FASTEST, SteadyClock
from edge.delivery import Response
from edge.destinations.values import iso
from edge.drainer import Housekeeping
from edge.ledger import TrimLedger
from edge.resolver import Resolver
from edge.spool import SpoolSettings, SpoolWriter
from edge.spool.segment import Segment, list_segments
from tests.backroom import Backroom
from tests.clock import FakeClock
from tests.faults.books import read_books
from tests.running_collector import SAME, running

HOUR_S, DAY_S = 3_600.0, 86_400.0
KEEP_FOR_S = 14 * DAY_S
JUMPS = {
    "an hour ahead": HOUR_S,
    "an hour back": -HOUR_S,
    "400 days ahead": 400 * DAY_S,
    "400 days back": -400 * DAY_S,
    "stuck": 0.0,
}
AWAY = Response(503, {}, b"")
STEP_S, STEPS = 5.0, 12


class Trusting(Resolver):
    """A resolver that believes what the collector's clock said, however long before the last event that was."""

    def _parsed(self, rows):
        self._newest_ms = 0
        return super()._parsed(rows)


@dataclass
class Minute:
    """One minute of a wrong clock, and what came of it; `is_restarted`: the service starts in it and after it.

    `bug` is what is planted: going "by the wall clock", or "by the label" that an event was given.
    """

    room: Backroom
    settings: SpoolSettings
    jump_s: float
    is_restarted: bool
    bug: str

    @classmethod
    async def open(cls, folder: Path, jump: str, *, is_restarted: bool, bug: str = "") -> "Minute":
        room = await Backroom.open(folder, FakeClock())
        await room.writer.close()
        settings = SpoolSettings(folder / "spool", free_bytes=0, segment_bytes=20_000)
        minute = cls(room, settings, JUMPS[jump], is_restarted, bug)
        room.makes_resolver = Trusting if bug == "by the label" else Resolver
        room.writer = SpoolWriter(settings, room.steady)
        await room.writer.open()
        await minute._start()
        return minute

    async def play(self) -> dict[str, object]:
        """Give what is wrong in the end; nothing, where all is well."""
        room = self.room
        await room.store(9, "view_item", id="held-9-1")
        for visitor in (1, 2):
            await room.identify(visitor, email=f"visitor{visitor}@shop.example")
        for number in range(20):
            await room.store(1, "view_item", id=f"kept-1-{number}", properties={"item_name": "x" * 2_000})
        await room.work()
        segments = list_segments(self.settings.directory)
        room.transport.always = AWAY
        await room.store(2, "view_item", id="early-2-1")
        await self._housekept()
        await self._wrong_minute()
        room.transport.always = Response(202, {}, b"")
        for _ in range(60):  # a back-off ends within a quarter of an hour, or twice that while the clock is behind
            room.clock.advance(60)
            await self._housekept()
        await room.identify(9, email="visitor9@shop.example")
        await self._housekept()
        return await self._complaints(segments)

    async def _wrong_minute(self) -> None:
        room = self.room
        room.clock.jump(self.jump_s)
        await self._start()
        for number in range(STEPS):
            room.clock.advance(STEP_S)
            if not self.jump_s:
                room.clock.jump(-STEP_S)
            await room.store(2, "view_item", id=f"late-2-{number}")
            await room.store(9, "view_item", id=f"late-9-{number}")
            await self._housekept()
        room.clock.jump(-self.jump_s or STEPS * STEP_S)
        await self._start()

    async def _start(self) -> None:
        """Begin anew, where that is played, knowing what a process knows of time; else nothing happens."""
        if self.is_restarted or self.bug:
            by_wall, seen_ms = self.bug == "by the wall clock", self.room.steady.now_ms()
            self.room.steady = self.room.clock if by_wall else SteadyClock(self.room.clock, seen_ms)
            await self.room.restart()

    async def _housekept(self) -> None:
        room = self.room
        await room.work()
        ledger = TrimLedger(room.database, [room.pipeline.name])
        house = Housekeeping(self.settings, reader=room.reader, ledger=ledger, clock=room.steady, keep_for_s=KEEP_FOR_S)
        await house.end_unanswered(room.lane.ledger, KEEP_FOR_S)
        await house.expire_held(room.pipeline, room.lane.ledger)
        await house.expire_orphans()
        await house.unlink_passed()

    async def _complaints(self, segments: Sequence[Segment]) -> dict[str, object]:
        room, books = self.room, read_books(self.room.folder)
        late = [f"late-{visitor}-{number}" for number in range(STEPS) for visitor in (2, 9)]
        told = ["held-9-1", *(f"kept-1-{number}" for number in range(20)), "early-2-1", *late]
        sent = list(dict.fromkeys(room.transport.ids))
        orders = {visitor: (_of(visitor, told), _of(visitor, sent)) for visitor in "129"}
        found = {
            "purged": len(set(segments) - set(list_segments(self.settings.directory))),
            "forgotten": books.last_seq - books.journalled,
            "not in order": [visitor for visitor, (should, was) in orders.items() if should != was],
            **{fate: events for fate, events in (await room.tally()).items() if fate not in ("delivered", "unmapped")},
        }
        await room.close()
        return {what: which for what, which in found.items() if which}


def _of(visitor: str, ids: Sequence[str]) -> list[str]:
    return [one for one in ids if one.split("-")[1] == visitor]


@pytest.mark.parametrize("is_restarted", [False, True], ids=["while running", "at start"])
@pytest.mark.parametrize("jump", JUMPS)
async def test_a_minute_of_a_wrong_clock_costs_nothing(tmp_path, jump, is_restarted):
    """All is delivered in order when the vendor is there again, and all that is to be kept is there."""
    minute = await Minute.open(tmp_path, jump, is_restarted=is_restarted)
    assert await minute.play() == {}


@pytest.mark.parametrize(("bug", "jump"), [("by the wall clock", "400 days ahead"), ("by the label", "400 days back")])
async def test_a_planted_clock_is_found_by_the_same_minute(tmp_path, record_property, bug, jump):
    """Else the test above would prove nothing."""
    minute = await Minute.open(tmp_path, jump, is_restarted=False, bug=bug)
    found = await minute.play()
    print(f"{bug}, {jump}: {found}")
    assert found.get("expired"), found
    record_property("planted", {"bug": f"ages {bug}", "found": {"expired": found["expired"]}})


@pytest.mark.parametrize("jump_s", [400 * DAY_S, -400 * DAY_S])
async def test_a_browser_stays_who_it_was_and_its_events_keep_their_time(jump_s):
    """Cookies age by steady time, and a page that knows the time says which of the two clocks is right."""
    async with running() as edge:
        true_ms, cookie = edge.clock.now_ms(), (await edge.post()).cookie
        for back_s in (jump_s, -jump_s):
            edge.clock.jump(back_s)
            edge.clock.advance(20)
            true_ms += 20_000
            body = {"sent_at": iso(true_ms), "events": [{"id": f"e-{true_ms}", "name": "search", "time": iso(true_ms)}]}
            answer = await edge.post(orjson.dumps(body), {**SAME, "Cookie": cookie})
            assert (answer.status, answer.cookie) == (204, "")
            assert abs(edge.log.events[-1].time_ms - true_ms) <= 20_000 * FASTEST
        assert len({event.browser for event in edge.log.events}) == 1
