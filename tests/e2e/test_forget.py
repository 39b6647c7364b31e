"""A person is erased, and a link taken back, beside a service that is busy: real processes, real files."""

import asyncio
import json
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from edge.sandbox.faults import Fault
from tests.eraser_room import holding
from tests.faults.driver import READY_S, ROLES, World, running_world, seeded, until

HERS = "visitor0@shop.example"
LATER = "Moon Teapot, later"
WITHIN_S = 60.0


async def edge(world: World, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a verb as its owner would, beside the service."""
    command = [sys.executable, "-m", "edge", *arguments, "--config", str(world.service.config)]
    return await asyncio.to_thread(
        subprocess.run,
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=WITHIN_S,
        env=world.service._environ,
    )


async def queue(world: World) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((await edge(world, "queue", "--json")).stdout)
    return told


def recorded(world: World) -> list[str]:
    """Give the ids of what the fake Klaviyo has recorded, in order."""
    taken: list[dict[str, Any]] = world.sandboxes[0].sandbox.vendor("klaviyo").taken()["events"]
    return [event["unique_id"] for event in taken]


async def fill(world: World) -> None:
    """Let one of them have held, dead, delivered and waiting events, before the others walk about."""
    hers, stranger = world.visitors[0], world.visitors[3]
    await asyncio.gather(*(visitor.introduce() for visitor in world.visitors[:3]))
    held = stranger._event("view_item")
    held["properties"]["friend"] = HERS
    dead = hers._event("view_item")
    dead["properties"]["value"] = "priceless"
    await stranger.tell([held])
    await hers.tell([dead])
    for _ in range(3):
        await hers.look()
    later = hers._event("view_item")
    later["properties"]["item_name"] = LATER
    world.sandboxes[0].sandbox.faults.add(Fault("klaviyo", "status", times=None, match=LATER))
    await hers.tell([later])


async def test_a_busy_service_forgets_one_person_within_a_minute_and_nobody_else(tmp_path: Path) -> None:
    rng = seeded()
    async with running_world(tmp_path, visitors=4) as world:
        await world.service.until_ready()
        await fill(world)
        others = world.visitors[1:3]
        walking = [asyncio.create_task(visitor.visit(rng, pause_s=0.05)) for visitor in others]
        await world.until_accepted(20, READY_S)
        await until(lambda: _is_filled(world), READY_S, "events of every kind")
        assert {"ledger.db-wal"} <= set(holding(world.service.data_dir, HERS))

        await world.visitors[0].look()  # hardly resolved when it is erased
        began_s = time.monotonic()
        ended = await edge(world, "identity", "forget", HERS, "--yes", "--json")
        assert ended.returncode == 0, ended.stderr
        told = json.loads(ended.stdout)
        assert (told["erasure"]["state"], told["erasure"]["left_over"]) == ("done", [])
        assert [one["state"] for one in told["vendors"]] == ["done"]
        assert HERS not in ended.stdout
        assert holding(world.service.data_dir, HERS) == []
        assert time.monotonic() - began_s < WITHIN_S

        for visitor in others:
            visitor.is_stopping = True
        await asyncio.gather(*walking)
        promised = [one["id"] for one in world.promises.read() if one["visitor"] in (1, 2)]
        promised = [one for one in promised if not one.endswith("-0")]  # saying who one is goes to no pipeline
        await until(lambda: set(promised) <= set(recorded(world)), READY_S, "everything of the others is delivered")
        for visitor in (1, 2):
            mark = f"-{visitor}-"
            assert [one for one in recorded(world) if mark in one] == [one for one in promised if mark in one]
        assert world.sandboxes[0].sandbox.vendor("klaviyo").taken(HERS)["profiles"] == []
        [standing] = (found := await queue(world))["pipelines"]
        await until(lambda: _is_balanced(world), READY_S, "the balance adds up")
        assert standing["events"]["erased"] >= 3
        assert found["erasures"] == []
        assert holding(tmp_path / "edge.log", HERS) == []


async def test_an_erasure_whose_process_is_killed_goes_on_by_itself(tmp_path: Path) -> None:
    async with running_world(tmp_path, visitors=1) as world:
        await world.service.until_ready()
        await world.introduce()
        await world.visitors[0].look()
        await until(lambda: len(recorded(world)) == 1, READY_S, "delivered while known")
        asking = asyncio.create_task(edge(world, "identity", "forget", HERS, "--yes"))
        await until(lambda: _is_asked(world), READY_S, "the request is stored")
        killed = [await world.service.kill(role) for role in ROLES]
        await asking
        await world.service.until_ready(*killed)
        await until(lambda: holding(world.service.data_dir, HERS) == [], WITHIN_S, "no trace is left")


def _is_asked(world: World) -> bool:
    ledger = sqlite3.connect(f"file:{world.service.data_dir}/ledger.db?mode=ro", uri=True)
    try:
        return bool(ledger.execute("SELECT count(*) FROM erasure").fetchone()[0])
    finally:
        ledger.close()


async def test_a_link_is_taken_back_beside_a_running_service(tmp_path: Path) -> None:
    async with running_world(tmp_path, visitors=1) as world:
        await world.service.until_ready()
        await world.introduce()
        await world.visitors[0].look()
        await until(lambda: len(recorded(world)) == 1, READY_S, "delivered while known")
        shown = json.loads((await edge(world, "identity", "show", HERS, "--json")).stdout)
        browser = shown["visitors"][0]["browser"]
        ended = await edge(world, "identity", "unlink", browser)
        assert (ended.returncode, ended.stdout) == (0, f"browser {browser} is a stranger from its next event on\n")
        await world.visitors[0].look()
        await until(lambda: _has_held(world), READY_S, "what a stranger does is held")
        assert len(recorded(world)) == 1
        assert stat.S_IMODE((world.service.data_dir / "control.sock").stat().st_mode) == 0o600


async def _is_filled(world: World) -> bool:
    [standing] = (await queue(world))["pipelines"]
    events = standing["events"]
    return all(events[fate] for fate in ("held", "dead", "delivered", "waiting"))


async def _has_held(world: World) -> bool:
    [standing] = (await queue(world))["pipelines"]
    return bool(standing["events"]["held"])


async def _is_balanced(world: World) -> bool:
    told = await queue(world)
    [standing] = told["pipelines"]
    return sum(standing["events"].values()) == told["accepted_to"] == world.answers.accepted
