"""The collector on a host of its own: Chromium over TLS, the shipped nginx server, another origin than the page's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from playwright.async_api import Browser, Page, Response, async_playwright

from edge.cli.tagging import locations, subdomain, tag, upstream
from edge.collector import Assets
from edge.config import CollectorConfig
from edge.errors import StorageFull
from edge.shipped import shipped
from tests.browser.conftest import CHROMIUM_ARGS, SCRIPT, chromium_path
from tests.component.test_nginx_conf import started
from tests.nginx import LOOPBACK, POLL_S, TEMPORARY, free_port
from tests.running_collector import Running, running

pytestmark = pytest.mark.asyncio(loop_scope="session")

SHOP, COLLECTOR, FOREIGN = "shop.example", "t.shop.example", "other.example"
WAIT_MS = 20_000
POST = """url => fetch(url, {method: 'POST', body: '{"events":[{"name":"a"}]}', credentials: 'include'})
  .then(answer => [answer.status, answer.headers.get('Retry-After')], error => [0, null])"""


@dataclass
class Site:
    """A shop, a foreign page and the collector, each on a host of its own, and a browser that knows the way."""

    edge: Running
    browser: Browser
    port: int
    answers: list[Response] = field(default_factory=list)

    def url(self, host: str, path: str = "/") -> str:
        return f"https://{host}:{self.port}{path}"

    async def visit(self, host: str) -> Page:
        """Open the host's page in a new profile; return when the collector has answered the script."""
        context = await self.browser.new_context(ignore_https_errors=True)
        page = await context.new_page()
        async with page.expect_response(self.url(COLLECTOR, "/t/e"), timeout=WAIT_MS) as answer:
            await page.goto(self.url(host))
        self.answers.append(await answer.value)
        return page


def write_certificate(folder: Path) -> None:
    """Write a certificate for the three hosts, of an hour, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, SHOP)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([*map(x509.DNSName, (SHOP, COLLECTOR, FOREIGN))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "fullchain.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "privkey.pem").write_bytes(key.private_bytes(*private))


def write_conf(folder: Path, port: int, told: CollectorConfig) -> Path:
    """Write an nginx.conf with the shipped files, moved to this folder and port, and the two sites' own pages."""
    listening = f"listen {LOOPBACK}:{port} ssl;"
    server = subdomain(told, COLLECTOR).replace("/etc/letsencrypt/live/t.shop.example", str(folder))
    server = server.replace("/etc/nginx/", f"{folder}/").replace("    listen [::]:443 ssl;\n", "")
    (folder / "datafly-subdomain.conf").write_text(server.replace("listen 443 ssl;", listening))
    (folder / "datafly.conf").write_text(locations(told))
    (folder / "upstream.conf").write_text(upstream(told).replace("/var/lib/nginx", str(folder)))
    (folder / "pages").mkdir()
    script = tag(told, told.script, waits=False, host=f"{COLLECTOR}:{port}")
    (folder / "pages" / "index.html").write_text(f"<!doctype html><title>Shop</title>{script}<p>Moon Teapot")
    file = folder / "nginx.conf"
    file.write_text(f"""daemon off;
master_process off;
pid {folder}/nginx.pid;
events {{ worker_connections 64; }}
http {{
  access_log off;
  types {{ text/html html; }}
{chr(10).join(f"  {name}_temp_path {folder}/{name};" for name in TEMPORARY)}
  include {folder}/upstream.conf;
  include {folder}/datafly-subdomain.conf;
  server {{
    {listening}
    server_name {SHOP} {FOREIGN};
    ssl_certificate {folder}/fullchain.pem;
    ssl_certificate_key {folder}/privkey.pem;
    root {folder}/pages;
  }}
}}
""")
    return file


@asynccontextmanager
async def chromium_at(port: int) -> AsyncIterator[Browser]:
    """Start a Chromium for which every host is this machine."""
    hosts = f"--host-resolver-rules=MAP * {LOOPBACK}"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_path(), args=[*CHROMIUM_ARGS, hosts])
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def site(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    path, port = str(tmp_path / "edge.sock"), free_port()
    told = CollectorConfig(listen=("unix", path))
    write_certificate(tmp_path)
    settings: dict[str, Any] = {"origins": (f"https://{SHOP}:{port}",), "trusted_proxies": told.trusted_proxies}
    script = Assets(*(SCRIPT.with_name(f"datafly.js{coding}").read_bytes() for coding in ("", ".br", ".gz")))
    with started(write_conf(tmp_path, port, told), port):
        async with (
            running(script, domain=getattr(request, "param", None), listen=("unix", path), **settings) as edge,
            chromium_at(port) as browser,
        ):
            yield Site(edge, browser, port)


async def test_events_arrive_and_the_collectors_cookie_comes_back(site: Site) -> None:
    page = await site.visit(SHOP)
    (cookie,) = await page.context.cookies(site.url(COLLECTOR))
    assert (cookie["name"], cookie["domain"], cookie["httpOnly"]) == ("__Host-dfid", COLLECTOR, True)
    async with page.expect_response(site.url(COLLECTOR, "/t/e"), timeout=WAIT_MS) as answer:
        await page.evaluate("datafly('track', 'add_to_cart', {value: 1}), datafly('flush')")
    assert [site.answers[0].status, (await answer.value).status] == [204, 204]
    assert [event.name for event in site.edge.log.events] == ["page_view", "add_to_cart"]
    assert len({event.browser for event in site.edge.log.events}) == 1
    assert site.edge.log.events[0].context["page"]["url"] == site.url(SHOP)


@pytest.mark.parametrize("site", [SHOP], indirect=True)
async def test_a_cookie_with_a_domain_is_the_shops_too(site: Site) -> None:
    """For shops that need one id over several hosts."""
    page = await site.visit(SHOP)
    named = [(cookie["name"], cookie["domain"]) for cookie in await page.context.cookies(site.url(SHOP))]
    assert named == [("_dfid", f".{SHOP}")]


async def test_leaving_the_page_delivers_over_the_origins_border(site: Site) -> None:
    page = await site.visit(SHOP)
    await page.evaluate("datafly('track', 'bye')")
    await page.goto("about:blank")
    async with asyncio.timeout(WAIT_MS / 1_000):
        while len(site.edge.log.events) < 2:
            await asyncio.sleep(POLL_S)
    assert [event.name for event in site.edge.log.events] == ["page_view", "bye"]


async def test_the_script_can_read_how_long_to_wait(site: Site) -> None:
    page = await site.visit(SHOP)
    site.edge.log.refusals.append(StorageFull("no room"))
    status, after_s = await page.evaluate(POST, site.url(COLLECTOR, "/t/e"))
    assert (status, int(after_s) > 0) == (503, True)


async def test_a_foreign_page_is_refused_and_learns_nothing(site: Site) -> None:
    context = await site.browser.new_context(ignore_https_errors=True)
    page = await context.new_page()
    async with page.expect_event("requestfailed", lambda one: one.method == "POST", timeout=WAIT_MS):
        await page.goto(site.url(FOREIGN))
    assert await page.evaluate(POST, site.url(COLLECTOR, "/t/e")) == [0, None]
    assert await context.cookies() == []
    assert site.edge.count("edge_requests_total", endpoint="events", status="403") == 2
    assert site.edge.log.events == []


async def test_the_host_serves_nothing_else(site: Site) -> None:
    context = await site.browser.new_context(ignore_https_errors=True)
    page = await context.new_page()
    answer = await page.goto(site.url(COLLECTOR))
    assert answer is not None
    assert answer.status == 404


async def test_the_shipped_server_is_what_the_default_configuration_prints() -> None:
    assert subdomain(CollectorConfig(), COLLECTOR) == shipped("nginx/datafly-subdomain.conf").read_text()
