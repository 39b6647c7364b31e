"""A pipeline file edited under a running `edge serve`: real processes, real files, real notices of the system."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from edge.shipped import shipped
from tests.faults.driver import READY_S, ROLES, SETTLED_S, World, running_world, until

VIEWED, LOOKED, SEEN = "Viewed Product", "Looked At", "Seen"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    folder = tmp_path / "pipelines"
    folder.mkdir()
    write(folder, VIEWED)
    async with running_world(tmp_path, visitors=1, pipelines=folder) as world:
        await world.service.until_ready()
        await world.introduce()
        yield world


def write(folder: Path, metric: str, key: str = "metric") -> None:
    """Replace the pipeline's file as editors do."""
    text = (shipped("pipelines") / "klaviyo-events.yaml").read_text()
    fresh = folder / "klaviyo-events.yaml.new"
    fresh.write_text(text.replace(f'metric: "{VIEWED}"', f'{key}: "{metric}"'))
    fresh.rename(folder / "klaviyo-events.yaml")


def metrics(world: World) -> list[str]:
    """Give what the fake Klaviyo has recorded, in order."""

    return [event["metric"] for event in world.sandboxes[0].sandbox.vendor("klaviyo").taken()["events"]]


async def looked_at(world: World, *expected: str) -> None:
    """Let the visitor look at something, and wait until all that was looked at is recorded under these names."""
    await world.visitors[0].look()
    await until(lambda: len(metrics(world)) >= len(expected), SETTLED_S, f"delivered as {expected}")
    assert metrics(world) == list(expected)


async def drainer(world: World) -> dict[str, Any]:
    """Give what the drainer says on /readyz."""
    part: dict[str, Any] = (await world.service.state()).get("drainer", {})
    return part


async def test_an_edited_pipeline_is_followed_and_a_broken_one_costs_nothing(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "pipelines"
    await looked_at(world, VIEWED)
    before = (await drainer(world))["pipelines"]

    write(folder, LOOKED)
    await until(lambda: _is_other(world, before), READY_S, "the edited file runs")
    await looked_at(world, VIEWED, LOOKED)

    write(folder, SEEN, key="metrik")
    await until(lambda: _has_problems(world), READY_S, "/readyz shows the problem")
    state = await world.service.state()
    [problem] = state["drainer"]["pipeline_problems"]
    assert problem.startswith(f"{folder}/klaviyo-events.yaml:")
    assert "metrik" in problem
    assert state["ready"] is True
    await looked_at(world, VIEWED, LOOKED, LOOKED)

    gone = [await world.service.kill(role) for role in ROLES]
    await world.service.until_ready(*gone)
    assert await _has_problems(world)
    await looked_at(world, VIEWED, LOOKED, LOOKED, LOOKED)

    write(folder, SEEN)
    await until(lambda: _has_no_problems(world), READY_S, "the problem is cleared")
    await looked_at(world, VIEWED, LOOKED, LOOKED, LOOKED, SEEN)


async def test_serve_refuses_a_broken_folder_when_it_is_started_by_hand(world: World, tmp_path: Path) -> None:
    write(tmp_path / "pipelines", SEEN, key="metrik")
    command = [sys.executable, "-m", "edge", "serve", "--config", str(world.service.config), "--data-dir"]
    for only in ([], ["--only", "drainer"]):
        ended = await asyncio.to_thread(
            subprocess.run,
            [*command, str(tmp_path / "elsewhere"), *only],
            capture_output=True,
            text=True,
            check=False,
            timeout=READY_S,
            env={"PATH": "", "KLAVIYO_PRIVATE_API_KEY": "a-key"},
        )
        assert (ended.returncode, ended.stdout) == (2, "")
        assert "metrik" in ended.stderr
    assert not (tmp_path / "elsewhere").exists()


async def _is_other(world: World, before: dict[str, str]) -> bool:
    return (await drainer(world)).get("pipelines", before) != before


async def _has_problems(world: World) -> bool:
    return bool((await drainer(world)).get("pipeline_problems"))


async def _has_no_problems(world: World) -> bool:
    return (await drainer(world)).get("pipeline_problems") == []
