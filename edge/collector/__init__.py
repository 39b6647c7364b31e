"""The public door: serves the script, takes batches, and answers after they are on disk."""

from edge.collector.server import Collector, EventLog
from edge.collector.settings import CollectorSettings, Listen
from edge.collector.static import Assets

__all__ = ["Assets", "Collector", "CollectorSettings", "EventLog", "Listen"]
