"""A stranger on Monday, a mail's link on Tuesday, a sign-up on Wednesday: one profile, and nothing that GPC denies.

The days pass by a clock that is handed in; Chromium, nginx, collector, resolver, drainer and the fake Klaviyo are the
real ones, in one process but for the first two.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Browser

from edge.app.collecting import CollectingProcess
from edge.app.draining import DrainingProcess
from edge.cli.tagging import locations, upstream
from edge.clock import SystemClock
from edge.config import load_config
from edge.demo.shop import PAGE_HEADERS, PAGES
from edge.ledger import LedgerView
from edge.sandbox import start
from edge.sandbox.app import Running
from edge.sandbox.klaviyo import KEY
from edge.shipped import shipped
from tests.browser.conftest import chromium as chromium  # the same browser, for this module
from tests.e2e.test_shop_in_chromium import Person
from tests.nginx import DEADLINE_S, LOOPBACK, POLL_S, Nginx, free_port, serving_pages

pytestmark = pytest.mark.asyncio(loop_scope="session")

DAY_MS = 86_400_000
VISITOR, OTHER, TOKEN = "visitor@shop.example", "other@shop.example", "Ab3_token.XyZ"
CONFIG = """\
site:      {{name: shop, origins: ["{origin}"], phone_region: GB}}
data_dir:  data
pipelines: pipelines
spool:     {{free_bytes: 10MB}}
collector: {{listen: "unix:{folder}/edge.sock"}}
"""
# Stands for a platform that needs consent to advertising.
ADVERTISING = """\
name: advertising
integration: klaviyo-events-api
consent: [advertising]
parameters: {private_api_key: "${KLAVIYO_PRIVATE_API_KEY}", base_url: "${KLAVIYO_BASE_URL}"}
global: {profile: {"$email": {source: context.traits.email}}}
events: {sign_up: {metric: Advertised}}
"""


@dataclass
class Days(SystemClock):
    """The machine's clock, moved on by whole days."""

    passed: int = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.passed * DAY_MS

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self.passed * DAY_MS / 1_000


@dataclass
class World:
    """What runs, and what of it can be asked."""

    nginx: Nginx
    vendors: Running
    clock: Days
    data_dir: Path
    people: list[Person] = field(default_factory=list)

    @property
    def taken(self) -> Any:
        return self.vendors.sandbox.vendor("klaviyo").taken()

    def events(self, email: str) -> list[dict[str, Any]]:
        taken: Any = self.vendors.sandbox.vendor("klaviyo").taken(email)
        return list(taken["events"])

    async def held(self, count: int) -> None:
        """Return when so many events are held for the shop's own pipeline."""
        async with asyncio.timeout(DEADLINE_S):
            while await self._held() != count:
                await asyncio.sleep(POLL_S)

    async def delivered(self, email: str, count: int) -> None:
        """Return when so many events stand on a profile."""
        received = self.vendors.sandbox.received
        await received.until(
            lambda: len(self.events(email)) >= count and not any(one.is_open for one in received), timeout_s=DEADLINE_S
        )

    async def _held(self) -> int:
        view = await LedgerView.open(self.data_dir / "ledger.db")
        try:
            return sum(one.events.get("held", 0) for one in await view.depths() if one.name == "klaviyo_events")
        finally:
            await view.close()


@asynccontextmanager
async def open_world(folder: Path) -> AsyncIterator[World]:
    clock, stop = Days(), asyncio.Event()
    async with AsyncExitStack() as stack:
        vendors = await start(clock=clock)
        stack.push_async_callback(vendors.close)
        port = free_port()
        origin = f"http://{LOOPBACK}:{port}"
        environ = {**os.environ, "KLAVIYO_PRIVATE_API_KEY": KEY, "KLAVIYO_BASE_URL": vendors.base_url("klaviyo")}
        (folder / "pipelines").mkdir()
        (folder / "pipelines/klaviyo-events.yaml").write_bytes(shipped("pipelines/klaviyo-events.yaml").read_bytes())
        (folder / "pipelines/advertising.yaml").write_text(ADVERTISING)
        (folder / "edge.yaml").write_text(CONFIG.format(origin=origin, folder=folder))
        config = load_config(folder / "edge.yaml", environ)
        parts = [CollectingProcess(config, clock, stop), DrainingProcess(config, environ, clock, stop)]
        tasks = [asyncio.create_task(part.run()) for part in parts]
        stack.push_async_callback(asyncio.gather, *tasks)
        stack.callback(stop.set)
        async with asyncio.timeout(DEADLINE_S):
            while not all(part.report().is_ready for part in parts):
                await asyncio.sleep(POLL_S)
        (folder / "upstream.conf").write_text(upstream(config.collector).replace("/var/lib/nginx", str(folder)))
        (folder / "locations.conf").write_text(locations(config.collector))
        nginx = await stack.enter_async_context(
            serving_pages(
                folder / "nginx",
                PAGES,
                port=port,
                upstream=folder / "upstream.conf",
                locations=folder / "locations.conf",
                headers=PAGE_HEADERS,
            )
        )
        yield World(nginx, vendors, clock, config.data_dir)


async def mail(world: World, email: str, token: str) -> None:
    """Let Klaviyo write somebody a mail, whose links carry a token of theirs."""
    attributes = {"email": email, "_kx": token}
    async with aiohttp.ClientSession() as session:
        answer = await session.post(
            f"{world.vendors.base_url('klaviyo')}/api/profile-import",
            json={"data": {"type": "profile", "attributes": attributes}},
            headers={"Authorization": f"Klaviyo-API-Key {KEY}", "revision": "2026-10-15"},
        )
        assert answer.status == 201, await answer.text()


@asynccontextmanager
async def somebody(world: World, browser: Browser, email: str, *, has_gpc: bool) -> AsyncIterator[Person]:
    headers = {"Sec-GPC": "1"} if has_gpc else {}
    context = await browser.new_context(locale="en-GB", extra_http_headers=headers)
    if has_gpc:  # a browser with the signal has both; the one driven here forgets the header as its page goes
        await context.add_init_script("Object.defineProperty(navigator, 'globalPrivacyControl', {value: true})")
    context.set_default_timeout(DEADLINE_S * 1_000)
    try:
        yield Person(context, await context.new_page(), world.nginx, email)
    finally:
        await context.close()


async def test_three_days_of_a_visitor_are_one_profile_and_every_event_is_there_once(tmp_path: Path, chromium: Browser):
    async with open_world(tmp_path) as world, somebody(world, chromium, VISITOR, has_gpc=True) as visitor:
        await mail(world, VISITOR, TOKEN)
        monday_ms = world.clock.now_ms()
        await visitor.arrive("accept")
        await visitor.fill_cart()
        await world.held(2)
        assert world.events(VISITOR) == []

        world.clock.passed = 1
        await visitor.page.close(run_before_unload=True)
        visitor.page = await visitor.context.new_page()
        await visitor.page.goto(f"{world.nginx.origin}/products/moon-teapot.html?_kx={TOKEN}")
        await world.delivered(VISITOR, 3)

        world.clock.passed = 2
        await visitor.sign_up()
        await world.delivered(VISITOR, 4)
        async with somebody(world, chromium, OTHER, has_gpc=False) as other:
            await other.arrive("accept")
            await other.sign_up()
            await world.delivered(OTHER, 2)

        events = world.events(VISITOR)
        days = [(datetime.fromisoformat(one["time"]).timestamp() * 1_000 - monday_ms) // DAY_MS for one in events]
        told = list(zip((one["metric"] for one in events), (max(day, 0) for day in days), strict=True))
        assert told == [
            ("Viewed Product", 0),
            ("Added to Cart", 0),
            ("Viewed Product", 1),
            ("Subscribed to Newsletter", 2),
        ]
        assert [one["backfill"] for one in events] == [True, True, False, False]
        assert len({one["unique_id"] for one in events}) == 4
        assert {one["metric"] for one in world.events(OTHER)} == {"Subscribed to Newsletter", "Advertised"}
        profiles = [profile["identifiers"] for profile in world.taken["profiles"]]
        assert profiles == [{"email": [VISITOR], "_kx": [TOKEN]}, {"email": [OTHER]}]
