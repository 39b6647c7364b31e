"""Little memory, and a backlog of the largest events there are: worked off within it, page by page."""

from contextlib import ExitStack

import pytest

from tests.faults.counts import COUNTS
from tests.faults.driver import ROLES, World, running_world, seeded, until
from tests.faults.limits import MemoryGroup, memory_group, why_no_memory_group
from tests.faults.proxy import Proxy
from tests.faults.service import Parts
from tests.faults.verdict import settled

MEMORY_BYTES, BACKLOG_EVENTS = 200_000_000, 2_000
PADDING_BYTES = 60_000  # of the 65,536 that an event may have
ANY_CROWD = 10**6
FAULT_S, DRAINED_S = 120.0, 600.0
WHY_NOT = why_no_memory_group()
# A long run that could not play this fails, and does not go without it in silence.
pytestmark = pytest.mark.skipif(bool(WHY_NOT) and not COUNTS.are_long, reason=WHY_NOT)


class Limited(Parts):
    """Both parts, each in a control group of its own."""

    groups: dict[str, MemoryGroup]

    async def begin(self, role: str, *how: str) -> None:
        await super().begin(role, *how)
        self.groups[role].add(self.processes[role].pid)

    @property
    def kills(self) -> int:
        """How many were killed for memory."""
        return sum(group.kills for group in self.groups.values())


def limited(stack: ExitStack) -> type[Limited]:
    """Give the service with groups that live as long as the stack."""
    made = {role: stack.enter_context(memory_group(role, MEMORY_BYTES)) for role in ROLES}
    return type("InGroups", (Limited,), {"groups": made})


async def test_a_backlog_of_the_largest_events_is_worked_off_in_little_memory(tmp_path):
    """Told while nothing drains, resolved at once, sent when the vendor is there: nobody is killed for memory."""
    with ExitStack() as stack:
        async with running_world(tmp_path, kind=limited(stack), proxy=Proxy()) as world:
            await _tell_backlog(world, BACKLOG_EVENTS)
            assert isinstance(world.service, Limited)
            await world.service.begin("drainer")
            await world.service.until_ready()
            await world.proxy.reopen()
            world.injected[f"limit: {MEMORY_BYTES // 10**6} MB, a backlog of 60 KB events"] += 1
            verdict = await settled(world, DRAINED_S)
            own = {role: group.own_bytes // 10**6 for role, group in world.service.groups.items()}
            print(f"{verdict.promised} promised, MB of their own at the end: {own}")
            assert world.service.kills == 0


async def test_reading_a_whole_backlog_at_once_is_found_by_the_same_limit(tmp_path, record_property):
    """Planted: what is not bounded is killed, and loses nothing even so when the next one reads in pages."""
    with ExitStack() as stack:
        kind = limited(stack)
        async with running_world(tmp_path, kind=kind, proxy=Proxy(), bug="unbounded_pages") as world:
            await _tell_backlog(world, BACKLOG_EVENTS)
            await world.service.begin("drainer")
            process = world.service.processes["drainer"]
            await until(lambda: process.returncode is not None, FAULT_S, "it is killed for memory")
            assert (process.returncode, world.service.kills) == (-9, 1)
    record_property("planted", {"bug": "unbounded pages", "found": {"killed": 1}})


async def _tell_backlog(world: World, events: int) -> None:
    """Let visitors tell as many events as are to wait, while nobody drains."""
    await world.service.until_ready()
    await world.introduce()
    await world.service.end_part("drainer")
    world.proxy.shut()
    world.open_doors(seeded(), pause_s=0.0, padding=PADDING_BYTES, crowd=ANY_CROWD)
    await world.until_accepted(events, FAULT_S)
    await world.close_doors()
