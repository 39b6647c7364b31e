"""A server's event that says nothing of consent: what its person's other visitors answered, before any default."""

from collections.abc import Callable
from pathlib import Path

import pytest

from edge.consent import ALL_PURPOSES, Purpose
from edge.ledger.database import fetch
from edge.ledger.resolving import FIND_ANSWERED
from tests.backroom import DENIED, GRANTED, Backroom
from tests.component.world import USER

NOBODY_ASKED = "default"


async def decided(room: Backroom) -> tuple[Purpose, str]:
    """Give what was decided for the event that came last, and on which ground."""
    await room.resolve()
    async with room.database.snapshot() as db:
        granted, basis = (await fetch(db, "SELECT granted, basis FROM journal ORDER BY seq DESC LIMIT 1"))[0]
        return Purpose(granted), basis


async def in_pages(room: Backroom) -> None:
    await room.resolve()


async def in_one_page(room: Backroom) -> None:
    """Leave the events for the page of those that follow."""


EITHER = pytest.mark.parametrize("turn", [in_pages, in_one_page])


@EITHER
@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([DENIED], (Purpose.NONE, "person")),
        ([GRANTED, DENIED], (Purpose.NONE, "person")),
        ([DENIED, GRANTED], (Purpose.NONE, "person")),
        ([GRANTED], (ALL_PURPOSES, "person")),
        ([{"marketing": "denied"}], (ALL_PURPOSES & ~Purpose.MARKETING, "person")),
        ([{"gpc": True}], (ALL_PURPOSES & ~Purpose.ADVERTISING, "person")),
        ([{}], (ALL_PURPOSES, NOBODY_ASKED)),
    ],
)
async def test_a_servers_event_without_an_answer_goes_by_its_persons_and_a_denial_wins(
    tmp_path: Path, turn: Callable, answers: list[dict], expected: tuple[Purpose, str]
) -> None:
    room = await Backroom.open(tmp_path, server_consent=ALL_PURPOSES)
    for number, answer in enumerate(answers, 1):
        await room.store(number, "identify", traits={"email": USER}, consent=answer)
    await turn(room)
    await room.told_by_server(9, "purchase", traits={"email": USER}, consent={})
    assert await decided(room) == expected
    await room.close()


async def test_who_denied_in_the_browser_is_sent_nothing_that_a_server_tells(tmp_path: Path) -> None:
    room = await Backroom.open(tmp_path, server_consent=ALL_PURPOSES)
    await room.store(1, "identify", traits={"email": USER}, consent=DENIED)
    await room.resolve()
    sent = await room.told_by_server(9, "purchase", traits={"email": USER}, consent={})
    await room.work()
    assert ((await room.fate(sent)).fate, room.transport.requests) == ("withheld", [])
    await room.close()


@EITHER
async def test_persons_that_a_server_joined_answer_for_each_other(tmp_path: Path, turn: Callable) -> None:
    room = await Backroom.open(tmp_path, server_consent=ALL_PURPOSES)
    await room.store(1, "identify", traits={"email": USER}, consent=DENIED)
    await room.told_by_server(8, traits={"customer_id": "c-19"}, consent={})
    await turn(room)
    await room.told_by_server(9, traits={"customer_id": "c-19", "email": USER}, consent={})
    await turn(room)
    await room.told_by_server(8, "purchase", traits={"customer_id": "c-19"}, consent={})
    assert await decided(room) == (Purpose.NONE, "person")
    await room.close()


@EITHER
async def test_what_the_servers_own_visitor_answered_comes_before_its_persons(tmp_path: Path, turn: Callable) -> None:
    room = await Backroom.open(tmp_path, server_consent=Purpose.NONE)
    await room.store(1, "identify", traits={"email": USER}, consent=DENIED)
    await room.told_by_server(9, traits={"email": USER}, consent={"marketing": "granted"})
    await turn(room)
    await room.told_by_server(9, "purchase", traits={"email": USER}, consent={})
    assert await decided(room) == (Purpose.MARKETING, "remembered")
    await room.close()


@EITHER
async def test_an_answer_that_was_changed_since_counts_as_it_is_now(tmp_path: Path, turn: Callable) -> None:
    room = await Backroom.open(tmp_path, server_consent=Purpose.NONE)
    await room.store(1, "identify", traits={"email": USER}, consent=DENIED)
    await turn(room)
    await room.store(1, "consent", consent=GRANTED)
    await room.told_by_server(9, "purchase", traits={"email": USER}, consent={})
    assert await decided(room) == (ALL_PURPOSES, "person")
    await room.close()


@EITHER
async def test_strangers_and_browsers_do_not_answer_for_each_other(tmp_path: Path, turn: Callable) -> None:
    room = await Backroom.open(tmp_path, consent=ALL_PURPOSES, server_consent=ALL_PURPOSES)
    await room.store(1, "identify", traits={"email": USER}, consent=DENIED)
    await turn(room)
    await room.told_by_server(9, "purchase", traits={"email": "other@shop.example"}, consent={})
    assert await decided(room) == (ALL_PURPOSES, NOBODY_ASKED)
    await room.store(2, "identify", traits={"email": USER}, consent={})
    assert await decided(room) == (ALL_PURPOSES, NOBODY_ASKED)
    await room.close()


@EITHER
async def test_of_a_browsers_epochs_the_latest_of_the_person_counts(tmp_path: Path, turn: Callable) -> None:
    room = await Backroom.open(tmp_path, server_consent=Purpose.NONE)
    await room.store(1, "identify", traits={"email": USER}, consent=DENIED)
    await room.store(1, "reset", consent={})
    await turn(room)
    await room.store(1, "identify", traits={"email": USER}, consent=GRANTED)
    await turn(room)
    await room.told_by_server(9, "purchase", traits={"email": USER}, consent={})
    assert await decided(room) == (ALL_PURPOSES, "person")
    await room.close()


async def test_persons_answers_are_found_by_an_index(tmp_path: Path) -> None:
    room = await Backroom.open(tmp_path)
    async with room.database.snapshot() as db:
        (step,) = await fetch(db, f"EXPLAIN QUERY PLAN {FIND_ANSWERED.format('?, ?')}", (1, 2))
    assert step[3] == "SEARCH visitor USING INDEX visitor_answered (person=?)"
    await room.close()
