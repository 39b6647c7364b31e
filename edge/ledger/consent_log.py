"""The consent log: one row for each change of a visitor's answer, only ever appended, each sealing the one before.

A row's hash is the SHA-256 of the hash before it (zeros before the first row) and the row's columns from id to seq, all
joined by line feeds: numbers in decimal, bytes in hexadecimal. No text in it has a line feed.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import aiosqlite
import orjson

from edge.consent import Purpose
from edge.consent_rules import GPC, Verdict
from edge.event import Event
from edge.ledger.database import fetch, fetch_in
from edge.ledger.records import ConsentRow
from edge.secret import Secret

HEAD = "SELECT rows, hash FROM consent_head"
PUT_HEAD = "UPDATE consent_head SET rows = ?, hash = ?"
ENDS = "SELECT min(id), max(id) FROM consent_log"
APPEND = """
INSERT INTO consent_log (id, at_ms, who, granted, denied, source, version, banner, digest, seq, previous, hash)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
ROWS = """
SELECT id, at_ms, who, granted, denied, source, version, banner, digest, seq, previous, hash
FROM consent_log WHERE id > ? ORDER BY id LIMIT ?
"""
ROWS_OF = """
SELECT id, at_ms, who, granted, denied, source, version, banner, digest, seq, previous, hash
FROM consent_log WHERE who IN ({}) ORDER BY id
"""

WHO_BYTES = 16
START = bytes(32)
NO_DIGEST = b""
_PAGE_ROWS = 2_000
_WHO = b"datafly-edge consent log 1\x00"


@dataclass(frozen=True, slots=True)
class LoggedConsent:
    """A stored row."""

    id: int
    at_ms: int
    granted: Purpose
    denied: Purpose
    source: str
    version: str
    banner: str
    digest: bytes
    seq: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What checking the chain found; `damaged_row` is the first row that is wrong, and `damage` what of it.

    `rows`, the moments and `head` are of what is right before that.
    """

    rows: int
    first_ms: int | None
    last_ms: int | None
    head: bytes
    has_seen: bool
    damaged_row: int | None = None
    damage: str = ""


def who_of(browser: str, key: Secret) -> bytes:
    """Give the keyed hash under which the log knows a browser."""
    return hmac.digest(key.reveal().encode(), _WHO + bytes.fromhex(browser), "sha256")[:WHO_BYTES]


def consent_rows(verdict: Verdict, seq: int, event: Event, key: Secret) -> list[ConsentRow]:
    """Give the rows for what was news in an event: one for each answer, and one for the privacy signal."""
    standing, who = verdict.standing, who_of(event.browser, key)
    if standing is None:
        return []
    return [
        ConsentRow(
            at_ms=event.received_at_ms,
            who=who,
            granted=standing.granted,
            denied=standing.denied,
            source=answer.source if answer is not None else GPC,
            version=answer.version if answer is not None else "on" if standing.has_gpc else "off",
            banner=answer.banner if answer is not None else "",
            digest=_digest(answer.raw) if answer is not None else NO_DIGEST,
            seq=seq,
        )
        for answer in verdict.news
    ]


async def append_consents(db: aiosqlite.Connection, rows: Sequence[ConsentRow]) -> None:
    """Append to the log, in the transaction that is open."""
    if not rows:
        return
    count, head = (await fetch(db, HEAD))[0]
    values = []
    for number, row in enumerate(rows, count + 1):
        said = (int(row.granted), int(row.denied), row.source, row.version, row.banner)
        sealed = _hash(head, number, row.at_ms, row.who, *said, row.digest, row.seq)
        values.append((number, row.at_ms, row.who, *said, row.digest, row.seq, head, sealed))
        head = sealed
    await db.executemany(APPEND, values)
    await db.execute(PUT_HEAD, (count + len(rows), head))


async def check_chain(db: aiosqlite.Connection, seen: bytes | None = None) -> ChainReport:
    """Check the log from its first row to its last, and that nothing was cut off; the caller holds a snapshot.

    Args:
        seen: a head that was noted earlier, to be found on the way.
    """
    count, head = next(iter(await fetch(db, HEAD)), (0, START))
    walk = _Walk(seen)
    while walk.rows < count:
        page = await fetch(db, ROWS, (walk.rows, min(_PAGE_ROWS, count - walk.rows)))
        if not page:
            return walk.report(walk.rows + 1, f"is missing, and so are all after it up to row {count}")
        damage = walk.go(page)
        if damage is not None:
            return walk.report(walk.rows + 1, damage)
    if walk.head != head:
        return walk.report(walk.rows, "is not the one that the log's head remembers")
    first, last = (await fetch(db, ENDS))[0]
    strays = [number for number in (first, last) if number is not None and not 1 <= number <= count]
    return walk.report(strays[0], "does not belong here") if strays else walk.report(None, "")


async def read_consents(db: aiosqlite.Connection, who: Sequence[bytes]) -> list[LoggedConsent]:
    """Give what was logged of some browsers, the oldest first."""
    rows = sorted(await fetch_in(db, ROWS_OF, who))
    return [
        LoggedConsent(row[0], row[1], Purpose(row[3]), Purpose(row[4]), row[5], row[6], row[7], row[8], row[9], row[11])
        for row in rows
    ]


class _Walk:
    """How far the chain holds."""

    def __init__(self, seen: bytes | None) -> None:
        self.rows, self.head = 0, START
        self._seen, self._has_seen = seen, seen in (None, START)
        self._first_ms: int | None = None
        self._last_ms: int | None = None

    def go(self, page: Sequence[tuple[Any, ...]]) -> str | None:
        """Walk on; give what is wrong with the first row that is. A million rows take seconds, so all is local."""
        rows, head, seen, last_ms = self.rows, self.head, self._seen, self._last_ms
        damage = None
        for *columns, previous, sealed in page:
            if columns[0] != rows + 1:
                damage = "is missing"
            elif previous != head:
                damage = "does not follow the row before it"
            elif sealed != _hash(head, *columns):
                damage = "was changed: its hash is another"
            if damage is not None:
                break
            rows, head, last_ms = rows + 1, sealed, columns[1]
            if sealed == seen:
                self._has_seen = True
        if self._first_ms is None and rows:
            self._first_ms = page[0][1]
        self.rows, self.head, self._last_ms = rows, head, last_ms
        return damage

    def report(self, damaged_row: int | None, damage: str) -> ChainReport:
        return ChainReport(self.rows, self._first_ms, self._last_ms, self.head, self._has_seen, damaged_row, damage)


def _hash(
    before: bytes,
    number: int,
    at_ms: int,
    who: bytes,
    granted: int,
    denied: int,
    source: str,
    version: str,
    banner: str,
    digest: bytes,
    seq: int,
) -> bytes:
    text = (
        f"{before.hex()}\n{number}\n{at_ms}\n{who.hex()}\n{granted}\n{denied}\n"
        f"{source}\n{version}\n{banner}\n{digest.hex()}\n{seq}"
    )
    return sha256(text.encode()).digest()


def _digest(raw: object) -> bytes:
    """Give the SHA-256 of what a source said: of a text as it came, of anything else as JSON with sorted keys."""
    said = raw.encode() if isinstance(raw, str) else orjson.dumps(raw, option=orjson.OPT_SORT_KEYS)
    return sha256(said).digest()
