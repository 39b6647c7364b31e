"""The main job on real input: Chromium, nginx, `edge serve`, the shipped pipeline, a Klaviyo with its real rules."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, Request, expect

from edge.sandbox.faults import Fault
from tests.browser.conftest import QUEUE
from tests.browser.conftest import chromium as chromium  # the same browser, for this module
from tests.nginx import DEADLINE_S, POLL_S, Nginx
from tests.storefront import Storefront, open_shop

pytestmark = pytest.mark.asyncio(loop_scope="session")

VISITOR, OTHER = "abc@shop.example", "other@shop.example"
COOKIE_S = 400 * 86_400
SCRIPT_BYTES = 5_200
ORDER_NUMBER = re.compile("TK-[0-9A-Z]{8}")
KEPT = f"() => {QUEUE}.map((event) => event.name)"
METRICS = {
    "view_item": "Viewed Product",
    "add_to_cart": "Added to Cart",
    "sign_up": "Subscribed to Newsletter",
    "started_checkout": "Started Checkout",
    "purchase": "Placed Order",
}


class Person:
    """Somebody at the shop with a browser of their own, who waits for what can be seen and for nothing else."""

    def __init__(self, context: BrowserContext, page: Page, nginx: Nginx, email: str) -> None:
        self.context, self.page, self.email = context, page, email
        self.said: dict[str, dict[str, Any]] = {}  # by id, every event that left the browser
        self.thrown: list[str] = []
        self.console: list[str] = []
        self.order = ""
        self._nginx = nginx
        context.on("request", self._hear)
        context.on("weberror", lambda error: self.thrown.append(str(error.error)))
        context.on("console", lambda message: self.console.append(message.text) if message.type == "error" else None)

    async def arrive(self, answer: str) -> None:
        """Open the shop, and answer the banner: "accept" or "decline"."""
        await self.page.goto(self._nginx.origin)
        await self.page.get_by_test_id(f"consent-{answer}").click()
        await expect(self.page.locator("#consent")).to_be_hidden()
        await self.is_listened_to()

    async def fill_cart(self) -> None:
        """Look at a product, and put two of it into the cart."""
        await self.page.get_by_role("link", name="Moon Teapot", exact=True).click()
        await expect(self.page.get_by_role("heading", level=1)).to_have_text("Moon Teapot")
        await self.page.get_by_test_id("quantity").fill("2")
        await self.page.get_by_test_id("add-to-cart").click()
        await expect(self.page.locator("#added")).to_have_text(re.compile("^Added to your cart: 2 . Moon Teapot"))
        await self.is_listened_to()

    async def sign_up(self) -> None:
        """Ask for the letters."""
        await self.page.get_by_role("link", name="Letters").click()
        await self.page.get_by_test_id("signup-email").fill(self.email)
        await self.is_listened_to()
        await self.page.get_by_test_id("signup-submit").click()
        await self.page.wait_for_url("**/welcome.html")

    async def check_out(self) -> None:
        """Go through the cart to the checkout, and say where the order goes."""
        await self.page.locator("#cart-link").click()
        await self.page.get_by_test_id("go-to-checkout").click()
        await expect(self.page.locator("#checkout-full #sum-total")).to_have_text("£96.00")
        await self.is_listened_to()
        await self.page.get_by_test_id("checkout-email").fill(self.email)

    async def buy(self) -> None:
        """Check out, order, and note the order's number."""
        await self.check_out()
        await self.page.get_by_test_id("place-order").click()
        await self.page.wait_for_url("**/thanks.html")
        await expect(self.page.get_by_test_id("order-number")).to_have_text(ORDER_NUMBER)
        self.order = await self.page.get_by_test_id("order-number").inner_text()
        await self.is_listened_to()

    async def walk(self, answer: str) -> None:
        """Make the whole visit."""
        await self.arrive(answer)
        await self.fill_cart()
        await self.sign_up()
        await self.buy()

    async def is_listened_to(self) -> None:
        """Return when the script has come: what a page says that is left before is heard by nobody."""
        await self.page.wait_for_function("() => window.datafly?.track")

    async def second_passes(self) -> None:
        """Return when the clock shows another second."""
        await self.page.wait_for_function("then => Date.now() >= then", arg=(int(time.time()) + 1) * 1_000)

    async def keeps(self, *names: str) -> None:
        """Return when what the browser keeps for want of an answer ends with these, page views and the like aside."""
        async with asyncio.timeout(DEADLINE_S):
            while [name for name in await self.page.evaluate(KEPT) if name in METRICS][-len(names) :] != [*names]:
                await asyncio.sleep(POLL_S)

    async def come_back(self) -> None:
        """Close the tab, and open the shop in another one."""
        await self.page.close(run_before_unload=True)
        self.page = await self.context.new_page()
        await self.page.goto(self._nginx.origin)

    async def is_heard(self) -> None:
        """Return when the purchase has left the browser, and the sidecar has confirmed everything that left."""
        deadline_s = time.monotonic() + DEADLINE_S
        while self.said.keys() - self.confirmed or "purchase" not in [one["name"] for one in self.said.values()]:
            if time.monotonic() > deadline_s:
                open_ones = [one["name"] for key, one in self.said.items() if key not in self.confirmed]
                kept = await self.page.evaluate(KEPT)
                pytest.fail(f"within {DEADLINE_S:.0f} s nobody answered for {open_ones}; kept: {kept}", pytrace=False)
            await asyncio.sleep(POLL_S)

    @property
    def confirmed(self) -> set[str]:
        """The ids that were answered with 204, by nginx's log: a browser tells of no answer after its page has gone."""
        bodies = [one["body"] for one in self._nginx.requests() if one["status"] == 204]
        return {event["id"] for body in bodies for event in json.loads(body)["events"]}

    def event(self, name: str) -> dict[str, Any]:
        """Give the one event of a name."""
        (event,) = [event for event in self.said.values() if event["name"] == name]
        return event

    def _hear(self, request: Request) -> None:
        for event in _events_in(request):
            before = self.said.setdefault(event["id"], event)
            if {**before, "context": None} != {**event, "context": None}:
                self.thrown.append(f"{event['name']} was repeated with another content")


def _events_in(request: Request) -> list[dict[str, Any]]:
    return list(json.loads(request.post_data)["events"]) if request.post_data else []


@asynccontextmanager
async def person_in(shop: Storefront, browser: Browser, email: str = VISITOR) -> AsyncIterator[Person]:
    """Let somebody in with a fresh profile; at the end, nothing may have been thrown into their pages."""
    context = await browser.new_context(locale="en-GB", timezone_id="Europe/London")
    context.set_default_timeout(DEADLINE_S * 1_000)
    person = Person(context, await context.new_page(), shop.nginx, email)
    try:
        yield person
    finally:
        await context.close()
    assert person.thrown == []


@pytest_asyncio.fixture(loop_scope="session")
async def shop(tmp_path: Path) -> AsyncIterator[Storefront]:
    async with open_shop(tmp_path) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def person(shop: Storefront, chromium: Browser) -> AsyncIterator[Person]:
    async with person_in(shop, chromium) as somebody:
        yield somebody


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def visit(
    tmp_path_factory: pytest.TempPathFactory, chromium: Browser
) -> AsyncIterator[tuple[Storefront, Person]]:
    """One visit without any trouble, made once for the tests that only look at it."""
    async with open_shop(tmp_path_factory.mktemp("visit")) as shop, person_in(shop, chromium) as person:
        await person.arrive("accept")
        await person.fill_cart()
        await person.second_passes()  # what is held until the sign-up goes in another second than its own
        await person.sign_up()
        await person.buy()
        await person.is_heard()
        await shop.delivered(len(METRICS))
        yield shop, person


def expected(shop: Storefront, person: Person) -> list[tuple[Any, ...]]:
    """Give what Klaviyo has to have of a visit: metric, unique id, time, value, currency, properties."""
    item: dict[str, Any] = {
        "ProductID": "TK-POT-01",
        "ProductName": "Moon Teapot",
        "Brand": "Tea & Kiln",
        "Category": "Teapots",
    }
    item["Categories"] = ["Teapots"]
    names, kinds, brands = ["Moon Teapot"], ["Teapots"], ["Tea & Kiln"]
    page, image = f"{shop.origin}/products/moon-teapot.html", f"{shop.origin}/images/moon-teapot.svg"
    items = [{**item, "Quantity": 2, "ItemPrice": 48, "RowTotal": 96, "ProductURL": page, "ImageURL": image}]
    in_cart = [{("ProductCategories" if key == "Categories" else key): told for key, told in items[0].items()}]
    seen = {**item, "Price": 48, "Currency": "GBP", "URL": page, "ImageURL": image}
    added = {
        **{f"AddedItem{name}": value for name, value in item.items()},
        "AddedItemPrice": 48,
        "AddedItemQuantity": 2,
        "AddedItemURL": page,
        "AddedItemImageURL": image,
        "Currency": "GBP",
        "ItemNames": names,
        "Items": in_cart,
    }
    checkout = {
        "CheckoutId": person.event("started_checkout")["properties"]["checkout_id"],
        "CheckoutURL": f"{shop.origin}/checkout.html",
        "Currency": "GBP",
        "ItemCount": 2,
        "ItemNames": names,
        "Categories": kinds,
        "Items": in_cart,
    }
    order = {
        "OrderId": person.order,
        "Currency": "GBP",
        "ItemCount": 2,
        "Tax": 16,
        "Shipping": 0,
        "ItemNames": names,
        "Categories": kinds,
        "Brands": brands,
        "Items": items,
    }
    facts: dict[str, tuple[Any, ...]] = {
        "view_item": (48, "GBP", seen),
        "add_to_cart": (96, "GBP", added),
        "sign_up": (None, None, {"Method": "newsletter"}),
        "started_checkout": (96, "GBP", checkout),
        "purchase": (96, "GBP", order),
    }
    ids = {name: person.order if name == "purchase" else person.event(name)["id"] for name in METRICS}
    return [(METRICS[name], ids[name], f"{person.event(name)['time'][:19]}Z", *facts[name]) for name in METRICS]


def arrived(shop: Storefront) -> list[tuple[Any, ...]]:
    """Give what the fake Klaviyo recorded, in its order."""
    keys = ("metric", "unique_id", "time", "value", "value_currency", "properties")
    return [tuple(event[key] for key in keys) for event in shop.events]


def second_of(event: dict[str, Any]) -> int:
    return int(datetime.fromisoformat(event["time"]).timestamp())


async def assert_whole(shop: Storefront, person: Person) -> None:
    """Every event is there once, in order, as the page said it, on one profile; and none is unaccounted for."""
    await person.is_heard()
    await shop.delivered(len(METRICS))
    depth = await shop.settled()
    assert arrived(shop) == expected(shop, person)
    assert [profile["identifiers"] for profile in shop.profiles] == [{"email": [person.email]}]
    fates = {fate: events for fate, events in depth.events.items() if events}
    assert fates == {"delivered": len(METRICS), "unmapped": len(person.said) - len(METRICS)}


async def test_each_event_arrives_once_in_order_on_one_profile(visit):
    shop, person = visit
    await assert_whole(shop, person)
    assert len({event["unique_id"] for event in shop.events}) == len(METRICS)


async def test_each_event_carries_its_own_time_and_not_that_of_its_delivery(visit):
    """What was done before the sign-up is delivered after it."""
    shop, _ = visit
    times = [second_of(event) for event in shop.events]
    assert times == sorted(times)
    assert times[1] < shop.exchanges[0].request.at_ms // 1_000
    assert times[-1] <= time.time()


async def test_klaviyo_takes_every_request_without_a_remark(visit):
    shop, _ = visit
    assert [(one.status, one.notes) for one in shop.exchanges] == [(202, ())] * len(METRICS)


async def test_the_cookie_is_the_servers_own_for_400_days(visit):
    shop, person = visit
    (cookie,) = await person.context.cookies(shop.origin)
    assert cookie.pop("value")
    assert cookie.pop("expires") == pytest.approx(time.time() + COOKIE_S, abs=120)
    assert cookie == {
        "name": "__Host-dfid",
        "domain": "127.0.0.1",
        "path": "/",
        "httpOnly": True,
        "secure": True,
        "sameSite": "Lax",
    }
    assert await person.page.evaluate("document.cookie") == ""


async def test_no_address_of_ours_carries_a_query_and_all_are_answered_well(visit):
    shop, _ = visit
    ours = {(one["target"], one["status"]) for one in shop.nginx.requests() if one["target"].startswith("/t/")}
    assert ours == {("/t/datafly.js", 200), ("/t/e", 204)}


async def test_the_script_comes_compressed_and_small(visit):
    shop, _ = visit
    first = next(one for one in shop.nginx.requests() if one["target"] == "/t/datafly.js")
    assert first["encoding"] in ("gzip", "br")
    assert 0 < first["bytes"] <= SCRIPT_BYTES


async def test_nothing_is_thrown_into_the_pages_and_their_consoles_stay_clean(visit):
    _, person = visit
    assert (person.thrown, person.console) == ([], [])


async def test_nothing_of_a_visitor_who_declines_leaves(shop, person, chromium):
    """Another visitor's events come after his and arrive: his were not just slow."""
    async with person_in(shop, chromium, OTHER) as declining:
        await declining.walk("decline")
        await declining.is_heard()
    await person.walk("accept")
    await person.is_heard()
    await shop.delivered(len(METRICS))
    depth = await shop.settled()
    assert arrived(shop) == expected(shop, person)
    sent = b"".join(b"%r" % ([*one.request.headers.items()],) + one.request.body for one in shop.exchanges)
    said = [OTHER, declining.order, *declining.said]
    assert [word for word in said if word.encode() in sent] == []
    assert person.order.encode() in sent
    everything = len(declining.said) + len(person.said)
    fates = {fate: events for fate, events in depth.events.items() if events}
    assert fates == {
        "delivered": len(METRICS),
        "withheld": len(METRICS),
        "unmapped": everything - 2 * len(METRICS),
    }


async def test_events_wait_in_the_browser_while_the_sidecar_is_killed(shop, person):
    await person.arrive("accept")
    await person.fill_cart()
    await shop.sidecar.kill()
    await person.sign_up()
    await person.buy()
    await person.come_back()
    await person.keeps("sign_up", "started_checkout", "purchase")
    assert shop.exchanges == []
    await shop.sidecar.start()
    await assert_whole(shop, person)


async def test_a_restart_of_the_sidecar_amid_a_visit_keeps_the_order(shop, person):
    """What failed waits for its pause in the browser; what happens meanwhile must not overtake it."""
    await person.arrive("accept")
    await person.fill_cart()
    await shop.sidecar.kill()
    await person.sign_up()
    await person.keeps("sign_up")
    await shop.sidecar.start()
    await person.buy()
    await assert_whole(shop, person)


async def test_a_visit_during_klaviyos_outage_arrives_once_and_in_order(shop, person):
    """Only the first event is tried until it gets through: one visitor's events keep their order."""
    faults = shop.vendors.sandbox.faults
    faults.add(Fault("klaviyo", "status", times=None, status=503))
    await person.walk("accept")
    await shop.vendors.sandbox.received.until(lambda: len(shop.exchanges) >= 2, timeout_s=DEADLINE_S)
    assert shop.events == []
    faults.clear()
    await assert_whole(shop, person)
    refused = [one for one in shop.exchanges if one.status == 503]
    assert len(refused) >= 2
    assert all(b'"Viewed Product"' in one.request.body for one in refused)
    assert [one.status for one in shop.exchanges if one not in refused] == [202] * len(METRICS)
