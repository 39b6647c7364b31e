"""Erasing a person: from ledger and spool, whatever dies on the way, and nobody else."""

import json
from urllib.parse import quote

import pytest

from edge.delivery import Fate, Request, Response
from edge.ledger.theirs import Whom
from edge.spool import SpoolReader
from edge.spool.segment import list_segments
from tests.backroom import Backroom, browser
from tests.component.world import REFUSAL
from tests.eraser_room import Died, EraserRoom, holding

HERS, HIS = "visitor@shop.example", "other@shop.example"
PLACES = (
    "asked left",
    "searched",
    "rewritten",
    "segment noted",
    "segment unlinked",
    "emptied noted",
)


def answers(request: Request) -> Response:
    """Refuse what says never for good, and what says later for now."""
    if b"never" in request.body:
        return REFUSAL
    return Response(503, {}, b"") if b"later" in request.body else Response(202, {}, b"")


async def fill(room: Backroom) -> None:
    """Let two persons do something of every kind, and somebody name one of them."""
    room.transport.always = answers
    await room.store(1, "view_item", id="before", properties={"item_name": "held at first"})
    await room.store(7, "view_item", id="hers-held", properties={"email": HERS})
    await room.identify(2, email=HIS)
    await room.identify(1, email=HERS, phone="020 7946 0958")
    await room.store(1, "view_item", id="delivered", session={"id": "s-1"})
    await room.store(1, "view_item", id="dead", properties={"item_name": "never"})
    await room.store(2, "view_item", id="his", properties={"item_name": "Moon Teapot"})
    await room.store(2, "view_item", id="names-her", properties={"gift_for": f"mailto:{HERS.upper()}"})
    await room.told_by_server(9, traits={"customer_id": "c-1", "email": HERS})
    await room.store(1, "view_item", id="waiting", properties={"item_name": "later"})
    await room.work()
    await room.store(1, "view_item", id="delivered", session={"id": "s-1"})
    await room.store(1, "view_item", id="unresolved")
    await room.store(2, "view_item", id="his-last")


async def open_room(folder) -> EraserRoom:
    room = await Backroom.open(folder)
    await fill(room)
    return EraserRoom(room)


async def rows_of(room: Backroom) -> dict[int, bytes]:
    reader = SpoolReader(room.folder / "spool")
    rows = {row.seq: row.body for row in await reader.read(0, 1_000)}
    await reader.close()
    return rows


async def test_no_file_holds_a_trace_and_the_balance_is_as_before(tmp_path):
    erasing = await open_room(tmp_path)
    room = erasing.room
    await room.resolve()
    before = sum((await room.tally()).values())
    assert {"ledger.db", "ledger.db-wal"} & set(holding(tmp_path, HERS))
    number = await erasing.ask(("email", HERS))
    await erasing.finish()
    assert await erasing.state(number) == "done"
    assert holding(tmp_path, HERS, "+442079460958", "020 7946", "c-1", browser(1)) == []
    tally = await room.tally()
    assert sum(tally.values()) == before
    assert (tally["erased"], "dead" in tally, "waiting" in tally) == (3, False, False)
    await room.work()
    assert sum((await room.tally()).values()) == len(await rows_of(room)) - 1  # one is a duplicate
    await room.close()


async def test_everybody_elses_events_stay_byte_equal_and_are_delivered_in_order(tmp_path):
    erasing = await open_room(tmp_path)
    room = erasing.room
    his = {seq: body for seq, body in (await rows_of(room)).items() if browser(2).encode() in body}
    await erasing.ask(("email", HERS))
    await erasing.finish()
    after = await rows_of(room)
    names_her = next(seq for seq, body in his.items() if b"names-her" in body)
    assert {seq: after[seq] for seq in his if seq != names_her} == {s: b for s, b in his.items() if s != names_her}
    assert after[names_her] == b""
    sent = len(room.transport.ids)
    await room.store(2, "view_item", id="his-newest")
    await room.work()
    assert room.transport.ids[sent:] == ["his-last", "his-newest"]
    await room.close()


async def test_what_is_erased_keeps_number_and_key_and_says_so(tmp_path):
    erasing = await open_room(tmp_path)
    room = erasing.room
    event = await room.store(1, "view_item", id="told")
    await erasing.ask(("email", HERS))
    await erasing.finish()
    await room.work()
    assert (await room.fate(event)).fate is Fate.ERASED
    await room.close()


@pytest.mark.parametrize("place", PLACES)
async def test_a_death_anywhere_on_the_way_is_made_up_for(tmp_path, place):
    erasing = await open_room(tmp_path)
    room = erasing.room
    number = await erasing.ask(("email", HERS))
    erasing.die_at = place
    with pytest.raises(Died):
        await erasing.finish()
    await room.restart()
    erasing.restart()
    await erasing.finish()
    assert await erasing.state(number) == "done"
    assert holding(tmp_path, HERS, browser(1)) == []
    await room.work()
    assert sum((await room.tally()).values()) == len(await rows_of(room)) - 1
    await room.close()


async def test_late_arrivals_bring_nobody_back(tmp_path):
    erasing = await open_room(tmp_path)
    room = erasing.room
    long_ago = room.clock.now_ms()
    room.clock.advance(60)
    await erasing.ask(("email", HERS))
    await erasing.finish()
    room.clock.advance(60)
    late = [
        await room.store(1, "view_item", id="old-browser", time_ms=long_ago),
        await room.store(8, "identify", id="old-name", time_ms=long_ago, traits={"email": HERS}),
        await room.store(8, "view_item", id="old-mention", time_ms=long_ago, properties={"a": [{"b": f"x {HERS}"}]}),
        await room.store(8, "view_item", id="old-key", time_ms=long_ago, properties={"a": {HERS: True}}),
        await room.store(
            8, "view_item", id="old-link", time_ms=long_ago, page={"url": f"https://shop.example/?m={quote(HERS)}"}
        ),
    ]
    again = await room.store(1, "view_item", id="waiting")
    week_ms = 7 * 86_400_000
    clamped = await room.store(1, "view_item", id="clamped", time_ms=room.clock.now_ms() - week_ms)
    sent = len(room.transport.ids)
    await room.work()
    assert [(await room.fate(event)).fate for event in (*late, clamped)] == [Fate.ERASED] * 6
    assert "waiting" not in room.transport.ids[sent:]
    assert again.id == "waiting"
    assert holding(tmp_path / "spool", HERS) != []  # in the segment that is written to
    await room.writer.seal()
    await erasing.finish()
    assert holding(tmp_path, HERS, browser(1)) == []
    await room.close()


async def test_whoever_comes_back_is_a_new_person_with_nothing_of_the_old_one(tmp_path):
    erasing = await open_room(tmp_path)
    room = erasing.room
    room.transport.always = Response(202, {}, b"")
    await erasing.ask(("email", HERS))
    await erasing.finish()
    room.clock.advance(60)
    sent = len(room.transport.ids)
    await room.identify(1, email=HERS)
    await room.store(1, "view_item", id="new-1")
    await room.work()
    assert room.transport.ids[sent:] == ["his-last", "new-1"]
    assert room.transport.bodies[-1]["profile"]["data"]["attributes"] == {"email": HERS}
    await room.close()


async def test_the_other_user_of_a_shared_browser_keeps_events_that_come_late(tmp_path):
    room = await Backroom.open(tmp_path)
    erasing = EraserRoom(room)
    await room.store(1, "identify", traits={"email": HERS}, session={"id": "hers"})
    await room.store(1, "identify", traits={"email": HIS}, session={"id": "his"})
    await room.work()
    long_ago = room.clock.now_ms()
    room.clock.advance(60)
    await erasing.ask(("email", HERS))
    his = await room.store(1, "view_item", id="late-his", time_ms=long_ago, session={"id": "his"})
    hers = await room.store(1, "view_item", id="late-hers", time_ms=long_ago, session={"id": "hers"})
    await room.work()
    assert [(await room.fate(one)).fate for one in (his, hers)] == [Fate.DELIVERED, Fate.ERASED]
    await room.close()


async def test_what_is_on_its_way_when_it_is_erased_is_not_kept(tmp_path):
    """The page was looked at before, and settles after: no waiting row, no letter may come of it."""
    room = await Backroom.open(tmp_path)
    erasing = EraserRoom(room)
    await room.identify(1, email=HERS)
    await room.store(1, "view_item", id="on-its-way")
    await room.resolve()
    pause_of = room.transport.send

    async def erased_meanwhile(request: Request) -> Response:
        await erasing.ask(("email", HERS))
        await pause_of(request)
        return Response(503, {}, b"")

    room.transport.send = erased_meanwhile
    await room.lane.step()
    assert await room.tally() == {"erased": 1, "unmapped": 1}
    await erasing.finish()
    assert holding(tmp_path, HERS) == []
    await room.close()


async def test_what_a_browser_only_claimed_goes_with_it(tmp_path):
    """A claim that became no identifier, and one that was quarantined, know the browser too."""
    room = await Backroom.open(tmp_path)
    erasing = EraserRoom(room)
    hers, his = 0x1F2E3D4C5B6A79881F2E3D4C5B6A7988, 0x8F9EADBCCBDAE9F88F9EADBCCBDAE9F8
    await room.identify(his, email=HIS, phone="+442079460001")
    await room.identify(hers, email=HERS, phone="+442079460001")
    await room.work()
    await erasing.ask(("email", HERS))
    await erasing.finish()
    assert holding(tmp_path, HERS) == []
    assert bytes.fromhex(browser(hers)) not in (tmp_path / "ledger.db").read_bytes()
    assert bytes.fromhex(browser(his)) in (tmp_path / "ledger.db").read_bytes()
    await room.close()


async def test_two_persons_are_never_erased_at_once(tmp_path):
    erasing = await open_room(tmp_path)
    await erasing.room.resolve()
    with pytest.raises(ValueError, match="several persons"):
        await erasing.changes.begin_erasure(Whom((("email", HERS), ("email", HIS))))
    assert await erasing.ledger.unfinished() is None
    await erasing.room.close()


async def test_an_address_that_nobody_owns_is_looked_for_all_the_same(tmp_path):
    erasing = await open_room(tmp_path)
    room = erasing.room
    await room.store(3, "view_item", id="stranger", properties={"link": "https://shop.example/?m=gift%40shop.example"})
    await room.resolve()
    number = await erasing.ask(("email", "gift@shop.example"))
    await erasing.finish()
    assert (await erasing.ledger.find(number)).events == 1
    assert holding(tmp_path / "spool", "gift%40shop.example") == []
    assert await erasing.ask(("customer_id", "gift")) == 0
    await room.close()


async def test_a_damaged_segment_is_named_with_its_date_and_stops_nothing(tmp_path):
    erasing = await open_room(tmp_path)
    room = erasing.room
    await room.work()
    await room.writer.seal()
    await room.reader.close()
    path = list_segments(tmp_path / "spool")[0].path
    path.write_bytes(b"\0" * 4_096)
    number = await erasing.ask(("email", HERS))
    await erasing.finish()
    [left] = (await erasing.ledger.find(number)).left_over
    assert (left.file, left.until_ms) == (path.name, room.clock.now_ms() + 14 * 86_400_000)
    assert await erasing.state(number) == "done"
    await room.close()


async def test_other_stores_are_asked_and_what_they_leave_is_listed(tmp_path):
    class Archive:
        def __init__(self) -> None:
            self.asked = []

        async def erase(self, keys, traces):
            self.asked.append((len(keys) > 0, traces.in_body(json.dumps({"mail": HERS}).encode())))
            return []

    archive = Archive()
    erasing = await open_room(tmp_path)
    erasing.stores = [archive]
    erasing.restart()
    await erasing.ask(("email", HERS))
    await erasing.finish()
    assert archive.asked == [(True, True)]
    await erasing.room.close()
