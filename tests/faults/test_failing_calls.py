"""Any call on a file fails, whichever it is: what was promised is kept, and what could not be kept was not promised.

A very short life is lived again and again, each time with another call failing: SQLite's reads, writes, syncs, locks
and shared memory, and ours beside them. It ends as the process would, and the product starts on what it left.
"""

from collections import Counter
from typing import Any

import pytest

from tests.faults.children import play
from tests.faults.counts import COUNTS
from tests.faults.driver import ROLES, running_world, seeded, until
from tests.faults.service import Parts
from tests.faults.verdict import settled, write_run

ENDS_S = 60.0
LIVES = "tests.faults.failing"
ENDINGS = {"whole", "StorageFailed", "StorageFull"}
BUGS = ("failed_write_swallowed", "failed_record_swallowed")


async def test_nothing_promised_is_lost_whichever_call_on_a_file_fails(tmp_path):
    """It ends whole where the call was tried again or did not matter, else by a storage error, and never otherwise."""
    lives = await play(LIVES, tmp_path, seeded().randrange(10**6), COUNTS.failing_calls)
    endings = Counter(life["ended"] for life in lives)
    print(f"{len(lives)} calls failed: {dict(endings)}")
    wrong = [life for life in lives if life["wrong"]]
    write_run(tmp_path, _injected(lives), 0, {"calls": len(wrong)} if wrong else {})
    assert not wrong, f"{len(wrong)}: {wrong[:5]}"
    assert set(endings) <= ENDINGS, endings
    assert endings["StorageFailed"], "no failure was noticed at all"


@pytest.mark.parametrize("call", ["sync", pytest.param("write", marks=pytest.mark.long)])
async def test_a_process_whose_disk_fails_once_ends_and_starts_again_and_nothing_is_lost(tmp_path, call):
    """Collector and drainer, each under load, on its own file; it ends as one whose supervisor is to start it."""
    rng = seeded()
    async with running_world(tmp_path, deniers=1, kind=Parts) as world:
        await world.service.until_ready()
        await world.introduce()
        world.open_doors(rng)
        for role in ROLES:
            await world.service.end_part(role)
            await world.service.begin(role, fail_at=f"{call}:{rng.randint(5, 40)}")
            process = world.service.processes[role]
            await until(lambda process=process: process.returncode is not None, ENDS_S, f"{role} ends")
            assert process.returncode == 1, f"{role} ended with {process.returncode}"
            world.injected[f"call fails: {call} of the {role}"] += 1
            await world.service.begin(role)
            await world.service.until_ready()
        await world.close_doors()
        print(await settled(world))


@pytest.mark.parametrize("bug", [BUGS[0], pytest.param(BUGS[1], marks=pytest.mark.long)])
async def test_an_error_that_is_swallowed_is_found_in_what_is_left(tmp_path, record_property, bug):
    """Else nobody would know whether failing calls are met at all."""
    lives = await play(LIVES, tmp_path, seeded().randrange(10**6), 0, bug)
    wrong = [life for life in lives if life["wrong"]]
    print(f"{bug}: {len(wrong)} of {len(lives)} lives, e.g. {wrong[:1]}")
    assert wrong, f"{bug} is not found"
    record_property("planted", {"bug": bug, "found": {"lives": len(wrong)}})


def _injected(lives: list[dict[str, Any]]) -> dict[str, int]:
    return dict(Counter(f"call fails: {life['call']}, {life['error']}" for life in lives))
