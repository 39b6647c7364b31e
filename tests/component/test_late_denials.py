"""A denial that comes after a server's event was decided, from another browser of the same person."""

from collections.abc import Callable
from pathlib import Path

import pytest

from edge.consent import ALL_PURPOSES, Purpose
from edge.consent_rules import ConsentSettings
from edge.delivery import Fate, Request, Response
from edge.ledger import ResolverLedger
from edge.resolver import Resolver, ResolverSettings
from tests.backroom import CONSENT_KEY, DENIED, GRANTED, PIPELINE, TAKEN, Backroom
from tests.component.world import USER

NO_ANSWER: dict[str, str] = {}
BUSY = Response(503, {}, b"")
SENDS = PIPELINE.replace("parameters:", "anonymous: send\nparameters:")


async def opened(folder: Path) -> Backroom:
    return await Backroom.open(folder, pipeline=SENDS, server_consent=ALL_PURPOSES)


async def told(room: Backroom, key: int = 9, email: str = USER) -> object:
    return await room.told_by_server(key, "view_item", traits={"email": email}, consent=NO_ANSWER)


async def deny(room: Backroom, number: int = 1, email: str = USER) -> None:
    await room.store(number, "identify", traits={"email": email}, consent=DENIED)


@pytest.mark.parametrize("is_resolved", [False, True])
async def test_a_denial_in_another_browser_stops_a_servers_event_that_is_not_taken_yet(
    is_resolved: bool, tmp_path: Path
) -> None:
    room = await opened(tmp_path)
    event = await told(room)
    if is_resolved:
        await room.resolve()
    await deny(room)
    await room.work()
    assert ((await room.fate(event)).fate, room.transport.requests) == (Fate.WITHHELD, [])
    await room.close()


async def test_a_denial_in_another_browser_stops_a_servers_event_that_waits(tmp_path: Path) -> None:
    room = await opened(tmp_path)
    room.transport.always = BUSY
    event = await told(room)
    await room.work()
    assert (await room.fate(event)).fate is Fate.WAITING
    await deny(room)
    room.transport.always = TAKEN
    room.clock.advance(60)
    await room.work()
    assert ((await room.fate(event)).fate, len(room.transport.requests)) == (Fate.WITHHELD, 1)
    await room.close()


async def test_a_denial_by_somebody_else_stops_nothing(tmp_path: Path) -> None:
    room = await opened(tmp_path)
    event = await told(room)
    await room.resolve()
    await deny(room, email="other@shop.example")
    await room.work()
    assert (await room.fate(event)).fate is Fate.DELIVERED
    await room.close()


async def test_a_browsers_own_event_does_not_go_by_what_another_browser_of_the_person_denies(tmp_path: Path) -> None:
    room = await opened(tmp_path)
    event = await room.store(2, "identify", traits={"email": USER}, consent=GRANTED)
    seen = await room.store(2, "view_item", consent=NO_ANSWER)
    await room.resolve()
    await deny(room)
    await room.work()
    assert [(await room.fate(one)).fate for one in (event, seen)] == [Fate.UNMAPPED, Fate.DELIVERED]
    await room.close()


async def test_what_the_servers_own_visitor_granted_stands_against_another_browsers_denial(tmp_path: Path) -> None:
    room = await opened(tmp_path)
    event = await room.told_by_server(9, "view_item", traits={"email": USER}, consent={"marketing": "granted"})
    await room.resolve()
    await deny(room)
    await room.work()
    assert (await room.fate(event)).fate is Fate.DELIVERED
    await room.close()


async def test_a_denial_counts_for_persons_that_were_joined_since(tmp_path: Path) -> None:
    room = await opened(tmp_path)
    event = await room.told_by_server(9, "view_item", traits={"customer_id": "c-1"}, consent=NO_ANSWER)
    await deny(room)
    await room.told_by_server(8, traits={"customer_id": "c-1", "email": USER}, consent=NO_ANSWER)
    await room.work()
    assert (await room.fate(event)).fate is Fate.WITHHELD
    await room.close()


async def test_a_denial_between_taking_and_sending_stops_the_servers_next_event(tmp_path: Path) -> None:
    """Both were taken before; the denial is resolved while the first is on its way."""
    room = await opened(tmp_path)
    first, second = await told(room), await told(room)
    await room.resolve()

    async def denied_meanwhile(request: Request) -> Response:
        room.transport.send = send  # type: ignore[method-assign]
        await deny(room)
        await room.resolve()
        return await send(request)

    send = room.transport.send
    room.transport.send = denied_meanwhile  # type: ignore[method-assign]
    await room.work()
    assert [(await room.fate(one)).fate for one in (first, second)] == [Fate.DELIVERED, Fate.WITHHELD]
    await room.close()


@pytest.mark.parametrize(
    ("last", "expected"), [(GRANTED, Purpose.NONE), (DENIED, ALL_PURPOSES), (NO_ANSWER, ALL_PURPOSES)]
)
async def test_memory_goes_by_the_visitor_and_the_newest_epoch_as_the_ledger_does(
    last: dict[str, str], expected: Purpose, tmp_path: Path
) -> None:
    """What an epoch between had denied is taken back by the newest."""
    room = await opened(tmp_path)
    await room.store(1, "view_item", consent=GRANTED)
    await room.store(1, "reset", consent=DENIED)
    await room.store(1, "reset", consent=NO_ANSWER)
    await room.store(1, "view_item", consent=last)
    held = await room.store(1, "view_item", consent=NO_ANSWER)
    await room.resolve()
    assert room.resolver.denied(1) == expected
    ask: Callable[[int], Purpose] = room.resolver.denied
    assert (ask(3), held.browser) == (expected, held.browser)
    await room.close()


async def small(room: Backroom) -> None:
    """Let the resolver remember the denials of three visitors, and of three persons."""
    room.resolver = Resolver(
        ResolverSettings("GB", ConsentSettings(), consent_key=CONSENT_KEY),
        spool=room.reader,
        ledger=ResolverLedger(room.database),
        clock=room.clock,
        metrics=room.metrics,
        denials=3,
    )
    await room.resolver.open()


async def test_a_denial_is_not_forgotten_for_those_who_agree_after_it(tmp_path: Path) -> None:
    """What is on its way may take minutes; by then a busy shop has heard tens of thousands agree."""
    room = await opened(tmp_path)
    await small(room)
    await room.store(1, "consent", consent=DENIED)
    for number in range(2, 9):
        await room.store(number, "consent", consent=GRANTED)
    await room.resolve()
    assert [room.resolver.denied(visitor) for visitor in (1, 2)] == [ALL_PURPOSES, Purpose.NONE]
    await room.close()


async def test_a_denial_that_was_taken_back_is_none(tmp_path: Path) -> None:
    room = await opened(tmp_path)
    for answer in (DENIED, GRANTED):
        await room.store(1, "consent", consent=answer)
        await room.resolve()
    assert room.resolver.denied(1) == Purpose.NONE
    await room.close()


async def test_a_persons_denial_is_as_young_as_itself(tmp_path: Path) -> None:
    """And not as old as the first answer of that person."""
    room = await opened(tmp_path)
    await small(room)
    for number, email, answer in [(1, USER, GRANTED), (2, "2@shop.example", GRANTED), (3, "3@shop.example", GRANTED)]:
        await room.store(number, "identify", traits={"email": email}, consent=answer)
    await deny(room, 4)
    await room.resolve()
    await deny(room, 5, "5@shop.example")
    await room.resolve()
    assert room.resolver.denied(99, [1], ALL_PURPOSES) == ALL_PURPOSES
    await room.close()
