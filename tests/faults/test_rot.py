"""Bits that rot on the disk: what no longer matches its checksum is counted as damaged, and everything else arrives."""

import json
import random
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.faults.books import read_books
from tests.faults.counts import COUNTS
from tests.faults.driver import READY_S, World, running_world, seeded, until
from tests.faults.service import Parts
from tests.faults.verdict import judged

WAIT_S = 60.0


async def test_a_rotten_event_is_counted_as_damaged_and_all_others_are_delivered(tmp_path):
    """One bit in each of some envelopes, between two starts; the events on both sides of it are whole."""
    rng = seeded()
    async with running_world(tmp_path, deniers=1, kind=Parts) as world:
        await world.service.until_ready()
        await world.introduce()
        await world.service.end_part("drainer")
        world.open_doors(rng, crowd=10 * COUNTS.flips)
        await world.until_accepted(5 * COUNTS.flips, READY_S)
        await world.close_doors()
        assert await world.service.stop() in (0, -9), "the collector did not end well"
        rotten = _rot(world, rng)
        await world.service.start()
        await world.service.until_ready()
        await until(lambda: _damaged(world) == len(rotten), WAIT_S, "every rotten event is counted")
        verdict = await judged(world)
    print(f"{len(rotten)} of {verdict.promised} rotten")
    assert set(verdict.lost) == rotten >= set(verdict.unstored)
    assert (verdict.changed, verdict.disordered, verdict.strange, verdict.forbidden) == ((), (), (), ())


def _rot(world: World, rng: random.Random) -> set[str]:
    """Flip one bit in each of some envelopes that may be delivered; give whose."""
    told = [one["id"] for one in world.promises.read() if one["number"] > 0 and one["is_allowed"]]
    chosen = set(rng.sample(told, COUNTS.flips))
    for file in (world.service.data_dir / "spool").glob("*.segment"):
        content = bytearray(file.read_bytes())
        for body in _bodies(file):
            if json.loads(body)[0] in chosen:
                at = content.index(body) + rng.randrange(len(body))
                content[at] ^= 1 << rng.randrange(8)
        file.write_bytes(content)
    return chosen


def _bodies(file: Path) -> list[bytes]:
    with closing(sqlite3.connect(f"file:{file}?immutable=1", uri=True)) as db:
        return [row[0] for row in db.execute("SELECT body FROM event")]


def _damaged(world: World) -> int:
    return read_books(world.service.data_dir).fates.get("damaged", 0)
