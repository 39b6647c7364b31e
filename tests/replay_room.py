"""A backroom with what sends again, and its balance."""

import dataclasses

from edge.app.repeating import Repeats
from edge.drainer import Replayer
from edge.ledger import LedgerView
from edge.ledger.balancing import Balance
from edge.ledger.letters import Letters
from edge.ledger.replaying import Replay, ReplayLedger, Stored
from edge.pipeline import Pipeline
from tests.backroom import HOSTS, Backroom

EVER = 2**60
ALL_LETTERS, ALL_STORED = Letters(), Stored(1, EVER)


@dataclasses.dataclass
class ReplayRoom:
    """`is_blocked`: the pipeline's destination is to be left alone; `asks_lane`: where its drainer says so, too."""

    room: Backroom
    is_blocked: bool = False
    asks_lane: bool = False

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Make everything anew that is only in memory."""
        assert self.room.reader is not None
        self.ledger = ReplayLedger(self.room.database)
        self.replayer = Replayer(
            self.ledger,
            spool=self.room.reader,
            find=self._find,
            is_blocked=lambda _: self.is_blocked or (self.asks_lane and self.room.lane.is_blocked),
            clock=self.room.clock,
            hosts=HOSTS,
        )
        self.repeats = Repeats(
            self.room.database,
            find=self._find,
            waits_for=lambda _: "",
            clock=self.room.clock,
            changed=lambda: None,
        )

    async def ask_dead(self, wanted: Letters = ALL_LETTERS) -> int:
        """Ask for letters to be sent again."""
        [number] = await self.repeats.begin_dead({"verb": "dead_replay", **wanted.told()})
        return number

    async def ask_stored(self, wanted: Stored = ALL_STORED) -> int:
        """Ask for stored events to be sent again."""
        told = {**dataclasses.asdict(wanted), "visitors": None if wanted.visitors is None else list(wanted.visitors)}
        return await self.repeats.begin_stored({"verb": "replay", "pipeline": self.room.pipeline.name, **told})

    async def work(self) -> None:
        """Replay and drain until there is nothing to do now."""
        while (await self.replayer.step()) | bool(await self.room.work()):
            continue

    async def done(self, number: int) -> Replay:
        """Give a replay that has been worked to its end."""
        await self.work()
        return await self.ledger.find(number)

    async def balance(self, first: int = 1, last: int = EVER) -> Balance:
        """Add up what there is."""
        view = await LedgerView.open(self.room.folder / "ledger.db")
        try:
            return await view.balance(first, last)
        finally:
            await view.close()

    def _find(self, name: str) -> Pipeline | None:
        return self.room.pipeline if name == self.room.pipeline.name else None
