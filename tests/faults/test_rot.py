"""Bits that rot on the disk: what no longer matches its checksum is counted as damaged, and everything else arrives."""

import json
import random
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.books import read_books
from tests.faults.children import play
from tests.faults.counts import COUNTS
from tests.faults.driver import READY_S, World, running_world, seeded, until
from tests.faults.service import Parts
from tests.faults.verdict import judged, write_run

WAIT_S = 60.0
ALTERATIONS = "tests.faults.rotting"
BUGS = ("checksum_not_read", "sequence_restarted", "cut_log_believed", "damaged_segment_skipped")
QUICK = ("damaged_segment_skipped",)


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


async def test_whatever_rots_is_noticed_and_costs_nobody_else(tmp_path):
    """Pages, frames and headers of logs, logs that are cut or gone, marks, shared memory: of spool and ledger.

    What is lost is what no copy is left of. It is noted as far as anybody can know of it, and no number is used twice.
    """
    played = await play(ALTERATIONS, tmp_path, seeded().randrange(10**6), COUNTS.alterations)
    wrong = [one for one in played if one["wrong"]]
    print(f"{len(played)} alterations, {sum(one['touched'] for one in played)} rows without a copy")
    write_run(tmp_path, Counter(f"rot: {one['kind']}" for one in played), 0, {"files": len(wrong)} if wrong else {})
    assert not wrong, f"{len(wrong)} of {len(played)}: {wrong[:5]}"


@pytest.mark.parametrize("bug", [bug if bug in QUICK else pytest.param(bug, marks=pytest.mark.long) for bug in BUGS])
async def test_a_bug_with_what_rots_is_found(tmp_path, record_property, bug):
    """Else nothing that matters would rot here, or nobody would look."""
    played = await play(ALTERATIONS, tmp_path, seeded().randrange(10**6), COUNTS.alterations_with_bug, bug)
    wrong = [one for one in played if one["wrong"]]
    print(f"{bug}: {len(wrong)} of {len(played)} alterations, e.g. {wrong[:1]}")
    assert wrong, f"{bug} is not found"
    record_property("planted", {"bug": bug, "found": {"files": len(wrong)}})


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
