"""What identity does to delivery: hostile links, click tokens, repeats, restarts."""

import pytest

from edge.delivery import Fate
from edge.ledger import LedgerView
from tests.backroom import PIPELINE, Backroom

WITH_TOKEN = PIPELINE.replace('    "$email"', '    _kx: {source: context.ids.kx}\n    "$email"')
LANDING = {"url": "https://shop.example/?_kx=token-1"}


class Died(BaseException):
    """Stands for a process that ends between two instructions."""


async def died(*_):
    raise Died


@pytest.fixture
async def room(tmp_path):
    room = await Backroom.open(tmp_path, pipeline=WITH_TOKEN)
    yield room
    await room.close()


def value(room, name):
    return {
        tuple(sample.labels.values()): sample.value
        for family in (room.metrics.quarantined, room.metrics.left_out, room.metrics.merges, room.metrics.stripped)
        for metric in family.collect()
        for sample in metric.samples
        if sample.name == f"{name}_total"
    }


async def test_a_strangers_link_does_not_reach_the_vendor_and_is_counted(room):
    await room.identify(1, email="visitor@shop.example")
    await room.store(1, "view_item", properties={"item_name": "Win at https://evil.example"})
    await room.work()
    assert room.transport.bodies[0]["properties"] == {}
    assert value(room, "edge_links_stripped") == {("klaviyo",): 1}


async def test_a_token_is_no_use_to_a_pipeline_that_does_not_map_it(tmp_path):
    room = await Backroom.open(tmp_path)
    event = await room.store(1, "view_item", page=LANDING)
    await room.work()
    assert (await room.fate(event)).fate is Fate.HELD
    await room.close()


async def test_a_click_that_races_a_page_being_held_releases_it_all_the_same(room):
    event = await room.store(1, "view_item")
    await room.resolve()
    settle = room.lane.ledger.settle

    async def clicked_meanwhile(*arguments):
        await room.store(1, "page_view", page=LANDING)
        await room.resolve()
        await settle(*arguments)

    room.lane.ledger.settle = clicked_meanwhile
    await room.lane.step()
    room.lane.ledger.settle = settle
    await room.work()
    assert room.transport.ids == [event.id]


@pytest.mark.parametrize("more", ["token", "correction", "merge", "address"])
async def test_a_repeat_after_a_death_has_the_same_bytes_whatever_is_known_of_the_person_since(room, more):
    session = {"id": "s1"}
    if more == "token":
        await room.store(1, "page_view", page=LANDING)
    elif more == "correction":
        await room.store(1, "identify", traits={"email": "typo@shop.example"}, session=session)
    else:
        traits = {"customer_id": "c-1", **({"email": "old@shop.example"} if more == "address" else {})}
        await room.told_by_server(1, traits=traits)
        await room.told_by_server(2, traits={"phone": "+442079460018"})
    await room.store(1, "view_item", session=session)
    await room.resolve()
    room.lane.ledger.settle = died
    with pytest.raises(Died):
        await room.lane.step()
    match more:
        case "token":
            await room.store(1, "page_view", page={"url": "https://shop.example/?_kx=token-2"})
        case "correction":
            await room.store(1, "identify", traits={"email": "right@shop.example"}, session=session)
        case "merge":
            await room.told_by_server(3, traits={"customer_id": "c-1", "phone": "+442079460018"})
        case "address":
            await room.told_by_server(3, traits={"customer_id": "c-1", "email": "new@shop.example"})
    await room.resolve()
    await room.restart()
    await room.work()
    assert len(room.transport.requests) == 2
    assert len({request.body for request in room.transport.requests}) == 1
    last = await room.store(1, "view_item", session=session)
    await room.work()
    assert room.transport.ids[-1] == last.id
    known = [body["profile"]["data"]["attributes"] for body in room.transport.bodies]
    assert (known[1] == known[2]) is (more == "merge")  # the file maps no phone


async def test_what_is_quarantined_refused_or_left_out_is_counted(room):
    for number in range(4):
        await room.identify(1, email=f"user{number}@shop.example")
    await room.told_by_server(2, traits={"customer_id": "c-1", "email": "one@shop.example"})
    await room.told_by_server(3, traits={"customer_id": "c-2", "email": "two@shop.example"})
    mixed = await room.told_by_server(4, traits={"customer_id": "c-1", "email": "two@shop.example"})
    await room.resolve()
    assert value(room, "edge_claims_quarantined") == {("values_per_browser",): 1}
    assert value(room, "edge_persons_merged") == {("joined",): 0, ("refused",): 1}
    assert value(room, "edge_identifiers_left_out") == {("email",): 1}
    view = await LedgerView.open(room.folder / "ledger.db")
    [found] = await view.quarantined(4)
    assert (found.kind, found.value, found.reason) == ("email", "user3@shop.example", "values_per_browser")
    assert await view.quarantined(mixed.received_at_ms) == []
    await view.close()
