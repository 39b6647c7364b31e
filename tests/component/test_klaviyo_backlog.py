"""A backlog goes to Klaviyo by its bulk call, and nothing of it is lost when a job's fate is unknown."""

from typing import Any
from urllib.parse import urlsplit

import pytest

from edge.delivery import Request, Response
from edge.errors import TransportFailed
from tests.backroom import DENIED, PIPELINE, Backroom
from tests.klaviyo_events import told
from tests.klaviyo_requests import Account

BULK, SINGLE = "/api/event-bulk-create-jobs", "/api/events"
ENDPOINT = 'parameters: {private_api_key: "${KEY}", base_url: "http://klaviyo.test"'
BY_BULK = PIPELINE.replace(ENDPOINT, ENDPOINT + ", endpoint: bulk_create_events")
WITH_LINES = PIPELINE.replace("{metric: Placed Order,", "{metric: Placed Order, ordered_product: true,")


class Vendor:
    """Answers a room's requests as the fake Klaviyo; `loses` answers that it gave, and had taken."""

    def __init__(self, room: Backroom) -> None:
        self.account, self.loses = Account(), 0
        self.account.klaviyo.accept_keys({"a-key": None})
        self.account.klaviyo.set_rates(None)
        self.account.clock = room.clock
        room.transport.always = self.answer

    def answer(self, request: Request) -> Response:
        headers: Any = dict(request.headers)
        path = urlsplit(request.url).path
        given = self.account.send(request.body, path, method=request.method, **headers)
        if self.loses:
            self.loses -= 1
            raise TransportFailed("no answer in time")
        return Response(given.status, {name.lower(): value for name, value in given.headers.items()}, given.body)

    @property
    def recorded(self) -> list[str]:
        return [one["unique_id"] for one in self.account.events()]


async def open_room(folder: Any, pipeline: str = BY_BULK) -> tuple[Backroom, Vendor]:
    room = await Backroom.open(folder, pipeline=pipeline)
    return room, Vendor(room)


async def stored(room: Backroom, *visitors: int) -> list[str]:
    for visitor in dict.fromkeys(visitors):
        await room.identify(visitor, email=f"v{visitor}@shop.example")
    return [(await room.store(visitor, "view_item")).id for visitor in visitors]


async def test_page_is_one_job_and_every_event_is_recorded_once(tmp_path):
    room, vendor = await open_room(tmp_path)
    ids = await stored(room, 1, 2, 1, 3)
    await room.work()
    assert [path for path, _ in told(room.transport.requests)] == [BULK]
    assert sorted(vendor.recorded) == sorted(ids)
    assert (await room.tally())["delivered"] == 4
    await room.close()


@pytest.mark.parametrize("was_taken", [True, False])
async def test_job_whose_answer_is_lost_is_repeated_singly_and_recorded_once(tmp_path, was_taken):
    room, vendor = await open_room(tmp_path)
    ids = await stored(room, 1, 2, 3)
    if was_taken:
        vendor.loses = 1
    else:
        room.transport.answers = [TransportFailed("the connection was reset")]
    await room.work()
    room.clock.advance(1)
    await room.work()
    assert [path for path, _ in told(room.transport.requests)] == [BULK, SINGLE, SINGLE, SINGLE]
    assert sorted(vendor.recorded) == sorted(ids)
    assert (await room.tally())["delivered"] == 3
    await room.close()


async def test_event_that_was_sent_singly_before_takes_no_job_down_with_it(tmp_path):
    """Klaviyo takes such a job with a 202 and records nothing of it."""
    room, vendor = await open_room(tmp_path)
    first = await stored(room, 1)
    vendor.loses = 1
    await room.work()
    rest = await stored(room, 2, 3)
    room.clock.advance(1)
    await room.work()
    assert [path for path, _ in told(room.transport.requests)].count(SINGLE) == 2
    assert sorted(vendor.recorded) == sorted(first + rest)
    await room.close()


async def test_auto_sends_live_events_singly_and_a_backlog_by_bulk(tmp_path):
    room, vendor = await open_room(tmp_path, PIPELINE)
    ids = await stored(room, 1, 2, 3)
    await room.resolve()
    look = room.lane.ledger.look

    async def far_behind(limit: int) -> Any:
        page = await look(limit)
        return page and type(page)(page.cursor, page.entries, page.deaths, page.head + 10_000, page.rendered_by)

    await room.lane.step()
    assert [path for path, _ in told(room.transport.requests)] == [SINGLE] * 3
    ids += await stored(room, *range(4, 34))
    await room.resolve()
    room.lane.ledger.look = far_behind
    await room.lane.step()
    assert [path for path, _ in told(room.transport.requests)][3:] == [BULK]
    assert sorted(vendor.recorded) == sorted(ids)
    await room.close()


async def test_whole_page_of_released_events_goes_by_bulk(tmp_path):
    room, vendor = await open_room(tmp_path, PIPELINE)
    room.lane._page_events = 3
    ids = [(await room.store(visitor, "view_item")).id for visitor in (1, 2, 3, 4)]
    await room.work()
    for visitor in (1, 2, 3, 4):
        await room.identify(visitor, email=f"v{visitor}@shop.example")
    await room.work()
    assert sorted(path for path, _ in told(room.transport.requests)) == [BULK, SINGLE]
    assert sorted(vendor.recorded) == sorted(ids)
    await room.close()


async def test_who_withdraws_between_an_order_and_its_lines_has_no_more_sent(tmp_path):
    room, vendor = await open_room(tmp_path, WITH_LINES)
    await room.identify(1, email="visitor@shop.example")
    await room.store(1, "purchase", properties={"transaction_id": "o-1", "items": [{"sku": "a"}, {"sku": "b"}]})
    await room.resolve()
    send = room.transport.send

    async def withdrawn_meanwhile(request: Request) -> Response:
        answer = await send(request)
        await room.store(1, "consent", consent=DENIED)
        await room.resolve()
        return answer

    room.transport.send = withdrawn_meanwhile
    await room.lane.step()
    room.clock.advance(5)
    await room.work()
    assert vendor.recorded == ["o-1"]
    assert await room.tally() == {"withheld": 1, "unmapped": 2}
    assert not room.health.is_open
    await room.close()


async def test_order_whose_lines_are_throttled_is_repeated_whole_and_recorded_once(tmp_path):
    room, vendor = await open_room(tmp_path, WITH_LINES)
    await room.identify(1, email="visitor@shop.example")
    await room.store(1, "purchase", properties={"transaction_id": "o-1", "items": [{"sku": "a"}, {"sku": "b"}]})
    room.transport.answers = [vendor.answer, Response(429, {"retry-after": "5"}, b"")]
    await room.work()
    assert (await room.tally())["waiting"] == 1
    room.clock.advance(6)
    await room.work()
    assert vendor.recorded == ["o-1", "o-1_a", "o-1_b"]
    assert (await room.tally())["delivered"] == 1
    await room.close()
