"""What holds for stored events now: the decision as it was made, and what has changed since."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import aiosqlite

from edge.consent import Purpose
from edge.consent_now import Decided, Since, as_of_now
from edge.ledger.answers import JOURNAL_COLUMNS, JOURNAL_WIDTH, SINCE_COLUMNS, Elsewhere, find_elsewhere
from edge.ledger.database import checksum, fetch, fetch_in
from edge.ledger.records import JournalFate
from edge.person import anonymous_id

# With who it is, and what was answered by now.
DECISIONS = f"""
SELECT {JOURNAL_COLUMNS}, v.person, v.epoch, {SINCE_COLUMNS}
FROM journal j LEFT JOIN visitor v ON v.id = j.visitor WHERE j.seq IN ({{}}) ORDER BY j.seq
"""  # noqa: S608  # the names of columns, which stand in this package
JOURNAL_ENDS = "SELECT (SELECT min(seq) FROM journal), (SELECT max(seq) FROM journal)"
RECEIVED_FROM = "SELECT seq, received_at_ms FROM journal WHERE seq >= ? ORDER BY seq LIMIT 1"
OPEN_FROM = "SELECT seq FROM journal WHERE seq >= ? AND seq <= ? AND fate = 0 ORDER BY seq LIMIT 1"


@dataclass(frozen=True, slots=True)
class DecisionView:
    """One event's decision; of what was `granted` then or since, `withdrawn` is denied by now. `waits` is still open.

    A row whose checksum does not match is DAMAGED, whatever else it says.
    """

    seq: int
    visitor: int | None
    person: int | None
    granted: Purpose
    withdrawn: Purpose
    basis: str
    fate: JournalFate
    received_at_ms: int
    waits: Purpose = Purpose.NONE
    anonymous_id: str | None = None


async def read_decisions(db: aiosqlite.Connection, seqs: Iterable[int]) -> list[DecisionView]:
    """Give what holds for events now; those that are not in the journal are missing."""
    rows = await fetch_in(db, DECISIONS, seqs)
    elsewhere = await find_elsewhere(db, (row[10] for row in rows if row[7] and row[10] is not None))
    return [_decision(row, elsewhere) for row in rows]


async def find_first_since(db: aiosqlite.Connection, at_ms: int) -> int:
    """Give the sequence number from which on events were accepted at a moment or later, by halving the journal.

    Moments rise with sequence numbers but for a few seconds, so ask for a little more than is wanted.
    """
    low, high = (await fetch(db, JOURNAL_ENDS))[0]
    if low is None:
        return 1
    while low <= high:
        middle = (low + high) // 2
        seq, received_at_ms = (await fetch(db, RECEIVED_FROM, (middle,)))[0]
        low, high = (low, middle - 1) if received_at_ms >= at_ms else (seq + 1, high)
    return int(low)


async def find_open_from(db: aiosqlite.Connection, seqs: Iterable[int], last: int) -> list[int]:
    """Give, for each of rising numbers, the first event at or behind it, up to `last`, that goes on to the pipelines.

    Each such event is given once, and a stretch without any is walked through once.
    """
    found: list[int] = []
    for seq in seqs:
        if found and seq <= found[-1]:
            continue
        rows = await fetch(db, OPEN_FROM, (seq, last))
        if not rows:
            break
        found.append(rows[0][0])
    return found


def _decision(row: tuple[Any, ...], elsewhere: dict[int, Elsewhere]) -> DecisionView:
    seq, _, visitor, granted, waits, basis, fate, is_server, received_at_ms, check, person, epoch, *said = row
    browser, own_granted, own_denied, browser_denied = said
    told = elsewhere[person].but(browser) if person in elsewhere else None
    now = as_of_now(Decided(granted, waits, bool(is_server)), Since(own_granted, own_denied, browser_denied, told))
    is_sound = check == checksum(*row[:JOURNAL_WIDTH])
    return DecisionView(
        seq=seq,
        visitor=visitor,
        person=person,
        granted=now.granted | now.withdrawn,
        withdrawn=now.withdrawn,
        basis=basis,
        fate=JournalFate(fate) if is_sound else JournalFate.DAMAGED,
        received_at_ms=received_at_ms,
        waits=now.waits,
        anonymous_id=None if browser is None else anonymous_id(browser, epoch),
    )
