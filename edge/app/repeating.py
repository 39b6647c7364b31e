"""The verbs that send again or let go: dead letters, and stored events; over the ledger's one writing connection.

What is asked is stored first. Who follows it and leaves stops nothing; who dies with it goes on where it was.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

from edge.app.control import Told
from edge.clock import Clock
from edge.ledger import Database
from edge.ledger.letters import LetterLedger, letters_of
from edge.ledger.replaying import Replay, ReplayLedger, Stored
from edge.pipeline import Pipeline

LOOK_EVERY_S = 0.1
LOOKS_A_SIGN = 50
MAX_NAME = 1_000
MAX_VISITORS = 1_000


class Repeats:
    """Answers `dead replay`, `dead drop` and `replay`.

    `find` gives the pipeline that runs under a name; `waits_for` says why one does not send now, "" where it does;
    `changed` wakes whoever goes on with it.
    """

    def __init__(
        self,
        database: Database,
        *,
        find: Callable[[str], Pipeline | None],
        waits_for: Callable[[str], str],
        clock: Clock,
        changed: Callable[[], None],
    ) -> None:
        self._ledger, self._letters = ReplayLedger(database), LetterLedger(database)
        self._find, self._waits_for, self._clock, self._changed = find, waits_for, clock, changed

    async def replay_dead(self, request: Told) -> AsyncGenerator[Told, None]:
        """Send dead letters again; tells how far it is until all have ended."""
        async for told in self.follow(await self.begin_dead(request)):
            yield told

    async def replay(self, request: Told) -> AsyncGenerator[Told, None]:
        """Send stored events again; tells how far it is until all have ended."""
        async for told in self.follow([await self.begin_stored(request)]):
            yield told

    async def begin_dead(self, request: Told) -> list[int]:
        """Store what is asked for, one replay a pipeline; give their numbers.

        Raises:
            ValueError: it has another shape, or a pipeline that is named does not run.
        """
        wanted = letters_of(request)
        if wanted.pipeline is not None:
            self._check(wanted.pipeline)
        meant = request.get("pipelines")
        if meant is not None and not isinstance(meant, list):
            raise ValueError("pipelines: accepted is a list of names")
        names = [name for _, name in await self._letters.pipelines(wanted.pipeline) if self._find(name) is not None]
        names = [name for name in names if meant is None or name in meant]
        now_ms = self._clock.now_ms()
        numbers = [await self._ledger.ask(name, replace(wanted, pipeline=name), now_ms) for name in names]
        self._changed()
        return numbers

    async def begin_stored(self, request: Told) -> int:
        """Store what is asked for; give its number.

        Raises:
            ValueError: it has another shape, or the pipeline does not run.
        """
        pipeline, wanted = str(request.get("pipeline")), _stored_of(request)
        self._check(pipeline)
        number = await self._ledger.ask(pipeline, wanted, self._clock.now_ms())
        self._changed()
        return number

    async def follow(self, numbers: Sequence[int]) -> AsyncIterator[Told]:
        """Tell how far replays are until they are done; what stays the same is told again every few seconds."""
        before: list[Replay] = []
        for look in count():
            replays = [await self._ledger.find(number) for number in numbers]
            if all(one.done_at_ms is not None for one in replays):
                break
            if replays != before or look % LOOKS_A_SIGN == 0:
                before = replays
                yield {"kind": "progress", "replays": [self._told(one) for one in replays]}
            await asyncio.sleep(LOOK_EVERY_S)
        yield await self.ended(numbers)

    async def ended(self, numbers: Sequence[int]) -> Told:
        """Give the last line about replays, done or not."""
        replays = [self._told(await self._ledger.find(number)) for number in numbers]
        return {"kind": "end", "replays": replays}

    async def drop(self, request: Told) -> AsyncGenerator[Told, None]:
        """Let dead letters go, in bounded steps; tells how many so far. Their events stay dead."""
        wanted = letters_of(request)
        dropped: dict[str, int] = {}
        for number, name in await self._letters.pipelines(wanted.pipeline):
            after: int | None = 0
            while after is not None:
                letters, after = await self._letters.drop(number, wanted, after)
                if letters:
                    dropped[name] = dropped.get(name, 0) + letters
                    yield {"kind": "progress", "dropped": dict(dropped)}
        yield {"kind": "end", "dropped": dropped}

    def _check(self, pipeline: str) -> None:
        if self._find(pipeline) is None:
            raise ValueError("pipeline: none of this name runs, so nothing can be sent; see `edge check`")

    def _told(self, one: Replay) -> Told:
        """Give how far a replay is; nothing in it is of an event or a visitor."""
        why = self._waits_for(one.pipeline) if one.done_at_ms is None else ""
        return {
            "replay": one.id,
            "pipeline": one.pipeline,
            "chosen": one.chosen,
            "anew": one.anew,
            "open": one.open,
            "outcomes": dict(one.outcomes),
            "left_out": dict(one.left_out),
            "is_done": one.done_at_ms is not None,
            "cursor": one.cursor,
            "last": one.last,
            "waits_for": why,
        }


def _stored_of(request: Told) -> Stored:
    first, last = (_number(request, name) for name in ("first", "last"))
    event: Any = request.get("event")
    if event is not None and not (isinstance(event, str) and len(event) <= MAX_NAME):
        raise ValueError("event: accepted is a name")
    visitors = request.get("visitors")
    if visitors is None:
        return Stored(first, last, event)
    if not isinstance(visitors, list) or len(visitors) > MAX_VISITORS or not all(type(one) is int for one in visitors):
        raise ValueError(f"visitors: accepted is a list of at most {MAX_VISITORS} numbers")
    return Stored(first, last, event, tuple(visitors))


def _number(request: Told, name: str) -> int:
    number = request.get(name)
    if type(number) is not int or not 0 <= number < 2**62:
        raise ValueError(f"{name}: accepted is a sequence number")
    return number
