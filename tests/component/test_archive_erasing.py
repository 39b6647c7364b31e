"""An erased person is gone from the archives too: what names them, and what the ledger knows to be theirs."""

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
import pytest_asyncio

from edge.app.archives import ArchiveStore
from edge.archive_files import ArchiveFiles
from edge.delivery import Append
from edge.event import event_key
from edge.identity import Traces
from edge.ledger.erasing import LeftOver
from edge.transport import HttpTransport
from tests.pipeline_files import MINIMAL, compiled

HERS, OTHERS = "visitor@shop.example", "other@shop.example"
PIPELINE = "name: a\nintegration: archive\nevents: {'*': {}}\n"
TRACES = Traces([("email", HERS), ("customer_id", "c-1")], "GB")


def line(event_id: str, **traits: str) -> bytes:
    return (
        orjson.dumps({"id": event_id, "name": "view_item", "source": "browser", "context": {"traits": traits}}) + b"\n"
    )


@pytest_asyncio.fixture
async def transport(tmp_path: Path) -> AsyncIterator[HttpTransport]:
    made = HttpTransport(timeout_s=5.0, files=ArchiveFiles(tmp_path))
    await made.open()
    yield made
    await made.close()


def kept(folder: Path) -> list[str]:
    files = sorted(file for file in (folder / "archive").glob("*.jsonl.gz*") if file.is_file())
    return [orjson.loads(one)["id"] for file in files for one in gzip.decompress(file.read_bytes()).splitlines()]


async def test_lines_that_name_somebody_or_are_known_to_be_theirs_go_and_all_others_stay(tmp_path, transport):
    lines = [
        line("before-1"),
        line("hers-1", email=HERS),
        line("hers-2", email=HERS.upper()),
        line("hers-3", customer_id="c-1"),
        line("others-1", email=OTHERS),
        line("others-2", customer_id="c-19"),
        line("before-2"),
    ]
    for day in ("2026-11-20", "2026-11-21"):
        await transport.send(Append.to(f"archive/{day}.jsonl.gz", b"".join(lines)))
    store = ArchiveStore(lambda: [compiled(PIPELINE)], transport)
    keys = {event_key("browser", "before-1")}
    for _ in range(2):  # a death in between does no harm
        assert await store.erase(keys, TRACES) == []
        assert kept(tmp_path) == ["others-1", "others-2", "before-2"] * 2
    await transport.send(Append.to("archive/2026-11-21.jsonl.gz", line("others-3", email=OTHERS)))
    assert kept(tmp_path)[-1] == "others-3"


async def test_an_archive_that_cannot_be_written_is_named(tmp_path, transport):
    await transport.send(Append.to("archive/2026-11-20.jsonl.gz", line("hers-1", email=HERS)))
    [file] = (tmp_path / "archive").iterdir()
    beside = file.with_name(file.name + ".rewriting")
    beside.mkdir()
    left_over = await ArchiveStore(lambda: [compiled(PIPELINE)], transport).erase(set(), TRACES)
    assert left_over == [LeftOver("archive", "its files could not be written anew; run the verb again", None)]
    assert kept(tmp_path) == ["hers-1"]


@pytest.mark.parametrize("pipelines", [[], [compiled]], ids=["none", "another destination"])
async def test_where_no_pipeline_keeps_an_archive_there_is_nothing_to_do(transport, pipelines):
    store = ArchiveStore(lambda: [one(MINIMAL) for one in pipelines], transport)
    assert await store.erase({b"key"}, TRACES) == []
