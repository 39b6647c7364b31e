"""Servers' events behind the door: what their evidence is worth, consent, and the verbs that look at them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from edge.consent import ALL_PURPOSES, Purpose
from edge.consent_rules import ConsentSettings
from edge.event import Event, encode
from edge.ledger.database import fetch
from edge.server_wire import event_id, parse_calls, read_calls
from tests.backroom import DENIED, Backroom
from tests.component.world import USER, World, write_files
from tests.server_messages import SOURCE, TRACK

LONG_ID = "node-" + "0f" * 60
CONFIG = """
data_dir: .
pipelines: pipelines
write_keys: [{name: till, key: "${TILL_KEY}"}, {name: shop, key: "${SHOP_KEY}"}]
"""


async def post(room: Backroom, source: str = SOURCE, **changes: Any) -> Event:
    """Put into the spool what a server's message becomes."""
    message = {"type": "track", "userId": "c-19", "event": "Product Viewed", **changes}
    (event,) = parse_calls(read_calls({"batch": [message]}, "batch"), source, room.clock.now_ms()).kept
    await room.writer.append([encode(event)])
    return event


async def identifiers(room: Backroom) -> list[tuple[str, str, int]]:
    await room.resolve()
    async with room.database.snapshot() as db:
        return [(row[0], row[1], row[2]) for row in await fetch(db, "SELECT kind, value, level FROM identifier")]


async def granted(room: Backroom, event: Event) -> Purpose:
    """Give what was decided for the event that came last."""
    await room.resolve()
    async with room.database.snapshot() as db:
        return Purpose((await fetch(db, "SELECT granted FROM journal ORDER BY seq DESC LIMIT 1"))[0][0])


async def test_identifiers_of_a_server_are_level_2_and_those_of_a_browser_level_0(tmp_path: Path) -> None:
    room = await Backroom.open(tmp_path)
    await room.identify(1, email="abc@shop.example")
    await post(room, context={"traits": {"email": USER}})
    assert sorted(await identifiers(room)) == [
        ("customer_id", "c-19", 2),
        ("email", "abc@shop.example", 0),
        ("email", USER, 2),
    ]
    await room.close()


async def test_a_person_known_by_a_browser_is_found_by_a_server(tmp_path: Path) -> None:
    room = await Backroom.open(tmp_path)
    await room.identify(1, email=USER, customer_id="c-19")
    sent = await post(room, context={"consent": {"marketing": "granted"}})
    await room.work()
    assert (await room.fate(sent)).fate == "delivered"
    assert room.transport.bodies[-1]["profile"]["data"]["attributes"]["email"] == USER
    await room.close()


@pytest.mark.parametrize(
    ("server_consent", "consent", "decided"),
    [
        (Purpose.NONE, None, Purpose.NONE),
        (Purpose.MARKETING, None, Purpose.MARKETING),
        (Purpose.MARKETING, {"marketing": "denied"}, Purpose.NONE),
        (Purpose.MARKETING, {"categoryPreferences": {"Analytics": True}}, Purpose.MARKETING | Purpose.ANALYTICS),
        (ALL_PURPOSES, {"gpc": True}, ALL_PURPOSES & ~Purpose.ADVERTISING),
    ],
)
async def test_where_nobody_answered_the_servers_default_holds_and_not_the_browsers(
    tmp_path: Path, server_consent: Purpose, consent: Any, decided: Purpose
) -> None:
    room = await Backroom.open(tmp_path, consent=Purpose.FUNCTIONAL, server_consent=server_consent)
    sent = await post(room, context={"consent": consent})
    assert await granted(room, sent) == decided
    browsers = await room.store(1, "view_item", consent={})
    assert await granted(room, browsers) == Purpose.FUNCTIONAL
    await room.close()


async def test_what_a_visitor_of_a_server_answered_is_remembered(tmp_path: Path) -> None:
    room = await Backroom.open(tmp_path, server_consent=ALL_PURPOSES)
    await post(room, context={"consent": DENIED})
    assert await granted(room, await post(room, event="Product Added")) == Purpose.NONE
    await room.close()


def test_the_default_of_a_source_is_chosen_by_the_source_alone() -> None:
    settings = ConsentSettings(Purpose.ANALYTICS, True, Purpose.MARKETING)
    assert settings.of_source("browser") is settings
    assert settings.of_source(SOURCE).default == Purpose.MARKETING


async def test_a_message_posted_again_is_a_duplicate_and_another_sources_is_not(tmp_path: Path) -> None:
    room = await Backroom.open(tmp_path)
    for source in (SOURCE, SOURCE, "server:till"):
        await post(room, source, messageId="m-1")
    await room.resolve()
    async with room.database.snapshot() as db:
        assert [row[0] for row in await fetch(db, "SELECT fate FROM journal ORDER BY seq")] == [0, 1, 0]
    await room.close()


async def test_an_order_told_by_page_and_server_is_one_purchase(tmp_path: Path) -> None:
    room = await Backroom.open(tmp_path)
    await room.identify(1, email=USER, customer_id="c-19")
    await room.store(1, "purchase", properties={"transaction_id": "70311"})
    await post(room, **{**TRACK, "properties": {"order_id": 70311}})
    await room.work()
    assert room.transport.ids == ["70311"]
    await room.close()


# What the verbs say


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = write_files(tmp_path_factory.mktemp("world"))
    (made.folder / "edge.yaml").write_text(CONFIG)
    asyncio.run(_fill(made))
    return made


async def _fill(world: World) -> None:
    room = await Backroom.open(world.folder, world.clock)
    await post(room, messageId="m-1", context={"consent": {"marketing": "granted"}}, traits={"email": USER})
    await post(room, messageId=LONG_ID)
    await room.store(1, "view_item", id="shared")
    await post(room, messageId="shared")
    await room.work()
    await post(room, messageId="unresolved-1")
    world.clock.advance(60)
    await room.close()


def edge(world: World, *arguments: str) -> Result:
    keys = {"TILL_KEY": "key-of-the-till-1", "SHOP_KEY": "key-of-the-shop-1"}
    return world.edge(*arguments, env=keys)


def test_why_tells_a_servers_event_by_its_message_id(world: World) -> None:
    lines = [line.rstrip() for line in edge(world, "why", "m-1").stdout.splitlines()]
    assert lines[:7] == [
        "Product Viewed  m-1  #1  times are UTC",
        "",
        "accepted  2026-11-18 11:06:40.000, 60 s ago",
        "          its own time 2026-11-18 11:06:40.000, the same moment",
        "          source server:shop, ordered by 1c78d5ebc3671c824616ae24170bd5c5",
        "identity  visitor 1, epoch 1 of its browser",
        "          person 1, known through this very event",
    ]


@pytest.mark.parametrize(
    ("asked", "number"), [(LONG_ID, 2), (event_id(LONG_ID), 2), ("shared", 3), ("unresolved-1", 5)]
)
def test_why_finds_an_id_whatever_its_source(world: World, asked: str, number: int) -> None:
    assert f"#{number}  " in edge(world, "why", asked).stdout.splitlines()[0]


def test_tail_shows_the_server_in_the_place_of_a_page(world: World) -> None:
    lines = edge(world, "tail", "--once", "--pipeline", "klaviyo").stdout.splitlines()
    events = [line for line in lines if "└" not in line]
    told = [("server:shop" in line, USER in line) for line in events]
    assert told == [(True, True), (True, True), (False, False), (True, True)]
