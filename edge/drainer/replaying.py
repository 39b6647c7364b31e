"""Sending again, behind live traffic: a few events at a time wait, and only while their pipeline has caught up."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import structlog

from edge.clock import Clock
from edge.delivery import Fate
from edge.event import ALIASES, Event, decode
from edge.foreign_links import Hosts
from edge.ledger.records import JournalFate
from edge.ledger.replaying import Again, Candidate, Replay, ReplayLedger, Stored
from edge.pipeline import Dead, Pipeline, Planned, plan
from edge.spool import Row, SpoolReader

log = structlog.get_logger(__name__)

# So many events of one replay are on their way at most, and so many live ones may lie before the pipeline meanwhile.
MAX_ON_ITS_WAY = 50
MAX_BEHIND = 100
LOOK_EVENTS = 500


def sort_stored(
    pipeline: Pipeline,
    wanted: Stored,
    candidates: Sequence[Candidate],
    envelopes: Mapping[int, Row],
    hosts: Hosts | None,
    now_ms: int,
) -> tuple[list[Again], Counter[str]]:
    """Say which stored events go through a pipeline again, and why the others do not (`NOT_AGAIN`)."""
    chosen: list[Again] = []
    left_out: Counter[str] = Counter()
    for one in candidates:
        why = _why_not_stored(pipeline, wanted, one, envelopes.get(one.seq), hosts, now_ms)
        if why:
            left_out[why] += 1
        else:
            chosen.append(Again(one.seq, one.visitor))
    return chosen, left_out


def sort_dead(
    pipeline: Pipeline, candidates: Sequence[Candidate], envelopes: Mapping[int, Row]
) -> tuple[list[Again], Counter[str]]:
    """Say which letters go again: anew from the envelope where it is kept, else with the payload as it was."""
    chosen: list[Again] = []
    left_out: Counter[str] = Counter()
    for one in candidates:
        envelope = envelopes.get(one.seq)
        why = _why_never(pipeline, one, envelope)
        is_kept = _event(envelope) is not None
        if not why and not is_kept and (one.payload is None or not one.is_payload_sound):
            why = "gone"
        if why:
            left_out[why] += 1
        else:
            chosen.append(Again(one.seq, one.visitor, None if is_kept else one.payload, one.time_ms, one.told))
    return chosen, left_out


def _why_never(pipeline: Pipeline, one: Candidate, envelope: Row | None) -> str:
    if one.journal is None or one.journal is JournalFate.DAMAGED:
        return "forgotten"
    if one.journal is JournalFate.ERASED or (envelope is not None and envelope.is_erased):
        return "erased"
    return "withheld" if pipeline.purposes & ~one.granted else ""


def _why_not_stored(
    pipeline: Pipeline, wanted: Stored, one: Candidate, envelope: Row | None, hosts: Hosts | None, now_ms: int
) -> str:
    """Give why a stored event stays as it is; "" when it goes again."""
    if wanted.visitors is not None and one.visitor not in wanted.visitors:
        return "other"
    event = _event(envelope)
    if wanted.event is not None and event is not None and not _is_called(event, wanted.event):
        return "other"
    if one.journal is JournalFate.DUPLICATE:
        return "duplicate"
    if why := _why_never(pipeline, one, envelope):
        return why
    if not one.is_reached:
        return "unreached"
    match one.now:
        case Fate.WAITING | Fate.HELD:
            return "open"
        case Fate.WITHHELD | Fate.ERASED | Fate.DEAD:
            return one.now.value
    if event is None:
        return "gone"
    if pipeline.is_refused_at(event.time_ms, now_ms):
        return "too_old"
    return _why_not_planned(pipeline, one, event, hosts)


def _why_not_planned(pipeline: Pipeline, one: Candidate, event: Event, hosts: Hosts | None) -> str:
    if not pipeline.is_enabled or not pipeline.is_deliverable(one.identifiers):
        return "unwanted"
    match plan(pipeline, event, one.identifiers, one.granted, hosts):
        case Planned():
            return ""
        case Dead():
            return "unrendered"
    return "unwanted"


def _is_called(event: Event, name: str) -> bool:
    return event.canonical_name == ALIASES.get(name, name)


def _event(envelope: Row | None) -> Event | None:
    if envelope is None or envelope.is_damaged or envelope.is_erased:
        return None
    try:
        return decode(envelope.body)
    except ValueError:
        return None


class Replayer:
    """Goes on with what was asked to be sent again; a death anywhere repeats nothing and forgets nothing.

    `find` gives the pipeline that runs under a name, `is_blocked` whether its destination is to be left alone for now.
    """

    def __init__(
        self,
        ledger: ReplayLedger,
        *,
        spool: SpoolReader,
        find: Callable[[str], Pipeline | None],
        is_blocked: Callable[[str], bool],
        clock: Clock,
        hosts: Hosts | None,
    ) -> None:
        self._ledger, self._spool, self._find, self._is_blocked = ledger, spool, find, is_blocked
        self._clock, self._hosts = clock, hosts

    async def step(self) -> bool:
        """Do the next piece of each pipeline's oldest replay; False when there is nothing to do for now."""
        has_worked = False
        busy: set[str] = set()
        for one in await self._ledger.open_ones():
            if await self._ledger.note_ended(one, self._clock.now_ms()):
                log.info("replay done", replay=one.id, pipeline=one.pipeline, events=one.chosen)
                has_worked = True
            elif one.pipeline not in busy:
                busy.add(one.pipeline)
                has_worked = await self._go_on(await self._ledger.find(one.id)) or has_worked
        return has_worked

    async def _go_on(self, one: Replay) -> bool:
        pipeline = self._find(one.pipeline)
        if pipeline is None or one.cursor >= one.last:
            return False
        room = await self._room(one)
        if not room:
            return False
        limit = room if one.kind == "dead" else LOOK_EVENTS
        candidates, upto = await self._ledger.look(one, limit)
        envelopes = await self._spool.read_at(candidate.seq for candidate in candidates)
        chosen, left_out = self._sort(pipeline, one, candidates, envelopes)
        if len(chosen) > room:
            upto = chosen[room - 1].seq
            candidates = [candidate for candidate in candidates if candidate.seq <= upto]
            chosen, left_out = self._sort(pipeline, one, candidates, envelopes)
        await self._ledger.send(one, chosen, left_out, upto=upto, now_ms=self._clock.now_ms())
        return True

    async def _room(self, one: Replay) -> int:
        """Give how many more may be on their way.

        While the destination is left alone a single one: where nothing else is open it shows when that works again.
        """
        behind, is_any_waiting = await self._ledger.open_of(one)
        if self._is_blocked(one.pipeline):
            return 0 if behind or is_any_waiting else 1
        room = MAX_ON_ITS_WAY - one.open
        return room if behind <= MAX_BEHIND and room >= MAX_ON_ITS_WAY // 2 else 0

    def _sort(
        self, pipeline: Pipeline, one: Replay, candidates: Sequence[Candidate], envelopes: Mapping[int, Row]
    ) -> tuple[list[Again], Counter[str]]:
        if isinstance(one.wanted, Stored):
            return sort_stored(pipeline, one.wanted, candidates, envelopes, self._hosts, self._clock.now_ms())
        return sort_dead(pipeline, candidates, envelopes)
