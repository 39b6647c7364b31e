"""Killed with SIGKILL between any two of its steps, a writer leaves every line that it has answered for."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import orjson

from edge.archive_files import ArchiveFiles

DAY = "archive/2026-11-20.jsonl.gz"
WRITER = """
import itertools, sys
from pathlib import Path
from edge.archive_files import ArchiveFiles
files, first = ArchiveFiles(Path(sys.argv[1])), int(sys.argv[2])
for number in itertools.count(first):
    files.append(sys.argv[3], b'{"id":"e-%d","text":"%s"}\\n' % (number, b"tea" * (number % 50)))
    print(number, flush=True)
"""


def killed_after(root: Path, first: int, answered: int) -> int:
    """Let a process write lines from a number on, kill it after so many answers; give the next number."""
    command = [sys.executable, "-c", WRITER, str(root), str(first), DAY]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as writer:
        assert writer.stdout is not None
        told = [int(writer.stdout.readline()) for _ in range(answered)]
        writer.kill()
        told += map(int, writer.stdout.read().split())
    return told[-1] + 1


def test_every_line_that_was_answered_for_is_there_after_each_kill(tmp_path: Path) -> None:
    """A line that was not answered for yet may be there as well; then its number is written again."""
    upcoming = 0
    for answered in (1, 2, 7):
        upcoming = killed_after(tmp_path, upcoming, answered)
    ArchiveFiles(tmp_path).append(DAY, b'{"id":"last"}\n')
    packed = (tmp_path / (DAY + ".open")).read_bytes()
    ids = list(dict.fromkeys(orjson.loads(line)["id"] for line in gzip.decompress(packed).splitlines()))
    assert set(ids) - {f"e-{upcoming}"} == {*(f"e-{number}" for number in range(upcoming)), "last"}
