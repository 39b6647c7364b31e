"""What verbs change, over the ledger's one writing connection: between two pages of the resolver, running or not."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import asdict
from itertools import count
from typing import Any

from edge.app.control import Told
from edge.clock import Clock
from edge.drainer.vendor_erasing import calls_for
from edge.ledger import Database, UndoLedger
from edge.ledger.erasing import Erasure, ErasureLedger
from edge.ledger.theirs import Whom
from edge.ledger.vendor_erasing import VendorErasure, vendor_erasures
from edge.person import KINDS
from edge.pipeline import Pipeline
from edge.resolver import Resolver

LOOK_EVERY_S = 0.05
LOOKS_A_SIGN = 100
VENDORS_WITHIN_S = 10.0
MAX_TEXT = 1_000


def whom_of(request: Told) -> Whom:
    """Read whom a request means.

    Raises:
        ValueError: it has another shape.
    """
    pairs = request.get("identifiers", [])
    browser, person, visitor = (request.get(name) for name in ("browser", "person", "visitor"))
    if not isinstance(pairs, list) or not all(_is_name(pair) for pair in pairs):
        raise ValueError("identifiers: accepted is a list of [kind, value]")
    if browser is not None and not (isinstance(browser, str) and _is_browser(browser)):
        raise ValueError("browser: accepted are 32 hexadecimal digits")
    for name, number in (("person", person), ("visitor", visitor)):
        if number is not None and (isinstance(number, bool) or not isinstance(number, int) or not 0 < number < 2**62):
            raise ValueError(f"{name}: accepted is a number")
    return Whom(tuple((kind, value) for kind, value in pairs), browser, person, visitor)


def told_whom(whom: Whom) -> Told:
    """Write whom a request means."""
    names = [list(name) for name in whom.identifiers]
    return {"identifiers": names, "browser": whom.browser, "person": whom.person, "visitor": whom.visitor}


class Changes:
    """The verbs of the control socket. One change at a time; a client that leaves stops nothing."""

    def __init__(
        self,
        database: Database,
        ledger: ErasureLedger,
        *,
        resolver: Resolver,
        pipelines: Callable[[], Sequence[Pipeline]],
        clock: Clock,
        changed: Callable[[], None],
    ) -> None:
        self._database, self._ledger, self._resolver = database, ledger, resolver
        self._pipelines, self._clock, self._changed = pipelines, clock, changed

    async def unlink(self, request: Told) -> AsyncGenerator[Told, None]:
        """Take a link back; tells what was undone."""
        whom = whom_of(request)
        ledger = UndoLedger(self._database)
        parted, stranger, ended = 0, False, []
        async with self._resolver.between_pages():
            if whom.person is not None:
                parted = await ledger.part(whom.person)
            elif whom.browser is not None and await ledger.begin_epoch(whom.browser):
                stranger = True
            else:
                ended = [name for name in whom.identifiers if await ledger.end_fact(*name)]
            self._resolver.forget_cached()
        yield {"kind": "end", "parted": parted, "stranger": stranger, "ended": ended}

    async def forget(self, request: Told) -> AsyncGenerator[Told, None]:
        """Erase a person; tells each state as it is reached, and at the end what is left and what vendors said."""
        number = await self.begin_erasure(whom_of(request))
        if not number:
            yield {"kind": "end", "erasure": None}
            return
        async for told in self.follow(number):
            yield told

    async def begin_erasure(self, whom: Whom) -> int:
        """Take a person out of the ledger; the files follow. Gives the erasure's number, 0 where there is nobody.

        Raises:
            ValueError: several persons are meant.
        """
        async with self._resolver.between_pages():
            asked = await self._ledger.ask(
                whom, lambda names: calls_for(self._pipelines(), names), self._clock.now_ms()
            )
            self._resolver.forget_cached(erased=asked.visitors)
        self._changed()
        return asked.number

    async def follow(self, number: int) -> AsyncGenerator[Told, None]:
        """Tell how far an erasure is until it is done, and vendors have had some seconds to answer.

        What stays the same is told again every few seconds: so it is noticed when nobody listens any more.
        """
        state, waited_s = "", 0.0
        for look in count():
            vendors = await self.vendors_of(number)  # first: an answer begins the last state anew
            erasure = await self.find(number)
            if erasure.state != state or look % LOOKS_A_SIGN == 0:
                state = erasure.state
                yield {"kind": "progress", "state": state}
            is_answered = all(one.state != "open" for one in vendors)
            if erasure.state == "done" and (is_answered or waited_s >= VENDORS_WITHIN_S):
                break
            waited_s += LOOK_EVERY_S if erasure.state == "done" else 0.0
            await asyncio.sleep(LOOK_EVERY_S)
        yield await self.ended(number)

    async def find(self, number: int) -> Erasure:
        """Give one erasure."""
        return await self._ledger.find(number)

    async def ended(self, number: int) -> Told:
        """Give the last line about an erasure; nothing in it says who it was."""
        vendors, erasure = await self.vendors_of(number), await self.find(number)
        told: dict[str, Any] = {"erasure": asdict(erasure), "vendors": [asdict(one) for one in vendors]}
        return {"kind": "end", **told}

    async def vendors_of(self, number: int) -> list[VendorErasure]:
        """Give what vendors were asked for one erasure."""
        async with self._database.snapshot() as db:
            return await vendor_erasures(db, number)


def _is_name(pair: object) -> bool:
    if not isinstance(pair, list) or len(pair) != 2:
        return False
    kind, value = pair
    return kind in KINDS and isinstance(value, str) and 0 < len(value) <= MAX_TEXT


def _is_browser(text: str) -> bool:
    return len(text) == 32 and all(letter in "0123456789abcdef" for letter in text)
