"""Whoever asks vendors afterwards outlives its own mistakes, a full disk, and more than can be asked about."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from edge.delivery import Inquiry
from edge.destinations.base import TellsLater
from edge.errors import StorageFull
from edge.ledger import ReceiptLedger
from edge.ledger.database import fetch
from edge.ledger.receipts import Afterwards, OpenReceipt, Receipt, Said, keep_receipts
from edge.pipeline import Pipeline
from tests.later_room import FIRST_S, LaterRoom, later_room


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[LaterRoom]:
    async with later_room(tmp_path) as opened:
        yield opened


class FullLedger(ReceiptLedger):
    """A ledger whose disk has no room for what is told."""

    is_full = True

    async def note_told(self, receipt: OpenReceipt, said: Said) -> None:
        if self.is_full:
            raise StorageFull("no room for the ledger")
        await super().note_told(receipt, said)


async def test_full_disk_makes_it_wait_and_loses_no_receipt(room: LaterRoom) -> None:
    await room.buy("o-1")
    room.clock.advance(FIRST_S)
    ledger = FullLedger(room.room.database)
    room.inquirer = room.make_inquirer(ledger)
    assert await room.inquire() == 0
    ledger.is_full = False
    assert await room.inquire() == 0
    room.clock.advance(60)
    assert await room.inquire() == 1
    assert await room.afterwards() == Afterwards(counted=1)


class Mistaken:
    """Google Ads, but for a receipt over which it stumbles."""

    def __init__(self, real: TellsLater, stumbles_over: str) -> None:
        self._real, self._stumbles_over = real, stumbles_over

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def inquire(self, receipt: str, now_ms: int) -> Inquiry:
        if receipt == self._stumbles_over:
            raise KeyError(receipt)
        return self._real.inquire(receipt, now_ms)


def stumbling(room: LaterRoom) -> list[Pipeline]:
    """Give the pipeline with a destination that stumbles over its first request."""
    [pipeline] = room.files.lanes.pipelines
    assert isinstance(pipeline.destination, TellsLater)
    mistaken: Any = Mistaken(pipeline.destination, "sandbox-request-1")
    return [replace(pipeline, destination=mistaken)]


async def test_mistake_about_one_receipt_keeps_no_other_from_being_asked_about(room: LaterRoom) -> None:
    await room.buy("o-1")
    await room.buy("o-2")
    room.inquirer = room.make_inquirer(ReceiptLedger(room.room.database), pipelines=stumbling(room))
    room.clock.advance(FIRST_S)
    assert await room.inquire() == 1
    room.clock.advance(1)
    await room.inquire()
    assert room.files.counted("edge_inquiries_total", pipeline="google_ads", outcome="told") == 1
    assert await room.afterwards() == Afterwards(counted=1, open=1)


async def test_receipt_that_always_fails_is_asked_about_less_and_less_while_others_are_answered(
    room: LaterRoom,
) -> None:
    await room.buy("o-0")
    for minute in range(1, 9):
        room.clock.advance(60)
        await room.buy(f"o-{minute}")
    room.inquirer = room.make_inquirer(ReceiptLedger(room.room.database), pipelines=stumbling(room))
    room.clock.advance(FIRST_S - 8 * 60)
    with capture_logs():
        for _ in range(9 * 60):
            await room.inquire()
            room.clock.advance(1)
    assert await room.afterwards() == Afterwards(counted=8, open=1)
    assert room.files.counted("edge_inquiries_total", pipeline="google_ads", outcome="unclear") <= 12


async def test_many_receipts_that_fail_make_no_more_questions_than_one(room: LaterRoom) -> None:
    for order in ("o-1", "o-2", "o-3", "o-4"):
        await room.buy(order)
    room.break_it(fault="status", status=503, times=None)
    room.clock.advance(FIRST_S)
    asked = 0
    for _ in range(600):
        asked += await room.inquire()
        room.clock.advance(1)
    assert asked == 10


def receipts(room: LaterRoom, count: int) -> list[Receipt]:
    now_ms = room.clock.now_ms()
    return [Receipt(f"r-{number}", now_ms, now_ms + 1_000_000) for number in range(count)]


async def kept(room: LaterRoom, *given: Receipt) -> None:
    async with room.room.database.transaction() as db:
        await keep_receipts(db, 2, given, room.clock.now_ms())


async def test_beyond_the_most_that_are_kept_the_oldest_are_given_up_in_bounded_steps(room: LaterRoom) -> None:
    await kept(room, *receipts(room, 1_203))
    ledger = ReceiptLedger(room.room.database, max_open=100)
    over = [len(await ledger.give_up(room.clock.now_ms())) for _ in range(4)]
    assert over == [500, 500, 103, 0]
    assert await room.afterwards() == Afterwards(untold=1_103, open=100)
    first = await ledger.due(["google_ads"], room.clock.now_ms())
    assert first is not None and first.name == "r-1103"


async def test_name_that_a_vendor_gives_twice_is_one_receipt_of_all_its_events(room: LaterRoom) -> None:
    [receipt] = receipts(room, 1)
    await kept(room, receipt, receipt)
    await kept(room, receipt)
    assert (await room.afterwards()).open == 3
    ledger = ReceiptLedger(room.room.database)
    found = await ledger.due(["google_ads"], room.clock.now_ms())
    assert found is not None and found.events == 3


async def test_whoever_has_been_due_for_longest_comes_first_and_others_pipelines_not_at_all(room: LaterRoom) -> None:
    one, two = receipts(room, 2)
    await kept(room, replace(one, due_at_ms=one.due_at_ms + 5), two)
    ledger = ReceiptLedger(room.room.database)
    assert await ledger.due([], room.clock.now_ms()) is None
    assert await ledger.due(["klaviyo"], room.clock.now_ms()) is None
    first = await ledger.due(["klaviyo", "google_ads"], room.clock.now_ms() + 5)
    assert first is not None and first.name == "r-1"


async def test_what_was_told_is_forgotten_after_eight_days(room: LaterRoom) -> None:
    await kept(room, *receipts(room, 1))
    ledger, began_ms = ReceiptLedger(room.room.database), room.clock.now_ms()
    found = await ledger.due(["google_ads"], began_ms)
    assert found is not None
    await ledger.note_told(found, {("refused", "INVALID_GCLID"): 1, ("counted", ""): 0})
    for days, left in ((8, 1), (9, 0)):
        await ledger.forget(began_ms + days * 86_400_000)
        async with room.room.database.snapshot() as db:
            rows = await fetch(db, "SELECT verdict, reason, events FROM told_later")
        assert rows == [("refused", "INVALID_GCLID", 1)] * left
