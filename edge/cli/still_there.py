"""Which files may still hold an erased person while an erasure goes on, each by name and date."""

from collections.abc import Sequence

from edge.app.folders import spool_settings
from edge.cli.stores import Stores
from edge.cli.times import moment
from edge.config import Config
from edge.spool.segment import Segment, list_segments

SINGLY = 20
NO_END = 2**63 - 1


async def files_in_state(config: Config, stores: Stores, state: str) -> list[str]:
    """Give lines that name the files of the spool that may still hold it, the oldest first.

    In the state "sealed" that is any file, in "found" each with an event that was found, in others none.
    """
    segments = list_segments(spool_settings(config).directory)
    match state:
        case "sealed":
            return await _lines(stores, "looked through now", segments, singly=1)
        case "found":
            marked = await stores.ledger.marked()
            ends = [*(following.first for following in segments[1:]), NO_END]
            held = [
                one for one, end in zip(segments, ends, strict=False) if any(one.first <= seq < end for seq in marked)
            ]
            return await _lines(stores, "holds it until it is written anew", held, singly=SINGLY)
        case _:
            return []


async def _lines(stores: Stores, what: str, segments: Sequence[Segment], *, singly: int) -> list[str]:
    """Name each file, or the first and the last of many: the names between them are numbers between theirs."""
    if len(segments) <= singly:
        return [f"{what}: {await _named(stores, segment)}" for segment in segments]
    first, last = await _named(stores, segments[0]), await _named(stores, segments[-1])
    return [f"{what}: {len(segments)} files, from {first} to {last}"]


async def _named(stores: Stores, segment: Segment) -> str:
    sealed_ms = await stores.spool.sealed_at_ms(segment)
    return f"{segment.path.name} ({f'complete since {moment(sealed_ms)} UTC' if sealed_ms else 'still open'})"
