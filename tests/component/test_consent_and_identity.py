"""Answers about consent where a browser has had several epochs, and where a person is several."""

from pathlib import Path

from edge.consent import ALL_PURPOSES, Purpose
from edge.ledger import LedgerView
from edge.ledger.consent_log import who_of
from edge.ledger.database import fetch
from tests.backroom import CONSENT_KEY, DENIED, Backroom, browser
from tests.component.world import USER

FIRST, SECOND = {"id": "session-1"}, {"id": "session-2"}


async def test_a_late_answer_counts_for_its_epoch_and_for_the_newest_and_is_logged_once(tmp_path: Path) -> None:
    room = await Backroom.open(tmp_path)
    await room.store(1, "identify", traits={"email": USER}, session=FIRST)
    await room.store(1, "reset", session=FIRST, consent={})
    await room.store(1, "view_item", session=SECOND, consent={})
    room.clock.advance(1)
    await room.store(1, "view_item", session=FIRST, consent=DENIED)
    for session in (FIRST, SECOND):
        await room.store(1, "view_item", session=session, consent={})
    await room.resolve()
    async with room.database.snapshot() as db:
        decided = await fetch(db, "SELECT visitor, granted FROM journal ORDER BY seq")
    view = await LedgerView.open(room.folder / "ledger.db")
    logged = await view.consents([who_of(browser(1), CONSENT_KEY)])
    await view.close()
    await room.close()
    everything = int(ALL_PURPOSES)
    assert decided == [(1, everything), (2, everything), (2, everything), (1, 0), (1, 0), (2, 0)]
    assert [(row.granted, row.denied, row.seq) for row in logged] == [
        (ALL_PURPOSES, Purpose.NONE, 1),
        (Purpose.NONE, ALL_PURPOSES, 4),
    ]


async def test_an_identifier_leads_to_the_browsers_of_all_who_are_one(tmp_path: Path) -> None:
    room = await Backroom.open(tmp_path)
    await room.identify(1, email=USER)
    await room.told_by_server(9, traits={"customer_id": "c-19"})
    await room.identify(2, email="other@shop.example")
    await room.told_by_server(9, traits={"customer_id": "c-19", "email": USER})
    await room.resolve()
    view = await LedgerView.open(room.folder / "ledger.db")
    found = [await view.browsers_of("email", USER), await view.browsers_of("customer_id", "c-19")]
    nobody = await view.browsers_of("email", "nobody@shop.example")
    await view.close()
    await room.close()
    assert (found, nobody) == ([[browser(1), browser(9)]] * 2, [])
