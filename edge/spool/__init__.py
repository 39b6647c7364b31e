"""An append-only log of numbered SQLite segment files; see `docs/architecture.md`."""

from edge.spool.reader import Row, SpoolReader
from edge.spool.segment import SpoolSettings
from edge.spool.writer import SpoolWriter

__all__ = ["Row", "SpoolReader", "SpoolSettings", "SpoolWriter"]
