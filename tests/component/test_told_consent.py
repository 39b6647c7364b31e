"""Payloads that tell a vendor what was answered: a purpose withdrawn since is not told as granted."""

import asyncio
import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from edge.consent import names_of
from edge.delivery import Conversation, Fate, Payload, Rate, Rejected, Rendered, Response
from edge.ledger.database import fetch
from tests.backroom import GRANTED, PIPELINE, Backroom
from tests.component.world import USER
from tests.paced import Rated

BUSY = Response(503, {}, b"")


@dataclasses.dataclass(frozen=True)
class Telling:
    """A destination that needs marketing and tells its vendor of every purpose; what it does not say is Klaviyo's."""

    inner: Any
    discloses: frozenset[str] = frozenset({"advertising"})

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def render(self, rendered: Rendered) -> Payload | Rejected:
        told = " ".join(names_of(rendered.granted))
        return self.inner.render(dataclasses.replace(rendered, properties={**rendered.properties, "Told": told}))

    def deliver(self, payloads: Sequence[Payload], now_ms: int) -> Conversation:
        return (yield from self.inner.deliver(payloads, now_ms))


@pytest.fixture
async def room(tmp_path: Path):
    room = await Backroom.open(tmp_path, starts_lane=False)
    room.pipeline = dataclasses.replace(room.pipeline, destination=Telling(room.pipeline.destination))
    await room.restart()
    await room.identify(1, email=USER)
    yield room
    await room.close()


def told(room: Backroom) -> list[str]:
    return [body["properties"]["Told"] for body in room.transport.bodies]


ALL, LESS = "functional analytics marketing advertising", "functional analytics marketing"


async def test_a_repeat_tells_no_purpose_that_was_withdrawn_since(room: Backroom) -> None:
    room.transport.answers = [BUSY, BUSY]
    event = await room.store(1, "view_item")
    await room.work()
    await room.store(1, "consent", consent={**GRANTED, "advertising": "denied"})
    for _ in range(2):
        room.clock.advance(600)
        await room.work()
    assert told(room) == [ALL, LESS, LESS]
    assert room.transport.requests[1] == room.transport.requests[2], "from then on the bytes stay as they are"
    assert (await room.fate(event)).fate is Fate.DELIVERED


async def test_a_repeat_without_a_withdrawal_keeps_its_bytes_whatever_is_known_by_now(room: Backroom) -> None:
    room.transport.answers = [BUSY]
    await room.store(1, "view_item")
    await room.work()
    await room.identify(1, phone="+442079460123")
    room.clock.advance(600)
    await room.work()
    assert room.transport.requests[0] == room.transport.requests[1]
    assert told(room) == [ALL, ALL]


async def test_a_repeat_goes_without_what_its_file_maps_of_a_withdrawn_purpose(tmp_path: Path) -> None:
    """The destination itself tells nothing of purposes: the file does, by what was answered and by a vendor's id."""
    maps = (
        "{metric: Viewed Product, properties: {Ads: {source: consent.advertising}, Click: {source: context.ids.gclid}}}"
    )
    text = re.sub(r"(?m)^  view_item: .*$", lambda _: f"  view_item: {maps}", PIPELINE)
    room = await Backroom.open(tmp_path, pipeline=text)
    room.transport.answers = [BUSY]
    await room.identify(1, email=USER)
    await room.store(1, "view_item", vendor_ids={"gclid": "Cj0KCQiA-abc"})
    await room.work()
    await room.store(1, "consent", consent={**GRANTED, "advertising": "denied"})
    room.clock.advance(600)
    await room.work()
    said = [body["properties"] for body in room.transport.bodies]
    assert said == [{"Ads": True, "Click": "Cj0KCQiA-abc"}, {"Ads": False}]
    assert len(set(room.transport.ids)) == 1
    await room.close()


async def test_what_was_withdrawn_while_an_event_waited_for_its_turn_is_not_told(room: Backroom) -> None:
    """A page is rendered at once, and may take a minute to go out."""
    events = [await room.store(1, "view_item") for _ in range(3)]
    await room.resolve()
    has_withdrawn = False

    async def withdraw(seconds: float) -> None:
        nonlocal has_withdrawn
        if not has_withdrawn:
            has_withdrawn = True
            await room.store(1, "consent", consent={**GRANTED, "advertising": "denied"})
            await room.resolve()
        room.clock.advance(seconds)
        await asyncio.sleep(0)

    room.pause = withdraw  # type: ignore[method-assign]
    room.pipeline = dataclasses.replace(room.pipeline, destination=Rated(room.pipeline.destination, Rate(1, 60)))
    await room.restart()
    await room.work()
    assert told(room) == [ALL, LESS, LESS]
    assert room.transport.ids == [event.id for event in events]
    assert await room.tally() == {"unmapped": 2, "delivered": 3}


async def test_what_cannot_be_rendered_anew_is_withheld_and_says_so(room: Backroom) -> None:
    room.transport.answers = [BUSY]
    event = await room.store(1, "view_item")
    await room.work()
    await room.store(1, "consent", consent={**GRANTED, "advertising": "denied"})
    await room.resolve()
    room.lane._spool = Empty()
    room.clock.advance(600)
    await room.work()
    found = await room.fate(event)
    assert (found.fate, len(room.transport.requests)) == (Fate.WITHHELD, 1)
    assert "withdrawn in part" in found.reason
    async with room.database.snapshot() as db:
        assert await fetch(db, "SELECT count(*) FROM waiting") == [(0,)]


class Empty:
    """A spool that has unlinked everything."""

    async def read_at(self, seqs: Any) -> dict[int, Any]:
        return {}
