"""A release of many events is paced: live traffic goes on at once, and every event arrives once, in order."""

import json
import os
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

from tests.backroom import PIPELINE, Backroom
from tests.released import RatedVendor, SharedClock, events_of, store_all

EVENTS = int(os.environ.get("RELEASED_EVENTS", "1500"))
OLD_S = 5 * 3_600
LIVE = 999_999
LIMIT_S = 2.0
# The hard case: by the bulk call it would be a few requests.
ONE_BY_ONE = PIPELINE.replace('klaviyo.test"}', 'klaviyo.test", endpoint: create_event}')


async def held(folder: Path, visitors: int) -> tuple[Backroom, RatedVendor]:
    """Open a room that holds old events of so many strangers, who have just become known."""
    clock = SharedClock()
    room = await Backroom.open(folder, clock, pipeline=ONE_BY_ONE)
    vendor = RatedVendor(clock)

    async def pause(seconds: float) -> None:
        clock.pass_until(clock.monotonic_s() + seconds)

    room.transport.send = vendor.send  # type: ignore[method-assign]
    room.pause = pause  # type: ignore[method-assign]
    await room.restart()
    numbers = range(1, visitors + 1)
    events = events_of(room, numbers, EVENTS)
    await store_all(room, events)
    await room.identify(LIVE, email="live@shop.example")
    await room.work()
    assert (await room.tally())["held"] == EVENTS
    clock.advance(OLD_S)
    known = [
        replace(one, id=f"who-{one.browser}", name="identify", traits={"email": f"user{one.browser[-6:]}@shop.example"})
        for one in events[:visitors]
    ]
    await store_all(room, [replace(one, received_at_ms=clock.now_ms()) for one in known])
    await room.resolve()
    return room, vendor


@pytest.mark.parametrize("visitors", [1, EVENTS], ids=["one visitor", "many visitors"])
async def test_a_live_event_of_somebody_else_does_not_wait_for_a_release(visitors: int, tmp_path: Path) -> None:
    room, vendor = await held(tmp_path, visitors)
    injected: dict[str, float] = {}
    for _ in range(10 * EVENTS):
        if len(vendor.arrived) == EVENTS + 4:
            break
        if not await room.lane.step():
            room.clock.advance(0.1)  # the vendor asked for a rest
        if len(vendor.arrived) > EVENTS * len(injected) // 4 and len(injected) < 4:
            injected[(await room.store(LIVE, "view_item")).id] = room.clock.monotonic_s()
            await room.resolve()
    bodies = [(at_s, json.loads(request.body)["data"]["attributes"]) for at_s, request in vendor.arrived]
    arrived = {body["unique_id"]: (at_s, body) for at_s, body in bodies}
    assert len(arrived) == len(bodies) == EVENTS + 4
    late_s = {name: arrived[name][0] - since_s for name, since_s in injected.items()}
    assert max(late_s.values()) <= LIMIT_S, late_s
    orders: dict[str, list[int]] = defaultdict(list)
    for _, body in bodies:
        if body["unique_id"] not in injected:
            orders[body["profile"]["data"]["attributes"]["email"]].append(int(body["unique_id"][4:]))
            assert body["backfill"] is True
    assert all(order == sorted(order) for order in orders.values())
    assert len(orders) == visitors
    assert (await room.tally())["delivered"] == EVENTS + 4
    await room.close()
