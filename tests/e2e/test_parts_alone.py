"""Each part started by itself, for somebody who has a supervisor already: it judges itself and shows what it sees."""

import asyncio
import os
import sys
from pathlib import Path

import aiohttp
import pytest

from tests.faults.service import READY_S, ROLES, klaviyo_alone, until
from tests.nginx import free_port

CONFIG = """\
site:      {{name: shop, origins: ["https://shop.example"]}}
pipelines: {pipelines}
spool:     {{free_bytes: 1MB}}
collector: {{listen: "unix:{folder}/edge.sock"}}
ops:       {{listen: "127.0.0.1:{ops}"}}
alerts:    {{webhook: "${{WEBHOOK}}", allow_http: true}}
"""


@pytest.mark.parametrize("role", ROLES)
async def test_part_that_runs_alone_judges_itself_for_alerts(role: str, tmp_path: Path) -> None:
    ops, config = free_port(), tmp_path / "edge.yaml"
    config.write_text(CONFIG.format(folder=tmp_path, pipelines=klaviyo_alone(tmp_path), ops=ops))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "edge", "serve", "--only", role, "--config", str(config)),
        env={**os.environ, "KLAVIYO_PRIVATE_API_KEY": "a-key", "WEBHOOK": f"http://127.0.0.1:{free_port()}/"},
    )
    try:
        async with aiohttp.ClientSession() as session:

            async def shows_itself() -> bool:
                try:
                    async with session.get(f"http://127.0.0.1:{ops}/metrics") as answer:
                        shown = [line for line in (await answer.text()).splitlines() if "edge_process_ready{" in line]
                except aiohttp.ClientError:
                    return False
                return shown == [f'edge_process_ready{{process="{role}"}} 1.0']

            await until(shows_itself, READY_S, "the part's own judgement")
    finally:
        process.terminate()
        assert await asyncio.wait_for(process.wait(), READY_S) == 0
