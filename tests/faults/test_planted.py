"""A planted bug is found: a suite that would pass without the product's care proves nothing.

Each bug of `part.py` is one that a careful person might make. It is met by the fault that it is about, judged like any
other run, and the verdict has to say what it cost.
"""

from pathlib import Path

import pytest

from tests.faults.driver import READY_S, World, running_world, seeded, until
from tests.faults.part import BUGS
from tests.faults.proxy import Deck, Proxy
from tests.faults.service import Parts
from tests.faults.test_power import cut_power, on_powered_disk
from tests.faults.verdict import Verdict, judged

DIES_S = 120.0
SMALL = "segment_bytes: 1MB, max_bytes: 4MB, free_bytes: 1MB"
PADDING_BYTES, LARGE_CROWD = 20_000, 1_000  # more than the spool has room for
QUICK = ("answer_before_commit", "cursor_before_delivery", "new_id_on_retry")


async def _answer_before_commit(tmp_path: Path, bug: str) -> Verdict:
    """A death in front of a commit."""
    async with running_world(tmp_path, kind=Parts, bug=bug) as world:
        await _begin(world)
        await _die(world, "collector", "append:5")
        return await _end(world)


async def _synchronous_normal(tmp_path: Path, bug: str) -> Verdict:
    """A power cut before anything emptied the log; nothing has left for the vendor by then."""
    proxy = Proxy()
    async with on_powered_disk(tmp_path, proxy=proxy, bug=bug) as (world, disk):
        proxy.shut()
        world.open_doors(seeded())
        await world.until_accepted(60, READY_S)
        await cut_power(world, disk)
        await proxy.reopen()
        return await _end(world)


async def _cursor_before_delivery(tmp_path: Path, bug: str) -> Verdict:
    """A death between taking a page and sending it."""
    async with running_world(tmp_path, kind=Parts, bug=bug) as world:
        await _begin(world)
        await _die(world, "drainer", "taken:2")
        return await _end(world)


async def _new_id_on_retry(tmp_path: Path, bug: str) -> Verdict:
    """An answer that is lost after the vendor took the event."""
    proxy = Proxy(Deck(seeded(), kinds=("reset after",), each=3))
    async with running_world(tmp_path, kind=Parts, bug=bug, proxy=proxy) as world:
        await _begin(world)
        await until(lambda: proxy.deck.is_empty, DIES_S, "answers were lost")
        return await _end(world)


async def _unlink_before_ledger(tmp_path: Path, bug: str) -> Verdict:
    """A vendor that is away until the spool nears its cap."""
    proxy = Proxy()
    async with running_world(tmp_path, kind=Parts, bug=bug, proxy=proxy, spool=SMALL) as world:
        proxy.shut()
        await _begin(world, padding=PADDING_BYTES, crowd=LARGE_CROWD)
        await until(lambda: len(world.answers.refusals) > 0, DIES_S, "the spool is full")
        await world.kill("drainer")  # room is given back when it starts, and until then the collector is not ready
        await until(lambda: _drains(world), DIES_S, "the drainer is ready")
        await until(lambda: not bug or _first_segment(world) > 1, DIES_S, "a segment is gone")
        await proxy.reopen()
        return await _end(world)


FAULTS = {
    "answer_before_commit": (_answer_before_commit, "lost"),
    "synchronous_normal": (_synchronous_normal, "lost"),
    "cursor_before_delivery": (_cursor_before_delivery, "lost"),
    "new_id_on_retry": (_new_id_on_retry, "strange"),
    "unlink_before_ledger": (_unlink_before_ledger, "lost"),
}


@pytest.mark.parametrize("bug", [bug if bug in QUICK else pytest.param(bug, marks=pytest.mark.long) for bug in BUGS])
async def test_a_planted_bug_is_found(tmp_path, record_property, bug):
    """The verdict names what is lost, or came under an id that nobody was told of."""
    play, named = FAULTS[bug]
    verdict = await play(tmp_path, bug)
    found = {what: len(which) for what, which in verdict.complaints.items()}
    print(f"{bug}: {found} of {verdict.promised} promised")
    assert named in found, f"{bug} is not found: {verdict}"
    record_property("planted", {"bug": bug, "found": found})


@pytest.mark.long
@pytest.mark.parametrize("bug", BUGS)
async def test_the_fault_that_finds_a_bug_costs_nothing_without_it(tmp_path, bug):
    """Else it would be the fault that is found."""
    play, _ = FAULTS[bug]
    verdict = await play(tmp_path, "")
    assert not verdict.complaints, verdict


def test_every_bug_has_the_fault_that_finds_it():
    """Whoever plants another one says how it is found."""
    assert set(FAULTS) == set(BUGS)
    assert set(QUICK) < set(BUGS)


async def _begin(world: World, **how: int) -> None:
    await world.service.until_ready()
    await world.introduce()
    world.open_doors(seeded(), **how)


async def _die(world: World, role: str, die_at: str) -> None:
    """Let a part start anew and die at a step, then start it to stay."""
    await world.until_accepted(20, READY_S)
    await world.service.end_part(role)
    await world.service.begin(role, die_at=die_at)
    process = world.service.processes[role]
    await until(lambda: process.returncode is not None, DIES_S, f"{role} dies at {die_at}")
    await world.service.begin(role)
    await world.service.until_ready()


async def _end(world: World) -> Verdict:
    await world.close_doors()
    return await judged(world)


async def _drains(world: World) -> bool:
    return bool((await world.service.state())["drainer"]["ready"])


def _first_segment(world: World) -> int:
    names = [path.name for path in (world.service.data_dir / "spool").glob("*.segment")]
    return min(int(name[:16]) for name in names)
