"""What the resolver remembers changes what it costs, and nothing else."""

import asyncio
import contextlib
import os
import random
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import StorageFailed
from edge.event import Event
from edge.identity import Claim, Graph, link, says_nothing_new
from edge.ledger.undoing import UndoLedger
from edge.person import Alias, Fact, Identifiers
from tests.resolver_lives import ERASE, Room, calm, life

SEED = int(os.environ.get("SEED", "20261122"))
LIVES = int(os.environ.get("RESOLVER_LIVES", "10"))
WARM, NONE = 20_000, 0
SIZES = (WARM, 1, 2, 3)
A, B = {"email": "user1@shop.example"}, {"email": "user2@shop.example"}

EMAILS = st.sampled_from(["user1@shop.example", "user2@shop.example", None])
CUSTOMERS = st.sampled_from(["c-1", "c-2", None])
SAID = st.builds(Identifiers, email=EMAILS, customer_id=CUSTOMERS)
PERSONS = st.integers(1, 3)
FACTS = st.lists(
    st.one_of(
        st.builds(Fact, st.just("email"), EMAILS.filter(bool), PERSONS, st.sampled_from([0, 2]), st.integers(1, 9)),
        st.builds(Fact, st.just("customer_id"), CUSTOMERS.filter(bool), PERSONS, st.just(2), st.integers(1, 9)),
    ),
    max_size=4,
)
ALIASES = st.lists(st.builds(Alias, PERSONS, PERSONS, st.just(2), st.integers(1, 9)), max_size=2)


def said(number: int, traits: dict[str, str], name: str = "identify", source: str = "browser", visit: int = 0) -> Event:
    """Give an event of a browser's visit; the id is to be given."""
    context: dict[str, Any] = {"session": {"id": f"{number}-{visit}"}}
    return Event("", name, 0, 1_795_000_000_000, source, f"{number:032x}", {}, dict(traits), context)


# Pages in which something that is remembered is no longer so, or will not be by the time it counts.
TURNS: dict[str, list[list[Event]]] = {
    "a reset before the same word in one page": [[said(1, A)], [said(1, {}, "reset"), said(1, A, visit=1)]],
    "a correction taken back": [[said(1, A)], [said(1, B)], [said(1, A)]],
    "a correction taken back in one page": [[said(1, A)], [said(1, A), said(1, B), said(1, A)]],
    "a server that takes an address away": [
        [said(1, A)],
        [said(101, {**A, "customer_id": "c-1"}, source="server:shop"), said(1, A)],
        [said(1, {**A, "customer_id": "c-2"}), said(101, {**B, "customer_id": "c-1"}, source="server:shop")],
        [said(1, A), said(1, B)],
    ],
    "persons who become one": [
        [said(1, A), said(2, B)],
        [said(101, {**A, "customer_id": "c-1"}, source="server:shop"), said(102, B, source="server:shop")],
        [said(101, {**B, "customer_id": "c-1"}, source="server:shop"), said(1, A), said(2, B)],
        [said(2, B), said(1, A), said(1, B), said(2, A)],
    ],
    "a stranger after a known one": [[said(1, A)], [said(1, {"customer_id": "c-1"})], [said(1, B)], [said(1, A)]],
}


async def contents(folder: Path, pages: Sequence[tuple[Sequence[Event], str]], remembered: int) -> dict[str, list[str]]:
    """Resolve page by page, whatever breaks, and give every row of the ledger."""
    room = await Room.open(folder, remembered)
    try:
        for events, how in pages:
            await room.store(events)
            is_erasure, before = how.startswith(ERASE), room.resolver.cursor
            room.ledger.breaks = "" if is_erasure else how
            with contextlib.suppress(*((StorageFailed, asyncio.CancelledError) if room.ledger.breaks else ())):
                await room.resolver.step()
            while await room.resolver.step():
                pass
            await room.hold(before)
            if is_erasure:
                await room.erase(how.removeprefix(ERASE))
        return await room.contents()
    finally:
        await room.close()
        shutil.rmtree(folder)


async def test_a_memory_of_any_size_gives_the_ledger_that_none_gives(tmp_path: Path) -> None:
    for number in range(LIVES):
        pages = calm(life(random.Random(SEED + number), steps=12))
        without = await contents(tmp_path / "ledger", pages, NONE)
        for size in SIZES:
            assert await contents(tmp_path / "ledger", pages, size) == without, f"SEED={SEED} life {number} size {size}"


@pytest.mark.parametrize("name", TURNS)
async def test_what_is_no_longer_so_is_not_taken_from_memory(name: str, tmp_path: Path) -> None:
    pages = [
        ([replace(one, id=f"{page}-{at}") for at, one in enumerate(events)], "")
        for page, events in enumerate(TURNS[name])
    ]
    without = await contents(tmp_path / "ledger", pages, NONE)
    assert [await contents(tmp_path / "ledger", pages, size) for size in SIZES] == [without] * len(SIZES)


async def test_nothing_is_remembered_of_a_page_that_was_not_committed(tmp_path: Path) -> None:
    for number in range(LIVES):
        pages = life(random.Random(SEED + number), steps=12)
        undisturbed = await contents(tmp_path / "ledger", calm(pages), NONE)
        for size in (WARM, 2):
            assert await contents(tmp_path / "ledger", pages, size) == undisturbed, f"SEED={SEED} life {number}"


async def test_a_known_browser_without_news_is_asked_for_repeats_only(tmp_path: Path) -> None:
    room = await Room.open(tmp_path, WARM)
    await room.store([replace(said(1, A), id="1")])
    await room.resolver.step()
    await room.store([replace(said(1, A), id="2"), replace(said(1, {}, "view_item"), id="3")])
    await room.resolver.step()
    assert [name for name, values in room.ledger.asked[-1].items() if values] == []
    await room.close()


async def test_who_changes_the_ledger_beside_it_is_heard_once_all_is_dropped(tmp_path: Path) -> None:
    room = await Room.open(tmp_path, WARM)
    await room.store([replace(said(1, A), id="1")])
    await room.resolver.step()
    await UndoLedger(room.database).end_fact("email", A["email"])
    room.resolver.forget_cached()
    await room.store([replace(said(2, A), id="2"), replace(said(1, A), id="3")])
    await room.resolver.step()
    facts = [row for row in (await room.contents())["identifier"] if "None)" in row]
    assert len(facts) == 1
    assert "user1@shop.example', 2, " in facts[0], "the second browser's person has the address now"
    await room.close()


async def test_what_was_dropped_while_a_page_was_under_way_does_not_come_back_with_it(tmp_path: Path) -> None:
    room = await Room.open(tmp_path, WARM)
    await room.store([replace(said(1, A), id="1")])
    record = room.ledger.record

    async def interrupted(page: Any) -> None:
        room.resolver.forget_cached()
        await record(page)

    room.ledger.record = interrupted  # type: ignore[method-assign]
    await room.resolver.step()
    await room.store([replace(said(1, {}, "view_item"), id="2")])
    await room.resolver.step()
    assert room.ledger.asked[-1]["browsers"] == [f"{1:032x}"]
    await room.close()


@given(FACTS, ALIASES, SAID, PERSONS, st.sampled_from([None, b"session0"]))
def test_a_claim_that_says_nothing_new_changes_nothing(
    facts: list[Fact], aliases: list[Alias], claimed: Identifiers, person: int, session: bytes | None
) -> None:
    graph = Graph(facts, {number: f"{number:032x}" for number in (1, 2, 3)}, aliases)
    if says_nothing_new(claimed, graph.identifiers(person)):
        assert link(person, Claim(claimed, 0, f"{1:032x}", session), graph) is None
