"""A hundred pages, each closed at a random moment, the sidecar away for a third of them: nothing is lost or doubled."""

import asyncio
import random
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, expect
from playwright.async_api import TimeoutError as TookTooLong

from edge.event import decode
from edge.spool import SpoolReader
from tests.browser.conftest import QUEUE
from tests.browser.conftest import chromium as chromium  # the same browser, for this module
from tests.nginx import DEADLINE_S, POLL_S
from tests.storefront import Storefront, open_shop

pytestmark = pytest.mark.asyncio(loop_scope="session")

THIRDS = (33, 33, 34)
TABS = 3  # open at a time
SEED = 20261121
PAGES = ("/", "/products/moon-teapot.html", "/cart.html", "/signup.html")
MOST_S = 0.4
PATIENCE_S = 3.0
# What the script makes is noted where it outlives a page that is closed, whatever becomes of the event.
NOTE_IDS = """
window.datafly = function () { (datafly.q = datafly.q || []).push(arguments); };
datafly('on', 'event', ({id, name}) => { localStorage['noted ' + id] = window.noted = name; });
"""
NOTED = """Object.fromEntries(Object.entries(localStorage)
  .filter(([key]) => key.startsWith('noted ')).map(([key, name]) => [key.slice(6), name]))"""


async def walk(shop: Storefront, context: BrowserContext, chance: random.Random) -> None:
    """Open one page and close it, before its script has come or after; some hear of it, some are gone at once."""
    path, wait_s, is_polite = chance.choice(PAGES), chance.uniform(0.0, MOST_S), chance.random() < 0.5
    page = await context.new_page()
    await page.goto(shop.origin + path, wait_until="commit")
    await asyncio.sleep(wait_s)
    # A busy browser forgets some wishes to close a tab: that one stays open, and says by itself what it has to say.
    with suppress(TimeoutError, TookTooLong):
        async with asyncio.timeout(PATIENCE_S), page.expect_event("close", timeout=PATIENCE_S * 1_000):
            await page.close(run_before_unload=is_polite)


async def walks(shop: Storefront, context: BrowserContext, chance: random.Random, count: int) -> None:
    """Make so many, in several tabs at a time."""
    shares = [count // TABS + (tab < count % TABS) for tab in range(TABS)]

    async def tab(share: int, own: random.Random) -> None:
        for _ in range(share):
            await walk(shop, context, own)

    await asyncio.gather(*(tab(share, random.Random(chance.random())) for share in shares))


async def stored_ids(shop: Storefront) -> Counter[str]:
    """Give how often each event id stands in the spool; a repeat stands there too, and is told by its id later."""
    reader = SpoolReader(shop.sidecar.data_dir / "spool")
    try:
        rows: list[Any] = []
        while page := await reader.read(rows[-1].seq if rows else 0, 500):
            rows += page
        return Counter(decode(row.body).id for row in rows)
    finally:
        await reader.close()


async def test_every_event_of_a_hundred_closed_pages_is_stored_and_delivered_once(tmp_path: Path, chromium: Browser):
    chance = random.Random(SEED)
    async with open_shop(tmp_path) as shop:
        context = await chromium.new_context(locale="en-GB")
        await context.add_init_script(NOTE_IDS)
        first = await context.new_page()
        await first.goto(shop.origin + "/signup.html")
        await first.get_by_test_id("consent-accept").click()
        await expect(first.locator("#consent")).to_be_hidden()
        await first.wait_for_function("() => window.datafly?.track")
        await first.evaluate("datafly('identify', {email: 'visitor@shop.example'})")
        await walks(shop, context, chance, THIRDS[0])
        await shop.sidecar.kill()
        await walks(shop, context, chance, THIRDS[1])
        await shop.sidecar.start()
        await walks(shop, context, chance, THIRDS[2])
        last = await context.new_page()
        await last.goto(shop.origin)
        await last.wait_for_function(
            f"() => window.noted && !{QUEUE}.length",
            timeout=DEADLINE_S * 1_000,
        )
        noted = await last.evaluate(NOTED)
        stored = await stored_ids(shop)
        async with asyncio.timeout(DEADLINE_S):  # the resolver may still be on its way to the last ones
            while sum((depth := await shop.settled()).events.values()) < len(stored):
                await asyncio.sleep(POLL_S)
        await context.close()
    assert len(noted) > sum(THIRDS)
    assert [f"{name} {key}" for key, name in noted.items() if not stored[key]] == []
    views = {key for key, name in noted.items() if name == "view_item"}
    delivered = Counter(event["unique_id"] for event in shop.events if event["metric"] == "Viewed Product")
    assert delivered == Counter(views)
    assert sum(depth.events.values()) == len(stored), "each id counts once, however often it came"
    assert not any(depth.events.get(fate) for fate in ("waiting", "held", "dead"))
