"""Pipelines that are switched off and in which nothing ever moved: a screen names them once, JSON in full."""

import os
from collections.abc import Collection, Sequence
from pathlib import Path

from rich.text import Text

from edge.cli.pipeline_files import load_leniently
from edge.cli.screen import plain
from edge.config import Config
from edge.delivery import Fate
from edge.ledger.looking import PipelineDepth
from edge.pipeline import files_of

# How an event ends in a pipeline that sends nothing.
QUIET = frozenset({Fate.SKIPPED, Fate.WITHHELD, Fate.UNMAPPED, Fate.EXPIRED, Fate.ERASED, Fate.DAMAGED})


def is_quiet(depth: PipelineDepth) -> bool:
    """Tell whether nothing ever moved in a pipeline; a variable that is unset only here must hide no live one."""
    return not depth.paused and not any(count for fate, count in depth.events.items() if fate not in QUIET)


def idle_among(depths: Sequence[PipelineDepth], disabled: Collection[str]) -> frozenset[str]:
    """Give the names of those that are disabled by their files, and in which the ledger knows of nothing else."""
    return frozenset(depth.name for depth in depths if depth.name in disabled and is_quiet(depth))


def idle_line(names: Sequence[str]) -> Text:
    """Name the idle ones in one dim line."""
    return Text(f"disabled: {', '.join(map(plain, names))}", "dim")


class Disabled:
    """Which pipelines are disabled by their files as these are now; read again when one of them has changed."""

    def __init__(self, config: Config) -> None:
        self._directory = config.pipelines
        self._seen: object = None
        self._names: frozenset[str] = frozenset()

    def names(self) -> frozenset[str]:
        """Give those whose files can be read."""
        files = files_of(self._directory)
        seen = [(file, _stamp(file)) for file in files]
        if seen != self._seen:
            loaded = load_leniently(files, os.environ).pipelines
            self._seen, self._names = seen, frozenset(one.name for one in loaded.values() if not one.is_enabled)
        return self._names


def _stamp(file: Path) -> tuple[int, int]:
    try:
        found = file.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size
