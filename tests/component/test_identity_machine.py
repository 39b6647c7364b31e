"""Random lives of three browsers and a server: whatever happens, no event reaches somebody else's profile.

Nor does one that nobody said yes to. IDENTITY_SEQUENCES says how many lives, SEED repeats a run. Two thirds of the time
of one life are waits for a disk, so they are played in memory where there is such a folder.
"""

import json
import os
import random
import shutil
from collections import Counter
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from edge.consent import ALL_PURPOSES
from edge.delivery import Request, Response
from edge.errors import TransportFailed
from edge.event import Event
from edge.ledger.database import fetch, open_read_only
from edge.person import anonymous_id
from tests.backroom import DENIED, GRANTED, TAKEN, Backroom
from tests.component.test_identity_stories import PIPELINE

SEQUENCES = int(os.environ.get("IDENTITY_SEQUENCES", "2000"))
NO_ANSWER: dict[str, str] = {}
WAIT_FOR_MS = 1_800_000
SENDS = PIPELINE.replace("parameters:", "anonymous: send\nparameters:")
SEED = int(os.environ.get("SEED", "20261122"))
BLOCKS = 10
IN_MEMORY = Path("/dev/shm")
STEPS = 12
BROWSERS, SERVER_KEYS = (1, 2, 3), (101, 102)
NAMES = ("view_item", "add_to_cart", "search")
POOL = {
    "email": [f"user{number}@shop.example" for number in range(3)],
    "phone": [f"+44207946001{number}" for number in range(2)],
    "customer_id": [f"c-{number}" for number in range(3)],
}
FIELDS = {"email": "email", "phone_number": "phone", "external_id": "customer_id"}
DOWN = TransportFailed("the connection was refused")


class Died(BaseException):
    """Stands for a process that ends between two instructions."""


class Life:
    """Does one random thing after another, and remembers what was said, by whom, when."""

    def __init__(self, room: Backroom, dice: random.Random) -> None:
        self._room, self._dice = room, dice
        self.events: list[tuple[Event, bool | None]] = []
        self._sessions = dict.fromkeys(BROWSERS, 0)
        self.deaths = 0

    async def step(self) -> None:
        """Do something."""
        dice = self._dice
        match dice.choice("eeeeiiissrcwtkddlxuuuh"):
            case "e":
                await self._store(dice.choice(BROWSERS), dice.choice(NAMES))
            case "i":
                await self._store(dice.choice(BROWSERS), "identify", traits=self._claim())
            case "s":
                key = dice.choice((*SERVER_KEYS, *BROWSERS))
                await self._store(key, dice.choice((*NAMES, "identify")), traits=self._claim(), source="server:shop")
            case "r":
                number = dice.choice(BROWSERS)
                await self._store(number, "reset")
                self._sessions[number] += 1
            case "c":
                await self._store(dice.choice(BROWSERS), "consent", consent=GRANTED)
            case "w":
                await self._store(dice.choice(BROWSERS), "consent", consent=DENIED)
            case "t":
                url = f"https://shop.example/?_kx=token-{dice.randrange(3)}"
                await self._store(dice.choice(BROWSERS), "view_item", page={"url": url})
            case "k":
                await self._room.resolve()
                await self._room.restart()
            case "d":
                self._room.transport.always = dice.choice([TAKEN, TAKEN, DOWN, Response(503, {}, b"")])
                await self._room.work()
                self._room.clock.advance(dice.choice([1, 60, 4_000]))
            case "l":
                await self._late()
            case "u":
                told = {"source": "server:shop"} if dice.random() < 0.5 else {}
                await self._store(dice.choice(BROWSERS), dice.choice(NAMES), consent=NO_ANSWER, **told)
            case "h":
                await self._housekeep()
            case "x":
                await self._die()

    def _claim(self) -> dict[str, str]:
        kinds = [kind for kind in POOL if self._dice.random() < 0.5] or ["email"]
        return {kind: self._dice.choice(POOL[kind]) for kind in kinds}

    async def _store(self, number: int, name: str, **more: Any) -> None:
        consent = more.pop("consent", self._dice.choice([GRANTED, NO_ANSWER]))
        if number in BROWSERS and more.get("source") is None:
            more.setdefault("session", {"id": f"{number}-{self._sessions[number]}"})
        event = await self._room.store(number, name, consent=consent, **more)
        self.events.append((event, None if consent is NO_ANSWER else consent is DENIED))

    async def _late(self) -> None:
        """Let an event of the session before arrive."""
        number = self._dice.choice(BROWSERS)
        before = max(0, self._sessions[number] - 1)
        await self._store(number, "view_item", session={"id": f"{number}-{before}"})

    async def _die(self) -> None:
        """End the process between sending and settling, and begin another."""
        await self._room.resolve()

        async def died(*_: Any) -> None:
            raise Died

        self._room.lane.ledger.settle = self._room.lane.ledger.settle_due = died  # type: ignore[method-assign]
        try:
            await self._room.lane.step()
        except Died:
            self.deaths += 1
        await self._room.restart()

    async def _housekeep(self) -> None:
        """End what has waited for an answer for too long."""
        now_ms = self._room.clock.now_ms()
        while await self._room.lane.ledger.end_unanswered(now_ms - WAIT_FOR_MS, 100, now_ms):
            continue

    async def settle(self) -> None:
        """Let the vendor work again and everything come to rest."""
        self._room.transport.always = TAKEN
        for _ in range(6):
            self._room.clock.advance(1_000)
            await self._room.work()
            await self._housekeep()
        await self._room.work()


class Witness:
    """Notes for every request how far the resolver was then; later holds the whole life against the rules."""

    def __init__(self, room: Backroom, life: Life, *, assumes: bool) -> None:
        self._room, self._life, self._assumes = room, life, assumes
        self._sent: list[tuple[int, dict[str, Any]]] = []
        self._seq: dict[str, int] = {}
        send = room.transport.send

        async def noted(request: Request) -> Response:
            self._sent.append((room.resolver.cursor, json.loads(request.body)["data"]["attributes"]))
            return await send(request)

        room.transport.send = noted  # type: ignore[method-assign]

    async def judge(self) -> int:
        """Hold everything that was sent against what was said; give how many requests there were."""
        events = [event for event, _ in self._life.events]
        self._seq = {event.id: seq for seq, event in enumerate(events, 1)}
        db = await open_read_only(self._room.folder / "ledger.db")
        facts = await fetch(db, "SELECT kind, value, person, seq FROM identifier")
        aliases = await fetch(db, "SELECT person, canonical, seq FROM alias")
        tokens = set(await fetch(db, "SELECT visitor, value FROM vendor_id"))
        journal = await fetch(db, "SELECT j.seq, v.id, v.person FROM journal j JOIN visitor v ON v.id = j.visitor")
        self._linked = await fetch(db, "SELECT browser, person, linked_seq FROM visitor WHERE person IS NOT NULL")
        epochs = {
            one: (browser, epoch) for one, browser, epoch in await fetch(db, "SELECT id, browser, epoch FROM visitor")
        }
        open_for_consent = await fetch(db, "SELECT count(*) FROM held WHERE waits <> 0")
        await db.close()
        assert open_for_consent == [(0,)], "somebody still waits for an answer"
        strangers: set[int] = set()
        introduced: dict[int, str] = {}
        visitors = {seq: (visitor, person) for seq, visitor, person in journal}
        assert all(events[seq - 1].source != "browser" for _, _, seq in aliases), "a browser has merged two persons"
        for cursor, attributes in self._sent:
            event = events[self._seq[attributes["properties"]["event"]] - 1]
            visitor, person = visitors[self._seq[event.id]]
            profile = attributes["profile"]["data"]["attributes"]
            token = profile.pop("_kx", None)
            assert token is None or (visitor, token) in tokens, f"{event.id}: a token its visitor never had"
            own = profile.pop("anonymous_id", None)
            if own is not None:
                assert own == anonymous_id(*epochs[visitor]), f"{event.id}: another visitor's id"
                if profile:
                    assert visitor in strangers, f"{event.id}: introduces somebody who never was a stranger"
                    assert introduced.setdefault(visitor, event.id) == event.id, f"{event.id}: introduces again"
                strangers.add(visitor)
            one = _group(person, [pair[:2] for pair in aliases if pair[2] <= cursor])
            known = {(kind, value) for kind, value, owner, seq in facts if owner in one and seq <= cursor}
            named = {(FIELDS[field], value) for field, value in profile.items()}
            assert named <= known, f"{event.id}: names that its person did not have then"
            assert not self._is_withdrawn(event.browser, cursor), f"{event.id}: sent after a withdrawal"
            assert self._is_granted(event, one, cursor), f"{event.id}: sent though nobody said yes"
        self._judge_repeats_and_order(visitors)
        tally = await self._room.tally()
        assert sum(tally.values()) == len(events), f"the balance does not hold: {tally}"
        return len(self._sent)

    def _is_withdrawn(self, cookie: str, cursor: int) -> bool:
        answers = self._answers({cookie}, cursor)
        return bool(answers) and answers[-1]

    def _is_granted(self, event: Event, one: set[int], cursor: int) -> bool:
        """Tell whether anybody who may has said yes: the browser, for a server's event the person in any other."""
        cookies = {event.browser}
        if event.source != "browser":
            cookies |= {cookie.hex() for cookie, person, seq in self._linked if person in one and seq <= cursor}
        answers = self._answers(cookies, cursor)
        return not all(answers) or (self._assumes and event.source != "browser" and not answers)

    def _answers(self, cookies: set[str], cursor: int) -> list[bool]:
        """Give what browsers have answered, in order: whether it was a no."""
        said = [(event.browser, is_denial) for event, is_denial in self._life.events[:cursor]]
        return [is_denial for cookie, is_denial in said if cookie in cookies and is_denial is not None]

    def _judge_repeats_and_order(self, visitors: dict[int, tuple[int, int]]) -> None:
        bodies: dict[str, set[str]] = {}
        order: dict[int, list[int]] = {}
        for _, attributes in self._sent:
            attributes.pop("backfill", None)
            event = attributes["properties"]["event"]
            if event not in bodies:
                order.setdefault(visitors[self._seq[event]][0], []).append(self._seq[event])
            bodies.setdefault(event, set()).add(json.dumps(attributes, sort_keys=True))
        assert all(len(versions) == 1 for versions in bodies.values()), "a repeat had other content"
        assert all(seqs == sorted(seqs) for seqs in order.values()), f"out of order: {order}"


def _group(person: int, pairs: list[Any]) -> set[int]:
    one = {person}
    while wider := {member for pair in pairs if one & set(pair) for member in pair} - one:
        one |= wider
    return one


@pytest.mark.parametrize("block", range(BLOCKS))
async def test_no_event_reaches_somebody_else_whatever_happens(block: int, tmp_path: Path) -> None:
    happened: Counter[str] = Counter()
    for number in range(block, SEQUENCES, BLOCKS):
        folder = Path(mkdtemp(dir=IN_MEMORY if os.access(IN_MEMORY, os.W_OK) else tmp_path))
        pipeline = SENDS if number // BLOCKS % 2 else PIPELINE
        assumes = number // BLOCKS % 3 == 0
        told = {"server_consent": ALL_PURPOSES} if assumes else {"server_waits": ALL_PURPOSES}
        room = await Backroom.open(folder, pipeline=pipeline, waits=ALL_PURPOSES, **told)
        life = Life(room, random.Random(SEED + number))
        witness = Witness(room, life, assumes=assumes)
        try:
            for _ in range(STEPS):
                await life.step()
            await life.settle()
            happened["sent"] += await witness.judge()
        except AssertionError as error:
            raise AssertionError(f"SEED={SEED} sequence {number}: {error}") from error
        finally:
            await room.close()
            shutil.rmtree(folder)
        happened["deaths"] += life.deaths
    assert min(happened["sent"], happened["deaths"]) > 0, "nothing was shown"
