"""Events whose consent nobody knows yet: held, and released, ended or left by the visitor's answer."""

from itertools import product
from pathlib import Path

import pytest

from edge.consent import ALL_PURPOSES
from edge.delivery import Fate
from edge.drainer import Housekeeping
from edge.ledger import TrimLedger
from edge.spool import SpoolSettings
from tests.backroom import DENIED, GRANTED, PIPELINE, Backroom
from tests.component.world import USER

WAIT_FOR_S = 1_800.0
NO_ANSWER: dict[str, str] = {}
SENDS = PIPELINE.replace("parameters:", "anonymous: send\nparameters:")
SAYS_NO = {"marketing": "denied"}
SAYS_YES = {"marketing": "granted"}


async def opened(folder: Path, pipeline: str = PIPELINE) -> Backroom:
    """Open a room in which every purpose waits for an answer."""
    return await Backroom.open(folder, pipeline=pipeline, waits=ALL_PURPOSES, server_waits=ALL_PURPOSES)


async def let_time_pass(room: Backroom) -> None:
    """Let the limit pass, and housekeeping come by."""
    room.clock.advance(WAIT_FOR_S + 1)
    trim = TrimLedger(room.database, ["klaviyo"])
    settings = SpoolSettings(room.folder / "spool", free_bytes=0)
    house = Housekeeping(settings, reader=room.reader, ledger=trim, clock=room.clock, keep_for_s=1_000_000.0)
    await house.end_unanswered(room.lane.ledger, WAIT_FOR_S)


async def answer(room: Backroom, said: str) -> None:
    match said:
        case "yes":
            await room.store(1, "consent", consent=SAYS_YES)
        case "no":
            await room.store(1, "consent", consent=SAYS_NO)
        case "late":
            await room.work()
            await let_time_pass(room)


async def know(room: Backroom) -> None:
    await room.store(1, "identify", traits={"email": USER}, consent=NO_ANSWER)


def expected(anonymous: str, is_known: bool, said: str) -> Fate:
    """Say in one place what becomes of an event that is unanswered, of a stranger, or both."""
    if said in ("no", "late"):
        return Fate.WITHHELD
    if said == "nothing":
        return Fate.SKIPPED if anonymous == "drop" and not is_known else Fate.HELD
    return Fate.DELIVERED if is_known or anonymous == "send" else Fate.HELD


EVERY = [
    (anonymous, said, who, is_between)
    for anonymous, said, who, is_between in product(
        ("hold", "send"), ("yes", "no", "late", "nothing"), ("stranger", "before", "after", "last"), (False, True)
    )
]


@pytest.mark.parametrize(("anonymous", "said", "who", "is_between"), EVERY)
async def test_an_unanswered_event_goes_by_the_answer_and_by_who_it_was_in_any_order(
    anonymous: str, said: str, who: str, is_between: bool, tmp_path: Path
) -> None:
    """`who`: when the visitor becomes known, before the event, after it, or after the answer."""
    room = await opened(tmp_path, PIPELINE.replace("parameters:", f"anonymous: {anonymous}\nparameters:"))
    if who == "before":
        await know(room)
    event = await room.store(1, "view_item", consent=NO_ANSWER)
    if is_between:
        await room.work()
    if who == "after":
        await know(room)
        await room.work()
    await answer(room, said)
    if who == "last":
        await room.work()
        await know(room)
    await room.work()
    assert (await room.fate(event)).fate is expected(anonymous, who != "stranger", said)
    await room.close()


async def test_what_waits_for_an_answer_is_shown_with_what_it_waits_for(tmp_path: Path) -> None:
    room = await opened(tmp_path, SENDS)
    event = await room.store(1, "view_item", consent=NO_ANSWER)
    await room.work()
    found = await room.fate(event)
    assert (found.fate, found.held_for) == (Fate.HELD, ("marketing",))
    assert await room.tally() == {"held": 1}
    await room.close()


@pytest.mark.parametrize(("said", "reason"), [("no", "it waited for"), ("late", "nobody answered")])
async def test_what_ended_unsent_says_whether_somebody_answered(said: str, reason: str, tmp_path: Path) -> None:
    room = await opened(tmp_path, SENDS)
    event = await room.store(1, "view_item", consent=NO_ANSWER)
    await room.work()
    await answer(room, said)
    await room.work()
    found = await room.fate(event)
    assert (found.fate, found.reason[: len(reason)]) == (Fate.WITHHELD, reason)
    assert (await room.tally()).get("held") is None
    await room.close()


async def test_the_privacy_signal_denies_advertising_without_waiting(tmp_path: Path) -> None:
    room = await opened(tmp_path, SENDS.replace("parameters:", "consent: [advertising]\nparameters:"))
    event = await room.store(1, "view_item", consent={"gpc": True})  # type: ignore[dict-item]
    await room.work()
    assert (await room.fate(event)).fate is Fate.WITHHELD
    await room.close()


async def test_a_purpose_that_a_pipeline_does_not_need_keeps_nothing_back(tmp_path: Path) -> None:
    room = await opened(tmp_path, SENDS)
    event = await room.store(1, "view_item", consent=SAYS_YES)
    await room.work()
    assert ((await room.fate(event)).fate, room.transport.ids) == (Fate.DELIVERED, [event.id])
    await room.close()


async def test_a_granted_event_does_not_overtake_an_unanswered_one_of_its_visitor(tmp_path: Path) -> None:
    """A server tells of the same visitor, and of servers' events the site assumes a yes."""
    room = await Backroom.open(tmp_path, pipeline=SENDS, waits=ALL_PURPOSES, server_consent=ALL_PURPOSES)
    first = await room.store(1, "view_item", consent=NO_ANSWER)
    second = await room.told_by_server(1, "view_item", consent=NO_ANSWER)
    await room.work()
    found = await room.fate(second)
    assert (found.fate, found.held_for, room.transport.requests) == (Fate.HELD, (), [])
    third = await room.store(1, "view_item", consent=SAYS_YES)
    await room.work()
    assert room.transport.ids == [first.id, second.id, third.id]
    await room.close()


async def test_what_came_behind_goes_out_when_nobody_has_answered_in_time(tmp_path: Path) -> None:
    room = await Backroom.open(tmp_path, pipeline=SENDS, waits=ALL_PURPOSES, server_consent=ALL_PURPOSES)
    await room.store(1, "view_item", consent=NO_ANSWER)
    behind = await room.told_by_server(1, "view_item", consent=NO_ANSWER)
    await room.work()
    await let_time_pass(room)
    await room.work()
    assert (room.transport.ids, await room.tally()) == ([behind.id], {"withheld": 1, "delivered": 1})
    await room.close()


async def test_an_answer_after_a_reset_decides_nothing_that_came_before_it(tmp_path: Path) -> None:
    """Whoever sits there now cannot grant what somebody else did; denying stops what is open."""
    room = await opened(tmp_path, SENDS)
    event = await room.store(1, "view_item", consent=NO_ANSWER)
    await room.store(1, "reset", consent=NO_ANSWER)
    await room.store(1, "consent", consent=SAYS_YES)
    await room.work()
    assert (await room.fate(event)).fate is Fate.HELD
    await let_time_pass(room)
    await room.work()
    assert (await room.fate(event)).fate is Fate.WITHHELD
    await room.close()


async def test_a_withdrawal_after_the_answer_stops_what_was_released(tmp_path: Path) -> None:
    room = await opened(tmp_path, SENDS)
    event = await room.store(1, "view_item", consent=NO_ANSWER)
    await room.work()
    await room.store(1, "consent", consent=SAYS_YES)
    await room.store(1, "consent", consent=SAYS_NO)
    await room.work()
    assert ((await room.fate(event)).fate, room.transport.requests) == (Fate.WITHHELD, [])
    await room.close()


@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize(("said", "fate"), [(GRANTED, Fate.DELIVERED), (DENIED, Fate.WITHHELD)])
async def test_a_servers_unanswered_event_goes_by_what_its_person_answers_in_a_browser(
    said: dict[str, str], fate: Fate, is_late: bool, tmp_path: Path
) -> None:
    room = await opened(tmp_path)
    event = await room.told_by_server(9, "view_item", traits={"email": USER}, consent=NO_ANSWER)
    if is_late:
        await room.work()
        assert (await room.fate(event)).fate is Fate.HELD
    await room.store(1, "identify", traits={"email": USER}, consent=said)
    await room.work()
    assert (await room.fate(event)).fate is fate
    await room.close()


async def test_a_death_between_holding_and_answering_loses_and_reorders_nothing(tmp_path: Path) -> None:
    room = await opened(tmp_path, SENDS)
    events = [await room.store(1, "view_item", consent=NO_ANSWER) for _ in range(3)]
    await room.work()
    await room.restart()
    events.append(await room.store(1, "view_item", consent=SAYS_YES))
    await room.resolve()
    await room.restart()
    await room.work()
    assert room.transport.ids == [event.id for event in events]
    assert await room.tally() == {"delivered": 4}
    await room.close()
