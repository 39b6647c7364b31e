"""The whole drainer process beside the verbs: a letter is sent again over its control socket, to a real listener."""

import asyncio
import os
from pathlib import Path

from aiohttp import web

from edge.app.draining import DrainingProcess
from edge.config import load_config
from tests.component.world import build


async def test_a_running_drainer_sends_a_letter_again_and_tells_its_end(tmp_path: Path) -> None:
    world = await asyncio.to_thread(build, tmp_path)
    (tmp_path / "pipelines/archive.yaml").unlink()
    ids: list[str] = []

    async def take(request: web.Request) -> web.Response:
        ids.append((await request.json())["data"]["attributes"]["unique_id"])
        return web.Response(status=202)

    listener = web.Application()
    listener.router.add_post("/api/events", take)
    runner = web.AppRunner(listener)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    file = tmp_path / "pipelines/klaviyo.yaml"
    file.write_text(file.read_text().replace("http://klaviyo.test", f"http://127.0.0.1:{port}"))
    environ = {**os.environ, "KEY": "a-key"}
    stop = asyncio.Event()
    process = DrainingProcess(load_config(tmp_path / "edge.yaml", environ), environ, world.clock, stop)
    running = asyncio.create_task(process.run())
    while not (tmp_path / "control.sock").exists():
        await asyncio.sleep(0.02)
    result = await asyncio.to_thread(world.edge, "dead", "replay", "dead-1", "--yes", "--json")
    cursor = next(line for line in process.report().metrics.splitlines() if line.startswith("edge_resolver_cursor "))
    stop.set()
    assert await running == 0
    assert float(cursor.split()[1]) == process.report().detail["resolved_to"] > 0, "nothing was resolved since it began"
    await runner.cleanup()
    assert result.exit_code == 0, result.output
    assert '"outcomes":{"delivered":1}' in result.stdout
    assert ids.count("dead-1") == 1
    assert (await asyncio.to_thread(world.lines, "dead", "list")) == ["No dead letters."]
