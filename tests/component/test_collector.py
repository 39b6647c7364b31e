"""The collector's answers: what each request gets, and what is stored before it."""

import asyncio
import gzip
import re
import stat
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from edge.collector import Assets, pinned_name
from edge.consent import Purpose
from edge.consent_platforms import hear
from edge.errors import StorageBusy, StorageFailed, StorageFull
from edge.event import Event
from edge.jsontree import JSON
from tests.running_collector import ORIGIN, SAME, SCRIPT, WAIT_S, Running, batch, event, head, running

FIRST_BROWSER = "00" * 15 + "01"


async def test_a_204_means_the_log_has_the_event() -> None:
    async with running() as edge:
        edge.log.gate.clear()
        posting = asyncio.create_task(edge.post(User_Agent="Mozilla/5.0"))
        await asyncio.wait_for(edge.log.entered.wait(), WAIT_S)
        assert not posting.done()
        edge.log.gate.set()
        answer = await posting
    assert (answer.status, answer.body) == (204, b"")
    now_ms = edge.clock.now_ms()
    context: dict[str, JSON] = {"ip": "127.0.0.1", "user_agent": "Mozilla/5.0"}
    expected = Event("e-1", "add_to_cart", now_ms, now_ms, "browser", FIRST_BROWSER, {"value": 48.5}, {}, context)
    assert edge.log.events == [expected]


async def test_some_refused_events_are_named_and_the_others_stored() -> None:
    async with running() as edge:
        answer = await edge.post(batch(event(id="a"), {"name": "1"}, event(id="b")))
    assert answer.status == 200
    assert answer.json["accepted"] == 2
    assert [(one["index"], one["code"]) for one in answer.json["rejected"]] == [(1, "bad_name")]
    assert answer.cookie
    assert [one.id for one in edge.log.events] == ["a", "b"]


async def test_a_batch_without_one_good_event_is_400_and_sets_nothing() -> None:
    async with running() as edge:
        answer = await edge.post(batch(1, 2))
    assert (answer.status, answer.code, answer.cookie) == (400, "no_valid_event", "")
    assert len(answer.json["rejected"]) == 2
    assert edge.log.events == []


async def test_a_consent_answer_is_stored_even_when_every_event_is_refused() -> None:
    async with running() as edge:
        answer = await edge.post(batch(1, consent={"marketing": "denied"}))
    assert answer.status == 400
    (stored,) = edge.log.events
    (said,) = hear(stored.context).answers
    assert (stored.name, said.denied) == ("consent", Purpose.MARKETING)


async def test_every_event_answer_carries_the_same_guards() -> None:
    async with running() as edge:
        answers = [await edge.post(), await edge.post(b"{"), await edge.post(headers={}), await edge.post(batch(1))]
    assert [answer.status for answer in answers] == [204, 400, 403, 400]
    for answer in answers:
        assert answer.headers["Server"] == "datafly-edge"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"] == "sandbox"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers.get("Content-Type") == ("application/json" if answer.body else None)


@pytest.mark.parametrize(
    ("error", "code", "is_fatal"),
    [
        (StorageFull("full"), "storage_full", False),
        (StorageBusy("busy"), "storage_busy", False),
        (StorageFailed("canary"), "storage_failed", True),
        (RuntimeError("canary"), "unavailable", False),
    ],
)
async def test_what_cannot_be_stored_is_503_with_retry_after(error: Exception, code: str, is_fatal: bool) -> None:
    async with running() as edge:
        edge.log.error = error
        with capture_logs() as lines:
            answer = await edge.post(Origin=ORIGIN, Sec_Fetch_Site="same-site")
        assert edge.collector.failed.is_set() == is_fatal
    assert (answer.status, answer.code, answer.cookie) == (503, code, "")
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert b"canary" not in answer.body
    assert "canary" not in str(lines)


async def test_an_unforeseen_error_is_logged_by_its_place() -> None:
    async with running() as edge:
        edge.log.error = KeyError("canary")
        with capture_logs() as lines:
            await edge.post()
    (line,) = lines
    assert (line["event"], line["error"]) == ("request failed", "KeyError")
    assert re.fullmatch(r"running_collector\.py:\d+", line["place"])


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/t/e", 405, "POST, OPTIONS"),
        ("PUT", "/t/e", 405, "POST, OPTIONS"),
        ("TRACE", "/t/e", 405, "POST, OPTIONS"),
        ("POST", "/t/datafly.js", 405, "GET, HEAD"),
        ("OPTIONS", "/t/datafly.js", 405, "GET, HEAD"),
        ("TRACE", "/", 405, "GET, HEAD, POST, OPTIONS"),
        ("GET", "/", 404, None),
        ("POST", "/t/e/", 404, None),
        ("POST", "/T/e", 404, None),
        ("GET", "/t/v1/track", 404, None),
    ],
)
async def test_other_paths_and_methods_are_refused(method: str, path: str, status: int, allow: str | None) -> None:
    async with running() as edge:
        answer = await edge.request(method, path, SAME)
        assert (answer.status, answer.headers.get("Allow")) == (status, allow)


async def test_a_query_that_a_proxy_added_changes_nothing() -> None:
    async with running() as edge:
        assert (await edge.request("POST", "/t/e?x=1", SAME, batch())).status == 204
        assert (await edge.request("GET", "/t/datafly.js?v=2", {"Accept-Encoding": "identity"})).body == SCRIPT


async def test_names_of_paths_are_settings() -> None:
    async with running(prefix="/shop/api", script="main.js", endpoint="go") as edge:
        assert (await edge.request("POST", "/shop/api/go", SAME, batch())).status == 204
        assert (await edge.request("GET", "/shop/api/main.js", {})).status == 200
        assert (await edge.request("POST", "/t/e", SAME, batch())).status == 404


async def test_what_was_received_is_what_was_accepted_and_refused() -> None:
    async with running() as edge:
        body = batch(event(), 1, {"name": "<canary>"}, event(id="b"))
        await edge.post(body)
        await edge.request("GET", "/canary", {})
        await edge.request("GET", "/t/datafly.js", {})
    assert edge.count("edge_events_accepted_total", source="browser") == 2
    assert edge.count("edge_events_rejected_total", code="bad_event") == 1
    assert edge.count("edge_events_rejected_total", code="bad_name") == 1
    assert edge.count("edge_requests_total", endpoint="events", status="200") == 1
    assert edge.count("edge_requests_total", endpoint="other", status="404") == 1
    assert edge.count("edge_requests_total", endpoint="script", status="200") == 1
    assert edge.count("edge_request_bytes_total") == len(body)


# The script


@pytest.mark.parametrize(
    ("accepts", "coding"),
    [(None, None), ("gzip", "gzip"), ("gzip, deflate, br", "br"), ("br;q=0, GZIP;q=0.5", "gzip"), ("zstd", None)],
)
async def test_the_script_comes_in_the_best_coding_and_never_with_a_cookie(
    accepts: str | None, coding: str | None
) -> None:
    async with running(Assets(SCRIPT, script_br=b"as-brotli")) as edge:
        headers = {"Accept-Encoding": accepts or "identity", "Cookie": "__Host-dfid=x"}
        answer = await edge.request("GET", "/t/datafly.js", headers)
    assert (answer.status, answer.headers.get("Content-Encoding")) == (200, coding)
    body = gzip.decompress(answer.body) if coding == "gzip" else answer.body
    assert body == (b"as-brotli" if coding == "br" else SCRIPT)
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert answer.headers["Cache-Control"] == "public, max-age=3600"
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Set-Cookie" not in answer.headers


async def test_a_script_that_did_not_change_is_304() -> None:
    async with running() as edge:

        async def status(etag: str, accepts: str = "gzip") -> int:
            headers = {"If-None-Match": etag, "Accept-Encoding": accepts}
            return (await edge.request("GET", "/t/datafly.js", headers)).status

        etag = (await edge.request("GET", "/t/datafly.js", {"Accept-Encoding": "gzip"})).headers["ETag"]
        assert [await status(known) for known in (etag, f"W/{etag}", f'"x", {etag}', "*")] == [304] * 4
        assert [await status('"other"'), await status(etag, "identity")] == [200, 200]
        again = await edge.request("GET", "/t/datafly.js", {"If-None-Match": etag, "Accept-Encoding": "gzip"})
        assert (again.body, again.headers["ETag"]) == (b"", etag)


async def test_a_script_named_by_its_digest_is_kept_for_good_and_that_of_another_release_is_not() -> None:
    async with running() as edge:
        pinned = f"/t/{pinned_name('datafly.js', SCRIPT)}"
        answers = [
            await edge.request("GET", path, {}) for path in (pinned, "/t/datafly.00000000.js", "/t/datafly.0.js")
        ]
    assert [(one.status, one.headers["Cache-Control"]) for one in answers] == [
        (200, "public, max-age=31536000, immutable"),
        (200, "public, max-age=3600"),
        (404, "no-store"),
    ]
    assert {gzip.decompress(one.body) if one.headers.get("Content-Encoding") else one.body for one in answers[:2]} == {
        SCRIPT
    }


async def test_head_says_what_get_would() -> None:
    async with running() as edge:
        answer = await edge.request("HEAD", "/t/datafly.js", {"Accept-Encoding": "identity"})
    assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"", str(len(SCRIPT)))


# Starting and stopping


async def _posted_and_held(edge: Running) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send one batch on a connection of its own, and wait until the log holds it back."""
    edge.log.gate.clear()
    reader, writer = await edge.connect()
    writer.write(head(f"Content-Length: {len(batch())}") + batch())
    await asyncio.wait_for(edge.log.entered.wait(), WAIT_S)
    return reader, writer


async def test_stopping_answers_what_is_in_flight() -> None:
    async with running() as edge:
        port = edge.collector.port
        reader, writer = await _posted_and_held(edge)
        stopping = asyncio.create_task(edge.collector.stop(WAIT_S))
        await asyncio.sleep(0)
        edge.log.gate.set()
        answer = await asyncio.wait_for(reader.read(), WAIT_S)
        await stopping
        writer.close()
        with pytest.raises(OSError, match="Connect call failed"):
            await asyncio.open_connection("127.0.0.1", port)
    assert answer.startswith(b"HTTP/1.1 204")
    assert len(edge.log.events) == 1


async def test_stopping_takes_the_rest_of_a_body_that_is_on_its_way() -> None:
    async with running() as edge:
        reader, writer = await edge.connect()
        writer.write(head(f"Content-Length: {len(batch())}") + batch()[:9])
        await edge.request("GET", "/t/datafly.js", {})  # by its answer, the server has seen the other one begin
        stopping = asyncio.create_task(edge.collector.stop(WAIT_S))
        await asyncio.sleep(0)
        writer.write(batch()[9:])
        answer = await asyncio.wait_for(reader.read(), WAIT_S)
        await asyncio.wait_for(stopping, WAIT_S)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 204")
    assert len(edge.log.events) == 1


async def test_stopping_does_not_wait_longer_than_its_limit() -> None:
    async with running() as edge:
        _, writer = await _posted_and_held(edge)
        await asyncio.wait_for(edge.collector.stop(0.01), WAIT_S)
        writer.close()
    assert edge.log.events == []


async def test_a_client_that_leaves_does_not_cut_the_commit() -> None:
    async with running() as edge:
        _, writer = await _posted_and_held(edge)
        writer.transport.abort()
        await edge.request("GET", "/t/datafly.js", {})  # by its answer, the server has seen the other one leave
        edge.log.gate.set()
        await edge.collector.stop(WAIT_S)
    assert len(edge.log.events) == 1


async def test_a_unix_socket_is_for_its_group_and_replaces_a_dead_one(tmp_path: Path) -> None:
    path = tmp_path / "edge.sock"
    async with running(listen=("unix", str(path))) as edge:
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert (await edge.post()).status == 204
        with pytest.raises(RuntimeError):
            assert edge.collector.port
    async with running(listen=("unix", str(path))) as edge:
        assert (await edge.post()).status == 204


async def test_an_idle_connection_is_closed() -> None:
    async with running(keep_alive_s=0.05) as edge:
        assert await edge.raw(b"POST /t/e HTTP/1.1\r\nHost: half-a-head") == b""
