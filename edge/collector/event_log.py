"""What the collector asks of storage, and nothing else."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

Tell: TypeAlias = Callable[[int | Exception], None]


class EventLog(Protocol):
    """Where events are kept."""

    async def append(self, envelopes: Sequence[bytes]) -> int:
        """Give the first sequence number, after the commit that holds every envelope.

        Raises:
            StorageFull, StorageBusy, StorageFailed: nothing was stored.
        """
        ...

    def append_soon(self, envelopes: Sequence[bytes], tell: Tell) -> None:
        """Store as `append` does, without a task: `tell` is called once, with what that gives or would have raised.

        Raises:
            StorageFull, StorageBusy, StorageFailed: nothing will be stored, and nobody is told.
        """
        ...
