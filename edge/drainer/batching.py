"""Which payloads share a conversation; pure.

A chain is a list of batches that are sent one after the other; chains are sent side by side. A visitor has one chain,
so that its events go out in order and nobody waits for a stranger's.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from edge.destinations.base import Choosy, Destination


class _Visiting(Protocol):
    @property
    def visitor(self) -> int: ...


Job = TypeVar("Job", bound=_Visiting)


def batch_size(destination: Destination, *, is_backlog: bool) -> int:
    """Give how many payloads of a destination may share a conversation now."""
    if isinstance(destination, Choosy):
        return destination.batch_size(is_backlog=is_backlog)
    return destination.max_batch


def is_backlog(destination: Destination, behind: int) -> bool:
    """Tell whether more events wait than the account's rate lets through in a minute, one request each."""
    return behind > destination.rate.steady_per_min


def chains_of(jobs: Iterable[Job], size: int, goes_alone: Callable[[Job], bool]) -> list[list[list[Job]]]:
    """Group jobs into chains of batches.

    Args:
        jobs: in the order in which they were accepted.
        size: the most jobs of a batch. Nobody is kept waiting to fill one.
        goes_alone: tells which jobs have a batch of their own.
    Returns:
        Every job once. Visitors whose jobs fit share a chain of one batch; who has more than fit, or one that goes
        alone, has a chain for itself.
    """
    by_visitor: dict[int, list[Job]] = {}
    for job in jobs:
        by_visitor.setdefault(job.visitor, []).append(job)
    chains: list[list[list[Job]]] = []
    shared: list[Job] = []
    for own in by_visitor.values():
        if len(own) > size or any(map(goes_alone, own)):
            chains.append(_batches(own, size, goes_alone))
            continue
        if len(shared) + len(own) > size:
            chains.append([shared])
            shared = []
        shared += own
    return [*chains, [shared]] if shared else chains


def _batches(jobs: Sequence[Job], size: int, goes_alone: Callable[[Job], bool]) -> list[list[Job]]:
    """Cut one visitor's jobs into batches that keep their order."""
    batches: list[list[Job]] = []
    is_open = False
    for job in jobs:
        is_alone = goes_alone(job)
        if is_alone or not is_open or len(batches[-1]) >= size:
            batches.append([])
        batches[-1].append(job)
        is_open = not is_alone
    return batches
