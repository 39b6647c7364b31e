"""The archives: days closed when they are over, removed when they are kept no longer, and cleared of the erased."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import orjson
import structlog

from edge.destinations.archive import open_from_ms
from edge.destinations.base import KeepsFiles
from edge.errors import TransportFailed
from edge.event import event_key
from edge.identity import Traces
from edge.ledger.erasing import LeftOver
from edge.pipeline import Pipeline
from edge.transport import HttpTransport

log = structlog.get_logger(__name__)


class HasPipeline(Protocol):
    """A lane."""

    pipeline: Pipeline


async def tidy_archives(lanes: Iterable[HasPipeline], transport: HttpTransport, now_ms: int) -> None:
    """Close and remove the files that are due in every archive; one whose disk fails is looked at again next time."""
    for lane in lanes:
        archive = lane.pipeline.destination
        if not isinstance(archive, KeepsFiles):
            continue
        kept_from_ms = now_ms - round(archive.keep_for_s * 1_000)
        try:
            await transport.tidy(archive.directory, open_from_ms=open_from_ms(now_ms), kept_from_ms=kept_from_ms)
        except TransportFailed as error:
            log.warning("archive not tidied", pipeline=lane.pipeline.name, error=str(error))


@dataclass(frozen=True, slots=True)
class Theirs:
    """Tells an erased person's lines: those of its events' keys, and those that name it."""

    keys: frozenset[bytes]
    traces: Traces

    def finder(self) -> Callable[[bytes], bool]:
        """Give what tells whether a line is theirs."""
        needles = tuple(self.traces.needles)

        def is_theirs(line: bytes) -> bool:
            lowered = line.decode("utf-8", "replace").lower()
            named = any(needle in lowered for needle in needles) and self.traces.in_body(line)
            return named or self._is_known(line)

        return is_theirs

    def _is_known(self, line: bytes) -> bool:
        try:
            event = orjson.loads(line)
            return event_key(event["source"], event["id"]) in self.keys
        except (orjson.JSONDecodeError, LookupError, TypeError):
            return False


class ArchiveStore:
    """The archives that pipelines keep, as a store that a person is erased from."""

    def __init__(self, pipelines: Callable[[], Iterable[Pipeline]], transport: HttpTransport) -> None:
        self._pipelines, self._transport = pipelines, transport

    async def erase(self, keys: set[bytes], traces: Traces) -> Sequence[LeftOver]:
        """Write every file anew that has lines of theirs; give the folders in which that failed."""
        archives = (pipeline.destination for pipeline in self._pipelines())
        left_over: list[LeftOver] = []
        for directory in sorted({one.directory for one in archives if isinstance(one, KeepsFiles)}):
            try:
                lines = await self._transport.forget(directory, Theirs(frozenset(keys), traces))
            except OSError as error:
                log.error("archive not erased", directory=directory, error=type(error).__name__)
                left_over.append(LeftOver(directory, "its files could not be written anew; run the verb again", None))
            else:
                log.info("archive erased", directory=directory, lines=lines)
        return left_over
