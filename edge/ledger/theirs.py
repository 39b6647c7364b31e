"""Whom an erasure means, and what is theirs."""

from dataclasses import dataclass

import aiosqlite

from edge.identity import Named
from edge.ledger.database import fetch, fetch_in
from edge.ledger.persons import one_with
from edge.person import KINDS

OWNERS_NOW = "SELECT person FROM identifier WHERE kind = ? AND value = ? AND until_seq IS NULL"
EVER_NAMED = """
SELECT EXISTS (SELECT 1 FROM identifier WHERE kind = ?1 AND value = ?2)
    OR EXISTS (SELECT 1 FROM quarantine WHERE kind = ?1 AND value = ?2)
"""
OF_BROWSER = "SELECT id, person FROM visitor WHERE browser = ?"
OF_VISITOR = "SELECT id, person FROM visitor WHERE id = ?"
VISITORS_OF = "SELECT id, browser FROM visitor WHERE person IN ({})"
BROWSERS_OF = "SELECT id, browser FROM visitor WHERE id IN ({})"
NAMES_OF = "SELECT kind, value FROM identifier WHERE person IN ({})"
IS_PERSON = "SELECT id FROM person WHERE id = ? AND founder <> x''"


@dataclass(frozen=True, slots=True)
class Whom:
    """Whom an erasure is asked for: identifiers in normal form, a browser, a person's number, or a visitor's."""

    identifiers: tuple[Named, ...] = ()
    browser: str | None = None
    person: int | None = None
    visitor: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What belongs to whom: `groups` are persons that are one each; where there are several, which one is unclear."""

    groups: tuple[tuple[int, ...], ...]
    visitors: dict[int, str]
    names: tuple[Named, ...]

    def __bool__(self) -> bool:
        """Tell whether there is anything to erase, or to look for."""
        return bool(self.groups or self.visitors or self.names)


async def find_theirs(db: aiosqlite.Connection, whom: Whom) -> Found:
    """Give the persons that are meant with all who are one with them, their visitors with browsers, their names.

    A value that nobody owns is looked for all the same where its form says what it is; a customer id may be any text.
    """
    visitors: dict[int, str] = {}
    persons: set[int] = set()
    names: set[Named] = set()
    for kind, value in whom.identifiers:
        owners = [row[0] for row in await fetch(db, OWNERS_NOW, (kind, value))]
        persons.update(owners)
        is_known = bool((await fetch(db, EVER_NAMED, (kind, value)))[0][0])
        if owners or is_known or kind == "email":
            names.add((kind, value))
    rows = await fetch(db, OF_BROWSER, (bytes.fromhex(whom.browser),)) if whom.browser is not None else []
    rows += await fetch(db, OF_VISITOR, (whom.visitor,)) if whom.visitor is not None else []
    strangers = [visitor for visitor, person in rows if person is None]
    persons.update(person for _, person in rows if person is not None)
    if whom.person is not None and await fetch(db, IS_PERSON, (whom.person,)):
        persons.add(whom.person)
    groups = sorted({tuple(sorted(await one_with(db, person))) for person in persons})
    members = [person for group in groups for person in group]
    for visitor, browser in await fetch_in(db, VISITORS_OF, members) + await fetch_in(db, BROWSERS_OF, strangers):
        visitors[visitor] = browser.hex()
    for kind, value in await fetch_in(db, NAMES_OF, members):
        others = [row[0] for row in await fetch(db, OWNERS_NOW, (kind, value))]
        if set(others) <= set(members):
            names.add((kind, value))
    ordered = sorted(names, key=lambda name: (KINDS.index(name[0]), name[1]))
    return Found(tuple(groups), visitors, tuple(ordered))
