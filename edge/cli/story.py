"""One event's story, put together from spool, journal, ledger and pipeline files; `edge why` tells it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from edge.cli.stores import Stores, event_of
from edge.consent import Purpose, names_of
from edge.delivery import Fate
from edge.event import Event, event_key, order_key
from edge.ledger.looking import VisitorView
from edge.ledger.records import JournalFate, Quarantined
from edge.ledger.standing import JournalEntry, PipelineFate
from edge.pipeline import Pipeline
from edge.server_wire import event_id

# How much of what is not resolved yet is searched for an id.
MAX_UNRESOLVED = 20_000
PAGE_EVENTS = 1_000


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the event stands in one pipeline; `file` None: no readable file has this name now."""

    fate: PipelineFate
    cursor: int
    paused: str | None
    file: Pipeline | None
    missing: tuple[str, ...]

    @property
    def is_passed_by(self) -> bool:
        """Whether there is no more to say of it than that its pipeline is disabled."""
        return self.fate.fate is Fate.SKIPPED and self.file is not None and not self.file.is_enabled


@dataclass(frozen=True, slots=True)
class Story:
    """What is known of one event.

    `entry` None: accepted, and not resolved yet. `event` None: its envelope is gone from the spool, or damaged.
    `original` is what a duplicate repeats; `repeats` are later arrivals of this one. `linked_at_ms` is when the
    event that linked the visitor arrived.
    """

    seq: int
    entry: JournalEntry | None
    event: Event | None
    visitor: VisitorView | None
    linked_at_ms: int | None
    original: JournalEntry | None
    repeats: tuple[JournalEntry, ...]
    stages: tuple[Stage, ...]
    resolved_to: int
    quarantined: tuple[Quarantined, ...] = ()


async def find_story(stores: Stores, asked: str, files: Mapping[str, Pipeline]) -> Story | None:
    """Find an event by its id (the oldest, where several sources have it), or by its number: 1042 or #1042."""
    ids = {asked, event_id(asked)}
    keys = [event_key(source, one) for source in stores.sources for one in ids]
    rows = [] if asked.startswith("#") else await stores.ledger.by_keys(keys)
    number = asked.removeprefix("#")
    if rows:
        return await _resolved(stores, rows[0], files)
    if not asked.startswith("#") and (waiting := await _unresolved(stores, ids, None)):
        return waiting
    if not number.isascii() or not number.isdecimal() or len(number) > 18:
        return None
    entries = await stores.ledger.by_seqs([int(number)])
    return await _resolved(stores, entries[0], files) if entries else await _unresolved(stores, set(), int(number))


async def _unresolved(stores: Stores, ids: Collection[str], seq: int | None) -> Story | None:
    """Search what the resolver has not come to."""
    resolved = after = await stores.ledger.resolved_to()
    while rows := await stores.spool.read(after, PAGE_EVENTS):
        for row in rows:
            event = event_of(row)
            if row.seq == seq or (event is not None and event.id in ids):
                return Story(row.seq, None, event, None, None, None, (), (), resolved)
        after = rows[-1].seq
        if after - resolved > MAX_UNRESOLVED:
            break
    return None


async def _resolved(stores: Stores, entry: JournalEntry, files: Mapping[str, Pipeline]) -> Story:
    event = event_of((await stores.spool.read_at([entry.seq])).get(entry.seq))
    same = [one for one in await stores.ledger.by_keys([entry.key]) if one.key] if entry.key else []
    visitor = await stores.ledger.visitor(entry.visitor, entry.received_at_ms) if entry.visitor is not None else None
    is_open = entry.fate is JournalFate.OPEN
    stages = () if entry.fate is JournalFate.DUPLICATE else await _stages(stores, entry, files)
    return Story(
        seq=entry.seq,
        entry=entry,
        event=event,
        visitor=visitor,
        linked_at_ms=await _accepted_at(stores, visitor.linked_seq) if visitor is not None else None,
        original=None if is_open else await _original(stores, entry, same, event),
        repeats=tuple(one for one in same if one.seq > entry.seq),
        stages=stages,
        resolved_to=await stores.ledger.resolved_to(),
        quarantined=tuple(await stores.ledger.quarantined(entry.seq)),
    )


async def _original(
    stores: Stores, entry: JournalEntry, same: list[JournalEntry], event: Event | None
) -> JournalEntry | None:
    """Give what a duplicate repeats: the same id, or for a purchase the same order."""
    earlier = [one for one in same if one.seq < entry.seq]
    if earlier or event is None or event.order_id is None:
        return earlier[0] if earlier else None
    seq = await stores.ledger.first_of_order(order_key(event.order_id))
    found = await stores.ledger.by_seqs([seq]) if seq is not None and seq != entry.seq else []
    return found[0] if found else None


async def _accepted_at(stores: Stores, seq: int | None) -> int | None:
    entries = await stores.ledger.by_seqs([seq]) if seq is not None else []
    return entries[0].received_at_ms if entries else None


async def _stages(stores: Stores, entry: JournalEntry, files: Mapping[str, Pipeline]) -> tuple[Stage, ...]:
    fates = await stores.ledger.fates(entry)
    depths = {depth.name: depth for depth in await stores.ledger.depths()}
    stages = []
    for fate in fates:
        depth, file = depths[fate.pipeline], files.get(fate.pipeline)
        missing = names_of(file.purposes & ~Purpose(entry.granted)) if file is not None else []
        stages.append(Stage(fate, depth.cursor, depth.paused, file, tuple(missing)))
    return tuple(stages)
