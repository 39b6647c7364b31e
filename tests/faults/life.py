"""A short life of a whole service in one process: events come, are told to a vendor, held, erased, and segments go.

Everything that somebody could rely on afterwards is noted at the moment at which it could.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge.delivery import Request, Response
from edge.drainer import Housekeeping
from edge.ledger import TrimLedger
from edge.spool import SpoolSettings
from tests.backroom import DENIED, TAKEN, Backroom
from tests.clock import FakeClock
from tests.eraser_room import EraserRoom
from tests.faults.books import read_books

ERASED, DENIER, STRANGER = 5, 6, 7
KNOWN = (1, 2, 3, 4)
ERASED_EMAIL = "visitor5@shop.example"
DAY_S = 86_400.0
PADDING = 900
AWAY = Response(503, {}, b"")

Note = Callable[..., None]


class Life:
    """`note` is told what is certain: an answered yes, a request that went out, how far the ledger is."""

    def __init__(self, folder: Path, note: Note, clock: FakeClock | None = None) -> None:
        self._folder, self._note, self._clock = folder, note, clock or FakeClock()
        self.is_away = False
        self.room: Backroom

    async def live(self, rounds: int = 3) -> None:
        """Play all of it: a full stop and a start in the middle, an erasure, and room given back."""
        await self.open()
        for visitor in (*KNOWN, ERASED):
            await self.tell(visitor, "identify", traits={"email": f"visitor{visitor}@shop.example"})
        for number in range(rounds):
            await self.round(number)
        await self.close()
        await self.open()
        await self.round(rounds)
        await self.erase()
        await self.round(rounds + 1)
        await self.give_back()
        await self.tell(1, "view_item")
        await self.close()

    async def open(self) -> None:
        """Start, or start again."""
        self.room = await Backroom.open(self._folder, self._clock)
        self.room.transport.always = self._answer

    async def close(self) -> None:
        """Stop politely."""
        await self.room.close()

    async def round(self, number: int) -> None:
        """Let everybody do something, with a vendor that is away now and then, and end a segment."""
        for visitor in (*KNOWN, DENIER, STRANGER, ERASED):
            consent = DENIED if visitor == DENIER else None
            await self.tell(visitor, "view_item", consent=consent, properties={"padding": "x" * PADDING})
        self.is_away = number % 2 == 1
        await self.work()
        if number % 2 == 0:
            await self.room.writer.seal()
            self._note("sealed")
        await self.tell(KNOWN[number % len(KNOWN)], "add_to_cart")
        self.is_away = False
        self._clock.advance(2.0)
        await self.work()

    async def tell(self, visitor: int, name: str, **more: Any) -> None:
        """Let one event be stored, and note that it was promised."""
        event = await self.room.store(visitor, name, id=f"{visitor}-{self.room.writer.last_seq + 1}", **more)
        self._note("promised", event.id, self.room.writer.last_seq)

    async def work(self) -> None:
        """Resolve and deliver, and note how far the ledger says it is."""
        await self.room.work()
        books = read_books(self._folder)
        self._note("ledger", books.resolved_to, books.cursor)

    async def erase(self) -> None:
        """Let a person be forgotten."""
        eraser = EraserRoom(self.room)
        await eraser.ask(("email", ERASED_EMAIL))
        self._note("erasure asked")
        await eraser.finish()
        self._note("erased")

    async def give_back(self) -> None:
        """Unlink what nobody needs any more."""
        settings = SpoolSettings(self._folder / "spool", free_bytes=0)
        ledger = TrimLedger(self.room.database, ["klaviyo"])
        self._clock.advance(DAY_S)
        parts = {"reader": self.room.reader, "ledger": ledger, "clock": self._clock}
        house = Housekeeping(settings, **parts, keep_for_s=DAY_S / 2)
        for ledger_of_lane in (self.room.lane.ledger,):
            await house.expire_held(self.room.pipeline, ledger_of_lane)
        self._note("given back", await house.unlink_passed())

    def _answer(self, request: Request) -> Response:
        self._note("sent", request.body)
        return AWAY if self.is_away else TAKEN


def told_in(body: bytes) -> tuple[str, str]:
    """Give an event's id and its content as it was told to the vendor, but for the mark of lateness."""
    attributes = json.loads(body)["data"]["attributes"]
    attributes.pop("backfill", None)
    return attributes["unique_id"], json.dumps(attributes, sort_keys=True)
