"""Whom a page concerns of those whose events are held: who is named by it, and of whom it says what was asked."""

import aiosqlite

from edge.ledger.database import fetch, fetch_in
from edge.ledger.persons import groups_of
from edge.ledger.records import Resolution
from edge.person import Fact

IS_ANYBODY_ASKED = "SELECT EXISTS (SELECT 1 FROM held WHERE waits <> 0)"
ASKED_OF_PERSONS = """
SELECT v.id FROM visitor v WHERE EXISTS (SELECT 1 FROM held h WHERE h.visitor = v.id AND h.waits <> 0)
    AND v.person IN ({})
"""
# Persons that anything was known of before the page that is being recorded; what was taken back counts no more.
NAMED_BEFORE = """
SELECT DISTINCT person FROM identifier CROSS JOIN resolver
WHERE seq <= cursor AND (until_seq IS NULL OR until_seq > cursor + 1) AND person IN ({})
"""
HELD_OF_PERSONS = """
SELECT v.id FROM visitor v WHERE EXISTS (SELECT 1 FROM held h WHERE h.visitor = v.id) AND v.person IN ({})
"""


async def find_named(db: aiosqlite.Connection, page: Resolution) -> set[int]:
    """Give the visitors who are not strangers any more: by a link, a click, or as their person is named again."""
    clicked = (visitor for visitor, one in page.vendor_ids if one.kind == "kx")
    return {*page.linked, *clicked, *await _named_anew(db, page)}


async def find_asked(db: aiosqlite.Connection, page: Resolution) -> list[int]:
    """Give the visitors of servers whose events wait for what somebody of a page has answered elsewhere."""
    told = {*page.answered, *page.linked}
    persons = {page.visitors[one].person for one in told if one in page.visitors}
    persons |= {person for alias in page.aliases for person in (alias.person, alias.canonical)}
    people = {person for person in persons if person is not None}
    if not people or not (await fetch(db, IS_ANYBODY_ASKED))[0][0]:
        return []
    everybody = {member for group in (await groups_of(db, people)).values() for member in group}
    return [row[0] for row in await fetch_in(db, ASKED_OF_PERSONS, everybody)]


async def _named_anew(db: aiosqlite.Connection, page: Resolution) -> list[int]:
    """Give the visitors of persons that are named again, after all that was known of them had been taken back."""
    began = {person for person, _ in page.persons}
    gained = {one.person for one in page.facts if isinstance(one, Fact)} - began
    if not gained:
        return []
    groups = await groups_of(db, gained)
    named = {row[0] for row in await fetch_in(db, NAMED_BEFORE, {one for group in groups.values() for one in group})}
    anew = {member for group in groups.values() if not group & (named | began) for member in group}
    return [row[0] for row in await fetch_in(db, HELD_OF_PERSONS, anew)] if anew else []
