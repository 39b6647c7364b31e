"""In a browser: what the demonstration shop tells the collector, page by page."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Page, async_playwright, expect

from edge.demo.shop import PAGES, make_shop
from tests.demo_shop import Sidecar, listening

PRODUCTS = json.loads((PAGES / "products.json").read_text())["products"]
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
