"""The official library for servers, as it is on PyPI, pointed at a real collector."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from segment.analytics.client import Client
from segment.analytics.request import APIError, post
from segment.analytics.version import VERSION

from edge.errors import StorageBusy
from edge.event import encode
from edge.ledger.database import fetch
from edge.secret import Secret
from tests.backroom import Backroom
from tests.running_collector import Running, running

KEY = "key-of-the-shop-1"
USER = "user@shop.example"
LIBRARY = {"library": {"name": "analytics-python", "version": VERSION}}
PRODUCT = {"product_id": "501", "name": "Teapot", "price": 42.25, "quantity": 2}


@pytest.fixture
async def edge(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    """A collector whose clock stands at the library's own time, as that one is told along."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    async with running(write_keys=(("shop", Secret(KEY)),)) as made:
        made.clock.advance(time.time() - made.clock.now_ms() / 1_000)
        yield made


def client(edge: Running, **options: Any) -> Client:
    settings = {"write_key": KEY, "host": f"http://127.0.0.1:{edge.collector.port}/t", "upload_interval": 0.05}
    return Client(**{**settings, **options})


async def send(made: Client, *calls: Callable[[Client], Any]) -> None:
    """Make the calls in a thread of their own, as the library waits for its answers."""

    def work() -> None:
        for call in calls:
            call(made)
        if not made.sync_mode:
            made.shutdown()

    await asyncio.to_thread(work)


@pytest.mark.parametrize("options", [{"sync_mode": True}, {}, {"gzip": True}])
async def test_every_call_of_the_library_is_stored_as_expected(edge: Running, options: dict[str, Any]) -> None:
    moment = datetime.fromtimestamp(edge.clock.now_ms() // 1_000 - 60, UTC)
    context = {"ip": "192.0.2.7", "userAgent": "Mozilla/5.0", "traits": {"email": USER}}
    order = {"order_id": "70311", "total": 84.5, "currency": "EUR", "products": [PRODUCT]}
    calls: list[Callable[[Client], Any]] = [
        lambda made: made.identify("c-19", {"email": USER}, timestamp=moment, message_id="m-1"),
        lambda made: made.track("c-19", "Order Completed", order, context, moment, message_id="m-2"),
        lambda made: made.page("c-19", "Pots", "Cups", {"path": "/cups"}, timestamp=moment, message_id="m-3"),
        lambda made: made.group("c-19", "g-1", {"name": "Tea Ltd"}, timestamp=moment, message_id="m-4"),
        lambda made: made.track(None, "Product Viewed", PRODUCT, {}, moment, "7d9f", message_id="m-5"),
    ]
    await send(client(edge, **options), *calls)
    item = {"item_id": "501", "item_name": "Teapot"}
    told = [(event.id, event.name, event.properties, event.traits, event.context) for event in edge.log.events]
    assert told == [
        ("m-1", "identify", {}, {"email": USER, "customer_id": "c-19"}, LIBRARY),
        (
            "m-2",
            "Order Completed",
            {
                **order,
                "transaction_id": "70311",
                "value": 84.5,
                "items": [{**item, "price": 42.25, "quantity": 2}],
            },
            {"email": USER, "customer_id": "c-19"},
            {**LIBRARY, "ip": "192.0.2.7", "user_agent": "Mozilla/5.0"},
        ),
        (
            "m-3",
            "page_view",
            {"path": "/cups", "name": "Cups", "category": "Pots"},
            {"customer_id": "c-19"},
            {**LIBRARY, "page": {"path": "/cups"}},
        ),
        ("m-4", "group", {"group_id": "g-1", "name": "Tea Ltd"}, {"customer_id": "c-19"}, LIBRARY),
        ("m-5", "Product Viewed", {**PRODUCT, **item}, {}, LIBRARY),
    ]
    assert {event.source for event in edge.log.events} == {"server:shop"}
    assert {(event.time_ms, event.is_time_moved) for event in edge.log.events} == {
        (round(moment.timestamp() * 1_000), False)
    }
    assert len({event.browser for event in edge.log.events}) == 2


async def test_a_wrong_key_is_reported_by_the_library_and_not_repeated(edge: Running) -> None:
    errors: list[tuple[Any, Any]] = []
    made = client(edge, write_key="no such key", on_error=lambda error, batch: errors.append((error, batch)))
    await send(made, lambda made: made.track("c-19", "Signed Up", message_id="m-1"))
    ((error, batch),) = errors
    assert (type(error), error.status, error.code) == (APIError, 401, "unknown_write_key")
    assert [message["messageId"] for message in batch] == ["m-1"]
    assert edge.count("edge_requests_total", endpoint="calls", status="401") == 1
    assert edge.log.events == []


async def test_a_message_that_cannot_be_taken_is_reported_with_its_reason(edge: Running) -> None:
    with pytest.raises(APIError) as raised:
        await send(client(edge, sync_mode=True), lambda made: made.track("null", "Signed Up"))
    assert (raised.value.status, raised.value.code) == (400, "no_user")


async def test_a_batch_with_a_bad_message_is_no_error_to_the_library_and_costs_no_other(edge: Running) -> None:
    """Its upload is called itself, so that the three certainly go as one batch."""
    made = client(edge, send=False)
    batch = [
        made.track("c-19", "<b>", message_id="m-1")[1],
        made.alias("a", "b", message_id="m-2")[1],
        made.track("c-19", "Signed Up", message_id="m-3")[1],
    ]
    answer = await asyncio.to_thread(post, KEY, made.host, batch=batch)
    assert answer.status_code == 200
    assert [event.id for event in edge.log.events] == ["m-3"]
    assert edge.count("edge_events_rejected_total", code="bad_name") == 1
    assert edge.count("edge_events_rejected_total", code="unsupported") == 1


async def test_what_could_not_be_stored_or_was_not_answered_is_sent_again_and_counts_once(
    edge: Running, tmp_path: Path
) -> None:
    """The library waits for the second that Retry-After asks for, each time."""
    edge.log.refusals = [StorageBusy("x")]
    edge.log.lost_answers = [StorageBusy("x")]
    errors: list[Any] = []
    made = client(edge, on_error=lambda error, batch: errors.append(error))
    await send(made, lambda made: made.track("c-19", "Signed Up"))
    assert errors == []
    assert edge.count("edge_requests_total", endpoint="calls", status="503") == 2
    assert edge.count("edge_requests_total", endpoint="calls", status="200") == 1
    first, again = edge.log.events
    assert (again.id, again.source) == (first.id, first.source)
    room = await Backroom.open(tmp_path)
    await room.writer.append([encode(first), encode(again)])
    await room.resolve()
    async with room.database.snapshot() as db:
        assert [row[0] for row in await fetch(db, "SELECT fate FROM journal ORDER BY seq")] == [0, 1]
    await room.close()
