"""Taking a link back between two pages of a resolver that goes on: nothing that it remembers may be stale."""

import pytest

from edge.app.changing import told_whom, whom_of
from edge.consent import ALL_PURPOSES
from edge.ledger.theirs import Whom
from tests.backroom import Backroom, browser
from tests.eraser_room import EraserRoom


async def unlink(erasing: EraserRoom, **whom: object) -> dict[str, object]:
    """Ask as the verb does."""
    request = {"verb": "unlink", **told_whom(Whom(**whom))}
    [told] = [told async for told in erasing.changes.unlink(request)]
    return told


async def test_a_browser_that_became_a_stranger_takes_nobody_elses_number(tmp_path):
    room = await Backroom.open(tmp_path)
    erasing = EraserRoom(room)
    await room.identify(1, email="one@shop.example")
    await room.work()
    assert (await unlink(erasing, browser=browser(1)))["stranger"] is True
    await room.identify(2, email="two@shop.example")
    await room.store(1, "view_item", id="stranger")
    await room.store(2, "view_item", id="known")
    await room.work()
    assert room.transport.ids == ["known"]
    assert (await room.tally())["held"] == 1
    await room.close()


async def test_an_identifier_and_a_merge_are_taken_back_for_the_next_page(tmp_path):
    room = await Backroom.open(tmp_path)
    erasing = EraserRoom(room)
    await room.identify(1, email="one@shop.example")
    await room.told_by_server(9, traits={"customer_id": "c-1"})
    await room.told_by_server(9, traits={"customer_id": "c-1", "email": "one@shop.example"})
    await room.resolve()
    assert (await unlink(erasing, person=2))["parted"] == 1
    assert (await unlink(erasing, identifiers=(("customer_id", "c-1"),)))["ended"] == [("customer_id", "c-1")]
    await room.store(1, "view_item", id="later")
    await room.work()
    assert room.transport.bodies[-1]["profile"]["data"]["attributes"] == {"email": "one@shop.example"}
    await room.close()


async def test_an_erased_visitor_is_denied_everything_that_is_on_its_way(tmp_path):
    room = await Backroom.open(tmp_path)
    erasing = EraserRoom(room)
    await room.identify(1, email="one@shop.example")
    await room.resolve()
    assert room.resolver.denied(1) != ALL_PURPOSES
    await erasing.ask(("email", "one@shop.example"))
    assert room.resolver.denied(1) == ALL_PURPOSES
    await room.close()


@pytest.mark.parametrize(
    "request_",
    [
        {"identifiers": "email"},
        {"identifiers": [["email"]]},
        {"identifiers": [["name", "Moon"]]},
        {"identifiers": [["email", "x" * 2_000]]},
        {"browser": "0123"},
        {"browser": 5},
        {"person": "1"},
        {"person": True},
        {"visitor": -1},
    ],
)
def test_a_request_of_another_shape_is_refused(request_):
    with pytest.raises(ValueError, match="accepted"):
        whom_of(request_)


def test_a_request_is_read_as_it_was_written():
    whom = Whom((("email", "one@shop.example"),), browser(1), 2, 3)
    assert whom_of(told_whom(whom)) == whom
