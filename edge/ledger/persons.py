"""Persons in the ledger: what they were known by at a sequence number, and what a page of events adds."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

import aiosqlite

from edge.identity import Graph, merge
from edge.ledger.database import fetch, fetch_in, put
from edge.ledger.records import ClaimRow, Ended, Quarantined, Resolution
from edge.person import Alias, Fact, Identifiers, Kind, VendorId

NO_HEAD = 2**63 - 1
DAY_MS = 86_400_000
MAX_QUARANTINED = 10_000
KEPT_DAYS = 2
KEPT_OF_A_KIND = 8

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
# Of each kind the newest when event ? was the last; the other columns are those of that row.
VENDOR_IDS_AT = """
SELECT visitor, kind, value, max(seq), at_ms FROM vendor_id WHERE seq <= ? AND visitor IN ({}) GROUP BY visitor, kind
"""

CLAIMS_OF_BROWSERS = "SELECT browser, kind, day, value FROM claim WHERE day = ? AND browser IN ({})"
# By the index on values, and no more of them than a limit can need.
CLAIMS_OF_VALUE = "SELECT browser, kind, day, value FROM claim WHERE kind = ? AND value = ? AND day = ? LIMIT ?"

ADD_PERSON = "INSERT INTO person (id, created_at_ms, founder) VALUES (?, ?, ?)"
ADD_FACT = "INSERT INTO identifier (kind, value, person, level, seq, session) VALUES (?, ?, ?, ?, ?, ?)"
END_FACT = "UPDATE identifier SET until_seq = ? WHERE kind = ? AND value = ? AND until_seq IS NULL"
FIRM_FACT = "UPDATE identifier SET session = NULL WHERE kind = ? AND value = ? AND until_seq IS NULL"
ADD_ALIAS = "INSERT INTO alias (person, canonical, level, seq, at_ms) VALUES (?, ?, ?, ?, ?)"
# What one event says twice of a kind, as when it opens an epoch, counts as it says it last.
ADD_VENDOR_ID = "INSERT OR REPLACE INTO vendor_id (visitor, kind, value, seq, at_ms) VALUES (?, ?, ?, ?, ?)"
TRIM_VENDOR_IDS = """
DELETE FROM vendor_id WHERE visitor = ?1 AND kind = ?2 AND seq <= (
    SELECT seq FROM vendor_id WHERE visitor = ?1 AND kind = ?2 ORDER BY seq DESC LIMIT 1 OFFSET ?3)
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
    if not people:
        return Graph()
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


async def groups_of(db: aiosqlite.Connection, persons: Iterable[int]) -> dict[int, set[int]]:
    """Give, for each of some persons, all who are one with it, itself among them."""
    asked = set(persons)
    canonical = merge(await aliases_of(db, asked)) if asked else {}
    groups: dict[int, set[int]] = {}
    for one, root in canonical.items():
        groups.setdefault(root, {root}).add(one)
    return {person: groups.get(canonical.get(person, person), set()) | {person} for person in asked}


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
    return {person: Identifiers.of(values) for person, values in known.items() if values}


async def vendor_ids_of(
    db: aiosqlite.Connection, visitors: Iterable[int], *, head: int = NO_HEAD
) -> dict[int, tuple[VendorId, ...]]:
    """Give the newest of each kind of vendors' ids that visitors had at a sequence number, also those too old."""
    found: dict[int, tuple[VendorId, ...]] = {}
    for visitor, kind, value, seq, at_ms in await fetch_in(db, VENDOR_IDS_AT, visitors, head):
        found[visitor] = (*found.get(visitor, ()), VendorId(kind, value, seq, at_ms))
    return found


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
    await put(db, ADD_PERSON, founders)
    for is_end, run in groupby(page.facts, key=lambda change: isinstance(change, Ended)):
        if is_end:
            ended = [one for one in run if isinstance(one, Ended)]
            await put(db, END_FACT, [(one.seq, one.fact.kind, one.fact.value) for one in ended])
        else:
            await put(db, ADD_FACT, [_fact_values(one) for one in run if isinstance(one, Fact)])
    await put(db, FIRM_FACT, [(fact.kind, fact.value) for fact in page.firmed])
    await put(db, ADD_ALIAS, [(a.person, a.canonical, a.level, a.seq, page.now_ms) for a in page.aliases])
    rows = [(visitor, one.kind, one.value, one.seq, one.at_ms) for visitor, one in page.vendor_ids]
    await put(db, ADD_VENDOR_ID, rows)
    await put(db, TRIM_VENDOR_IDS, [(*place, KEPT_OF_A_KIND) for place in {row[:2] for row in rows}])
    await _record_claims(db, page.claims, page.quarantined)


async def _record_claims(
    db: aiosqlite.Connection, claims: Sequence[ClaimRow], quarantined: Sequence[Quarantined]
) -> None:
    if claims:
        rows = [(bytes.fromhex(claim.browser), claim.kind, claim.day, claim.value) for claim in claims]
        await put(db, ADD_CLAIM, rows)
        await db.execute(FORGET_CLAIMS, (claims[-1].day - KEPT_DAYS,))
    if quarantined:
        await put(db, ADD_QUARANTINED, [(q.seq, q.visitor, q.kind, q.value, q.reason) for q in quarantined])
        await db.execute(TRIM_QUARANTINED, (MAX_QUARANTINED,))


def _fact_values(fact: Fact) -> tuple[str | int | bytes | None, ...]:
    return fact.kind, fact.value, fact.person, fact.level, fact.seq, fact.session
