"""What a vendor throws away after it took it is asked about, counted and shown; the events stay delivered."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from edge.app.draining import DrainingProcess
from edge.config import load_config
from edge.ledger.receipts import Afterwards
from tests.backroom import ENVIRON
from tests.component.world import CONFIG, World
from tests.later_room import DAY_S, FIRST_S, HOUR_S, UNTIL_S, LaterRoom, later_room

CLICKED_MS = 1_795_000_000_000 - 86_400_000  # a day before the tests' clock begins


class Died(BaseException):
    """Stands for a process that ends between two instructions."""


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[LaterRoom]:
    async with later_room(tmp_path, clicks={"good": CLICKED_MS}) as opened:
        yield opened


async def edge(room: LaterRoom, what: str, *more: str) -> Any:
    """Call a verb's `json` or `lines` over the room's files."""
    (room.room.folder / "edge.yaml").write_text(CONFIG)
    world = World(room.room.folder, room.clock)
    return await asyncio.to_thread(getattr(world, what), *more)


async def test_what_the_vendor_throws_away_is_counted_by_reason_logged_and_shown(room: LaterRoom) -> None:
    events = [*await room.buy("o-1", "o-2"), *await room.buy("o-3", click="made-up")]
    events += await room.buy("o-4", "o-5", click="invented")
    room.clock.advance(FIRST_S)
    with capture_logs() as lines:
        assert await room.inquire() == 3
    assert lines == [
        {
            "event": "a vendor threw away events that it had taken",
            "log_level": "warning",
            "pipeline": "google_ads",
            "events": events_of,
            "reasons": {"INVALID_GCLID": events_of},
        }
        for events_of in (1, 2)
    ]
    assert (room.counted("refused", "INVALID_GCLID"), room.counted("counted")) == (3, 2)
    assert await room.afterwards() == Afterwards(counted=2, refused={"INVALID_GCLID": 3})
    assert {(await room.files.fates(event))["google_ads"].fate for event in events} == {"delivered"}
    told = "google_ads: the vendor threw away 3 events delivered in the last 7 days: INVALID_GCLID 3"
    assert told in await edge(room, "lines", "queue")
    shown = (await edge(room, "json", "queue"))["pipelines"]
    [google] = [one for one in shown if one["name"] == "google_ads"]
    assert google["told_later"] == {
        "counted": 2,
        "refused": {"INVALID_GCLID": 3},
        "warned": {},
        "untold": 0,
        "open": 0,
    }
    assert google["events"]["delivered"] == 5


async def test_a_week_later_nothing_is_shown_any_more(room: LaterRoom) -> None:
    await room.buy("o-1", click="made-up")
    room.clock.advance(FIRST_S)
    await room.inquire()
    room.clock.advance(7 * DAY_S - HOUR_S)
    await room.inquire()
    assert (await room.afterwards()).refused == {"INVALID_GCLID": 1}
    room.clock.advance(2 * HOUR_S)
    assert await room.afterwards() == Afterwards()


async def test_nobody_is_asked_early_and_who_is_undecided_is_asked_again_after_as_long(tmp_path: Path) -> None:
    async with later_room(tmp_path, processing_s=HOUR_S + 60) as room:
        await room.buy("o-1")
        assert (await room.afterwards()).open == 1
        room.clock.advance(FIRST_S - 0.001)
        assert await room.inquire() == 0
        room.clock.advance(0.001)
        asked_after = []
        for minute in range(240):
            asked_after += [FIRST_S / 60 + minute] * await room.inquire()
            room.clock.advance(60)
        assert asked_after == [30, 60, 120]
        assert await room.afterwards() == Afterwards(counted=1)


async def test_receipt_survives_a_restart(room: LaterRoom) -> None:
    await room.buy("o-1", click="made-up")
    await room.restart()
    room.clock.advance(FIRST_S)
    assert await room.inquire() == 1
    await room.restart()
    assert await room.inquire() == 0
    assert await room.afterwards() == Afterwards(refused={"INVALID_GCLID": 1})


async def test_death_before_the_settlement_costs_a_diagnosis_and_no_event(room: LaterRoom) -> None:
    """The request's name goes with the answer; the repeat has its own, and says that it is one."""
    bought = await room.room.store(1, "purchase", properties={"transaction_id": "o-1", "gclid": "good"})
    room.wire.dies = Died()
    with pytest.raises(Died):
        await room.files.work()
    await room.restart()
    await room.files.work()
    assert (await room.files.fates(bought))["google_ads"].fate == "delivered"
    room.clock.advance(FIRST_S)
    assert await room.inquire() == 1
    assert await room.afterwards() == Afterwards(refused={"DUPLICATE_TRANSACTION_ID": 1})


async def test_event_that_waited_is_asked_about_like_any_other(room: LaterRoom) -> None:
    room.break_it(fault="status", status=503)
    await room.buy("o-1", click="made-up")
    assert await room.afterwards() == Afterwards()
    room.clock.advance(60)
    await room.files.work()
    assert (await room.afterwards()).open == 1
    room.clock.advance(FIRST_S)
    await room.inquire()
    assert await room.afterwards() == Afterwards(refused={"INVALID_GCLID": 1})


async def test_what_is_only_validated_leaves_nothing_to_ask_about(tmp_path: Path) -> None:
    async with later_room(tmp_path, validates=True) as room:
        [event] = await room.buy("o-1")
        assert (await room.files.fates(event))["google_ads"].fate == "delivered"
        assert await room.afterwards() == Afterwards()


@pytest.mark.parametrize(
    ("fault", "outcome", "rest_s"),
    [
        ({"fault": "status", "status": 429, "retry_after": 120}, "throttled", 120.0),
        ({"fault": "status", "status": 500}, "retry", 1.0),
        ({"fault": "status", "status": 503}, "retry", 1.0),
        ({"fault": "status", "status": 401}, "refused", 900.0),
        ({"fault": "status", "status": 403}, "refused", 900.0),
        ({"fault": "drop", "times": 2}, "retry", 1.0),  # aiohttp repeats a GET once by itself
        ({"fault": "truncate"}, "retry", 1.0),
        ({"fault": "garbage"}, "unclear", 1.0),
        ({"fault": "status", "status": 200, "body": "{}"}, "unclear", 1.0),
        ({"fault": "status", "status": 302}, "unclear", 1.0),
    ],
)
async def test_whoever_does_not_answer_is_left_alone_and_asked_again(
    room: LaterRoom, fault: dict[str, Any], outcome: str, rest_s: float
) -> None:
    await room.buy("o-1", click="made-up")
    await room.buy("o-2", click="made-up")
    room.clock.advance(FIRST_S)
    room.break_it(**fault)
    assert await room.inquire() == 1
    assert room.files.counted("edge_inquiries_total", pipeline="google_ads", outcome=outcome) == 1
    room.clock.advance(rest_s - 0.001)
    assert await room.inquire() == 0
    room.clock.advance(0.001)
    assert await room.inquire() == 2
    assert await room.afterwards() == Afterwards(refused={"INVALID_GCLID": 2})


async def test_vendor_that_goes_on_failing_is_asked_less_and_less(room: LaterRoom) -> None:
    await room.buy("o-1")
    room.clock.advance(FIRST_S)
    room.break_it(fault="status", status=503, times=None)
    began_ms, asked_after = room.clock.now_ms(), []
    for _ in range(3_600):
        asked_after += [(room.clock.now_ms() - began_ms) // 1_000] * await room.inquire()
        room.clock.advance(1)
    assert asked_after == [0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 1_023, 1_923, 2_823]


async def test_who_never_answers_is_given_up_and_counted(room: LaterRoom) -> None:
    await room.buy("o-1", "o-2")
    room.break_it(fault="status", status=503, times=None)
    room.clock.advance(UNTIL_S - 61)
    assert await room.inquire() == 1
    room.clock.advance(61)
    with capture_logs() as lines:
        assert await room.inquire() == 0
    assert lines == [
        {
            "event": "a vendor never said what became of events",
            "log_level": "warning",
            "pipeline": "google_ads",
            "events": 2,
        }
    ]
    assert (room.counted("untold"), await room.afterwards()) == (2, Afterwards(untold=2))
    told = "google_ads: the vendor never said what became of 2 events delivered in the last 7 days"
    assert told in await edge(room, "lines", "queue")


async def test_request_that_the_vendor_does_not_know_is_not_asked_about_again(room: LaterRoom) -> None:
    await room.buy("o-1")
    room.running.sandbox.reset()
    room.clock.advance(FIRST_S)
    assert await room.inquire() == 1
    assert await room.afterwards() == Afterwards(untold=1)


async def test_pipeline_that_is_gone_is_asked_nothing_until_it_is_back_in_time(room: LaterRoom) -> None:
    await room.buy("o-1", click="made-up")
    text = room.text()
    await room.files.change(**{"google-ads": None})
    room.clock.advance(FIRST_S)
    assert await room.inquire() == 0
    await room.files.change(**{"google-ads": text})
    assert await room.inquire() == 1
    assert await room.afterwards() == Afterwards(refused={"INVALID_GCLID": 1})


async def test_pipeline_that_stays_gone_is_given_up(room: LaterRoom) -> None:
    await room.buy("o-1")
    await room.files.change(**{"google-ads": None})
    room.clock.advance(UNTIL_S)
    assert await room.inquire() == 0
    assert await room.afterwards() == Afterwards(untold=1)


async def test_account_that_rests_keeps_nobody_elses_receipts_waiting(room: LaterRoom) -> None:
    other = room.text(name="other").replace("${KEY}", "${OTHER_KEY}")
    room.running.sandbox.vendor("google-ads").accept_keys({"a-key": None, "another-key": None})
    await room.files.change(other=other)
    await room.buy("o-1", click="made-up")
    room.clock.advance(FIRST_S)
    room.break_it(fault="status", status=401)
    assert await room.inquire() == 2
    refused = [room.counted("refused", "INVALID_GCLID", name) for name in ("google_ads", "other")]
    assert sorted(refused, key=str) == [1, None]


async def test_an_account_is_asked_at_its_rate(room: LaterRoom) -> None:
    for number in range(20):
        await room.buy(f"o-{number}")
    room.clock.advance(FIRST_S)
    before_s = room.clock.monotonic_s()
    assert await room.inquire() == 20
    assert 36 <= room.clock.monotonic_s() - before_s <= 40  # 30 a minute


async def test_hostile_answer_counts_no_more_events_than_there_were(room: LaterRoom) -> None:
    await room.buy("o-1", "o-2")
    room.clock.advance(FIRST_S)
    counts = (
        '{"reason":"PROCESSING_ERROR_REASON_INVALID_GCLID","recordCount":"999999"},{"reason":"visitor@shop.example"}'
    )
    body = f'{{"requestStatusPerDestination":[{{"requestStatus":"FAILED","errorInfo":{{"errorCounts":[{counts}]}}}}]}}'
    room.break_it(fault="status", status=200, body=body)
    with capture_logs() as lines:
        assert await room.inquire() == 1
    assert await room.afterwards() == Afterwards(refused={"INVALID_GCLID": 2, "other": 1})
    assert "visitor@shop.example" not in str(lines)


async def test_the_running_service_asks(room: LaterRoom) -> None:
    await room.buy("o-1", click="made-up")
    await room.close_files()
    room.clock.advance(FIRST_S)
    (room.room.folder / "edge.yaml").write_text(CONFIG)
    config, stop = load_config(room.room.folder / "edge.yaml", ENVIRON), asyncio.Event()
    service = asyncio.create_task(DrainingProcess(config, ENVIRON, room.clock, stop).run())
    received = room.running.sandbox.received
    await received.until(lambda: any(one.request.method == "GET" and one.status for one in received), timeout_s=20)
    stop.set()
    assert await service == 0
    assert await room.afterwards() == Afterwards(refused={"INVALID_GCLID": 1})
