"""The power fails at any moment, and the disk has kept any part of what was not synced: nothing promised is lost.

A short life is recorded, call by call; from its beginning states are rebuilt as a disk may hold them, and the product
is started on each, finishes all work and stops. What it promised before the moment of the crash must hold then.
"""

import pytest

from tests.faults.children import play
from tests.faults.counts import COUNTS
from tests.faults.crashing import Call, Disk
from tests.faults.driver import seeded
from tests.faults.states import record
from tests.faults.verdict import write_run

BUGS = {
    "spool_synchronous_normal": "was lost",
    "spool_synchronous_off": "and there is",
    "ledger_synchronous_normal": "the ledger was at",
    "copy_not_synced": "Error",
}
QUICK = ("spool_synchronous_normal",)
STATES_WITH_BUG = 120
STATES = "tests.faults.states"


async def test_nothing_is_lost_whatever_a_crash_leaves_on_the_disk(tmp_path):
    """Segments begin, are sealed, written anew and unlinked, logs are checkpointed, tables are made."""
    calls = await record(tmp_path)
    states = await play(STATES, tmp_path, tmp_path, seeded().randrange(10**6), COUNTS.crash_states)
    number, wrong = len(states), [state for state in states if state["wrong"]]
    promised = sum(call.what == "mark" and call.mark[0] == "promised" for call in calls)
    print(f"{number} states of {len(calls)} calls")
    write_run(tmp_path, {"crash state of the disk": number}, promised, {"states": len(wrong)} if wrong else {})
    assert not wrong, f"{len(wrong)} of {number}, kept in {tmp_path}: {wrong[:5]}"


@pytest.mark.parametrize("bug", [bug if bug in QUICK else pytest.param(bug, marks=pytest.mark.long) for bug in BUGS])
async def test_a_bug_with_files_is_found_in_the_states_it_leaves(tmp_path, record_property, bug):
    """Else the states would be too friendly, or the verdict blind."""
    await record(tmp_path, bug)
    states = await play(STATES, tmp_path, tmp_path, seeded().randrange(10**6), STATES_WITH_BUG)
    wrong = [state for state in states if state["wrong"]]
    named = [state for state in wrong if any(BUGS[bug] in complaint for complaint in state["wrong"])]
    print(f"{bug}: {len(wrong)} of {len(states)} states, {len(named)} for what it is")
    assert named, f"{bug} is not found: {wrong}"
    record_property("planted", {"bug": bug, "found": {"states": len(wrong)}})


def test_what_was_not_synced_may_be_gone_and_what_was_is_there(rng):
    """The model of a disk itself: bytes and names by themselves, sectors of one write by themselves."""
    disk = Disk()
    for call in (
        Call("create", "a"),
        Call("write", "a", 0, b"x" * 1_024),
        Call("sync", "a"),
        Call("sync folder", "."),
        Call("write", "a", 0, b"y" * 1_024),
        Call("create", "b"),
    ):
        disk.follow(call)
    assert disk.after_crash("nothing", rng) == {"a": b"x" * 1_024}
    assert disk.after_crash("all", rng) == {"a": b"y" * 1_024, "b": b""}
    torn = {disk.after_crash("torn", rng)["a"] for _ in range(100)}
    assert torn == {first * 512 + second * 512 for first in (b"x", b"y") for second in (b"x", b"y")}
    disk.follow(Call("remove", "a"))
    disk.follow(Call("sync folder", "."))
    assert disk.after_crash("nothing", rng) == {"b": b""}


@pytest.fixture
def rng():
    return seeded()
