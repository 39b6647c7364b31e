"""The balance of any window is what a vendor received by its own account, whatever went wrong on the way."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import combinations
from pathlib import Path
from random import Random

import pytest

from edge.ledger import LedgerView
from edge.ledger.balancing import Balance
from edge.pipeline import compile_pipeline
from edge.sandbox.klaviyo import KEY, Klaviyo
from tests.backroom import DENIED, PIPELINE, Backroom
from tests.real_sandbox import Line, line_to

HOURS, EVENTS = 5, 12
PASSING = (
    {"fault": "status", "status": 503},
    {"fault": "status", "status": 503, "after_processing": True},
    {"fault": "drop", "after_processing": True},
    {"fault": "drop"},
    {"fault": "truncate"},
    {"fault": "rate_limit", "retry_after": 2},
)
FAULTS = (*PASSING, {"fault": "garbage"}, {"fault": "status", "status": 400})


@asynccontextmanager
async def shop(folder: Path) -> AsyncIterator[tuple[Backroom, Line]]:
    """Run a shop whose pipeline leads to a fake vendor over HTTP."""
    async with line_to(Klaviyo()) as line:
        room = await Backroom.open(folder, line.clock, starts_lane=False)
        text = PIPELINE.replace("http://klaviyo.test", line.base_url)
        room.pipeline = compile_pipeline(text, "klaviyo.yaml", {"KEY": KEY})
        room.transport = line.transport  # type: ignore[assignment]  # the real one
        await room.restart()
        try:
            yield room, line
        finally:
            await room.close()


async def live_an_hour(room: Backroom, line: Line, random: Random, hour: int) -> dict[str, set[str]]:
    """Let known visitors, strangers and decliners do something; give the ids that ours and theirs should both know."""
    stored: dict[str, set[str]] = {"all": set(), "repeated": set()}
    for number in range(EVENTS):
        visitor = random.choice([1, 2, 3, 4])
        consent = DENIED if visitor == 4 else None
        event_id = f"{hour}-{number}"
        await room.store(
            visitor, random.choice(["view_item", "add_to_cart", "page_view"]), id=event_id, consent=consent
        )
        stored["all"].add(event_id)
        if random.random() < 0.2:
            await room.store(visitor, "view_item", id=event_id, consent=consent)
            stored["repeated"].add(event_id)
        if random.random() < 0.4:
            line.break_it(**random.choice(PASSING))
        room.clock.advance(random.choice([0.5, 20.0]))
        if random.random() < 0.5:
            await room.work()
    return stored


async def balance_of(room: Backroom, since_ms: int, until_ms: int) -> Balance:
    """Add up a window as the verb does: by the moments at which events were accepted."""
    view = await LedgerView.open(room.folder / "ledger.db")
    try:
        first, last = await view.first_since(since_ms), await view.first_since(until_ms) - 1
        return await view.balance(first, last)
    finally:
        await view.close()


async def settled(room: Backroom) -> bool:
    """Work, and tell whether nothing waits any more."""
    await room.work()
    return "waiting" not in await room.tally()


def sums(hours: Sequence[dict[str, set[str]]], *kinds: str) -> int:
    """Count what was stored in some hours, all of it or of some kinds."""
    return sum(len(hour[kind]) for hour in hours for kind in kinds or hour)


def received_of(line: Line, hours: Sequence[dict[str, set[str]]]) -> int:
    """Count the events of some hours that the vendor has."""
    ids = set().union(*(hour["all"] for hour in hours))
    return sum(event["unique_id"] in ids for event in line.taken())


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_in_every_window_what_was_delivered_is_what_was_received(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    async with shop(tmp_path) as (room, line):
        for visitor in (1, 2):
            await room.identify(visitor, email=f"visitor{visitor}@shop.example")
        await room.work()
        room.clock.advance(60)
        edges, stored = [room.clock.now_ms()], []
        for hour in range(HOURS):
            stored.append(await live_an_hour(room, line, random, hour))
            room.clock.advance(60)
            edges.append(room.clock.now_ms())
        await room.resolve()
        for first, last in combinations(range(HOURS + 1), 2):
            hours = stored[first:last]
            received, found = received_of(line, hours), await balance_of(room, edges[first], edges[last])
            [one] = found.pipelines
            unsure = one.fates.get("waiting", 0)  # whose answer got lost may be there without our knowing
            assert one.fates.get("delivered", 0) <= received <= one.fates.get("delivered", 0) + unsure
            assert (found.accepted, found.duplicates) == (sums(hours), sums(hours, "repeated"))
            assert (found.is_even, sum(one.fates.values()) + one.not_reached) == (True, sums(hours, "all"))
        while not await settled(room):
            room.clock.advance(30)
        for first, last in combinations(range(HOURS + 1), 2):
            [one] = (await balance_of(room, edges[first], edges[last])).pipelines
            assert one.fates.get("delivered", 0) == received_of(line, stored[first:last])


async def test_when_all_has_settled_both_know_the_same_events(tmp_path: Path) -> None:
    async with shop(tmp_path) as (room, line):
        await room.identify(1, email="visitor1@shop.example")
        began_ms = room.clock.now_ms()
        for number, fault in enumerate(FAULTS):
            line.break_it(**fault)
            await room.store(1, "view_item", id=f"event-of-{number}")
            await room.store(3, "view_item", id=f"stranger-{number}")
            await room.store(4, "view_item", id=f"declined-{number}", consent=DENIED)
            while not await settled(room):
                room.clock.advance(30)
        [one] = (await balance_of(room, began_ms, room.clock.now_ms() + 1)).pipelines
        refused = {f"event-of-{number}" for number, fault in enumerate(FAULTS) if fault.get("status") == 400}
        all_of_them = {f"event-of-{number}" for number in range(len(FAULTS))}
        assert sorted(event["unique_id"] for event in line.taken()) == sorted(all_of_them - refused)
        assert one.fates == {
            "delivered": len(all_of_them - refused),
            "dead": len(refused),
            "held": len(FAULTS),
            "withheld": len(FAULTS),
            "unmapped": 1,
        }
