"""A ledger with a long past, written by SQL in bulk, as after so many events; and a spool at its head."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from edge.clock import SystemClock
from edge.delivery import Fate
from edge.event import BROWSER_SOURCE, Event, encode, event_key
from edge.ledger import Database, LedgerSettings
from edge.ledger.database import checksum
from edge.ledger.fates import encode_fates
from edge.ledger.records import Revision
from edge.ledger.revisions import run
from edge.spool import SpoolSettings, SpoolWriter

NAMES = ("archive", "klaviyo")
PAGE, STORED, VISITORS = 100, 2_000, 100_000
SPAN_MS = 13 * 86_400_000
LETTER = '{"method":"POST","url":"http://127.0.0.1:9/api/events","headers":{},"body":"' + "x" * 800 + '"}'
# Nobody listens there: the service tries, and what waits goes on waiting.
FILE = """
name: {name}
integration: klaviyo-events-api
parameters: {{private_api_key: a-key, base_url: "http://127.0.0.1:9"}}
global: {{profile: {{"$email": {{source: context.traits.email}}}}}}
events: {{view_item: {{metric: Viewed Product}}}}
"""

NUMBERS = "WITH RECURSIVE n(seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM n WHERE seq < :last)"
JOURNAL = f"""
{NUMBERS}, row AS (
    SELECT seq, key_of(seq) AS key, seq % :visitors + 1 AS visitor, iif(seq % 100 = 99, 1, 0) AS fate,
           :start_ms + seq * :span_ms / :last AS at_ms FROM n)
INSERT INTO journal (seq, key, visitor, granted, waits, basis, fate, is_server, received_at_ms, checksum)
SELECT seq, key, visitor, 15, 0, 'explicit', fate, 0, at_ms,
       check_of(seq, key, visitor, 15, 0, 'explicit', fate, 0, at_ms) FROM row
"""  # noqa: S608 - our own words
# One page from 1 to 99, then each of a hundred.
PAGES = """
WITH RECURSIVE n(last) AS (SELECT 99 UNION ALL SELECT last + 100 FROM n WHERE last + 100 <= :to)
INSERT INTO page (pipeline, last, first, taken_at_ms, settled_at_ms, attempts, revision, fates)
SELECT :pipeline, last, max(1, last - 99), :now_ms, :now_ms, 1, :revision, iif(last = 99, :first_fates, :fates) FROM n
"""
EACH = "WITH RECURSIVE n(seq) AS (SELECT :place UNION ALL SELECT seq + 100 FROM n WHERE seq + 100 <= :to)"
WAITING = f"""
{EACH}
INSERT INTO waiting (pipeline, visitor, seq, due_at_ms, since_ms, attempts, time_ms, payload, reason, checksum)
SELECT :pipeline, seq % :visitors + 1, seq, :now_ms, :now_ms, 1, :now_ms, :payload, '503', check_of(seq, :payload)
FROM n
"""  # noqa: S608 - our own words
HELD = f"{EACH} INSERT INTO held (pipeline, visitor, seq) SELECT :pipeline, seq % :visitors + 1, seq FROM n"  # noqa: S608
SETTLED = f"""
{EACH}
INSERT INTO settled (pipeline, seq, fate, attempts, settled_at_ms, revision)
SELECT :pipeline, seq, 'delivered', 1, :now_ms, :revision FROM n
"""  # noqa: S608 - our own words
DEAD = f"""
{EACH}
INSERT INTO dead (pipeline, seq, visitor, event_id, event_name, died_at_ms, attempts, reason, request, response,
                  payload, checksum)
SELECT :pipeline, seq, seq % :visitors + 1, 'event-' || seq, 'view_item', :now_ms - :last + seq, 1, '400 invalid',
       :letter, :letter, :payload, check_of(seq, :payload) FROM n
"""  # noqa: S608 - our own words
VISITOR = "INSERT INTO visitor (id, browser, epoch) VALUES (?, ?, 1)"
PLACE = "UPDATE pipeline SET cursor = ?, paused = ?, paused_at_ms = ? WHERE id = ?"
TALLY = "INSERT INTO tally (pipeline, fate, events) VALUES (?, ?, ?)"
# Of a hundred numbers, what was written of these places besides the page.
EXCEPTIONS = ((10, WAITING), (60, WAITING), (20, HELD), (70, HELD), (30, SETTLED), (80, SETTLED), (40, DEAD))


@dataclass(frozen=True, slots=True)
class Past:
    """How long it is: events from 1 to `last`; the second pipeline is paused and has come half the way."""

    last: int
    now_ms: int

    @property
    def half(self) -> int:
        """Where the second pipeline stands."""
        return self.last // 200 * 100 + 99


def fate_of(seq: int) -> Fate | None:
    """Give what a page says of an event; None for a duplicate. What was held at 30 and 80 has arrived since."""
    place = seq % 100
    if place == 99:
        return None
    if place in (10, 60):
        return Fate.WAITING
    if place in (20, 70, 30, 80):
        return Fate.HELD
    return Fate.DEAD if place == 40 else Fate.UNMAPPED if place % 5 == 1 else Fate.DELIVERED


async def write(data: Path, events: int) -> Past:
    """Write ledger and spool into an empty folder; give what there is."""
    clock = SystemClock()
    past = Past(max(events, 1_000) // 100 * 100 - 1, clock.now_ms())
    database = Database(LedgerSettings(data / "ledger.db", 2**40))
    await database.open()
    pipelines = [
        await run(database, Revision(name, "klaviyo-events-api", f"{name}.yaml", name, ""), past.now_ms)
        for name in NAMES
    ]
    await database.close()
    with closing(sqlite3.connect(data / "ledger.db", isolation_level=None)) as db:
        _write_ledger(db, past, pipelines)
    await _write_spool(data / "spool", past, clock)
    return past


def _write_ledger(db: sqlite3.Connection, past: Past, pipelines: list[tuple[int, int]]) -> None:
    db.create_function("key_of", 1, lambda seq: event_key(BROWSER_SOURCE, f"event-{seq}"))
    db.create_function("check_of", -1, checksum)
    for setting in ("synchronous = OFF", "journal_mode = OFF", "cache_size = -500000"):
        db.execute(f"PRAGMA {setting}")
    db.execute("BEGIN")
    db.execute("DROP INDEX journal_key")
    db.executemany(VISITOR, ((number + 1, number.to_bytes(16, "big")) for number in range(VISITORS)))
    span = {"visitors": VISITORS, "start_ms": past.now_ms - SPAN_MS, "span_ms": SPAN_MS, "last": past.last}
    db.execute(JOURNAL, span)
    db.execute("CREATE INDEX journal_key ON journal (key)")
    db.execute("UPDATE resolver SET cursor = ?", (past.last,))
    for (pipeline, revision), to, paused in zip(pipelines, (past.last, past.half), (None, "401"), strict=True):
        _write_fates(db, past, pipeline, revision, to)
        db.execute(PLACE, (to, paused, past.now_ms if paused else None, pipeline))
    db.execute("COMMIT")
    db.execute("PRAGMA journal_mode = WAL")


def _write_fates(db: sqlite3.Connection, past: Past, pipeline: int, revision: int, to: int) -> None:
    told = {"pipeline": pipeline, "revision": revision, "to": to, "last": past.last, "now_ms": past.now_ms}
    each = [(seq, fate) for seq in range(100) if (fate := fate_of(seq)) is not None]
    fates = {"fates": encode_fates(0, 99, each), "first_fates": encode_fates(1, 99, each[1:])}
    told |= {"visitors": VISITORS, "payload": b"x" * 500, "letter": LETTER, **fates}
    db.execute(PAGES, told)
    for place, sql in EXCEPTIONS:
        db.execute(sql, told | {"place": place})
    pages = (to + 1) // 100
    counts = {fate: pages * sum(one is fate for _, one in each) for fate in Fate}
    counts[Fate.HELD] -= 2 * pages
    counts[Fate.DELIVERED] += 2 * pages - 1
    db.executemany(TALLY, [(pipeline, fate.value, events) for fate, events in counts.items() if events])


async def _write_spool(spool: Path, past: Past, clock: SystemClock) -> None:
    """Write the newest envelopes, numbered on from what the others had."""
    first, start_ms = max(1, past.last - STORED + 1), past.now_ms - SPAN_MS
    writer = SpoolWriter(SpoolSettings(spool, free_bytes=0), clock)
    await writer.open(floor_seq=first - 1)
    for begin in range(first, past.last + 1, 500):
        seqs = range(begin, min(begin + 500, past.last + 1))
        await writer.append([encode(_stored(seq, start_ms + seq * SPAN_MS // past.last)) for seq in seqs])
    await writer.close()


def _stored(seq: int, at_ms: int) -> Event:
    browser, said = f"{seq % VISITORS:032x}", {"item_name": "Moon Teapot"}
    return Event(f"event-{seq}", "view_item", at_ms, at_ms, BROWSER_SOURCE, browser, dict(said), {}, {})
