"""`anonymous: send`: a stranger's events carry an id of the visitor's, and one event says whose it was."""

from pathlib import Path

import pytest

from edge.delivery import Fate, Response
from edge.person import anonymous_id
from tests.backroom import PIPELINE, Backroom, browser
from tests.component.world import USER

SENDS = PIPELINE.replace("parameters:", "anonymous: send\nparameters:")
ID = anonymous_id(bytes.fromhex(browser(1)), 1)
STRANGER, BOTH, KNOWN = {"anonymous_id": ID}, {"anonymous_id": ID, "email": USER}, {"email": USER}


class Died(BaseException):
    """Stands for a process that ends between two instructions."""


async def died(*_: object) -> None:
    raise Died


@pytest.fixture
async def room(tmp_path: Path):
    room = await Backroom.open(tmp_path, pipeline=SENDS)
    yield room
    await room.close()


def profiles(room: Backroom) -> list[dict[str, str]]:
    """Give who every request said it was."""
    return [body["profile"]["data"]["attributes"] for body in room.transport.bodies]


def test_the_id_tells_nobody_the_cookie_and_is_another_in_each_epoch() -> None:
    cookie = bytes.fromhex(browser(1))
    ids = {anonymous_id(cookie, epoch) for epoch in (1, 2)} | {anonymous_id(bytes.fromhex(browser(2)), 1)}
    assert len(ids) == 3
    assert all(browser(1) not in one and len(one) == 32 for one in ids)
    assert anonymous_id(cookie, 1) == ID


async def test_one_event_says_whose_the_strangers_events_were_and_later_ones_carry_only_who_it_is(room) -> None:
    for _ in range(2):
        await room.store(1, "view_item")
        await room.work()
    await room.identify(1, email=USER)
    for _ in range(2):
        await room.store(1, "view_item")
        await room.work()
    await room.store(1, "view_item")
    await room.work()
    assert profiles(room) == [STRANGER, STRANGER, BOTH, KNOWN, KNOWN]


async def test_of_a_page_only_the_first_event_says_whose_it_was(room) -> None:
    await room.store(1, "view_item")
    await room.work()
    await room.identify(1, email=USER)
    for name in ("page_view", "view_item", "add_to_cart"):
        await room.store(1, name)
    await room.work()
    assert profiles(room) == [STRANGER, BOTH, KNOWN]


async def test_who_was_known_from_the_first_event_on_is_never_sent_with_an_own_id(room) -> None:
    await room.identify(1, email=USER)
    await room.store(1, "view_item")
    await room.work()
    assert profiles(room) == [KNOWN]


async def test_a_new_epoch_has_an_id_of_its_own_and_is_not_joined_to_the_one_before(room) -> None:
    await room.store(1, "view_item")
    await room.work()
    await room.store(1, "reset")
    await room.identify(1, email=USER)
    await room.store(1, "view_item")
    await room.work()
    assert profiles(room) == [STRANGER, KNOWN]


async def test_a_file_that_maps_the_id_itself_is_left_alone(tmp_path: Path) -> None:
    mapped = SENDS.replace('    "$email"', '    anonymous_id: {source: context.session.id}\n    "$email"')
    room = await Backroom.open(tmp_path, pipeline=mapped)
    await room.store(1, "view_item", session={"id": "s-1"})
    await room.work()
    await room.identify(1, email=USER)
    await room.store(1, "view_item")
    await room.work()
    assert profiles(room) == [{"anonymous_id": "s-1"}, KNOWN]
    await room.close()


@pytest.mark.parametrize("is_known", [False, True])
async def test_a_repeat_after_a_death_has_the_same_bytes(is_known: bool, room) -> None:
    await room.store(1, "view_item")
    if is_known:
        await room.work()
        await room.identify(1, email=USER)
        await room.store(1, "view_item")
    await room.resolve()
    room.lane.ledger.settle = died
    with pytest.raises(Died):
        await room.lane.step()
    await room.identify(1, email=USER)
    await room.store(1, "view_item")
    await room.resolve()
    await room.restart()
    await room.work()
    after = [STRANGER, BOTH, BOTH, KNOWN] if is_known else [STRANGER, STRANGER, BOTH]
    assert profiles(room) == after
    assert len({request.body for request in room.transport.requests[int(is_known) :][:2]}) == 1


async def test_what_waits_behind_says_who_it_was_only_where_it_is_the_first_to_do_so(room) -> None:
    room.transport.answers = [Response(503, {}, b"")]
    first = await room.store(1, "view_item")
    await room.work()
    await room.identify(1, email=USER)
    for _ in range(2):
        await room.store(1, "view_item")
    await room.work()
    assert (await room.fate(first)).fate is Fate.WAITING
    room.clock.advance(60)
    await room.work()
    assert profiles(room) == [STRANGER, STRANGER, BOTH, KNOWN]


async def test_who_came_from_a_mail_is_not_joined_with_the_mails_owner(tmp_path: Path) -> None:
    """The mail may have been forwarded; what a vendor has joined cannot be parted."""
    clicks = SENDS.replace('    "$email"', '    _kx: {source: context.ids.kx}\n    "$email"')
    room = await Backroom.open(tmp_path, pipeline=clicks)
    await room.store(1, "view_item")
    await room.work()
    await room.store(1, "view_item", page={"url": "https://shop.example/?_kx=token-1"})
    await room.work()
    await room.identify(1, email=USER)
    await room.store(1, "view_item")
    await room.work()
    assert profiles(room) == [STRANGER, {"_kx": "token-1"}, BOTH]
    await room.close()
