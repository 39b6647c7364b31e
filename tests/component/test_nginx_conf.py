"""The shipped nginx files in a real nginx, in front of a real collector on a unix socket."""

import asyncio
import gzip
import socket
import subprocess
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from edge.cli.tagging import locations, upstream
from edge.config import CollectorConfig
from edge.secret import Secret
from edge.shipped import shipped
from tests.nginx import LOOPBACK, TEMPORARY, free_port, program
from tests.running_collector import SAME, SCRIPT, Answer, Running, batch, running

SHOP = "the shop"
WAIT_S = 5.0


def write_conf(folder: Path, port: int, told: CollectorConfig, shop: str = "") -> Path:
    """Write a shop's own small nginx.conf that includes what `edge snippet` prints."""
    (folder / "upstream.conf").write_text(upstream(told).replace("/var/lib/nginx", str(folder)))
    (folder / "datafly.conf").write_text(locations(told))
    paths = "\n".join(f"  {name}_temp_path {folder}/{name};" for name in TEMPORARY)
    file = folder / "nginx.conf"
    file.write_text(f"""daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off;
{paths}
  include {folder}/upstream.conf;
  server {{
    listen {LOOPBACK}:{port};
    {shop}
    include {folder}/datafly.conf;
    location / {{ return 200 '{SHOP}'; }}
  }}
}}
""")
    return file


def check(file: Path) -> str:
    """Let nginx read a configuration; give what it says."""
    told = subprocess.run(
        [program(), "-t", "-p", file.parent, "-c", file], capture_output=True, text=True, timeout=WAIT_S
    )
    assert told.returncode == 0, told.stderr
    return told.stderr


@contextmanager
def started(file: Path, port: int) -> Iterator[None]:
    """Run nginx until the block ends, and end it by its process."""
    with subprocess.Popen([program(), "-p", file.parent, "-c", file], stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(100):
                with suppress(OSError), socket.create_connection((LOOPBACK, port), WAIT_S):
                    break
                assert process.poll() is None, (file.parent / "error.log").read_text()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0.05)
            yield
        finally:
            process.terminate()
            process.wait(WAIT_S)


@dataclass
class Front:
    """nginx, and the collector behind it."""

    edge: Running
    session: aiohttp.ClientSession
    port: int

    async def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"http://{LOOPBACK}:{self.port}{path}"
        async with self.session.request(method, url, data=body, headers=named, allow_redirects=False) as answer:
            return Answer(answer.status, answer.headers, await answer.read())

    async def post(self, body: bytes | None = None, headers: Mapping[str, str] = SAME) -> Answer:
        return await self.ask("POST", "/t/e", batch() if body is None else body, **headers)

    async def raw(self, path: str, method: str = "GET") -> bytes:
        """Ask for a path exactly as it stands."""
        reader, writer = await asyncio.open_connection(LOOPBACK, self.port)
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n".encode())
        answer = await asyncio.wait_for(reader.read(), WAIT_S)
        writer.close()
        return answer


@asynccontextmanager
async def front(folder: Path, shop: str = "", **settings: Any) -> AsyncIterator[Front]:
    path, port = str(folder / "edge.sock"), free_port()
    file = write_conf(folder, port, CollectorConfig(listen=("unix", path)), shop)
    with started(file, port):
        async with (
            running(listen=("unix", path), trusted_proxies=CollectorConfig().trusted_proxies, **settings) as edge,
            aiohttp.ClientSession(auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()) as session,
        ):
            yield Front(edge, session, port)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Front]:
    async with front(tmp_path) as made:
        yield made


def test_nginx_takes_the_files_as_they_are_shipped(tmp_path: Path) -> None:
    told = CollectorConfig()
    assert upstream(told) == shipped("nginx/datafly-upstream.conf").read_text()
    assert locations(told) == shipped("nginx/datafly.conf").read_text()
    said = check(write_conf(tmp_path, 8099, told))
    assert "warn" not in said


@pytest.mark.parametrize(
    "told",
    [
        CollectorConfig(listen=("tcp", "::1", 8123)),
        CollectorConfig(listen=("unix", "/run/a folder/edge.sock")),
        CollectorConfig(prefix="/shop/x", script="s.js", endpoint="in"),
    ],
)
def test_nginx_takes_the_files_for_other_configurations(tmp_path: Path, told: CollectorConfig) -> None:
    check(write_conf(tmp_path, 8099, told))
    assert told.prefix == "/t" or " /t/" not in locations(told)
    assert f"location ^~ {told.prefix}/v1/ {{" in locations(told)


async def test_the_script_comes_through_compressed_and_is_not_sent_twice(shop: Front) -> None:
    first = await shop.ask("GET", "/t/datafly.js", Accept_Encoding="gzip")
    assert (first.status, gzip.decompress(first.body)) == (200, SCRIPT)
    assert first.headers["Content-Encoding"] == "gzip"
    assert first.headers["Cache-Control"] == "public, max-age=3600"
    assert "Set-Cookie" not in first.headers
    again = await shop.ask("GET", "/t/datafly.js", Accept_Encoding="gzip", If_None_Match=first.headers["ETag"])
    assert (again.status, again.body) == (304, b"")


async def test_the_script_is_kept_while_the_sidecar_is_away_and_never_with_a_cookie(tmp_path: Path) -> None:
    path, port = str(tmp_path / "edge.sock"), free_port()
    file = write_conf(tmp_path, port, CollectorConfig(listen=("unix", path)))
    with started(file, port):
        async with aiohttp.ClientSession(auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()) as session:
            async with running(listen=("unix", path)) as edge:
                shop = Front(edge, session, port)
                for coding in ("gzip", "identity"):
                    await shop.ask("GET", "/t/datafly.js", Accept_Encoding=coding, Cookie="__Host-dfid=x")
            packed = await shop.ask("GET", "/t/datafly.js", Accept_Encoding="gzip")
            plain = await shop.ask("GET", "/t/datafly.js", Accept_Encoding="identity")
            assert (packed.status, gzip.decompress(packed.body)) == (200, SCRIPT)
            assert (plain.status, plain.body) == (200, SCRIPT)
            assert "Set-Cookie" not in packed.headers
            assert (await shop.post()).status == 502


async def test_metas_cookies_pass_beside_ours_and_come_back(tmp_path: Path) -> None:
    consent = {"consent": {"advertising": "granted", "source": "explicit"}}
    async with front(tmp_path, meta_cookies=True) as shop:
        first = await shop.post(batch(page={"url": "https://shop.example/?fbclid=Iw"}, **consent))
        given = [value.partition(";")[0] for value in first.headers.getall("Set-Cookie")]
        again = await shop.post(batch(**consent), {**SAME, "Cookie": "; ".join(given)})
    assert [value.partition("=")[0] for value in given] == ["__Host-dfid", "_fbp", "_fbc"]
    assert "Set-Cookie" not in again.headers
    stored = [one.context["vendor_ids"] for one in shop.edge.log.events]
    assert stored[0] == stored[1] == {value[1:4]: value[5:] for value in given[1:]}


async def test_events_are_stored_and_the_cookie_passes_both_ways(shop: Front) -> None:
    first = await shop.post()
    assert first.status == 204
    assert first.cookie.startswith("__Host-dfid=")
    again = await shop.post(headers={**SAME, "Cookie": first.cookie})
    assert again.status == 204
    assert len({event.browser for event in shop.edge.log.events}) == 1


async def test_the_address_a_browser_claims_is_overwritten(shop: Front) -> None:
    await shop.post(headers={**SAME, "X-Forwarded-For": "203.0.113.7, 198.51.100.2"})
    assert [event.context["ip"] for event in shop.edge.log.events] == [LOOPBACK]


async def test_a_body_over_the_limit_is_refused_by_the_sidecar_and_one_far_beyond_by_nginx(shop: Front) -> None:
    over = await shop.post(b"x" * 262_145)
    assert (over.status, over.code) == (413, "too_big")
    far_beyond = await shop.post(b"x" * 400_000)
    assert far_beyond.status == 413
    assert b"nginx" in far_beyond.body
    assert shop.edge.log.events == []


async def test_a_body_just_under_the_limit_is_taken(shop: Front) -> None:
    events = [{"name": "view_item", "properties": {"text": "x" * 40_000}} for _ in range(6)]
    assert (await shop.post(batch(*events))).status == 204
    assert len(shop.edge.log.events) == 6


async def test_a_servers_call_comes_through_with_its_key_and_its_own_limit(tmp_path: Path) -> None:
    async with front(tmp_path, write_keys=(("shop", Secret("key-of-the-shop-1")),)) as shop:
        key = {"Authorization": "Basic " + b64encode(b"key-of-the-shop-1:").decode()}
        message = {"type": "track", "userId": "a", "event": "x", "properties": {"text": "x" * 30_000}}
        largest = orjson.dumps({"batch": [message] * 17}).ljust(524_288)
        taken = await shop.ask("POST", "/t/v1/batch", largest, **key)
        assert (taken.status, taken.json) == (200, {"success": True})
        assert len(shop.edge.log.events) == 17
        over = await shop.ask("POST", "/t/v1/batch", largest + b" ", **key)
        assert (over.status, over.code) == (413, "too_big")
        far_beyond = await shop.ask("POST", "/t/v1/batch", b"x" * 700_000, **key)
        assert (far_beyond.status, b"nginx" in far_beyond.body) == (413, True)
        unknown = await shop.ask("POST", "/t/v1/batch", b"{}")
        assert (unknown.status, unknown.code) == (401, "no_write_key")
        assert unknown.headers["WWW-Authenticate"].startswith("Basic ")


async def test_while_the_sidecar_is_away_its_paths_answer_502_and_the_shop_goes_on(tmp_path: Path) -> None:
    port = free_port()
    file = write_conf(tmp_path, port, CollectorConfig(listen=("unix", str(tmp_path / "nobody.sock"))))
    with started(file, port):
        async with aiohttp.ClientSession() as session:
            url = f"http://{LOOPBACK}:{port}"
            async with session.post(f"{url}/t/e", data=batch()) as answer:
                assert (answer.status, (await answer.json())["error"]["code"]) == (502, "away")
                assert answer.headers["Retry-After"] == "5"
            async with session.get(f"{url}/") as answer:
                assert await answer.text() == SHOP


async def test_a_shop_that_turns_errors_into_pages_does_not_turn_a_lost_event_into_a_good_answer(
    tmp_path: Path,
) -> None:
    rules = "error_page 403 404 413 502 =200 /index.html; proxy_intercept_errors on;"
    async with front(tmp_path, rules) as shop:
        assert (await shop.ask("GET", "/t/nothing")).status == 404
        assert (await shop.post(b"{")).status == 400
        assert (await shop.post(headers={"Sec-Fetch-Site": "cross-site"})).status == 403
        assert (await shop.post(b"x" * 400_000)).status == 413


async def test_a_restart_of_the_sidecar_loses_no_event_on_a_kept_connection(tmp_path: Path) -> None:
    path, port = str(tmp_path / "edge.sock"), free_port()
    file = write_conf(tmp_path, port, CollectorConfig(listen=("unix", path)))
    with started(file, port):
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
            for _ in range(3):
                async with running(listen=("unix", path)) as edge:
                    shop = Front(edge, session, port)
                    assert [(await shop.post()).status for _ in range(3)] == [204, 204, 204]


async def test_an_event_that_met_a_closing_connection_is_sent_once_more(tmp_path: Path) -> None:
    path, port = str(tmp_path / "edge.sock"), free_port()
    seen: list[int] = []

    async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one event on a connection, and go when the next one comes."""
        for number in (1, 2):
            with suppress(asyncio.IncompleteReadError):
                await reader.readuntil(b"\r\n\r\n")
                seen.append(number)
                await reader.readexactly(len(batch()))
            if number == 1:
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    server = await asyncio.start_unix_server(answer_once, path)
    file = write_conf(tmp_path, port, CollectorConfig(listen=("unix", path)))
    with started(file, port):
        async with server, aiohttp.ClientSession() as session:
            url = f"http://{LOOPBACK}:{port}/t/e"
            assert [(await session.post(url, data=batch())).status for _ in range(2)] == [204, 204]
    assert seen[:3] == [1, 2, 1]


@pytest.mark.parametrize("path", ["/t/metrics", "/t/", "/t/v1/track", "/t/healthz", "/t/..%252fmetrics", "/t/e/"])
async def test_what_the_sidecar_does_not_know_is_404(shop: Front, path: str) -> None:
    answer = await shop.raw(path)
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b'"not_found"' in answer


@pytest.mark.parametrize("path", ["/t/..%2f", "/t/../metrics", "/t/%2e%2e/healthz", "/T/e", "/t"])
async def test_a_path_that_leaves_the_prefix_is_the_shops(shop: Front, path: str) -> None:
    answer = await shop.raw(path)
    assert SHOP.encode() in answer or answer.startswith((b"HTTP/1.1 301 ", b"HTTP/1.1 400 ")), answer


async def test_a_regular_expression_of_the_shop_does_not_take_the_script(tmp_path: Path) -> None:
    async with front(tmp_path, r"location ~ \.js$ { return 418; }") as shop:
        assert (await shop.ask("GET", "/t/datafly.js")).status == 200
        assert (await shop.ask("GET", "/t/else.js")).status == 404
        assert (await shop.ask("GET", "/other.js")).status == 418
