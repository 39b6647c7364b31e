"""The run's end: a connection left broken on purpose has a thread that would keep the interpreter from ending."""

import os
import sys
import threading
from pathlib import Path

import pytest

_STATUS = pytest.StashKey[int]()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """A test that leaves the process in another folder would fail the tests after it, far from its own place."""
    assert Path.cwd() == item.config.invocation_params.dir, f"{item.nodeid} left the process in {Path.cwd()}"


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[_STATUS] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """End the process where such threads are left, and name them: storage that failed is never closed politely."""
    left = [t.name for t in threading.enumerate() if t is not threading.main_thread() and not t.daemon]
    if left:
        print(f"threads left by broken connections: {', '.join(left)}")
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.stash.get(_STATUS, 1))
