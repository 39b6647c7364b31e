"""A backroom with an eraser over its files, whose process may die at any named place."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from edge.app.changing import Changes
from edge.drainer import Erasable, Eraser, EraserParts
from edge.identity import Named
from edge.ledger.erasing import ErasureLedger
from edge.ledger.theirs import Whom
from edge.pipeline import Pipeline
from tests.backroom import CONSENT_KEY, Backroom

DAY_S = 86_400.0


class Died(Exception):
    """Raised where a test lets the process end."""


@dataclasses.dataclass
class EraserRoom:
    """`die_at` names the place where the next step ends the process; `pipelines` are those whose vendors are asked."""

    room: Backroom
    pipelines: Sequence[Pipeline] = ()
    stores: Sequence[Erasable] = ()
    die_at: str = ""

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Make everything anew that is only in memory."""
        self.ledger = ErasureLedger(self.room.database, CONSENT_KEY)
        assert self.room.reader is not None
        parts = EraserParts(
            directory=self.room.folder / "spool",
            ledger=self.ledger,
            clock=self.room.clock,
            region="GB",
            keep_for_s=14 * DAY_S,
            seal=self.room.writer.seal,
            resolved_to=lambda: self.room.resolver.cursor,
            metrics=self.room.metrics,
            readers=[self.room.reader],
            stores=self.stores,
            reached=self._reached,
        )
        self.eraser = Eraser(parts)
        self.changes = Changes(
            self.room.database,
            self.ledger,
            resolver=self.room.resolver,
            pipelines=lambda: self.pipelines,
            clock=self.room.clock,
            changed=lambda: None,
        )

    async def ask(self, *identifiers: Named) -> int:
        """Begin an erasure."""
        return await self.changes.begin_erasure(Whom(tuple(identifiers)))

    async def finish(self) -> None:
        """Work until there is nothing left to do."""
        for _ in range(100):
            await self.room.resolve()
            if not await self.eraser.step():
                return
        raise AssertionError("the eraser never came to rest")

    async def state(self, number: int) -> str:
        """Give how far an erasure is."""
        return (await self.ledger.find(number)).state

    def _reached(self, place: str) -> None:
        if place == self.die_at:
            self.die_at = ""
            raise Died(place)


def holding(folder: Path, *texts: str) -> list[str]:
    """Give the files under a folder that hold one of some texts, in whatever case; the test's own are not looked at."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes().lower()
            found += [path.name for text in texts if text.lower().encode() in content]
    return found
