"""What the ledger says of stored events now, and where a moment begins in the journal."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge.consent import Purpose
from edge.ledger import Database, LedgerSettings, LedgerView, ResolverLedger
from edge.ledger.records import JournalFate, JournalRow, Resolution

# Numbers with gaps, and two events whose moments are not in the order of their numbers.
MOMENTS = {3: 1_000, 4: 2_000, 5: 2_000, 9: 4_000, 10: 3_990, 20: 5_000}
DUPLICATES = (4, 9)


@pytest.fixture
async def view(tmp_path: Path) -> AsyncIterator[LedgerView]:
    database = Database(LedgerSettings(tmp_path / "ledger.db"))
    await database.open()
    page = Resolution(20, 0)
    for seq, at_ms in MOMENTS.items():
        fate = JournalFate.DUPLICATE if seq in DUPLICATES else JournalFate.OPEN
        page.journal.append(JournalRow(seq, bytes([seq]), None, Purpose.MARKETING, "explicit", fate, at_ms))
    await ResolverLedger(database).record(page)
    view = await LedgerView.open(tmp_path / "ledger.db")
    yield view
    await view.close()
    await database.close()


@pytest.mark.parametrize(
    ("since_ms", "first"),
    [(0, 3), (1_000, 3), (1_001, 4), (2_000, 4), (2_001, 6), (4_001, 11), (5_000, 11), (5_001, 21)],
)
async def test_a_moment_is_found_by_halving(view: LedgerView, since_ms: int, first: int) -> None:
    assert await view.first_since(since_ms) == first


async def test_an_empty_journal_begins_at_one(tmp_path: Path) -> None:
    database = Database(LedgerSettings(tmp_path / "ledger.db"))
    await database.open()
    view = await LedgerView.open(tmp_path / "ledger.db")
    assert await view.first_since(1_000) == 1
    await view.close()
    await database.close()


async def test_places_lead_to_the_next_event_that_goes_on_and_to_each_once(view: LedgerView) -> None:
    assert await view.open_from([1, 3, 4, 6, 11, 20], 20) == [3, 5, 10, 20]
    assert await view.open_from([6, 11], 19) == [10]


async def test_a_stretch_without_such_an_event_is_searched_once(view: LedgerView) -> None:
    """A flood of repeats lies before most places of a sample: none of them may walk through it again."""
    asked: list[str] = []
    await view._db.set_trace_callback(asked.append)
    assert await view.open_from([4, 4, 5, 6, 7, 8, 9, 10, 11, 12, 19], 19) == [5, 10]
    assert len(asked) == 3


async def test_decisions_of_numbers_that_nobody_has_are_missing(view: LedgerView) -> None:
    decisions = await view.decisions([3, 6, 9])
    assert [(one.seq, one.fate, one.granted, one.withdrawn) for one in decisions] == [
        (3, JournalFate.OPEN, Purpose.MARKETING, Purpose.NONE),
        (9, JournalFate.DUPLICATE, Purpose.MARKETING, Purpose.NONE),
    ]
