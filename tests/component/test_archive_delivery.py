"""From the drainer to the disk: delivered when it is there, tried again when it is not, closed when the day is over."""

import errno
import gzip
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edge.app.archives import tidy_archives
from edge.archive_files import ArchiveFiles, Sought
from edge.delivery import Delivered, Outcome, Payload, Retry
from edge.destinations.base import first_request
from edge.drainer.letters import shown_request
from edge.pipeline import Pipeline
from edge.transport import HttpTransport
from tests.conversations import over
from tests.golden_cases import NOW_MS, ROOT, pipeline_of, planned, sent_cases
from tests.pipeline_files import MINIMAL, compiled

CASES = list(sent_cases("archive"))
PIPELINE = pipeline_of(CASES[0])
DAY_MS = 86_400_000


@dataclass
class Lane:
    pipeline: Pipeline


@pytest.fixture
async def transport(tmp_path: Path) -> AsyncIterator[HttpTransport]:
    made = HttpTransport(timeout_s=5.0, files=ArchiveFiles(tmp_path))
    await made.open()
    yield made
    await made.close()


def payload_of(case: Any) -> Payload:
    return planned(case, PIPELINE).payload  # type: ignore[union-attr]


async def deliver(transport: HttpTransport, payload: Payload) -> Outcome:
    [outcome] = await over(transport, PIPELINE.destination.deliver([payload], NOW_MS))
    return outcome


async def test_every_golden_line_is_on_disk_when_it_is_delivered(tmp_path: Path, transport: HttpTransport) -> None:
    lines = b""
    for case in CASES:
        payload = payload_of(case)
        lines += payload.body
        assert await deliver(transport, payload) == Delivered(200), case["says"]
        assert gzip.decompress((tmp_path / "archive/2026-11-20.jsonl.gz.open").read_bytes()) == lines
    shown = shown_request(first_request(PIPELINE.destination, payload, NOW_MS))
    assert '"url":"file:archive/2026-11-20.jsonl.gz"' in shown


async def test_disk_that_fails_is_a_retry_that_says_so(tmp_path: Path, transport: HttpTransport) -> None:
    (tmp_path / "archive").write_text("in the way")
    assert await deliver(transport, payload_of(CASES[0])) == Retry(f"the disk failed ({errno.errorcode[errno.EEXIST]})")
    (tmp_path / "archive").unlink()
    assert await deliver(transport, payload_of(CASES[0])) == Delivered(200)


async def test_full_disk_is_told_as_one_and_tried_again(tmp_path: Path) -> None:
    ends: list[OSError] = [OSError(errno.ENOSPC, "full"), OSError(errno.EDQUOT, "full"), OSError(errno.EIO, "broken")]

    def write(descriptor: int, data: bytes) -> int:
        if ends:
            raise ends.pop(0)
        return os.write(descriptor, data)

    transport = HttpTransport(timeout_s=5.0, files=ArchiveFiles(tmp_path, write=write))
    await transport.open()
    payload, outcomes = payload_of(CASES[0]), list[Outcome]()
    for _ in range(4):
        outcomes.append(await deliver(transport, payload))
    await transport.close()
    assert outcomes == [
        Retry("the disk is full"),
        Retry("the disk is full"),
        Retry("the disk failed (EIO)"),
        Delivered(200),
    ]
    assert gzip.decompress((tmp_path / "archive/2026-11-20.jsonl.gz.open").read_bytes()) == payload.body


async def test_days_are_closed_and_removed_whether_or_not_anything_arrives(
    tmp_path: Path, transport: HttpTransport
) -> None:
    lanes = [Lane(compiled(MINIMAL)), Lane(PIPELINE)]
    await deliver(transport, payload_of(CASES[0]))

    async def names_at(now_ms: int) -> list[str]:
        await tidy_archives(lanes, transport, now_ms)
        return sorted(file.name for file in (tmp_path / "archive").iterdir())

    assert await names_at(NOW_MS) == ["2026-11-20.jsonl.gz.open"]
    assert await names_at(NOW_MS + DAY_MS) == ["2026-11-20.jsonl.gz"]
    assert await names_at(NOW_MS + 400 * DAY_MS) == ["2026-11-20.jsonl.gz"]
    assert await names_at(NOW_MS + 401 * DAY_MS) == []


async def test_somebodys_lines_can_be_taken_out_while_others_are_written(
    tmp_path: Path, transport: HttpTransport
) -> None:
    for case in CASES:
        await deliver(transport, payload_of(case))
    gone = await transport.forget("archive", Sought(texts=frozenset({"visitor@shop.example"})))
    known = sum(1 for case in CASES if case["identifiers"])
    left = gzip.decompress((tmp_path / "archive/2026-11-20.jsonl.gz.open").read_bytes())
    assert (gone, left.count(b"\n"), b"visitor@" in left) == (known, len(CASES) - known, False)


def test_shipped_archive_keeps_no_addresses_of_machines() -> None:
    assert "leave_out: [context.ip]" in (ROOT / "pipelines/archive.yaml").read_text("utf-8")
    assert b"203.0.113.7" not in b"".join(payload_of(case).body for case in CASES)
