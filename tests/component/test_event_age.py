"""How old an event may be for a vendor, by its own time: checked before rendering and at every send."""

import dataclasses
from pathlib import Path

import pytest

from edge.delivery import Fate, Response
from edge.destinations.klaviyo import Klaviyo
from edge.pipeline.compiling import default_max_age_s
from tests.backroom import Backroom
from tests.component.world import USER

DAY_S, HOUR_S = 86_400.0, 3_600.0


class Week(Klaviyo):
    """A vendor that takes nothing older than seven days."""

    integration = "week"
    max_event_age_s = 7 * DAY_S


class Hour(Klaviyo):
    """A vendor that takes nothing older than an hour."""

    integration = "hour"
    max_event_age_s = HOUR_S


async def opened(folder: Path, vendor: type[Klaviyo], max_age_s: float = 30 * DAY_S) -> Backroom:
    room = await Backroom.open(folder)
    made = room.pipeline.destination
    destination = vendor(made.private_api_key, made.base_url)  # type: ignore[attr-defined]
    room.pipeline = dataclasses.replace(
        room.pipeline, destination=destination, integration=vendor.integration, max_age_s=max_age_s
    )
    await room.restart()
    await room.identify(1, email=USER)
    return room


async def test_an_event_that_was_old_when_it_came_is_not_sent_and_counts_as_expired(tmp_path: Path) -> None:
    room = await opened(tmp_path, Week)
    old = await room.store(1, "view_item", time_ms=room.clock.now_ms() - round(7 * DAY_S * 1_000) - 1)
    young = await room.store(1, "view_item", time_ms=room.clock.now_ms() - round(7 * DAY_S * 1_000) + 1)
    await room.work()
    assert [(await room.fate(event)).fate for event in (old, young)] == [Fate.EXPIRED, Fate.DELIVERED]
    assert await room.tally() == {"unmapped": 1, "expired": 1, "delivered": 1}
    await room.close()


async def test_what_becomes_too_old_while_it_waits_is_not_sent_again_and_says_which_limit(tmp_path: Path) -> None:
    room = await opened(tmp_path, Hour)
    room.transport.always = Response(503, {}, b"")
    event = await room.store(1, "view_item")
    await room.work()
    room.clock.advance(HOUR_S + 1)
    await room.work()
    found = await room.fate(event)
    assert (found.fate, found.reason) == (Fate.EXPIRED, "hour takes no event older than 1 h")
    await room.close()


async def test_what_becomes_too_old_while_the_budget_keeps_it_waiting_is_not_sent(tmp_path: Path) -> None:
    """Between taking and sending time may pass; the vendor counts from the event's own time."""
    room = await opened(tmp_path, Hour)
    events = [
        await room.store(1, "view_item", time_ms=room.clock.now_ms() - round(HOUR_S * 1_000) + 500) for _ in range(2)
    ]
    room.transport.answers = [lambda request: room.clock.advance(1) or Response(202, {}, b"")]  # type: ignore[list-item]
    await room.work()
    assert [(await room.fate(event)).fate for event in events] == [Fate.DELIVERED, Fate.EXPIRED]
    await room.close()


async def test_what_was_held_for_too_long_for_the_vendor_is_not_rendered(tmp_path: Path) -> None:
    room = await opened(tmp_path, Week)
    event = await room.store(2, "view_item")
    await room.work()
    room.clock.advance(8 * DAY_S)
    await room.identify(2, email="other@shop.example")
    await room.work()
    found = await room.fate(event)
    assert (found.fate, found.first_fate, found.reason) == (
        Fate.EXPIRED,
        Fate.HELD,
        "week takes no event older than 7 d",
    )
    await room.close()


@pytest.mark.parametrize(("limit_s", "expected_s"), [(None, 72 * HOUR_S), (7 * DAY_S, 72 * HOUR_S), (HOUR_S, HOUR_S)])
def test_delivery_is_tried_no_longer_than_the_vendor_takes_an_event(limit_s: float | None, expected_s: float) -> None:
    class Limited(Klaviyo):
        max_event_age_s = limit_s

    assert default_max_age_s(Limited) == expected_s
