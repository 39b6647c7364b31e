"""The demonstration shop: its pages, the calls it makes, and its way to the sidecar."""

import asyncio
import gzip
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, DummyCookieJar, web
from aiohttp.test_utils import TestClient, TestServer
from playwright.async_api import Page, async_playwright, expect

from edge.demo.shop import PAGES, make_shop

CATALOGUE = json.loads((PAGES / "products.json").read_text())
PRODUCTS = CATALOGUE["products"]
PATHS = sorted(f"/{file.relative_to(PAGES)}" for file in PAGES.rglob("*.html"))
CHROMIUM = "/usr/bin/chromium"
CHROMIUM_ARGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Document(HTMLParser):
    """What a page refers to, what it names, and what a strict content policy would refuse."""

    text: str
    links: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    inline: list[str] = field(default_factory=list)
    linked_data: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._is_linked_data = False
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.links += [value for name in ("href", "src", "action") if (value := given.get(name))]
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.inline += [name for name in given if name == "style" or name.startswith("on")]
        self._is_linked_data = given.get("type") == "application/ld+json"
        if tag == "style" or (tag == "script" and "src" not in given and not self._is_linked_data):
            self.inline.append(tag)

    def handle_data(self, data: str) -> None:
        if self._is_linked_data and data.strip():
            self.linked_data.append(json.loads(data))

    def handle_endtag(self, tag: str) -> None:
        self._is_linked_data = False


def document(path: str) -> Document:
    return Document((PAGES / path.lstrip("/")).read_text())


Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Sidecar:
    """A stand-in that keeps what arrives, as it arrived."""

    answer: Answer
    requests: list[tuple[str, str, list[tuple[str, str]], bytes]] = field(default_factory=list)

    def application(self) -> web.Application:
        app = web.Application(handler_args={"auto_decompress": False})
        app.router.add_route("*", "/{rest:.*}", self._handle)
        return app

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        headers = [(name.decode(), value.decode()) for name, value in request.raw_headers]
        self.requests.append((request.method, request.raw_path, headers, await request.read()))
        return await self.answer(request)

    def header(self, name: str) -> list[str]:
        return [value for given, value in self.requests[-1][2] if given.lower() == name.lower()]


async def accepted(_request: web.Request) -> web.Response:
    return web.Response(status=204)


@asynccontextmanager
async def listening(app: web.Application, socket: Path | None) -> AsyncIterator[str]:
    """The application on a unix socket, or on TCP without one; gives what `make_shop` takes as upstream."""
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.UnixSite(runner, str(socket)) if socket else web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield str(socket) if socket else f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def shop_client(upstream: Path | str) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    async with TestClient(
        TestServer(make_shop(upstream)), cookie_jar=DummyCookieJar(), auto_decompress=False
    ) as client:
        yield client


@pytest.fixture
async def pages(tmp_path: Path) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    async with shop_client(tmp_path / "nobody.sock") as client:
        yield client


@pytest.fixture(params=["unix", "tcp"])
def socket(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "sidecar.sock" if request.param == "unix" else None


# ---- Pages ----


@pytest.mark.parametrize("path", ["/", *PATHS, "/shop.js", "/shop.css", "/images/hero.svg", "/missing.html"])
async def test_every_answer_of_the_shop_carries_the_content_policy(
    pages: TestClient[web.Request, web.Application], path: str
) -> None:
    answer = await pages.get(path)

    assert answer.status == (404 if path == "/missing.html" else 200)
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'self';")


async def test_home_is_the_index_file(pages: TestClient[web.Request, web.Application]) -> None:
    assert await (await pages.get("/")).read() == (PAGES / "index.html").read_bytes()


@pytest.mark.parametrize("path", PATHS)
async def test_every_link_and_asset_of_a_page_resolves(
    pages: TestClient[web.Request, web.Application], path: str
) -> None:
    page = document(path)
    links = {link for link in page.links if not link.startswith("/t/")}

    assert {link for link in links if link.startswith("#") and link[1:] not in page.ids} == set()
    assert {link for link in links if not link.startswith(("/", "#"))} == set(), (
        "all paths are absolute, on this origin"
    )
    statuses = {link: (await pages.get(link)).status for link in links if link.startswith("/")}
    assert statuses == dict.fromkeys(statuses, 200)


async def test_modules_are_served_with_the_types_that_browsers_demand(
    pages: TestClient[web.Request, web.Application],
) -> None:
    assert (await pages.get("/shop.js")).content_type in {"text/javascript", "application/javascript"}
    assert (await pages.get("/products.json")).content_type == "application/json"
    assert (await pages.get("/images/mark.svg")).content_type == "image/svg+xml"


@pytest.mark.parametrize("path", PATHS)
def test_a_page_has_the_tag_the_banner_and_nothing_inline(path: str) -> None:
    page = document(path)

    assert {"consent", "consent-accept", "consent-decline", "consent-change", "cart-link", "cart-count"} <= set(
        page.ids
    )
    assert len(page.ids) == len(set(page.ids))
    assert page.inline == []
    assert '<script src="/datafly-stub.js"></script>' in page.text
    assert '<script async src="/t/datafly.js" data-consent="wait"></script>' in page.text


def test_a_page_with_inline_script_would_be_found() -> None:
    assert Document('<p style="x" onclick="y"><script>z()</script>').inline == ["style", "onclick", "script"]


def test_nothing_comes_from_another_host() -> None:
    hosts = {
        host
        for file in PAGES.rglob("*")
        if file.is_file()
        for host in re.findall(r"https?://([\w.-]+)", file.read_text())
    }
    assert hosts == {"schema.org", "www.w3.org"}  # names of vocabularies, never fetched


@pytest.mark.parametrize("product", PRODUCTS, ids=[product["slug"] for product in PRODUCTS])
def test_a_product_page_says_what_the_catalogue_says(product: dict[str, Any]) -> None:
    page = document(product["url"])

    assert page.linked_data == [
        {
            "@context": "https://schema.org",
            "@type": "Product",
            "name": product["name"],
            "sku": product["sku"],
            "productID": product["product_id"],
            "description": product["description"],
            "image": product["image"],
            "url": product["url"],
            "brand": {"@type": "Brand", "name": product["brand"]},
            "category": product["category"],
            "offers": {
                "@type": "Offer",
                "url": product["url"],
                "price": f"{product['price']:.2f}",
                "priceCurrency": CATALOGUE["currency"],
                "availability": "https://schema.org/InStock",
            },
        }
    ]
    assert f'data-sku="{product["sku"]}"' in page.text
    assert f'<p class="price">£{product["price"]:.2f} ' in page.text


def test_home_lists_the_whole_catalogue_and_nothing_else() -> None:
    home = document("/index.html").text

    assert re.findall(r'data-sku="([^"]+)"', home) == [product["sku"] for product in PRODUCTS]
    assert re.findall(r'<p class="price">£([\d.]+)</p>', home) == [f"{product['price']:.2f}" for product in PRODUCTS]
    assert {f"/products/{product['slug']}.html" for product in PRODUCTS} == {
        path for path in PATHS if path.startswith("/products/")
    }


# ---- The way to the sidecar ----


async def test_a_request_reaches_the_sidecar_unchanged(socket: Path | None) -> None:
    sidecar = Sidecar(accepted)
    body = gzip.compress(b'{"events":[]}')
    sent = {
        "Host": "shop.example",
        "Origin": "https://shop.example",
        "Sec-Fetch-Site": "same-origin",
        "Sec-Fetch-Mode": "cors",
        "Sec-Fetch-Dest": "empty",
        "Sec-GPC": "1",
        "Cookie": '__Host-dfid=v1.abc; other="x y"',
        "Content-Type": "text/plain;charset=UTF-8",
        "Content-Encoding": "gzip",
        "Accept": "*/*",
        "Accept-Encoding": "gzip, br",
        "User-Agent": "Browser/1.0",
        "Content-Length": str(len(body)),
    }
    async with listening(sidecar.application(), socket) as upstream, shop_client(upstream) as client:
        answer = await client.post("/t/e", data=body, headers=sent)

    assert answer.status == 204
    method, path, headers, received = sidecar.requests[0]
    assert (method, path, received) == ("POST", "/t/e", body)
    added = {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "Connection": "close"}
    assert dict(headers) == sent | added
    assert len(headers) == len(sent | added)


async def test_nothing_is_added_that_the_browser_did_not_say(socket: Path | None) -> None:
    sidecar = Sidecar(accepted)
    async with listening(sidecar.application(), socket) as upstream, shop_client(upstream) as client:
        skipped = ("User-Agent", "Accept", "Accept-Encoding")
        await client.get("/t/datafly.js", headers={"Host": "shop.example"}, skip_auto_headers=skipped)

    assert sorted(name for name, _ in sidecar.requests[0][2]) == [
        "Connection",
        "Host",
        "X-Forwarded-For",
        "X-Forwarded-Proto",
    ]


async def test_a_body_of_unknown_length_arrives_whole(socket: Path | None) -> None:
    sidecar = Sidecar(accepted)

    async def chunks() -> AsyncIterator[bytes]:
        for part in (b"a" * 70_000, b"b" * 70_000):
            yield part

    async with listening(sidecar.application(), socket) as upstream, shop_client(upstream) as client:
        await client.post("/t/e", data=chunks())

    assert sidecar.requests[0][3] == b"a" * 70_000 + b"b" * 70_000


@pytest.mark.parametrize("path", ["/t/v1/track", "/t/a%2Fb/%7Ec", "/t/e?x=1&y=%20"])
async def test_the_path_is_not_rewritten(tmp_path: Path, path: str) -> None:
    sidecar = Sidecar(accepted)
    async with listening(sidecar.application(), tmp_path / "s.sock") as upstream:
        runner = web.AppRunner(make_shop(upstream))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        reader, writer = await asyncio.open_connection(*runner.addresses[0][:2])
        writer.write(f"GET {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n".encode())
        async with asyncio.timeout(10):
            assert (await reader.read()).startswith(b"HTTP/1.1 204 No Content\r\n")
        writer.close()
        await runner.cleanup()

    assert sidecar.requests[0][1] == path


async def test_an_answer_reaches_the_browser_unchanged(socket: Path | None) -> None:
    body = gzip.compress(b"answer" * 100)

    async def answer(_request: web.Request) -> web.Response:
        response = web.Response(status=200, reason="Fine", body=body, content_type="application/json")
        response.headers["Content-Encoding"] = "gzip"
        response.headers["Cache-Control"] = "no-store"
        response.headers["ETag"] = '"abc"'
        response.headers.add("Set-Cookie", "__Host-dfid=v1.a; Max-Age=34560000; Path=/; Secure; HttpOnly; SameSite=Lax")
        response.headers.add("Set-Cookie", "_fbp=fb.1.2.3; Path=/; Secure; SameSite=Lax")
        return response

    sidecar = Sidecar(answer)
    async with listening(sidecar.application(), socket) as upstream:
        async with shop_client(upstream) as client:
            through = await client.get("/t/x")
            through_body = await through.read()
        async with ClientSession(auto_decompress=False, cookie_jar=DummyCookieJar()) as session:
            if socket is None:
                direct = await session.get(f"{upstream}/t/x")
                assert [item for item in through.headers.items() if item[0] != "Date"] == [
                    item for item in direct.headers.items() if item[0] != "Date"
                ]

    assert (through.status, through.reason, through_body) == (200, "Fine", body)
    assert through.headers.getall("Set-Cookie") == [
        "__Host-dfid=v1.a; Max-Age=34560000; Path=/; Secure; HttpOnly; SameSite=Lax",
        "_fbp=fb.1.2.3; Path=/; Secure; SameSite=Lax",
    ]
    assert "Content-Security-Policy" not in through.headers


@pytest.mark.parametrize("status", [204, 304, 400, 413, 429, 503, 302])
async def test_every_status_passes_with_its_headers(tmp_path: Path, status: int) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Retry-After": "7", "Location": "/elsewhere"})

    async with (
        listening(Sidecar(answer).application(), tmp_path / "s.sock") as upstream,
        shop_client(f"unix:{upstream}") as client,
    ):
        through = await client.post("/t/e", data=b"{}", allow_redirects=False)

    assert (through.status, through.headers["Retry-After"], through.headers["Location"]) == (status, "7", "/elsewhere")


async def test_head_has_the_length_and_no_body(tmp_path: Path) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=b"12345")

    sidecar = Sidecar(answer)
    async with listening(sidecar.application(), tmp_path / "s.sock") as upstream, shop_client(upstream) as client:
        through = await client.head("/t/datafly.js")
        assert (through.headers["Content-Length"], await through.read()) == ("5", b"")
        assert (await client.get("/t/datafly.js")).status == 200
    assert [request[0] for request in sidecar.requests] == ["HEAD", "GET"]


@pytest.mark.parametrize(
    "claimed",
    [
        [("X-Forwarded-For", "203.0.113.9")],
        [("x-forwarded-for", "203.0.113.9"), ("X-Forwarded-For", "198.51.100.7")],
        [("X-Forwarded-For", "203.0.113.9"), ("Connection", "keep-alive, X-Forwarded-For")],
    ],
)
async def test_a_browser_cannot_claim_another_address(tmp_path: Path, claimed: list[tuple[str, str]]) -> None:
    sidecar = Sidecar(accepted)
    async with listening(sidecar.application(), tmp_path / "s.sock") as upstream, shop_client(upstream) as client:
        await client.post("/t/e", data=b"{}", headers=[*claimed, ("X-Forwarded-Proto", "https")])

    assert sidecar.header("X-Forwarded-For") == ["127.0.0.1"]
    assert sidecar.header("X-Forwarded-Proto") == ["http"]


async def test_sidecar_paths_answer_502_while_it_is_away_and_the_pages_go_on(socket: Path | None) -> None:
    sidecar = Sidecar(accepted)
    async with listening(sidecar.application(), socket) as upstream:
        pass
    async with shop_client(upstream) as client:
        assert (await client.post("/t/e", data=b"{}")).status == 502
        assert (await client.get("/cart.html")).status == 200
        if socket:
            async with listening(sidecar.application(), socket):
                assert (await client.post("/t/e", data=b"{}")).status == 204


async def test_only_the_given_prefix_is_passed_on(tmp_path: Path) -> None:
    sidecar = Sidecar(accepted)
    async with (
        listening(sidecar.application(), tmp_path / "s.sock") as upstream,
        TestClient(TestServer(make_shop(upstream, prefix="/d"))) as client,
    ):
        assert (await client.get("/d/datafly.js")).status == 204
        assert (await client.get("/t/datafly.js")).status == 404
        assert (await client.get("/metrics")).status == 404
    assert [request[1] for request in sidecar.requests] == ["/d/datafly.js"]


# ---- In a browser: what the shop tells the collector, page by page ----

# Stands in every page before the shop's own scripts do, so that no call is made before it listens.
RECORDER = """
window.datafly = function () {
  const n = Number(sessionStorage.getItem("n") || 0);
  sessionStorage.setItem("n", n + 1);
  navigator.sendBeacon("/t/e", JSON.stringify([n, ...arguments]));
};
"""


@dataclass
class Visit:
    """A person in the shop, and every call that the shop made, in its order."""

    page: Page
    origin: str
    sidecar: Sidecar
    arrived: asyncio.Condition
    faults: list[str]

    async def calls(self, count: int) -> list[list[Any]]:
        async with asyncio.timeout(20), self.arrived:
            await self.arrived.wait_for(lambda: len(self._made()) >= count)
        return [call[1:] for call in sorted(self._made(), key=lambda call: int(call[0]))]

    def _made(self) -> list[list[Any]]:
        return [json.loads(body) for _, path, _, body in self.sidecar.requests if path == "/t/e"]


@pytest.fixture
async def visit(tmp_path: Path) -> AsyncIterator[Visit]:
    arrived = asyncio.Condition()

    async def answer(request: web.Request) -> web.Response:
        async with arrived:
            arrived.notify_all()
        if request.path == "/t/datafly.js":
            return web.Response(text="", content_type="text/javascript")
        return web.Response(status=204)

    sidecar = Sidecar(answer)
    async with (
        listening(sidecar.application(), tmp_path / "s.sock") as upstream,
        TestServer(make_shop(upstream)) as server,
        async_playwright() as playwright,
    ):
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        page = await browser.new_page(viewport={"width": 390, "height": 800})
        page.set_default_timeout(15_000)
        await page.add_init_script(RECORDER)
        faults: list[str] = []
        page.on("console", lambda message: faults.append(message.text) if message.type != "log" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        yield Visit(page, f"http://127.0.0.1:{server.port}", sidecar, arrived, faults)
        await browser.close()
        assert faults == []


ALL = ("functional", "analytics", "marketing", "advertising")
GRANTED = ["consent", dict.fromkeys(ALL, True)]
DENIED = ["consent", dict.fromkeys(ALL, False)]


def item(slug: str, quantity: int, origin: str) -> dict[str, Any]:
    product = next(product for product in PRODUCTS if product["slug"] == slug)
    return {
        "item_id": product["sku"],
        "item_name": product["name"],
        "item_brand": product["brand"],
        "item_category": product["category"],
        "price": product["price"],
        "quantity": quantity,
        "item_url": origin + product["url"],
        "image_url": origin + product["image"],
    }


async def test_a_visit_from_search_to_purchase_tells_each_step_once(visit: Visit) -> None:
    page, origin = visit.page, visit.origin
    await page.goto(origin)
    await page.click("#consent-accept")
    await page.fill("#search-term", "tea")
    await page.press("#search-term", "Enter")
    await page.click("#product-list >> text=Moon Teapot")
    await page.fill("#quantity", "2")
    await page.click("#add-to-cart")
    await page.click("#go-to-cart")
    await expect(page.locator("#cart-count")).to_have_text("2")
    await page.click("#go-to-checkout")
    await page.fill("#checkout-phone", "+44 20 7946 0018")
    await page.fill("#checkout-email", "visitor@shop.example")
    await page.click("#place-order")
    await expect(page.locator("#order-number")).to_have_text(re.compile("^TK-"))
    order = await page.inner_text("#order-number")
    await page.reload()
    await expect(page.locator("#order-number")).to_have_text(order)
    await expect(page.locator("#cart-count")).to_have_text("0")

    calls = await visit.calls(14)
    checkout = calls[8][2]
    money = {"currency": "GBP", "value": 96}
    assert calls == [
        GRANTED,
        GRANTED,
        ["track", "search", {"search_term": "tea", "results_count": 3}],
        GRANTED,
        ["track", "view_item", {"currency": "GBP", "value": 48, "items": [item("moon-teapot", 1, origin)]}],
        ["track", "add_to_cart", money | {"items": [item("moon-teapot", 2, origin)]}],
        GRANTED,
        GRANTED,
        [
            "track",
            "started_checkout",
            money
            | {
                "checkout_id": checkout["checkout_id"],
                "checkout_url": f"{origin}/checkout.html",
                "items": [item("moon-teapot", 2, origin)],
            },
        ],
        ["identify", {"email": "visitor@shop.example"}],
        ["identify", {"email": "visitor@shop.example", "phone": "+44 20 7946 0018"}],
        GRANTED,
        [
            "track",
            "purchase",
            money | {"transaction_id": order, "tax": 16, "shipping": 0, "items": [item("moon-teapot", 2, origin)]},
        ],
        GRANTED,
    ]


async def test_a_newsletter_sign_up_names_the_person_before_the_event(visit: Visit) -> None:
    await visit.page.goto(f"{visit.origin}/signup.html")
    await visit.page.fill("#signup-email", "visitor@shop.example")
    await visit.page.click("#signup-submit")
    await visit.page.wait_for_selector("#signup-done")

    assert await visit.calls(2) == [
        ["identify", {"email": "visitor@shop.example"}],
        ["track", "sign_up", {"method": "newsletter"}],
    ]
    assert visit.page.url == f"{visit.origin}/welcome.html"


async def test_a_decline_is_remembered_and_can_be_taken_back(visit: Visit) -> None:
    page = visit.page
    await page.goto(visit.origin)
    await page.click("#consent-decline")
    await page.goto(f"{visit.origin}/cart.html")
    await expect(page.locator("#consent")).to_be_hidden()
    await page.click("#consent-change")
    await page.click("#consent-accept")

    assert await visit.calls(3) == [DENIED, DENIED, GRANTED]


async def test_an_empty_cart_starts_no_checkout_and_no_order_counts_no_purchase(visit: Visit) -> None:
    await visit.page.goto(f"{visit.origin}/checkout.html")
    await expect(visit.page.locator("#checkout-empty")).to_be_visible()
    await visit.page.goto(f"{visit.origin}/thanks.html")
    await expect(visit.page.locator("#no-order")).to_be_visible()
    await visit.page.click("#consent-accept")

    assert await visit.calls(1) == [GRANTED]


async def test_quantities_in_the_cart_change_the_sums(visit: Visit) -> None:
    page = visit.page
    await page.goto(f"{visit.origin}/products/spring-leaf.html")
    await page.click("#consent-decline")
    await page.click("#add-to-cart")
    await page.goto(f"{visit.origin}/cart.html")
    await expect(page.locator("#sum-total")).to_have_text("£19.85")
    await page.fill("#cart-lines input", "5")
    await page.press("#cart-lines input", "Tab")
    await expect(page.locator("#sum-delivery")).to_have_text("Free")
    await expect(page.locator("#sum-total")).to_have_text("£74.50")
    await page.click("#cart-lines button")
    await expect(page.locator("#cart-empty")).to_be_visible()
    await expect(page.locator("#cart-count")).to_have_text("0")
