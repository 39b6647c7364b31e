"""Which parts of the service run on a data directory, seen by their locks: figures alone look calm when none does."""

from dataclasses import asdict, dataclass
from pathlib import Path

from edge.app.lock import is_held


@dataclass(frozen=True, slots=True)
class Running:
    """Whether each role has a living process; None: that cannot be seen."""

    collector: bool | None
    drainer: bool | None

    def sentence(self) -> str:
        """Say what does not run and what that stops; "" where nothing is known to be missing."""
        if self.collector is False and self.drainer is False:
            return "no service runs here: nothing is accepted or delivered"
        if self.collector is False:
            return "the collector does not run: nothing is accepted"
        return "the drainer does not run: nothing is delivered" if self.drainer is False else ""

    def told(self) -> dict[str, bool | None]:
        """Give it for JSON."""
        return asdict(self)


UNSEEN = Running(None, None)


def running_on(data_dir: Path) -> Running:
    """Look at a data directory's locks."""
    return Running(is_held(data_dir, "collector"), is_held(data_dir, "drainer"))


class Absences:
    """Says what does not run when that changes, and nothing in between."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir, self._said = data_dir, ""

    def news(self) -> str:
        """Give the sentence where it is another one than before; "" where there is nothing to say."""
        before, self._said = self._said, running_on(self._data_dir).sentence()
        if before == self._said:
            return ""
        return self._said or "the service runs again"
