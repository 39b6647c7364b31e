"""Nothing of a visitor, a server, a vendor or a credential is told by logs, metrics, health, refusals or alerts.

One service of real processes, every kind of value that it must not tell in every place where one may stand, and every
fault that can be had in seconds.
"""

import asyncio
import base64
import gzip
import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from edge.cli import main
from edge.cli.options import WRONG_USE
from edge.spool.segment import checksum, list_segments
from tests import canaries
from tests.canaries import (
    API_KEY,
    EMAIL,
    EVENT_ID,
    GONE,
    IP,
    NAME,
    ORDER,
    PHONE,
    QUERY,
    USER_AGENT,
    WRITE_KEY,
    found_in,
)
from tests.canary_shop import BASIC, BEHAVIOURS, EVERYWHERE, HEADERS, PIPELINE, WITHIN_S, Shop, batch, event, open_shop
from tests.faults.disk import OwnDisk, own_disk
from tests.faults.driver import lives, until
from tests.metric_docs import documented, undocumented

# What is logged of vendors' answers, of an erasure and of damage, some of it seconds later.
LATE = (
    *("pipeline paused: its credentials are refused", "a vendor refuses to erase", "archive erased"),
    "envelope not understood",
)


@pytest.fixture
def disk(tmp_path):
    with own_disk(tmp_path / "data", "32m") as disk:
        yield disk


async def browse(shop: Shop) -> None:
    """Send what is good, and what is wrong in every way."""
    assert await shop.post("/t/e", batch(event(), event("view_kanarie", 2))) in (200, 204)
    wrong = [{"name": EMAIL}, {"id": EMAIL, "name": "x" * 999}, EMAIL, event(time=EMAIL, number=3), {EMAIL: EMAIL}]
    deep: object = EMAIL
    for _ in range(20):
        deep = {"kanarie": deep}
    wrong += [event(properties=deep), event(traits=EMAIL), event(properties={"__proto__": EMAIL, EMAIL: 2**63})]
    assert await shop.post("/t/e", batch(*wrong)) in (200, 400)
    answers = [
        await shop.post("/t/e", EMAIL.encode()),
        await shop.post("/t/e", b'{"kanarie": '),
        await shop.post("/t/e", b"\xff" + EMAIL.encode()),
        await shop.post("/t/e", gzip.compress(batch(event()))[:-9], {**HEADERS, "Content-Encoding": "gzip"}),
        await shop.post("/t/e", batch(event()), {**HEADERS, "Content-Encoding": "kanarie"}),
        await shop.post(
            "/t/e", batch(event()), {**HEADERS, "Origin": "https://kanarie.example", "Sec-Fetch-Site": "cross-site"}
        ),
        await shop.post(f"/t/{ORDER}?{QUERY}", batch(event())),
        await shop.post("/t/e", EMAIL.encode() * 20_000),
    ]
    assert set(answers) <= {400, 403, 404, 413, 415}


async def call(shop: Shop) -> None:
    """Call as a server, with the right key and with others."""
    track = {"type": "track", "messageId": EVENT_ID, "userId": ORDER, "event": NAME, "properties": EVERYWHERE}
    good = orjson.dumps({"batch": [{**track, "context": {"traits": {"email": EMAIL}, "ip": IP}}], "sentAt": NAME})
    assert await shop.post("/t/v1/batch", good, BASIC) == 200
    refused = [
        await shop.post("/t/v1/batch", orjson.dumps({"batch": [{**track, "type": EMAIL}, EMAIL]}), BASIC),
        await shop.post("/t/v1/track", EMAIL.encode(), BASIC),
        await shop.post("/t/v1/track", good, {"Authorization": "Basic " + base64.b64encode(b"kanarie:").decode()}),
        await shop.post("/t/v1/track", good, {"Authorization": f"Bearer {WRITE_KEY}"}),
        await shop.post("/t/v1/track", good, {"Authorization": "Basic kanarie"}),
    ]
    assert set(refused) <= {400, 401}


async def mumble(shop: Shop) -> None:
    """Send what is no HTTP."""
    for raw in (
        f"POST /t/e HTTP/1.1\r\nHost: {EMAIL}\r\nContent-Length: {EMAIL}\r\n\r\n",
        f"KANARIE {EMAIL} HTTP/9.9\r\n\r\n",
        f"POST /t/e HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n{EMAIL}\r\n",
        f"POST /t/e HTTP/1.1\r\nHost: shop\r\nKanarie {NAME}: x\x00\r\n\r\n",
    ):
        reader, writer = await asyncio.open_unix_connection(str(shop.folder / "edge.sock"))
        writer.write(raw.encode("latin-1"))
        shop.said.append(await asyncio.wait_for(reader.read(), WITHIN_S))
        writer.close()


async def break_files(shop: Shop) -> None:
    """Leave a pipeline file with a credential in it, and one that is cut."""
    (shop.folder / "pipelines/literal.yaml").write_text(
        PIPELINE.format(behaviour="400").replace("${KLAVIYO_PRIVATE_API_KEY}", API_KEY).replace("p400", "literal")
    )
    (shop.folder / "pipelines/cut.yaml").write_text(PIPELINE.format(behaviour="cut")[:60])
    await until(lambda: shop.service.logged("pipeline file refused") >= 2, WITHIN_S, "files are refused")
    checked = CliRunner(env=shop.service._environ).invoke(main, ["check", "--config", str(shop.service.config)])
    shop.said += [checked.stdout_bytes, checked.stderr_bytes]
    assert checked.exit_code == WRONG_USE


async def fill(shop: Shop, disk: OwnDisk) -> None:
    """Let a stranger take the disk, and give it back."""
    disk.fill()
    answered = [await shop.post("/t/e", batch(event(number=100 + number))) for number in range(5)]
    await shop.look()
    disk.clear()
    assert set(answered) == {503}
    later = [event("view_item", 200 + number) for number in range(3)]

    async def is_taken() -> bool:
        return await shop.post("/t/e", batch(*later)) in (200, 204)

    await until(is_taken, WITHIN_S, "there is room again")


async def forget(shop: Shop) -> None:
    """Have somebody erased whom vendors, echoing as ever, are asked to erase as well; and leave in the middle of it."""
    told = batch(event("view_item", 300, traits={"email": GONE}), session="kanarie" + "1" * 25)
    assert await shop.post("/t/e", told) in (200, 204)
    request = {"verb": "forget", "identifiers": [["email", GONE]]}
    await until(lambda: GONE.encode() in b"".join(shop.parrot.requests), WITHIN_S, "vendors know the person")
    assert await shop.ask(request) == {"kind": "progress", "state": "asked"}
    shop.said.append(orjson.dumps(await shop.ask({**request, "verb": EMAIL})))


async def damage(shop: Shop) -> None:
    """Kill the collector, and before it is started again put two rows behind its last: no envelope, and a torn one."""
    assert await shop.post("/t/e", batch(event("view_item", 400))) in (200, 204)
    supervisor, collector = shop.service.process.pid, await shop.service.pid("collector")
    os.kill(supervisor, signal.SIGSTOP)
    try:
        os.kill(collector, signal.SIGKILL)
        await until(lambda: not lives(collector), WITHIN_S, "the collector is dead")
        segment = list_segments(shop.folder / "data/spool")[-1]
        with closing(sqlite3.connect(segment.path)) as db, db:
            (last,) = db.execute("SELECT max(seq) FROM event").fetchone()
            foreign, torn = EMAIL.encode(), orjson.dumps({"kanarie": EMAIL})
            rows = [(last + 1, checksum(last + 1, foreign), foreign), (last + 2, 0, torn)]
            db.executemany("INSERT INTO event (seq, checksum, body) VALUES (?, ?, ?)", rows)
    finally:
        os.kill(supervisor, signal.SIGCONT)
    await shop.service.until_ready(collector, within_s=WITHIN_S)


async def mend_files(shop: Shop) -> None:
    """Remove the files that break_files left."""
    for broken in ("literal", "cut"):
        (shop.folder / f"pipelines/{broken}.yaml").unlink()
    await until(lambda: shop.service.logged("pipeline file has no problem any more") >= 2, WITHIN_S, "files are gone")


async def test_no_canary_is_told_by_anything_that_is_not_its_place(disk, tmp_path):
    """Alerts need ten seconds of the same: everything else happens meanwhile."""
    async with open_shop(tmp_path) as shop:
        await mumble(shop)
        await break_files(shop)
        await until(shop.is_judged, WITHIN_S, "the first look of the alerts")
        await browse(shop)
        await call(shop)
        await until(lambda: shop.parrot.asked == set(BEHAVIOURS), WITHIN_S, "every pipeline has asked")
        await shop.look()
        await fill(shop, disk)
        assert_canaries_went_their_way(shop, tmp_path)
        await forget(shop)
        killed = await shop.service.kill("drainer")
        await shop.service.until_ready(killed, within_s=WITHIN_S)
        await until(lambda: shop.service.logged("erasure done") > 0, WITHIN_S, "the new segment is the open one")
        await damage(shop)
        for event in LATE:
            await until(lambda event=event: shop.service.logged(event) > 0, WITHIN_S, event)
        await shop.look()
        wanted = {"paused", "dead_letters", "queue_age", "pipeline_file", "restarts", "disk"}
        await until(lambda: wanted <= alerts_of(shop), WITHIN_S, f"alerts {wanted} are told")
        await mend_files(shop)
        await shop.look()
        assert await shop.service.stop() == 0
        log = shop.service.log.read_bytes()
    told = b"\n".join((log, *shop.said, *shop.parrot.alerts))
    assert found_in(told) == []
    assert undocumented(shop.metrics) == []
    assert all(name in shop.metrics for name in documented())


def alerts_of(shop: Shop) -> set[str]:
    return {orjson.loads(body)["data"]["alert"] for body in shop.parrot.alerts}


def assert_canaries_went_their_way(shop: Shop, folder: Path) -> None:
    """Else their absence elsewhere would say nothing."""
    vendor = b"\n".join(shop.parrot.requests)
    assert all(one.encode() in vendor for one in (EMAIL, NAME, ORDER, QUERY, API_KEY))
    stored = b"".join(path.read_bytes() for path in (folder / "data").rglob("*") if path.is_file())
    assert all(one.encode() in stored for one in (EMAIL, PHONE, NAME, IP, ORDER, USER_AGENT, QUERY))


def test_a_canary_is_found_however_it_is_written():
    assert found_in(b'{"event": "x", "reason": "KANARIE@shop.example"}\nwell') == [
        b'{"event": "x", "reason": "KANARIE@shop.example"}'
    ]
    assert found_in(b"447700900911\n") and found_in(f"[{IP}]".encode()) and not found_in(b"canary")
    assert all(
        found_in(str(value).encode()) for name, value in vars(canaries).items() if name.isupper() and name != "MARKS"
    )
