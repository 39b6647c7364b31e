"""The consent log: what is written, that nothing in it can be changed unnoticed, and what a withdrawal stops."""

import asyncio
import shutil
import sqlite3
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.consent import Purpose
from edge.delivery import Fate
from edge.event import Event, encode
from edge.ledger import LedgerView
from edge.ledger.consent_log import LoggedConsent, who_of
from tests.backroom import CONSENT_KEY, DENIED, GRANTED, TAKEN, Backroom, browser
from tests.consent_values import COOKIEBOT, tc_string

COLUMNS = (
    "id",
    "at_ms",
    "who",
    "granted",
    "denied",
    "source",
    "version",
    "banner",
    "digest",
    "seq",
    "previous",
    "hash",
)
NUMBERS = count(1)
NO, ALL = Purpose.NONE, Purpose(15)
ANALYTICS = Purpose.ANALYTICS


async def put(room: Backroom, visitor: int, name: str, context: dict[str, Any], **more: Any) -> Event:
    """Store an event with exactly this context."""
    now_ms, event_id = room.clock.now_ms(), f"put-{next(NUMBERS)}"
    traits = more.get("traits", {})
    event = Event(event_id, name, now_ms, now_ms, "browser", browser(visitor), {}, traits, context)
    await room.writer.append([encode(event)])
    return event


async def logged(room: Backroom, visitor: int = 1) -> list[LoggedConsent]:
    view = await LedgerView.open(room.folder / "ledger.db")
    try:
        return await view.consents([who_of(browser(visitor), CONSENT_KEY)])
    finally:
        await view.close()


def said(rows: list[LoggedConsent]) -> list[tuple[object, ...]]:
    return [(row.source, row.version, row.banner, row.granted, row.denied, row.seq) for row in rows]


async def test_every_change_of_an_answer_is_one_row(tmp_path: Path) -> None:
    room = await Backroom.open(tmp_path)
    await room.store(1, "page_view")
    await room.store(1, "page_view")
    await room.store(1, "page_view", consent={})
    room.clock.advance(1)
    await room.store(1, "page_view", consent={}, consent_cookies={"CookieConsent": COOKIEBOT})
    await room.store(2, "page_view", consent={})
    await room.resolve()
    room.clock.advance(1)
    await room.store(1, "consent", consent=DENIED)
    await room.store(1, "page_view", consent=DENIED)
    await room.resolve()
    rows = await logged(room)
    await room.close()
    assert said(rows) == [
        ("explicit", "", "", ALL, NO, 1),
        ("cookiebot", "", "1", ANALYTICS, ALL & ~ANALYTICS, 4),
        ("explicit", "", "", NO, ALL, 6),
    ]
    assert [row.at_ms - rows[0].at_ms for row in rows] == [0, 1_000, 2_000]
    assert rows[1].digest == sha256(COOKIEBOT.encode()).digest()


async def test_what_a_platform_said_is_logged_with_its_versions_and_hash(tmp_path: Path) -> None:
    room = await Backroom.open(tmp_path)
    text = tc_string({1, 8})
    report = {"source": "tcf", "value": {"tcString": text, "gdprApplies": True}}
    await put(room, 1, "page_view", {"consent": [report, {"gpc": True}]})
    await room.resolve()
    rows = await logged(room)
    await room.close()
    held = (Purpose.FUNCTIONAL | ANALYTICS, ALL & ~Purpose.FUNCTIONAL & ~ANALYTICS)
    assert said(rows) == [("tcf", "2.4", "cmp 300.2 list 142", *held, 1), ("gpc", "on", "", *held, 1)]


async def test_a_resolver_that_dies_and_starts_again_goes_on_with_the_chain(tmp_path: Path) -> None:
    room = await Backroom.open(tmp_path)
    for consent in (GRANTED, DENIED, GRANTED):
        await room.store(1, "consent", consent=consent)
        await room.resolve()
        await room.restart()
        await room.store(1, "page_view", consent=consent)
        await room.resolve()
    await room.close()
    view = await LedgerView.open(tmp_path / "ledger.db")
    report = await view.check_consents()
    await view.close()
    assert (report.rows, report.damaged_row) == (3, None)


# Damage


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a ledger with eight rows in its log."""
    folder = tmp_path_factory.mktemp("ledger")
    asyncio.run(_fill(folder))
    return folder / "ledger.db"


async def _fill(folder: Path) -> None:
    room = await Backroom.open(folder)
    for number in range(8):
        room.clock.advance(1)
        consent = DENIED if number % 2 else GRANTED
        await put(room, number % 3, "consent", {"consent": {**consent, "source": "banner", "version": f"v{number}"}})
    await room.resolve()
    await room.close()


async def checked(path: Path) -> tuple[int | None, int]:
    """Give the damaged row and how many were right before it."""
    view = await LedgerView.open(path)
    try:
        report = await view.check_consents()
        return report.damaged_row, report.rows
    finally:
        await view.close()


def changed(value: int | str | bytes, at: int, flip: int) -> int | str | bytes:
    """Change one byte of a value; of an empty one, its being empty."""
    if isinstance(value, int):
        return value ^ (flip << 8 * (at % 4))
    raw = bytearray(value.encode() if isinstance(value, str) else value)
    if not raw:
        raw = bytearray(b"\x00")
    raw[at % len(raw)] ^= flip
    return raw.decode("latin-1") if isinstance(value, str) else bytes(raw)


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 8), st.sampled_from(COLUMNS), st.integers(0, 63), st.integers(1, 255))
def test_a_changed_byte_is_noticed_at_its_row(ledger, tmp_path_factory, row, column, at, flip):
    path = tmp_path_factory.mktemp("changed") / "ledger.db"
    shutil.copy(ledger, path)
    with sqlite3.connect(path) as db:
        (value,) = db.execute(f"SELECT {column} FROM consent_log WHERE id = ?", (row,)).fetchone()
        new = changed(value, at, flip)
        if column == "id" and 1 <= new <= 8:
            return
        db.execute(f"UPDATE consent_log SET {column} = ? WHERE id = ?", (new, row))
    db.close()
    assert asyncio.run(checked(path)) == (row, row - 1)


COPY = """
INSERT INTO consent_log SELECT {}, at_ms, who, granted, denied, source, version, banner, digest, seq, hash, hash
FROM consent_log WHERE id = 8
"""
DAMAGE = {
    "a row is gone": ("DELETE FROM consent_log WHERE id = 3", 3),
    "the first row is gone": ("DELETE FROM consent_log WHERE id = 1", 1),
    "a row is gone and the others closed up": (
        "DELETE FROM consent_log WHERE id = 3; UPDATE consent_log SET id = id - 1 WHERE id > 3",
        3,
    ),
    "two rows have changed places": (
        "UPDATE consent_log SET id = 100 WHERE id = 4; UPDATE consent_log SET id = 4 WHERE id = 5; "
        "UPDATE consent_log SET id = 5 WHERE id = 100",
        4,
    ),
    "the tail is cut off": ("DELETE FROM consent_log WHERE id > 6", 7),
    "everything is gone": ("DELETE FROM consent_log", 1),
    "a row is added": (COPY.format(9), 9),
    "a row is put before the first": (COPY.format(-7), -7),
    "the head is gone": ("DELETE FROM consent_head", 1),
    "the head is another": ("UPDATE consent_head SET hash = zeroblob(32)", 8),
    "tail and count are cut off": ("DELETE FROM consent_log WHERE id > 6; UPDATE consent_head SET rows = 6", 6),
}


@pytest.mark.parametrize("damage", DAMAGE)
async def test_damage_is_noticed_at_the_first_row_that_is_wrong(ledger: Path, tmp_path: Path, damage: str) -> None:
    script, row = DAMAGE[damage]
    path = tmp_path / "ledger.db"
    shutil.copy(ledger, path)
    assert await checked(path) == (None, 8)
    with sqlite3.connect(path) as db:
        db.executescript(script)
    db.close()
    assert (await checked(path))[0] == row


# Withdrawal


async def test_a_platforms_refusal_stops_what_waits_and_what_is_held(tmp_path: Path) -> None:
    room = await Backroom.open(tmp_path)
    yes = {"consent_cookies": {"CookieConsent": COOKIEBOT.replace("marketing:false", "marketing:true")}}
    held = await put(room, 1, "view_item", yes)
    await put(room, 2, "identify", yes, traits={"email": "visitor@shop.example"})
    room.transport.always = ConnectionError("down")
    waiting = await put(room, 2, "view_item", yes)
    await room.work()
    assert [(await room.fate(event)).fate for event in (held, waiting)] == [Fate.HELD, Fate.WAITING]
    room.transport.always = TAKEN
    for visitor in (1, 2):
        await put(room, visitor, "page_view", {"consent": {"source": "cookiebot", "value": "0"}})
    await put(room, 1, "identify", {}, traits={"email": "abc@shop.example"})
    sent = len(room.transport.requests)
    room.clock.advance(3_600)
    await room.work()
    assert [(await room.fate(event)).fate for event in (held, waiting)] == [Fate.WITHHELD, Fate.WITHHELD]
    assert len(room.transport.requests) == sent
    await room.close()
