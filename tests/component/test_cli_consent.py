"""`edge consent`: the proof of what somebody agreed to, and the log that it rests on."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from edge.app.keys import CONSENT_NAME
from edge.cli.consenting import BY_COOKIE
from tests.backroom import CONSENT_KEY, Backroom, browser
from tests.component.world import World, build, live, write_files
from tests.consent_values import COOKIEBOT

EMAIL = "user@shop.example"
ALL = ["functional", "analytics", "marketing", "advertising"]
ZERO = "0" * 64


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Give a shop where one visitor agreed to everything, then only to statistics, and others to everything."""
    world = build(tmp_path_factory.mktemp("world"))
    (world.folder / CONSENT_NAME).write_text(CONSENT_KEY.reveal())
    asyncio.run(_withdraw(world))
    return world


async def _withdraw(world: World) -> None:
    room = await Backroom.open(world.folder, world.clock, starts_lane=False)
    world.events["withdrawn"] = await room.store(
        1, "view_item", id="withdrawn-1", consent={}, consent_cookies={"CookieConsent": COOKIEBOT}
    )
    await room.resolve()
    await room.close()


def test_a_whole_log_says_its_rows_moments_and_head(world: World) -> None:
    lines = world.lines("consent", "verify")
    assert lines[0] == "6 rows checked, 2026-11-18 11:06:40.000 to 2026-11-18 11:12:17.000 UTC"
    assert lines[1].startswith("head ") and len(lines[1]) == 69
    assert lines[2] == "the log is whole"
    told = world.json("consent", "verify")
    assert (told["is_whole"], told["rows"], told["damaged_row"]) == (True, 6, None)


def test_a_head_noted_earlier_is_looked_for(world: World) -> None:
    head = world.json("consent", "prove", browser(2))["answers"][0]["hash"]
    assert world.edge("consent", "verify", "--head", head).exit_code == 0
    foreign = world.edge("consent", "verify", "--head", "ab" * 32)
    assert (foreign.exit_code, "written anew" in foreign.stdout) == (1, True)
    assert world.edge("consent", "verify", "--head", "ab").exit_code == 2


@pytest.mark.parametrize("subject", [browser(1), EMAIL, "withdrawn-1", " User@Shop.Example"])
def test_every_name_of_a_visitor_leads_to_its_answers(world: World, subject: str) -> None:
    told = world.json("consent", "prove", subject)
    assert [(one["source"], one["granted"]) for one in told["answers"]] == [
        ("explicit", ALL),
        ("cookiebot", ["analytics"]),
    ]
    assert (told["chain"]["damaged_row"], told["chain"]["rows"]) == (None, 6)


def test_the_row_that_decided_an_event_is_named(world: World) -> None:
    first, second = (one["row"] for one in world.json("consent", "prove", EMAIL)["answers"])
    assert world.json("consent", "prove", "delivered-1")["decided_by"] == first
    assert world.json("consent", "prove", "withdrawn-1")["decided_by"] == second


def test_a_proof_reads_well(world: World) -> None:
    first, second = world.json("consent", "prove", "withdrawn-1")["answers"]
    assert world.lines("consent", "prove", "withdrawn-1") == [
        f"row {first['row']}  2026-11-18 11:07:40.000 UTC  #2  explicit",
        "  granted  functional, analytics, marketing, advertising",
        "  denied   nothing",
        f"  said     {first['sha256']}",
        f"  hash     {first['hash']}",
        "",
        "row 6  2026-11-18 11:12:17.000 UTC  #14  cookiebot (1)",
        "  granted  analytics",
        "  denied   functional, marketing, advertising",
        f"  said     {second['sha256']}",
        f"  hash     {second['hash']}",
        "",
        "row 6 held when #14 was decided",
        "the log holds from row 1 to row 6",
    ]


def test_who_never_answered_has_no_proof(world: World) -> None:
    result = world.edge("consent", "prove", browser(77))
    assert (result.exit_code, "Nothing was ever answered" in result.stdout) == (1, True)


@pytest.mark.parametrize("asked", ["nobody@shop.example", "no-such-event", "+49 151 23456789"])
def test_of_whom_nothing_is_known_it_is_not_said_that_nothing_was_answered(world: World, asked: str) -> None:
    result = world.edge("consent", "prove", asked)
    assert (result.exit_code, result.stderr) == (
        1,
        f"Error: {asked!r} is not known here, or not any more: {BY_COOKIE}\n",
    )


def test_a_customer_id_or_a_phone_leads_to_the_answers_of_its_browsers(tmp_path: Path) -> None:
    world = write_files(tmp_path)
    (tmp_path / CONSENT_NAME).write_text(CONSENT_KEY.reveal())

    async def link(room: Backroom) -> None:
        await room.identify(1, customer_id="c-7", phone="+4915123456789")

    live(world, link)
    for asked in ("c-7", "+49 151 23456789"):
        assert [one["source"] for one in world.json("consent", "prove", asked)["answers"]] == ["explicit"]


def test_after_an_erasure_the_proof_is_found_by_the_cookie_id_alone(tmp_path: Path) -> None:
    world = build(tmp_path / "world")
    (world.folder / CONSENT_NAME).write_text(CONSENT_KEY.reveal())
    world.lines("identity", "forget", EMAIL, "--yes")
    for asked, who in (("#3", "the person of #3"), ("6", "the person of #6"), ("delivered-1", "the person of #3")):
        result = world.edge("consent", "prove", asked)
        assert (result.exit_code, result.stderr) == (1, f"Error: {who} was erased: {BY_COOKIE}\n")
    assert "is not known here, or not any more" in world.edge("consent", "prove", EMAIL).stderr
    assert [one["seq"] for one in world.json("consent", "prove", browser(1))["answers"]] == [2]


def test_without_the_key_nobody_can_be_found(tmp_path: Path) -> None:
    result = write_files(tmp_path).edge("consent", "prove", EMAIL)
    assert (result.exit_code, "consent.key" in result.output) == (1, True)
    assert not (tmp_path / CONSENT_NAME).exists()


def test_damage_is_told_and_is_no_proof(tmp_path: Path) -> None:
    world = build(tmp_path / "world")
    (world.folder / CONSENT_NAME).write_text(CONSENT_KEY.reveal())
    with sqlite3.connect(world.folder / "ledger.db") as db:
        db.execute("UPDATE consent_log SET granted = 15 WHERE id = 3")
    db.close()
    verified = world.edge("consent", "verify")
    assert (verified.exit_code, "row 3 was changed: its hash is another" in verified.stdout) == (1, True)
    proof = world.edge("consent", "prove", browser(1))
    assert proof.exit_code == 1
    assert proof.stdout.splitlines()[-2:] == [
        "the log holds from row 1 to row 2",
        "row 3 was changed: its hash is another; a later answer may be missing",
    ]


def test_an_empty_log_is_whole(tmp_path: Path) -> None:
    world = write_files(tmp_path)
    asyncio.run(_empty(world))
    assert world.json("consent", "verify")["head"] == ZERO


async def _empty(world: World) -> None:
    room = await Backroom.open(world.folder, world.clock, starts_lane=False)
    await room.close()
