"""From the spool to the destination: once, in order, to the right person, whatever happens in between."""

import sqlite3
from dataclasses import replace

import aiosqlite
import pytest

from edge.app.lanes import revision_of
from edge.delivery import Fate, Response
from edge.errors import TransportFailed
from edge.ledger import DeliveryLedger, LedgerView
from edge.ledger.database import fetch
from tests.backroom import DENIED, Backroom

DOWN = TransportFailed("the connection was refused")
HOUR_S = 3_600


@pytest.fixture
async def room(tmp_path):
    room = await Backroom.open(tmp_path)
    yield room
    await room.close()


async def test_an_identified_visitors_event_is_delivered_with_who_it_is(room):
    await room.identify(1, email=" Visitor@Shop.Example ")
    await room.store(1, "view_item", properties={"item_name": "Moon Teapot"})
    await room.work()
    [body] = room.transport.bodies
    assert body["profile"]["data"]["attributes"] == {"email": "visitor@shop.example"}
    assert body["properties"] == {"ProductName": "Moon Teapot"}
    assert await room.tally() == {"delivered": 1, "unmapped": 1}


async def test_events_from_before_the_sign_up_are_held_and_then_released_in_order_with_their_own_time(room):
    first = await room.store(1, "view_item")
    room.clock.advance(60)
    second = await room.store(1, "add_to_cart")
    await room.work()
    assert room.transport.requests == []
    assert await room.tally() == {"held": 2}
    room.clock.advance(60)
    await room.identify(1, email="visitor@shop.example")
    third = await room.store(1, "purchase", properties={"transaction_id": "o-1"})
    await room.work()
    assert room.transport.ids == [first.id, second.id, "o-1"]
    assert [body["time"] for body in room.transport.bodies] == [
        "2026-11-18T11:06:40Z",
        "2026-11-18T11:07:40Z",
        "2026-11-18T11:08:40Z",
    ]
    assert {body["profile"]["data"]["attributes"]["email"] for body in room.transport.bodies} == {
        "visitor@shop.example"
    }
    assert await room.tally() == {"delivered": 3, "unmapped": 1}
    assert (await room.fate(first)).first_fate is Fate.HELD
    assert (await room.fate(third)).first_fate is None


async def test_an_old_released_event_is_marked_as_backfill_and_a_fresh_one_is_not(room):
    await room.store(1, "view_item")
    await room.work()
    room.clock.advance(5 * HOUR_S)
    await room.store(1, "add_to_cart")
    await room.identify(1, email="visitor@shop.example")
    await room.work()
    assert [body.get("backfill") for body in room.transport.bodies] == [True, None]


async def test_somebody_elses_events_stay_held(room):
    await room.store(1, "view_item")
    await room.store(2, "view_item")
    await room.identify(1, email="visitor@shop.example")
    await room.work()
    assert len(room.transport.requests) == 1
    assert (await room.tally())["held"] == 1


async def test_another_email_in_the_same_browser_opens_a_new_epoch_and_history_stays(room):
    await room.identify(1, email="one@shop.example")
    await room.store(1, "view_item")
    await room.identify(1, email="two@shop.example")
    await room.store(1, "view_item")
    await room.work()
    emails = [body["profile"]["data"]["attributes"]["email"] for body in room.transport.bodies]
    assert emails == ["one@shop.example", "two@shop.example"]


async def test_after_a_reset_the_browser_is_a_stranger_again(room):
    await room.identify(1, email="one@shop.example")
    await room.store(1, "reset")
    await room.store(1, "view_item")
    await room.work()
    assert (await room.tally())["held"] == 1


async def test_an_identify_that_races_a_page_being_held_releases_it_all_the_same(room):
    event = await room.store(1, "view_item")
    await room.resolve()
    settle = room.lane.ledger.settle

    async def linked_meanwhile(*arguments):
        await room.identify(1, email="visitor@shop.example")
        await room.resolve()
        await settle(*arguments)

    room.lane.ledger.settle = linked_meanwhile
    await room.lane.step()
    room.lane.ledger.settle = settle
    await room.work()
    assert room.transport.ids == [event.id]
    assert await room.tally() == {"delivered": 1, "unmapped": 1}


async def test_the_same_event_twice_is_sent_once(room):
    await room.identify(1, email="visitor@shop.example")
    await room.store(1, "view_item", id="same")
    await room.store(1, "view_item", id="same")
    await room.work()
    await room.store(1, "view_item", id="same")
    await room.work()
    assert room.transport.ids == ["same"]
    assert await room.tally() == {"delivered": 1, "unmapped": 1}


async def test_a_second_purchase_with_the_same_order_id_is_a_duplicate(room):
    await room.identify(1, email="visitor@shop.example")
    await room.store(1, "purchase", properties={"transaction_id": "o-1"})
    await room.store(1, "purchase", properties={"transaction_id": "o-1"})
    await room.work()
    assert room.transport.ids == ["o-1"]


async def test_a_damaged_row_is_counted_and_the_rest_flows(room):
    await room.identify(1, email="visitor@shop.example")
    await room.store(1, "view_item", properties={"item_name": "unmistakable"})
    good = await room.store(1, "view_item")
    await room.writer.close()
    path = next((room.folder / "spool").glob("*.segment"))
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"unmistakable")] ^= 1
    path.write_bytes(raw)
    await room.work()
    assert room.transport.ids == [good.id]
    assert await room.tally() == {"damaged": 1, "delivered": 1, "unmapped": 1}
    room.writer.close = _nothing


async def _nothing():
    return None


async def test_a_new_pipeline_name_starts_at_the_head(room, tmp_path):
    await room.identify(1, email="visitor@shop.example")
    await room.store(1, "view_item")
    await room.work()
    fresh = await DeliveryLedger.register(room.database, replace(revision_of(room.pipeline), pipeline="another"), 0)
    assert await fresh.look(10) is None


async def test_the_balance_holds_at_every_moment(room):
    """accepted = duplicates + every fate + what no pipeline has passed yet."""
    room.transport.answers = [DOWN, Response(400, {}, b""), Response(503, {}, b"")]
    for visitor in range(4):
        await room.store(visitor, "view_item")
        await room.store(visitor, "page_view")
        if visitor % 2:
            await room.identify(visitor, email=f"v{visitor}@shop.example")
        await room.store(visitor, "add_to_cart", id="twice" if visitor > 1 else f"cart-{visitor}")
    await room.resolve()
    for _ in range(12):
        await room.lane.step()
        room.clock.advance(1)
        passed = await room.lane.ledger.look(1)
        assert sum((await room.tally()).values()) == (13 if passed is None else passed.cursor)


async def test_a_page_settled_while_someone_looks_is_in_the_cursor_and_the_tally_or_in_neither(room, tmp_path):
    await room.identify(1, email="visitor@shop.example")
    for _ in range(5):
        await room.store(1, "view_item")
    await room.resolve()

    class BusyLedger(aiosqlite.Connection):
        """One more page is settled between any two statements of the reader."""

        async def execute_fetchall(self, *args):
            rows = await super().execute_fetchall(*args)
            await room.lane.step()
            return rows

    busy = BusyLedger(lambda: sqlite3.connect(tmp_path / "ledger.db", isolation_level=None), iter_chunk_size=64)
    room.lane._page_events = 1
    view = LedgerView(await busy)
    for _ in range(8):
        (depth,) = await view.depths()
        assert sum(depth.events.values()) == depth.cursor == 6 - depth.behind
    await view.close()
    assert depth.cursor == 6


async def test_a_cart_released_after_its_visitors_purchase_starts_no_flow(room):
    await room.store(1, "add_to_cart")
    await room.store(1, "purchase", properties={"transaction_id": "o-1"})
    await room.work()
    await room.identify(1, email="visitor@shop.example")
    await room.work()
    assert [body.get("backfill") for body in room.transport.bodies] == [True, None]


async def test_decisions_whose_bytes_changed_are_not_acted_upon(room):
    await room.identify(1, email="visitor@shop.example")
    await room.store(1, "view_item", consent=DENIED)
    await room.resolve()
    async with room.database.transaction() as db:
        await db.execute("UPDATE journal SET granted = 15")
    await room.work()
    assert room.transport.requests == []
    assert await room.tally() == {"damaged": 1, "unmapped": 1}


async def test_delivery_waits_until_the_resolver_has_caught_up(room):
    assert room.resolver.lag_ms > 2_000
    await room.resolve()
    assert room.resolver.lag_ms == 0
    room.clock.advance(3)
    assert room.resolver.lag_ms > 2_000


async def test_customers_who_share_a_phone_stay_two(room):
    await room.identify(1, customer_id="c1", phone="020 7946 0018")
    await room.identify(2, customer_id="c2", phone="020 7946 0018")
    for visitor in (1, 2):
        await room.store(visitor, "view_item")
    await room.work()
    profiles = [body["profile"]["data"]["attributes"] for body in room.transport.bodies]
    assert profiles == [{"external_id": "c1"}, {"external_id": "c2"}]


async def test_a_customer_whose_email_changed_stays_one_visitor(room):
    await room.identify(1, customer_id="c1", email="old@shop.example")
    for _ in range(3):
        await room.identify(1, customer_id="c1", email="new@shop.example")
        await room.store(1, "view_item")
    await room.work()
    async with room.database.snapshot() as db:
        assert await fetch(db, "SELECT count(*) FROM visitor") == [(1,)]
    assert len({str(body["profile"]) for body in room.transport.bodies}) == 1


async def test_a_first_identify_whose_answer_was_lost_links_the_new_cookie_all_the_same(room):
    """The browser never got its cookie, repeats the same event, and is given another one."""
    await room.store(1, "identify", id="same", traits={"email": "visitor@shop.example"})
    await room.store(2, "identify", id="same", traits={"email": "visitor@shop.example"})
    event = await room.store(2, "view_item")
    await room.work()
    assert room.transport.ids == [event.id]


async def test_a_repeated_identify_after_a_reset_brings_nobody_back(room):
    await room.store(1, "identify", id="same", traits={"email": "visitor@shop.example"})
    await room.store(1, "reset")
    await room.store(1, "identify", id="same", traits={"email": "visitor@shop.example"})
    await room.store(1, "view_item")
    await room.work()
    assert (await room.tally())["held"] == 1


async def test_history_from_before_retroactive_for_is_not_given_to_the_person(room):
    await room.store(1, "view_item")
    await room.work()
    room.clock.advance(13 * 24 * HOUR_S)
    young = await room.store(1, "view_item")
    await room.work()
    room.clock.advance(2 * 24 * HOUR_S)
    await room.identify(1, email="visitor@shop.example")
    await room.work()
    assert room.transport.ids == [young.id]
    assert await room.tally() == {"expired": 1, "delivered": 1, "unmapped": 1}
