"""What stands and what the receiver of alerts was told, over restarts: else a change would be told twice, or never."""

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from edge.alerting import Key, Kind, Remembered


class AlertMemory:
    """One small file, written whole; without it what stands is told once more, and what nobody heard of may be lost."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> list[Remembered]:
        """Give what was written last; nothing where nothing can be read, or another version wrote it."""
        try:
            return [_parse(one) for one in orjson.loads(self._path.read_bytes())]
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return []

    def write(self, remembered: Sequence[Remembered]) -> None:
        """Keep what stands and what the receiver knows; raises OSError where the disk does not take it."""
        listed = [{**asdict(one), "key": list(one.key)} for one in remembered]
        fresh = self._path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(descriptor, orjson.dumps(listed))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        fresh.replace(self._path)


def _parse(one: dict[str, Any]) -> Remembered:
    kind, about = one["key"]
    figures = [None if one[name] is None else float(one[name]) for name in ("value", "limit")]
    return Remembered(
        Key(Kind(kind), str(about)),
        int(one["since_ms"]),
        int(one["reminders"]),
        bool(one["is_raised"]),
        bool(one["is_told"]),
        *figures,
    )
