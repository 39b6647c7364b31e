"""Stories of identity: which profile every event reached, through resolver, ledger and drainer."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge.event import Event, event_key
from edge.ledger import LedgerView
from edge.ledger.records import JournalFate
from tests.backroom import Backroom

FOLDER = Path(__file__).parents[1] / "stories"
STORIES = [story for file in sorted(FOLDER.glob("*.yaml")) for story in yaml.safe_load(file.read_text("utf-8"))]
KINDS = ("email", "phone", "customer_id")
FIRST_OF_CROWD = 1_000
DAY_S = 86_400
PIPELINE = """
name: klaviyo
integration: klaviyo-events-api
parameters: {private_api_key: "${KEY}", base_url: "http://klaviyo.test"}
global:
  profile:
    "$email": {source: context.traits.email}
    "$phone_number": {source: context.traits.phone}
    external_id: {source: context.traits.customer_id}
    _kx: {source: context.ids.kx}
events:
  "*": {properties: {event: {source: id}, ids: {source: context.ids}, ip: {source: context.ip}}}
"""


class Stage:
    """Plays a story: names become browsers, `as` becomes the event's id."""

    def __init__(self, room: Backroom) -> None:
        self._room = room
        self._cast: dict[str, int] = {}
        self.events: dict[str, Event] = {}

    async def play(self, step: dict[str, Any]) -> None:
        """Let one step happen; a key that no step has is a mistake in the story."""
        step = dict(step)
        match next(iter(step)):
            case "work":
                await self._room.work()
            case "restart":
                await self._room.resolve()
                await self._room.restart()
            case "wait_days":
                await self._room.work()
                self._room.clock.advance(step["wait_days"] * DAY_S)
            case "crowd":
                for number in range(step.pop("crowd")):
                    await self._store(FIRST_OF_CROWD + number, step["does"], "browser", dict(step, does=None))
            case actor:
                name = step.pop(actor)
                is_server = actor == "server" or step.pop("by", None) == "server"
                number = self._number(step.pop("key") if actor == "server" else actor)
                await self._store(number, name, "server:shop" if is_server else "browser", step)

    async def _store(self, browser: int, name: str, source: str, step: dict[str, Any]) -> None:
        step.pop("does", None)
        more: dict[str, Any] = {"traits": {kind: step.pop(kind) for kind in KINDS if kind in step}}
        if "session" in step:
            more["session"] = {"id": step.pop("session")}
        if "click" in step:
            more["page"] = {"url": f"https://shop.example/?_kx={step.pop('click')}"}
        if "landing" in step:
            more["page"] = {"url": f"https://shop.example/?{step.pop('landing')}"}
        if "cookies" in step:
            more["vendor_ids"] = step.pop("cookies")
        if "ip" in step:
            more |= {"ip": step.pop("ip"), "user_agent": "Mozilla/5.0"}
        if "denies" in step:
            more["consent"] = {step.pop("denies"): "denied"}
        if step.pop("is_silent", False):
            more["consent"] = {}
        if "order" in step:
            more["properties"] = {"transaction_id": step.pop("order")}
        label = step.pop("as", None)
        assert not step, f"no step has {sorted(step)}"
        event = await self._room.store(browser, name, source=source, **more, **({"id": label} if label else {}))
        if label:
            self.events[label] = event

    def _number(self, name: str) -> int:
        return self._cast.setdefault(name, len(self._cast) + 1)

    async def reached(self) -> dict[str, Any]:
        """Give, for each event with a name, the identifiers it was sent with, or what else became of it."""
        sent: dict[str, Any] = {}
        for request in self._room.transport.requests:
            attributes = json.loads(request.body)["data"]["attributes"]
            label = attributes["properties"]["event"]
            assert label not in sent, f"{label} was sent twice"
            told = attributes["properties"]
            ids = {kind: value for kind, value in told["ids"].items() if kind not in ("kx", "anonymous_id")}
            own = {"ids": ids, "ip": told.get("ip")}
            sent[label] = attributes["profile"]["data"]["attributes"] | {key: it for key, it in own.items() if it}
        return {label: sent.get(label) or await self._fate(event) for label, event in self.events.items()}

    async def _fate(self, event: Event) -> str:
        view = await LedgerView.open(self._room.folder / "ledger.db")
        try:
            [entry] = await view.by_keys([event_key(event.source, event.id)])
            if entry.fate is not JournalFate.OPEN:
                return entry.fate.name.lower()
            [fate] = await view.fates(entry)
            return str(fate.fate)
        finally:
            await view.close()


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story["story"].replace(" ", "_"))
async def test_every_event_of_the_story_reached_whom_it_says(story: dict[str, Any], tmp_path: Path) -> None:
    assert story.keys() == {"story", "steps", "reached", "because"}
    room = await Backroom.open(tmp_path, pipeline=PIPELINE)
    stage = Stage(room)
    try:
        for step in story["steps"]:
            await stage.play(step)
        await room.work()
        assert await stage.reached() == story["reached"], story["because"]
    finally:
        await room.close()


def test_there_are_stories_enough_and_no_two_of_a_name() -> None:
    assert len({story["story"] for story in STORIES}) == len(STORIES) >= 25
