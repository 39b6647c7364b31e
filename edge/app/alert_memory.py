"""What the receiver of alerts was told, over restarts: else it would hear everything anew, and of no end."""

import os
from collections.abc import Sequence
from pathlib import Path

import orjson

from edge.alerting import Key, Kind, Remembered


class AlertMemory:
    """One small file, written whole; without it everything that stands is told once more, and nothing else is lost."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> list[Remembered]:
        """Give what was written last; nothing where nothing can be read, or another version wrote it."""
        try:
            return [
                Remembered(Key(Kind(one["alert"]), str(one["about"])), int(one["since_ms"]), int(one["reminders"]))
                for one in orjson.loads(self._path.read_bytes())
            ]
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return []

    def write(self, told: Sequence[Remembered]) -> None:
        """Keep what the receiver knows as raised; raises OSError where the disk does not take it."""
        listed = [
            {"alert": one.key.kind, "about": one.key.about, "since_ms": one.since_ms, "reminders": one.reminders}
            for one in told
        ]
        fresh = self._path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(descriptor, orjson.dumps(listed))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        fresh.replace(self._path)
