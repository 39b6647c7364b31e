"""What the collector asks of storage, and nothing else."""

from collections.abc import Sequence
from typing import Protocol


class EventLog(Protocol):
    """Where events are kept."""

    async def append(self, envelopes: Sequence[bytes]) -> int:
        """Give the first sequence number, after the commit that holds every envelope.

        Raises:
            StorageFull, StorageBusy, StorageFailed: nothing was stored.
        """
        ...
