"""Vendors' ids kept with the visitor and given to mappings: once, bounded, as of the event, and only when granted."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from edge.ledger.database import fetch
from edge.ledger.persons import KEPT_OF_A_KIND
from tests.backroom import GRANTED, PIPELINE, Backroom
from tests.component.world import USER

MAPPED = PIPELINE.replace(
    "{ProductName: {source: properties.item_name}}",
    "{Ids: {source: context.ids}, Ip: {source: context.ip}, Agent: {source: context.user_agent}}",
).replace("{metric: Placed Order, properties: {", "{metric: Placed Order, properties: {Ids: {source: context.ids}, ")
FBP = "fb.1.1795180000000.1"
DEVICE = {"ip": "2001:db8::7", "user_agent": "Mozilla/5.0"}
NO_ADVERTISING = {**GRANTED, "advertising": "denied"}


class Died(BaseException):
    """Stands for a process that ends between two instructions."""


async def died(*_: object) -> None:
    raise Died


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Backroom]:
    room = await Backroom.open(tmp_path, pipeline=MAPPED)
    yield room
    await room.close()


def landing(query: str) -> dict[str, str]:
    return {"url": f"https://shop.example/?{query}"}


async def rows(room: Backroom) -> list[tuple[Any, ...]]:
    """Give what the ledger keeps, without the moments."""
    async with room.database.snapshot() as db:
        return await fetch(db, "SELECT visitor, kind, seq, value FROM vendor_id ORDER BY visitor, kind, seq")


def told(room: Backroom) -> list[dict[str, Any]]:
    """Give what each request told of the ids, without the id that every visitor has."""
    bodies = [dict(body["properties"]) for body in room.transport.bodies]
    for body in bodies:
        body["Ids"] = {kind: value for kind, value in body.get("Ids", {}).items() if kind != "anonymous_id"}
    return bodies


@pytest.mark.parametrize("is_server", [False, True], ids=["a browser's event", "a server's event"])
async def test_a_repeat_after_a_death_has_the_same_bytes_whatever_ids_came_since(
    room: Backroom, is_server: bool
) -> None:
    more: dict[str, Any] = {"traits": {"email": USER}}
    await room.store(1, "identify", page=landing("gclid=first"), vendor_ids={"fbp": FBP}, **more)
    await room.store(9 if is_server else 1, "view_item", source="server:shop" if is_server else "browser", **more)
    await room.resolve()
    room.lane.ledger.settle = died
    with pytest.raises(Died):
        await room.lane.step()
    await room.store(1, "page_view", page=landing("gclid=second"), vendor_ids={"fbp": FBP + "0"})
    await room.store(9, "page_view", source="server:shop", **more)
    await room.resolve()
    await room.restart()
    await room.work()
    assert len({request.body for request in room.transport.requests}) == 1
    assert [one["Ids"] for one in told(room)] == [{"gclid": "first", "fbp": FBP}] * 2
    await room.store(9 if is_server else 1, "view_item", source="server:shop" if is_server else "browser", **more)
    await room.work()
    assert told(room)[-1]["Ids"] == {"gclid": "second", "fbp": FBP + "0"}


async def test_an_event_without_news_writes_nothing(room: Backroom) -> None:
    for _ in range(3):
        told = {"page": landing("gclid=Cj0&_kx=token"), "vendor_ids": {"fbp": FBP, "gclid": ["Cj0", 5]}}
        await room.store(1, "view_item", **told)
        await room.resolve()
        await room.store(1, "view_item", **told)
        await room.resolve()
    assert await rows(room) == [(1, "fbp", 1, FBP), (1, "gclid", 1, "Cj0"), (1, "kx", 1, "token")]


async def test_what_is_kept_of_a_visitor_is_bounded(room: Backroom) -> None:
    for number in range(KEPT_OF_A_KIND + 5):
        await room.store(1, "view_item", page=landing(f"gclid=c{number}"))
    await room.resolve()
    assert [row[3] for row in await rows(room)] == [f"c{number}" for number in range(5, KEPT_OF_A_KIND + 5)]


async def test_a_browsers_address_is_kept_for_a_person_who_has_granted_advertising(room: Backroom) -> None:
    await room.store(1, "view_item", **DEVICE)
    await room.store(2, "identify", traits={"email": USER}, consent=NO_ADVERTISING, **DEVICE)
    await room.store(3, "identify", traits={"email": USER}, **DEVICE)
    await room.resolve()
    assert await rows(room) == [(3, "device", 3, "2001:db8::7 Mozilla/5.0")]


async def in_pages(room: Backroom) -> None:
    await room.resolve()


async def in_one_page(room: Backroom) -> None:
    """Leave the events for the page of those that follow."""


@pytest.mark.parametrize("turn", [in_pages, in_one_page])
async def test_a_servers_event_has_the_newest_of_its_persons_browsers(room: Backroom, turn: Callable[..., Any]) -> None:
    await room.store(1, "identify", traits={"email": USER}, vendor_ids={"fbp": FBP, "ttp": "0123456789"}, **DEVICE)
    await turn(room)
    await room.store(
        2, "identify", traits={"email": USER}, vendor_ids={"fbp": FBP + "0"}, ip="192.0.2.1", user_agent="B"
    )
    await turn(room)
    await room.told_by_server(9, "view_item", traits={"email": USER}, consent={})
    await room.told_by_server(9, "view_item", traits={"email": USER}, ip="203.0.113.9")
    await room.work()
    ids = {"fbp": FBP + "0", "ttp": "0123456789"}
    assert told(room) == [{"Ids": ids, "Ip": "192.0.2.1", "Agent": "B"}, {"Ids": ids, "Ip": "203.0.113.9"}]


async def test_a_browser_that_denies_lends_nothing_though_the_server_says_otherwise(room: Backroom) -> None:
    ids = {"fbp": FBP, "ga_client_id": "1.1"}
    await room.store(1, "identify", traits={"email": USER}, vendor_ids=ids, consent=NO_ADVERTISING, **DEVICE)
    await room.told_by_server(9, "view_item", traits={"email": USER})
    await room.work()
    assert told(room) == [{"Ids": {"ga_client_id": "1.1"}}]


async def test_a_withdrawal_takes_the_ids_from_events_that_were_not_sent_yet(room: Backroom) -> None:
    await room.store(1, "identify", traits={"email": USER}, vendor_ids={"fbp": FBP, "ga_client_id": "1.1"})
    await room.store(1, "view_item")
    await room.store(1, "consent", consent=NO_ADVERTISING)
    await room.work()
    assert told(room) == [{"Ids": {"ga_client_id": "1.1"}}]


async def test_cookies_that_come_with_a_late_event_are_nobodys_clicks(room: Backroom) -> None:
    before, after = ({"id": name * 16} for name in ("a", "b"))
    await room.store(1, "identify", traits={"email": USER}, session=before)
    await room.store(1, "reset", session=before)
    await room.store(1, "page_view", session=after)
    await room.store(1, "view_item", session=before, vendor_ids={"fbp": FBP, "gclid": ["of-now", 5]})
    await room.work()
    assert told(room) == [{"Ids": {"fbp": FBP}}]


async def test_a_servers_next_customer_has_nothing_of_the_one_before(room: Backroom) -> None:
    await room.store(1, "identify", traits={"email": USER}, vendor_ids={"fbp": FBP})
    await room.told_by_server(9, "view_item", traits={"email": USER, "customer_id": "c-1"})
    await room.told_by_server(9, "view_item", traits={"customer_id": "c-2"})
    await room.work()
    assert [one["Ids"] for one in told(room)] == [{"fbp": FBP}, {}]
