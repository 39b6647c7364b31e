"""The public door: serves the script, takes batches, and answers after they are on disk."""

from edge.collector.event_log import EventLog, Tell
from edge.collector.random_pool import RandomPool
from edge.collector.server import Collector
from edge.collector.settings import MAX_CONNECTIONS, CollectorSettings, Listen
from edge.collector.static import Assets, pinned_name

__all__ = [
    "MAX_CONNECTIONS",
    "Assets",
    "Collector",
    "CollectorSettings",
    "EventLog",
    "Listen",
    "RandomPool",
    "Tell",
    "pinned_name",
]
