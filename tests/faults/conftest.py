"""Collects how each test ended and, where FAULTS_REPORT names a file, adds this round to it and writes the report.

`make test-faults` sets it; the file holds one line a round, so that the report tells of all of them.
"""

import json
import os
import platform
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.faults.counts import COUNTS
from tests.faults.report import Ended, Session, bounds, page
from tests.faults.verdict import VERDICTS

REPORT = Path(__file__).parents[2] / "docs/reliability-report.md"
PACKAGES = ("aiohttp", "aiosqlite", "orjson", "uvloop")
_ENDED = pytest.StashKey[list[Ended]]()
_BEGAN = pytest.StashKey[float]()


def pytest_sessionstart(session: pytest.Session) -> None:
    _begin(session.config)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave to `make test-faults` what takes long; pytest says how many those are."""
    left = [item for item in items if item.get_closest_marker("long") and not COUNTS.are_long]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Iterator[None]:  # a wrapper: what the others say goes on unchanged
    report = yield
    if report.when == "call" or (report.when == "setup" and not report.passed):
        folder = getattr(item, "funcargs", {}).get("tmp_path")
        file = folder / VERDICTS if folder is not None else None
        runs = tuple(json.loads(line) for line in file.read_text().splitlines()) if file and file.exists() else ()
        planted = dict(report.user_properties).get("planted")
        if runs or planted or report.failed:
            _begin(item.config).append(Ended(item.name, not report.failed, runs, planted))
    return report


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    file = _file()
    if file is None:
        return
    ended = tuple(_begin(session.config))
    seconds = round(time.monotonic() - session.config.stash[_BEGAN])
    seed, day = os.environ.get("SEED", "random"), datetime.now(UTC).date().isoformat()
    this = Session(day, seed, versions(), seconds, exitstatus != pytest.ExitCode.INTERRUPTED, ended)
    with file.open("a") as rounds:
        rounds.write(json.dumps(asdict(this)) + "\n")
    REPORT.write_text(page(_sessions(file)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what all rounds bound, and name what this machine could not play: nothing is left out in silence."""
    file = _file()
    if file is not None:
        terminalreporter.write_line(bounds(_sessions(file)))
    for report in terminalreporter.stats.get("skipped", []):
        if "tests/faults/" in report.nodeid:
            terminalreporter.write_line(f"not played here: {report.nodeid.partition('::')[2]}: {report.longrepr[2]}")


def versions() -> str:
    """Name what ran, and nothing of the machine but its kind."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    edge, cores = version("datafly-edge"), os.cpu_count()
    return (
        f"datafly-edge {edge}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {packages}, "
        f"{platform.system()} on {cores} cores"
    )


def _begin(config: pytest.Config) -> list[Ended]:
    if _ENDED not in config.stash:
        config.stash[_ENDED], config.stash[_BEGAN] = [], time.monotonic()
    return config.stash[_ENDED]


def _file() -> Path | None:
    given = os.environ.get("FAULTS_REPORT")
    return Path(given) if given else None


def _sessions(file: Path) -> list[Session]:
    return [_session(line) for line in file.read_text().splitlines()]


def _session(line: str) -> Session:
    told = json.loads(line)
    ended = tuple(Ended(**{**one, "runs": tuple(one["runs"])}) for one in told.pop("ended"))
    return Session(**told, ended=ended)
