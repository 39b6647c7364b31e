"""`edge identity show` and `edge identity unlink`."""

import os
from pathlib import Path

import pytest

from edge.app.lock import take_lock
from tests.backroom import Backroom, browser
from tests.component.world import World, live, write_files


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = write_files(tmp_path)
    live(world, _fill)
    return world


FBP = "fb.1.1795180000000.1"


async def _fill(room: Backroom) -> None:
    await room.identify(1, email="one@shop.example")
    await room.told_by_server(9, traits={"customer_id": "c-1"})
    await room.told_by_server(9, traits={"customer_id": "c-1", "email": "one@shop.example"})
    for number in range(4):
        await room.identify(2, email=f"user{number}@shop.example")
    await room.store(3, "view_item", id="stranger")
    await room.store(1, "view_item", id="linked", properties={"item_url": "https://evil.example", "price": 5})
    landing = {"url": "https://shop.example/?_kx=token-1&gclid=Cj0"}
    await room.store(4, "view_item", id="clicked", page=landing, vendor_ids={"fbp": FBP})


def test_a_person_is_shown_with_evidence_times_visitors_and_merges(world: World) -> None:
    shown = world.lines("identity", "show", "One@Shop.example")
    assert shown[0] == "person 1  times are UTC"
    joined = " ".join(" ".join(line.split()) for line in shown[1:])
    for told in (
        "email one@shop.example browser, #1 2026-11-18 11:06:40.000, until #3",
        "email one@shop.example server, #3",
        "customer_id c-1 server, #2 2026-11-18 11:06:40.000, as person 2",
        f"visitor 1 browser {browser(1)}, epoch 1",
        "merge person 2 is person 1 server, #3",
    ):
        assert told in joined, joined


@pytest.mark.parametrize("who", ["one@shop.example", "c-1", browser(1), browser(9), "#1", "event-1"])
def test_one_person_is_found_in_every_way(world: World, who: str) -> None:
    found = world.json("identity", "show", who)
    assert found["person"] == 1
    assert {(one["kind"], one["value"]) for one in found["identifiers"] if one["until_seq"] is None} == {
        ("email", "one@shop.example"),
        ("customer_id", "c-1"),
    }


def test_what_was_quarantined_is_shown_with_whoever_claimed_it(world: World) -> None:
    for who in ("user3@shop.example", "user2@shop.example"):
        [claim] = world.json("identity", "show", who)["quarantined"]
        assert (claim["value"], claim["limit"]) == ("user3@shop.example", "values_per_browser")


def test_a_stranger_is_shown_as_one_and_nobody_is_exit_1(world: World) -> None:
    assert world.lines("identity", "show", "stranger")[0] == "nobody knows who this is  times are UTC"
    result = world.edge("identity", "show", "nobody@shop.example")
    assert (result.exit_code, result.stderr) == (1, "Nobody is known by 'nobody@shop.example'.\n")


def test_a_merge_taken_back_stays_so_whatever_servers_say(world: World) -> None:
    told = world.lines("identity", "unlink", "person:2")
    assert told == ["person 2 is one with nobody any more (1 merges undone)"]

    async def again(room: Backroom) -> None:
        traits = {"customer_id": "c-1", "email": "one@shop.example"}
        await room.told_by_server(9, traits=traits, id="later-1")
        await room.store(1, "view_item", id="later-2")
        await room.told_by_server(9, "view_item", id="later-3")

    assert live(world, again) == [{"email": "one@shop.example"}, {"external_id": "c-1"}]


def test_an_identifier_taken_back_names_nobody(world: World) -> None:
    assert world.lines("identity", "unlink", "c-1") == ["customer_id c-1 names nobody any more"]

    async def again(room: Backroom) -> None:
        await room.store(1, "view_item", id="later-1")

    assert live(world, again) == [{"email": "one@shop.example"}]


def test_a_browser_taken_back_is_a_stranger(world: World) -> None:
    assert world.lines("identity", "unlink", browser(1)) == [
        f"browser {browser(1)} is a stranger from its next event on"
    ]

    async def again(room: Backroom) -> None:
        await room.store(1, "view_item", id="later-1")

    assert live(world, again) == []


def test_nothing_is_taken_back_while_the_service_starts_or_where_nothing_is(world: World) -> None:
    lock = take_lock(world.folder, "drainer")
    result = world.edge("identity", "unlink", "c-1")
    os.close(lock)
    assert result.exit_code == 1
    assert "does not answer yet; try again when it is ready" in result.stderr
    result = world.edge("identity", "unlink", "nobody@shop.example")
    said = result.stderr.splitlines()[-1]
    assert (result.exit_code, said.partition(";")[0]) == (1, "Nothing links 'nobody@shop.example'")


def test_why_says_what_was_quarantined_what_leads_away_and_that_a_mail_was_clicked(world: World) -> None:
    quarantined = "email claimed and quarantined: this browser had claimed as many others that day as one may"
    leads_away = "properties.item_url leads away from the shop or is markup: no pipeline sees it"
    for asked, told in (("#7", quarantined), ("linked", leads_away), ("clicked", "its click token is known")):
        assert told in "\n".join(world.lines("why", asked)), asked
    assert world.json("why", "#7")["quarantined"] == [{"kind": "email", "limit": "values_per_browser"}]


def test_vendors_ids_are_shown_by_show_why_and_preview(world: World) -> None:
    ids = {"kx": "token-1", "gclid": "Cj0", "fbp": FBP}
    assert world.json("why", "clicked")["ids"] == ids
    assert "vendors' ids: fbp, gclid" in "\n".join(world.lines("why", "clicked"))
    assert world.json("preview", "klaviyo", "--event", "clicked")["identity"]["ids"] == ids
    assert "vendors' ids: fbp, gclid, kx" in "\n".join(world.lines("preview", "klaviyo", "--event", "clicked"))
    kept = world.json("identity", "show", "clicked")["vendor_ids"]
    assert {one["kind"]: one["value"] for one in kept} == ids
    joined = " ".join(" ".join(line.split()) for line in world.lines("identity", "show", "clicked"))
    assert f"fbp {FBP} visitor {kept[0]['visitor']}, #{kept[0]['seq']}, from 2026-11-18 11:06:40.000" in joined


def test_a_preview_says_what_it_leaves_out(world: World) -> None:
    shown = world.json("preview", "klaviyo", "--event", "linked")
    assert shown["notes"] == ["left out, as it leads away from the shop or is markup: properties.item_url"]
