"""From the spool to the destination: once, in order, with consent, whatever happens in between."""

import asyncio
import sqlite3
from dataclasses import replace

import aiosqlite
import pytest

from edge.app.lanes import revision_of
from edge.consent import Purpose
from edge.delivery import Fate, Response
from edge.errors import TransportFailed
from edge.ledger import DeliveryLedger, LedgerView
from edge.ledger.database import fetch
from edge.pipeline import compile_pipeline
from tests.backroom import DENIED, PIPELINE, TAKEN, Backroom
from tests.clock import FakeClock

DOWN = TransportFailed("the connection was refused")
HOUR_S = 3_600


class Died(BaseException):
    """Stands for a process that ends between two instructions."""


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


async def test_nothing_leaves_without_the_purposes_the_pipeline_needs(room):
    await room.identify(1, email="visitor@shop.example")
    await room.store(1, "view_item", consent=DENIED)
    await room.store(1, "view_item", consent={"marketing": "denied", "analytics": "granted"})
    await room.work()
    assert room.transport.requests == []
    assert (await room.tally())["withheld"] == 2


async def test_without_any_answer_the_sites_default_decides(tmp_path):
    for name, default, delivered in (("denied", Purpose.NONE, 0), ("granted", Purpose.MARKETING, 1)):
        room = await Backroom.open(tmp_path / name, consent=default)
        await room.store(1, "identify", traits={"email": "visitor@shop.example"}, consent={})
        await room.store(1, "view_item", consent={})
        await room.work()
        assert len(room.transport.requests) == delivered
        await room.close()


async def test_a_withdrawal_stops_what_still_waits(room):
    room.transport.always = Response(503, {}, b"")
    await room.identify(1, email="visitor@shop.example")
    await room.store(1, "view_item")
    await room.work()
    assert (await room.tally())["waiting"] == 1
    await room.store(1, "consent", consent=DENIED)
    room.transport.always = Response(202, {}, b"")
    await room.resolve()
    room.clock.advance(HOUR_S)
    sent = len(room.transport.requests)
    await room.work()
    assert len(room.transport.requests) == sent
    assert (await room.tally())["withheld"] == 1


async def test_a_withdrawal_stops_what_is_held(room):
    await room.store(1, "view_item")
    await room.work()
    await room.store(1, "consent", consent=DENIED)
    await room.store(1, "identify", consent=DENIED, traits={"email": "visitor@shop.example"})
    await room.work()
    assert room.transport.requests == []
    assert await room.tally() == {"withheld": 1, "unmapped": 2}


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


async def test_a_failed_delivery_is_repeated_with_the_same_bytes_after_a_wait(room):
    room.transport.answers = [Response(500, {}, b""), DOWN]
    await room.identify(1, email="visitor@shop.example")
    event = await room.store(1, "view_item")
    await room.work()
    assert len(room.transport.requests) == 1
    assert (await room.fate(event)).reason == "500"
    for wait_s in (1, 2):
        room.clock.advance(wait_s)
        await room.work()
    assert len({request.body for request in room.transport.requests}) == 1
    assert len(room.transport.requests) == 3
    assert (await room.fate(event)).attempts == 3


async def test_a_visitors_later_events_queue_behind_its_failed_one_and_nobody_elses_do(room):
    await room.identify(1, email="one@shop.example")
    await room.identify(2, email="two@shop.example")
    first = await room.store(1, "view_item")
    second = await room.store(1, "add_to_cart")
    other = await room.store(2, "view_item")
    room.transport.always = lambda request: Response(503 if b"one@" in request.body else 202, {}, b"")
    await room.work()
    assert await room.tally() == {"unmapped": 2, "waiting": 2, "delivered": 1}
    third = await room.store(1, "purchase", properties={"transaction_id": "o-1"})
    await room.work()
    room.transport.always = Response(202, {}, b"")
    room.clock.advance(10)
    await room.work()
    ids = list(dict.fromkeys(room.transport.ids))
    assert [one for one in ids if one != other.id] == [first.id, second.id, "o-1"]
    assert (await room.fate(third)).fate is Fate.DELIVERED


async def test_too_many_requests_uses_up_no_attempt_and_waits_as_told(room):
    room.transport.answers = [Response(429, {"retry-after": "30"}, b"")]
    await room.identify(1, email="visitor@shop.example")
    event = await room.store(1, "view_item")
    await room.work()
    assert (await room.fate(event)).attempts == 0
    room.clock.advance(29)
    await room.work()
    assert len(room.transport.requests) == 1
    room.clock.advance(2)
    await room.work()
    assert len(room.transport.requests) == 2
    assert (await room.fate(event)).attempts == 1


async def test_a_refused_event_is_a_dead_letter_with_request_and_answer_and_without_the_key(room):
    refusal = b'{"errors":[{"id":"1","code":"invalid","title":"t","detail":"d","source":{"pointer":"/data"}}]}'
    room.transport.answers = [Response(400, {"content-type": "application/vnd.api+json"}, refusal)]
    await room.identify(1, email="visitor@shop.example")
    event = await room.store(1, "view_item")
    await room.work()
    fate = await room.fate(event)
    assert (fate.fate, fate.reason) == (Fate.DEAD, "400 invalid at /data")
    view = await LedgerView.open(room.folder / "ledger.db")
    [letter] = await view.letters_of(None, event_id=event.id, seq=None)
    await view.close()
    assert '"invalid"' in letter.response.replace("\\", "")
    assert letter.event_name == "view_item"
    assert "a-key" not in letter.request
    assert "****" in letter.request


async def test_refused_credentials_pause_the_pipeline_and_keep_everything(room):
    room.transport.always = Response(401, {}, b"")
    await room.identify(1, email="visitor@shop.example")
    for _ in range(3):
        await room.store(1, "view_item")
    await room.work()
    room.clock.advance(4 * 24 * HOUR_S)  # longer than max_age
    asked = len(room.transport.requests)
    await room.work()
    assert len(room.transport.requests) == asked + 1  # one probe
    assert (await room.tally())["waiting"] == 3
    room.transport.always = Response(202, {}, b"")
    room.clock.advance(16 * 60)
    await room.work()
    assert (await room.tally())["delivered"] >= 1
    assert room.health.paused_reason is None


async def test_an_answer_nobody_understands_is_repeated_once_and_then_dead(room):
    room.transport.always = Response(200, {}, b"hello")
    await room.identify(1, email="visitor@shop.example")
    event = await room.store(1, "view_item")
    await room.work()
    room.clock.advance(5)
    await room.work()
    assert len(room.transport.requests) == 2
    assert (await room.fate(event)).fate is Fate.DEAD


async def test_a_destination_that_is_dead_for_an_hour_costs_waiting_and_nothing_else(tmp_path):
    clock = FakeClock()
    room = await Backroom.open(tmp_path, clock)
    await room.identify(1, email="one@shop.example")
    await room.identify(2, email="two@shop.example")
    room.transport.always = DOWN
    events = []
    for minute in range(60):
        events += [await room.store(1 + minute % 2, "view_item") for _ in range(5)]
        clock.advance(60)
        await room.work()
    assert len(room.transport.requests) < 200  # probes, not a storm
    assert (await room.tally())["waiting"] < 100  # the rest stays in the spool, uncopied
    room.transport.always = Response(202, {}, b"")
    room.transport.requests.clear()
    for _ in range(10):
        clock.advance(5)
        await room.work()
    assert sorted(room.transport.ids) == sorted(event.id for event in events)
    assert await room.tally() == {"delivered": 300, "unmapped": 2}
    for visitor in (1, 2):
        mine = [e.id for e in events if e.browser.endswith(str(visitor))]
        assert [i for i in room.transport.ids if i in set(mine)] == mine
    await room.close()


async def test_what_waits_longer_than_max_age_expires(room):
    room.transport.always = DOWN
    await room.identify(1, email="visitor@shop.example")
    event = await room.store(1, "view_item")
    await room.work()
    room.clock.advance(73 * HOUR_S)
    await room.work()
    assert (await room.fate(event)).fate is Fate.EXPIRED


async def test_event_is_sent_again_with_the_same_id_when_killed_between_send_and_settle(room):
    await room.identify(1, email="visitor@shop.example")
    event = await room.store(1, "view_item")
    await room.resolve()

    async def died(*_):
        raise Died

    room.lane.ledger.settle = died
    with pytest.raises(Died):
        await room.lane.step()
    await room.restart()
    await room.work()
    assert room.transport.ids == [event.id, event.id]
    assert len({request.body for request in room.transport.requests}) == 1
    assert await room.tally() == {"delivered": 1, "unmapped": 1}


async def test_an_event_that_kills_its_process_is_found_alone_and_the_others_are_delivered(room):
    await room.identify(1, email="one@shop.example")
    await room.identify(2, email="two@shop.example")
    poison = await room.store(1, "view_item")
    healthy = [await room.store(2, "view_item") for _ in range(3)]

    def answer(request):
        if poison.id.encode() in request.body:
            raise Died
        return Response(202, {}, b"")

    room.transport.always = answer
    for _ in range(20):
        try:
            await room.work()
            break
        except Died:
            await room.restart()
    else:
        raise AssertionError("the process still dies")
    assert (await room.fate(poison)).fate is Fate.DEAD
    assert [(await room.fate(event)).fate for event in healthy] == [Fate.DELIVERED] * 3
    assert sum(poison.id in request.body.decode() for request in room.transport.requests) <= 6


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


async def test_one_event_the_vendor_never_takes_does_not_stop_the_others(room):
    """With the circuit open, probes go in turn to what waits and to what is new."""
    await room.identify(1, email="poison@shop.example")
    await room.identify(2, email="two@shop.example")
    poison = await room.store(1, "view_item")
    room.transport.always = lambda request: Response(500 if b"poison@" in request.body else 202, {}, b"")
    for _ in range(40):
        await room.work()
        room.clock.advance(60)
    healthy = [await room.store(2, "view_item") for _ in range(3)]
    for _ in range(3):
        await room.work()
        room.clock.advance(10)
    assert [(await room.fate(event)).fate for event in healthy] == [Fate.DELIVERED] * 3
    assert (await room.fate(poison)).fate is Fate.WAITING


async def test_a_pause_does_not_count_towards_max_age_even_over_a_restart(room):
    room.transport.always = Response(401, {}, b"")
    await room.identify(1, email="visitor@shop.example")
    events = [await room.store(1, "view_item") for _ in range(3)]
    await room.work()
    room.clock.advance(4 * 24 * HOUR_S)
    await room.restart()
    await room.work()
    assert room.health.paused_reason == "401"
    room.transport.always = TAKEN
    room.clock.advance(16 * 60)
    for _ in range(3):
        await room.work()
    assert [(await room.fate(event)).fate for event in events] == [Fate.DELIVERED] * 3


async def test_a_withdrawal_resolved_while_a_page_is_being_sent_stops_the_rest_of_it(room):
    await room.identify(1, email="visitor@shop.example")
    first = await room.store(1, "view_item")
    await room.store(1, "add_to_cart")
    await room.resolve()
    send = room.transport.send

    async def withdrawn_meanwhile(request):
        await room.store(1, "consent", consent=DENIED)
        await room.resolve()
        return await send(request)

    room.transport.send = withdrawn_meanwhile
    await room.lane.step()
    assert room.transport.ids == [first.id]
    assert (await room.tally())["withheld"] == 1


async def test_a_repeat_after_a_death_has_the_same_bytes_although_more_is_known_by_now(room):
    await room.identify(1, email="visitor@shop.example")
    event = await room.store(1, "view_item")
    await room.resolve()

    async def died(*_):
        raise Died

    room.lane.ledger.settle = died
    with pytest.raises(Died):
        await room.lane.step()
    await room.identify(1, email="visitor@shop.example", customer_id="c-19")
    await room.resolve()
    await room.restart()
    await room.work()
    assert room.transport.ids == [event.id, event.id]
    assert room.transport.requests[0].body == room.transport.requests[1].body


async def test_an_error_of_ours_costs_its_event_and_not_the_neighbours(room):
    await room.identify(1, email="one@shop.example")
    await room.identify(2, email="two@shop.example")
    broken = await room.store(1, "view_item")
    healthy = await room.store(2, "view_item")

    def answer(request):
        if b"one@" in request.body:
            raise ZeroDivisionError
        return TAKEN

    room.transport.always = answer
    for _ in range(3):
        await room.work()
        room.clock.advance(5)
    assert (await room.fate(healthy)).fate is Fate.DELIVERED
    assert (await room.fate(broken)).reason == "answer not understood: ZeroDivisionError"
    assert room.transport.ids.count(healthy.id) == 1


async def test_a_polite_stop_is_no_death(room):
    await room.identify(1, email="visitor@shop.example")
    event = await room.store(1, "view_item")
    await room.resolve()
    room.transport.always = asyncio.CancelledError()
    for _ in range(10):
        with pytest.raises(asyncio.CancelledError):
            await room.lane.step()
    room.transport.always = TAKEN
    await room.work()
    assert (await room.fate(event)).fate is Fate.DELIVERED


async def test_a_cart_released_after_its_visitors_purchase_starts_no_flow(room):
    await room.store(1, "add_to_cart")
    await room.store(1, "purchase", properties={"transaction_id": "o-1"})
    await room.work()
    await room.identify(1, email="visitor@shop.example")
    await room.work()
    assert [body.get("backfill") for body in room.transport.bodies] == [True, None]


async def test_the_answer_that_came_with_a_repeated_order_counts(room):
    room.transport.always = DOWN
    await room.identify(1, email="visitor@shop.example")
    await room.store(1, "purchase", properties={"transaction_id": "o-1"})
    await room.work()
    await room.store(1, "purchase", properties={"transaction_id": "o-1"}, consent=DENIED)
    room.transport.always = TAKEN
    await room.resolve()
    room.clock.advance(60)
    await room.work()
    assert (await room.tally())["withheld"] == 1


async def test_a_disabled_pipeline_sends_nothing_that_waits(room):
    room.transport.always = DOWN
    await room.identify(1, email="visitor@shop.example")
    await room.store(1, "view_item")
    await room.work()
    room.pipeline = compile_pipeline(PIPELINE + "enabled: false\n", "klaviyo.yaml", {"KEY": "a-key"})
    await room.restart()
    room.clock.advance(HOUR_S)
    asked = len(room.transport.requests)
    await room.work()
    assert len(room.transport.requests) == asked
    assert (await room.tally())["skipped"] == 1


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


async def test_a_withdrawal_after_a_reset_is_the_browsers_and_stops_what_waits_from_before(room):
    room.transport.always = DOWN
    await room.identify(1, email="visitor@shop.example")
    await room.store(1, "view_item")
    await room.work()
    await room.store(1, "reset")
    await room.store(1, "consent", consent=DENIED)
    room.transport.always = TAKEN
    await room.resolve()
    room.clock.advance(HOUR_S)
    await room.work()
    assert (await room.tally())["withheld"] == 1


async def test_a_grant_by_the_next_person_does_not_undo_a_withdrawal(room):
    room.transport.always = DOWN
    await room.identify(1, email="one@shop.example")
    await room.store(1, "view_item")
    await room.work()
    await room.store(1, "consent", consent=DENIED)
    await room.identify(1, email="two@shop.example")
    await room.resolve()
    await room.restart()
    room.transport.always = TAKEN
    room.clock.advance(HOUR_S)
    asked = len(room.transport.requests)
    await room.work()
    assert len(room.transport.requests) == asked
    assert (await room.tally())["withheld"] == 1


async def test_a_reset_and_a_withdrawal_stop_the_page_under_way(room):
    await room.identify(1, email="visitor@shop.example")
    for _ in range(3):
        await room.store(1, "view_item")
    await room.resolve()
    send = room.transport.send

    async def gone_meanwhile(request):
        await room.store(1, "reset")
        await room.store(1, "consent", consent=DENIED)
        await room.resolve()
        return await send(request)

    room.transport.send = gone_meanwhile
    await room.lane.step()
    assert len(room.transport.requests) == 1


async def test_a_released_event_keeps_its_bytes_over_a_death(room):
    event = await room.store(1, "view_item")
    await room.work()
    await room.identify(1, email="visitor@shop.example")
    await room.resolve()

    async def died(*_):
        raise Died

    room.lane.ledger.settle_due = died
    with pytest.raises(Died):
        await room.lane.step()
    await room.identify(1, email="visitor@shop.example", customer_id="c-19")
    await room.resolve()
    await room.restart()
    await room.work()
    assert room.transport.ids == [event.id, event.id]
    assert len({request.body for request in room.transport.requests}) == 1


async def test_events_taken_alone_keep_the_bytes_of_the_page_they_came_from(room):
    await room.identify(1, email="visitor@shop.example")
    for _ in range(3):
        await room.store(1, "view_item")
    await room.resolve()
    for _ in range(3):

        async def died(*_):
            raise Died

        room.lane.ledger.settle = died
        with pytest.raises(Died):
            await room.lane.step()
        await room.restart()
    await room.identify(1, email="visitor@shop.example", customer_id="c-19")
    await room.work()
    bodies: dict[str, set[bytes]] = {}
    for one, request in zip(room.transport.ids, room.transport.requests, strict=True):
        bodies.setdefault(one, set()).add(request.body)
    assert [len(versions) for versions in bodies.values()] == [1, 1, 1]


async def test_another_reason_does_not_start_the_pause_anew(room):
    room.transport.always = Response(401, {}, b"")
    await room.identify(1, email="visitor@shop.example")
    event = await room.store(1, "view_item")
    await room.work()
    room.transport.always = Response(403, {}, b"")
    room.clock.advance(4 * 24 * HOUR_S)
    await room.work()
    room.transport.always = TAKEN
    room.clock.advance(16 * 60)
    await room.work()
    assert (await room.fate(event)).fate is Fate.DELIVERED
