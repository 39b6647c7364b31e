"""The benchmark itself: its JSON, and that a bar can be missed. Nobody's speed is judged here."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.accepting import one_event, servers
from bench.bodies import BODY_BYTES, body, ids_of, posts
from bench.children import Bench
from bench.generator import UnexpectedAnswer, closed_loop, open_loop

ROOT = Path(__file__).parents[2]
LIMIT_S = 60.0
SLOWED_US = 3_000


def test_a_miniature_run_writes_its_goals_with_every_round(tmp_path):
    out = tmp_path / "bench.json"
    told = {"ONLY": "1", "ROUNDS": "2", "SECONDS": "0.1", "OUT": str(out), "TMPDIR": str(tmp_path), "QUICK": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "bench"],
        env={**os.environ, **told, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    found = json.loads(out.read_text())
    assert found["machine"]["file_system"] not in ("tmpfs", "unknown")
    assert found["settings"] | {"generator": ""} == {"rounds": 2, "seconds": 0.1, "backlog": 20_000, "generator": ""}
    assert {"foreign_cores_median", "base_drift", "fdatasync_p99_ms"} <= found["noise"].keys()
    (goal,) = found["goals"]
    assert (goal["goal"], len(goal["rounds"]), goal["bar"]["limit"]) == ("1", 2, 0.9)
    assert all(turn[side]["units"] > 0 for turn in goal["rounds"] for side in ("ours", "base"))
    assert done.returncode == (1 if goal["verdict"] == "missed" else 0)
    assert "accept 1 event / bare" in done.stdout
    assert list(tmp_path.iterdir()) == [out]


async def test_a_server_slowed_on_purpose_misses_its_bar(tmp_path):
    bench = Bench(tmp_path, rounds=2, seconds=0.2)
    async with servers(bench, burn_us=SLOWED_US) as both:
        assert (await one_event(bench, both)).verdict == "missed"


async def answering(status: str):
    """Start a server that answers everything alike, or nothing at all."""

    async def answer(reader, writer):
        while await reader.read(65_536):
            if status:
                writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


async def test_an_answer_that_is_no_yes_voids_the_slice():
    server, port = await answering("503 Busy")
    async with server:
        with pytest.raises(UnexpectedAnswer, match="503"):
            await closed_loop(port, posts("/t/e", 1), seconds=0.2, connections=2)


async def test_a_request_without_an_answer_counts_with_its_wait():
    server, port = await answering("")
    async with server:
        found = await open_loop(port, posts("/t/e", 1), rate=200, seconds=0.1, seed=1, connections=2, within_s=0.1)
    assert found.unanswered == len(found.waits_ms) == len(found.lags_ms) > 2
    assert max(found.waits_ms) >= 100


def test_a_body_has_its_size_and_every_event_an_id_of_its_own():
    make = posts("/t/e", 3)
    assert len(body(1)) == BODY_BYTES
    ids = ids_of(make()) + ids_of(make())
    assert len(ids) == len(set(ids)) == 6
