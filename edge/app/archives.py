"""The archives' days: closed when they are over, removed when they are kept no longer."""

from collections.abc import Iterable
from typing import Protocol

import structlog

from edge.destinations.archive import Archive, open_from_ms
from edge.errors import TransportFailed
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
        if not isinstance(archive, Archive):
            continue
        kept_from_ms = now_ms - round(archive.keep_for_s * 1_000)
        try:
            await transport.tidy(archive.directory, open_from_ms=open_from_ms(now_ms), kept_from_ms=kept_from_ms)
        except TransportFailed as error:
            log.warning("archive not tidied", pipeline=lane.pipeline.name, error=str(error))
