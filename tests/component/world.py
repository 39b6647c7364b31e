"""A data directory in which one event of each kind lies, made by the real parts; and the verbs that look at it."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from edge.app.lock import take_lock
from edge.cli import main
from edge.cli.surroundings import Surroundings
from edge.delivery import Request, Response
from edge.event import Event
from edge.pipeline import compile_pipeline
from tests.backroom import PIPELINE, Backroom
from tests.clock import FakeClock

RUNNER = CliRunner(env={"COLUMNS": "100", "KEY": "a-key", "ARCHIVE_KEY": "another", "NO_COLOR": "1"})
USER = "user@shop.example"
ARCHIVE = """
name: archive
integration: klaviyo-events-api
parameters: {private_api_key: "${ARCHIVE_KEY}", base_url: "http://archive.test"}
consent: [analytics]
anonymous: drop
global: {profile: {"$email": {source: context.traits.email}}}
events: {"*": {}}
"""
CONFIG = "data_dir: .\npipelines: pipelines\n"
REFUSAL = Response(
    400,
    {"content-type": "application/json"},
    b'{"errors":[{"code":"invalid","detail":"no","source":{"pointer":"/data/attributes/time"}}]}',
)


@dataclass
class World:
    """A folder with configuration, pipeline files, spool and ledger; `events` are found by what became of them."""

    folder: Path
    clock: FakeClock = field(default_factory=FakeClock)
    events: dict[str, Event] = field(default_factory=dict)

    def edge(
        self, *arguments: str, pause: Callable[[float], Awaitable[object]] = asyncio.sleep, **options: Any
    ) -> Result:
        """Call a verb; time stands where the world's clock stands."""
        told = [*arguments, "--config", str(self.folder / "edge.yaml")]
        return RUNNER.invoke(main, told, obj=Surroundings(self.clock, pause), catch_exceptions=False, **options)

    def edge_without_config(self, *arguments: str) -> Result:
        """Call a verb that needs none."""
        return RUNNER.invoke(main, arguments, obj=Surroundings(self.clock), catch_exceptions=False)

    def json(self, *arguments: str) -> Any:
        """Give what a verb says with --json, one value where it says one line."""
        result = self.edge(*arguments, "--json")
        assert result.exit_code == 0, result.output
        values = [json.loads(line) for line in result.stdout.splitlines()]
        return values[0] if len(values) == 1 else values

    def lines(self, *arguments: str) -> list[str]:
        """Give a good verb's lines, without what stands behind their ends."""
        result = self.edge(*arguments)
        assert result.exit_code == 0, result.output
        return [line.rstrip() for line in result.stdout.splitlines()]


def write_files(folder: Path) -> World:
    """Write configuration and pipeline files; the stores are not made yet."""
    (folder / "pipelines").mkdir(parents=True)
    (folder / "edge.yaml").write_text(CONFIG)
    (folder / "pipelines/klaviyo.yaml").write_text(PIPELINE)
    (folder / "pipelines/archive.yaml").write_text(ARCHIVE)
    return World(folder)


@contextmanager
def served(folder: Path, *roles: str) -> Iterator[None]:
    """Let it look as if roles ran on a folder: their locks are held; all of them where none is named."""
    locks = [take_lock(folder, role) for role in roles or ("collector", "drainer")]
    try:
        yield
    finally:
        for lock in locks:
            os.close(lock)


def build(folder: Path) -> World:
    """Make the whole world, and stop its service."""
    world = write_files(folder)
    asyncio.run(_fill(world))
    return world


def live(world: World, what: Callable[[Backroom], Awaitable[None]]) -> list[dict[str, str]]:
    """Let the service run for a while; give whom it sent to."""

    async def run() -> list[dict[str, str]]:
        room = await Backroom.open(world.folder, world.clock)
        await what(room)
        await room.work()
        await room.close()
        return [body["profile"]["data"]["attributes"] for body in room.transport.bodies]

    return asyncio.run(run())


def page(path: str) -> dict[str, str]:
    """Give a page as the script tells it."""
    return {"url": f"https://shop.example{path}", "path": path, "title": "Tea", "referrer": ""}


def answers(request: Request) -> Response:
    """Refuse one event for good and one for now, and take the others."""
    if b"never" in request.body:
        return REFUSAL
    return Response(503, {}, b"") if b"later" in request.body else Response(202, {}, b"")


async def _fill(world: World) -> None:
    room = await Backroom.open(world.folder, world.clock)
    room.transport.always = answers
    events, denied = world.events, {"functional": "granted", "analytics": "granted", "marketing": "denied"}
    events["held"] = await room.store(2, "view_item", id="held-1", page=page("/pots"))
    world.clock.advance(60)
    await room.identify(1, email=USER)
    events["delivered"] = await room.store(1, "view_item", id="delivered-1", page=page("/cups"))
    events["withheld"] = await room.store(3, "view_item", id="withheld-1", consent=denied)
    events["unmapped"] = await room.store(1, "page_view", id="unmapped-1")
    events["duplicate"] = await room.store(1, "view_item", id="delivered-1", page=page("/cups"))
    events["dead"] = await room.store(1, "view_item", id="dead-1", properties={"item_name": "never"})
    events["ordered"] = await room.store(1, "purchase", id="ordered-1", properties={"transaction_id": "o-1"})
    events["reordered"] = await room.store(1, "purchase", id="reordered-1", properties={"transaction_id": "o-1"})
    await room.identify(4, email="abc@shop.example")
    events["waiting"] = await room.store(4, "view_item", id="waiting-1", properties={"item_name": "later"})
    world.clock.advance(2)
    await room.work()
    world.clock.advance(240)
    events["late"] = await room.store(5, "view_item", id="late-1")
    await room.resolve()
    await room.reader.close()
    room.pipeline = compile_pipeline(ARCHIVE, "archive.yaml", {"ARCHIVE_KEY": "another"})
    await room.restart()
    world.clock.advance(30)
    events["unresolved"] = await room.store(5, "view_item", id="unresolved-1")
    world.clock.advance(5)
    await room.close()
