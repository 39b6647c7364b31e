"""All that the ledger knows of one person, with evidence and times; for the verbs that show it."""

from collections.abc import Iterable
from dataclasses import dataclass

import aiosqlite

from edge.ledger.database import fetch, fetch_in
from edge.ledger.persons import one_with
from edge.person import KeptKind, Kind

OWNERS = "SELECT person FROM identifier WHERE kind IN ('customer_id', 'email', 'phone') AND value IN ({}) ORDER BY seq"
OF_BROWSER = "SELECT id FROM visitor WHERE browser = ? ORDER BY epoch"
FACTS = """
SELECT i.kind, i.value, i.person, i.level, i.seq, i.until_seq, j.received_at_ms
FROM identifier i LEFT JOIN journal j ON j.seq = i.seq WHERE i.person IN ({}) ORDER BY i.seq
"""
VISITORS = """
SELECT v.id, hex(v.browser), v.epoch, v.person, v.linked_seq, j.received_at_ms
FROM visitor v LEFT JOIN journal j ON j.seq = v.linked_seq WHERE v."""
# Without an index on the person, as only these verbs ask for it.
BY_PERSON, BY_ID = VISITORS + "person IN ({}) ORDER BY v.id", VISITORS + "id IN ({}) ORDER BY v.id"
ALIASES = "SELECT person, canonical, level, seq, at_ms, undone_seq FROM alias WHERE person IN ({}) ORDER BY seq"
VENDOR_IDS = "SELECT visitor, kind, value, seq, at_ms FROM vendor_id WHERE visitor IN ({}) ORDER BY visitor, kind, seq"
QUARANTINED_OF = "SELECT seq, visitor, kind, value, reason FROM quarantine WHERE visitor IN ({}) ORDER BY seq"
QUARANTINED_AS = "SELECT seq, visitor, kind, value, reason FROM quarantine WHERE value IN ({}) ORDER BY seq"


@dataclass(frozen=True, slots=True)
class FactView:
    """An identifier, since which event on which evidence, and until before which. Times are gone with the journal."""

    kind: Kind
    value: str
    person: int
    level: int
    seq: int
    until_seq: int | None
    at_ms: int | None


@dataclass(frozen=True, slots=True)
class EpochView:
    """One epoch of a browser, and the event that linked it."""

    visitor: int
    browser: str
    epoch: int
    person: int | None
    linked_seq: int | None
    linked_at_ms: int | None


@dataclass(frozen=True, slots=True)
class AliasView:
    """Two persons that are one, or were until somebody took it back."""

    person: int
    canonical: int
    level: int
    seq: int
    at_ms: int
    undone_seq: int | None


@dataclass(frozen=True, slots=True)
class QuarantineView:
    """A claim that became no link."""

    seq: int
    visitor: int
    kind: Kind
    value: str
    limit: str


@dataclass(frozen=True, slots=True)
class VendorIdView:
    """What a vendor knows a visitor by, since which event, and since when it is as old as it is."""

    visitor: int
    kind: KeptKind
    value: str
    seq: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class PersonView:
    """What is known of one human. `person` None: of a visitor, or a value, whom nobody knows."""

    person: int | None
    facts: tuple[FactView, ...]
    visitors: tuple[EpochView, ...]
    aliases: tuple[AliasView, ...]
    quarantined: tuple[QuarantineView, ...]
    vendor_ids: tuple[VendorIdView, ...] = ()


async def find_person(
    db: aiosqlite.Connection, *, values: Iterable[str], browser: str | None, visitor: int | None
) -> list[PersonView]:
    """Give everybody whom identifiers have ever named, whom a browser has carried, or whose visitor did an event."""
    values = list(values)
    ids = [visitor] if visitor is not None else []
    if browser is not None:
        ids += [row[0] for row in await fetch(db, OF_BROWSER, (bytes.fromhex(browser),))]
    visitors = [EpochView(*row) for row in await fetch_in(db, BY_ID, ids)]
    owners = [row[0] for row in await fetch_in(db, OWNERS, values)]
    persons = {*owners, *(one.person for one in visitors if one.person is not None)}
    groups: dict[int, set[int]] = {}
    for person in sorted(persons):
        members = await one_with(db, person)
        groups.setdefault(min(members), set()).update(members)
    found = [await _view(db, person, members) for person, members in groups.items()]
    strangers = tuple(one for one in visitors if one.person is None)
    quarantined = await fetch_in(db, QUARANTINED_AS, values) + await fetch_in(
        db, QUARANTINED_OF, [one.visitor for one in strangers]
    )
    if strangers or (quarantined and not found):
        claims = tuple(QuarantineView(*row) for row in quarantined)
        found.append(PersonView(None, (), strangers, (), claims, await _vendor_ids(db, strangers)))
    return found


async def _view(db: aiosqlite.Connection, person: int, members: set[int]) -> PersonView:
    facts = tuple(FactView(*row) for row in await fetch_in(db, FACTS, members))
    visitors = tuple(EpochView(*row) for row in await fetch_in(db, BY_PERSON, members))
    by_visitor = await fetch_in(db, QUARANTINED_OF, [one.visitor for one in visitors])
    by_value = await fetch_in(db, QUARANTINED_AS, [fact.value for fact in facts])
    return PersonView(
        person=person,
        facts=facts,
        visitors=visitors,
        aliases=tuple(AliasView(*row) for row in await fetch_in(db, ALIASES, members)),
        quarantined=tuple(QuarantineView(*row) for row in sorted({*by_visitor, *by_value})),
        vendor_ids=await _vendor_ids(db, visitors),
    )


async def _vendor_ids(db: aiosqlite.Connection, visitors: Iterable[EpochView]) -> tuple[VendorIdView, ...]:
    return tuple(VendorIdView(*row) for row in await fetch_in(db, VENDOR_IDS, [one.visitor for one in visitors]))
