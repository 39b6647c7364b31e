"""Persons in the ledger: what they were known by at a sequence number, and what a page of events adds."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

import aiosqlite

from edge.identity import Graph, merge
from edge.ledger.database import fetch, fetch_in
from edge.ledger.records import ClaimRow, Ended, Quarantined, Resolution
from edge.person import Alias, Fact, Identifiers, Kind

NO_HEAD = 2**63 - 1
DAY_MS = 86_400_000
MAX_QUARANTINED = 10_000
KEPT_DAYS = 2
KEPT_CLICKS = 8

# Every kind is named, or the index could not be used.
FACTS_OF_VALUES = """
SELECT kind, value, person, level, seq, session FROM identifier
WHERE until_seq IS NULL AND kind IN ('customer_id', 'email', 'phone') AND value IN ({})
"""
FACTS_OF_PERSONS = """
SELECT kind, value, person, level, seq, session FROM identifier WHERE until_seq IS NULL AND person IN ({})
"""
FOUNDERS = "SELECT id, founder FROM person WHERE id IN ({})"
# What somebody was known by when event ? was the last.
IDENTIFIERS_AT = """
SELECT person, kind, value FROM identifier
WHERE seq <= ? AND (until_seq IS NULL OR until_seq > ?) AND person IN ({}) ORDER BY seq
"""
ALIASES = "SELECT person, canonical, level, seq, undone_seq FROM alias WHERE seq <= ? AND {} IN ({{}})"
ALIASES_OF = tuple(ALIASES.format(column) for column in ("person", "canonical"))
HAS_ALIASES = "SELECT EXISTS (SELECT 1 FROM alias)"
CLICKS_AT = "SELECT visitor, value FROM vendor_id WHERE kind = 'kx' AND seq <= ? AND visitor IN ({}) ORDER BY seq"

CLAIMS_OF_BROWSERS = "SELECT browser, kind, day, value FROM claim WHERE day = ? AND browser IN ({})"
# By the index on values, and no more of them than a limit can need.
CLAIMS_OF_VALUE = "SELECT browser, kind, day, value FROM claim WHERE kind = ? AND value = ? AND day = ? LIMIT ?"

ADD_PERSON = "INSERT INTO person (id, created_at_ms, founder) VALUES (?, ?, ?)"
ADD_FACT = "INSERT INTO identifier (kind, value, person, level, seq, session) VALUES (?, ?, ?, ?, ?, ?)"
END_FACT = "UPDATE identifier SET until_seq = ? WHERE kind = ? AND value = ? AND until_seq IS NULL"
FIRM_FACT = "UPDATE identifier SET session = NULL WHERE kind = ? AND value = ? AND until_seq IS NULL"
ADD_ALIAS = "INSERT INTO alias (person, canonical, level, seq, at_ms) VALUES (?, ?, ?, ?, ?)"
ADD_CLICK = "INSERT INTO vendor_id (visitor, seq, kind, value) VALUES (?, ?, 'kx', ?)"
TRIM_CLICKS = """
DELETE FROM vendor_id WHERE visitor = ?1 AND kind = 'kx' AND seq <= (
    SELECT seq FROM vendor_id WHERE visitor = ?1 AND kind = 'kx' ORDER BY seq DESC LIMIT 1 OFFSET ?2)
"""
ADD_CLAIM = "INSERT OR IGNORE INTO claim (browser, kind, day, value) VALUES (?, ?, ?, ?)"
FORGET_CLAIMS = "DELETE FROM claim WHERE day < ?"
ADD_QUARANTINED = "INSERT OR IGNORE INTO quarantine (seq, visitor, kind, value, reason) VALUES (?, ?, ?, ?, ?)"
TRIM_QUARANTINED = """
DELETE FROM quarantine WHERE seq <= (SELECT seq FROM quarantine ORDER BY seq DESC LIMIT 1 OFFSET ?)
"""


async def find_graph(db: aiosqlite.Connection, persons: Iterable[int], values: Iterable[str]) -> Graph:
    """Give what is known of persons, of the owners of values, and of all who are one with them."""
    owned = [Fact(*row) for row in await fetch_in(db, FACTS_OF_VALUES, values)]
    people = {*persons, *(fact.person for fact in owned)}
    aliases = await aliases_of(db, people)
    people |= {person for alias in aliases for person in (alias.person, alias.canonical)}
    facts = [Fact(*row) for row in await fetch_in(db, FACTS_OF_PERSONS, people)]
    founders = {person: founder.hex() for person, founder in await fetch_in(db, FOUNDERS, people)}
    return Graph(facts, founders, aliases)


async def aliases_of(db: aiosqlite.Connection, persons: Iterable[int], *, head: int = NO_HEAD) -> list[Alias]:
    """Give every alias that leads to or from somebody, as it held at a sequence number; those undone later hold."""
    found: dict[tuple[int, int, int], Alias] = {}
    asked: set[int] = set()
    if not (await fetch(db, HAS_ALIASES))[0][0]:
        return []
    while new := {*persons} - asked:
        asked |= new
        for sql in ALIASES_OF:
            for person, canonical, level, seq, undone_seq in await fetch_in(db, sql, new, head):
                is_undone = undone_seq is not None and undone_seq <= head
                found[person, canonical, seq] = Alias(person, canonical, level, seq, is_undone)
        persons = {person for alias in found.values() for person in (alias.person, alias.canonical)}
    return list(found.values())


async def one_with(db: aiosqlite.Connection, person: int) -> set[int]:
    """Give all persons that are one with somebody, who is among them."""
    canonical = merge(await aliases_of(db, {person}))
    return {one for one, root in canonical.items() if root == canonical.get(person)} | {person}


async def identifiers_of(
    db: aiosqlite.Connection, people: Iterable[int], *, head: int = NO_HEAD
) -> dict[int, Identifiers]:
    """Give what persons, with all who are one with them, were known by at a sequence number.

    Where a kind has several values, the latest.
    """
    asked = set(people)
    canonical = merge(await aliases_of(db, asked, head=head))
    latest: dict[int, dict[Kind, str]] = {}
    for person, kind, value in await fetch_in(db, IDENTIFIERS_AT, asked | canonical.keys(), head, head):
        latest.setdefault(canonical.get(person, person), {})[kind] = value
    known = {person: latest.get(canonical.get(person, person)) for person in asked}
    return {person: Identifiers(**values) for person, values in known.items() if values}


async def clicks_of(db: aiosqlite.Connection, visitors: Iterable[int], *, head: int = NO_HEAD) -> dict[int, str]:
    """Give visitors' newest click tokens at a sequence number."""
    return dict(await fetch_in(db, CLICKS_AT, visitors, head))


async def find_claims(
    db: aiosqlite.Connection, day: int, browsers: Iterable[bytes], values: Iterable[tuple[Kind, str]], limit: int
) -> set[ClaimRow]:
    """Give one day's links of browsers and of values; of a value no more than `limit`."""
    rows: list[tuple[Any, ...]] = await fetch_in(db, CLAIMS_OF_BROWSERS, browsers, day)
    for kind, value in values:
        rows += await fetch(db, CLAIMS_OF_VALUE, (kind, value, day, limit))
    return {ClaimRow(browser.hex(), kind, on, value) for browser, kind, on, value in rows}


async def record_persons(db: aiosqlite.Connection, page: Resolution) -> None:
    """Store what a page says of persons; inside its transaction."""
    founders = [(person, page.now_ms, bytes.fromhex(browser)) for person, browser in page.persons]
    await db.executemany(ADD_PERSON, founders)
    for is_end, run in groupby(page.facts, key=lambda change: isinstance(change, Ended)):
        if is_end:
            ended = [one for one in run if isinstance(one, Ended)]
            await db.executemany(END_FACT, [(one.seq, one.fact.kind, one.fact.value) for one in ended])
        else:
            await db.executemany(ADD_FACT, [_fact_values(one) for one in run if isinstance(one, Fact)])
    await db.executemany(FIRM_FACT, [(fact.kind, fact.value) for fact in page.firmed])
    await db.executemany(ADD_ALIAS, [(a.person, a.canonical, a.level, a.seq, page.now_ms) for a in page.aliases])
    await db.executemany(ADD_CLICK, page.clicks)
    await db.executemany(TRIM_CLICKS, [(visitor, KEPT_CLICKS) for visitor in {click[0] for click in page.clicks}])
    await _record_claims(db, page.claims, page.quarantined)


async def _record_claims(
    db: aiosqlite.Connection, claims: Sequence[ClaimRow], quarantined: Sequence[Quarantined]
) -> None:
    if claims:
        rows = [(bytes.fromhex(claim.browser), claim.kind, claim.day, claim.value) for claim in claims]
        await db.executemany(ADD_CLAIM, rows)
        await db.execute(FORGET_CLAIMS, (claims[-1].day - KEPT_DAYS,))
    if quarantined:
        await db.executemany(ADD_QUARANTINED, [(q.seq, q.visitor, q.kind, q.value, q.reason) for q in quarantined])
        await db.execute(TRIM_QUARANTINED, (MAX_QUARANTINED,))


def _fact_values(fact: Fact) -> tuple[str | int | bytes | None, ...]:
    return fact.kind, fact.value, fact.person, fact.level, fact.seq, fact.session
