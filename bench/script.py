"""What the script costs a page's main thread: its start, an event, and the demonstration shop with and without it.

    .venv/bin/python bench/script.py

In Chromium on this machine, medians of the rounds, in milliseconds. Start and event are the time of the functions
themselves. A page's figure is what DevTools counts as its main thread's work until a second after the load; both
kinds take turns, so that what disturbs the machine disturbs both. Nothing is judged: a phone is 4 to 10 times slower.
"""

import asyncio
import functools
import http.server
import os
import shutil
import statistics
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from playwright.async_api import Browser, BrowserContext, Route, async_playwright

from edge.demo.shop import PAGES
from edge.shipped import shipped

PATHS = ("/", "/products/moon-teapot.html", "/cart.html")
ROUNDS, EVENTS = 9, 50
# Times what the script does when it is loaded, and in the browser's spare time afterwards.
TIMED = """
window.spent = 0;
const spare = window.requestIdleCallback;
window.requestIdleCallback = (work, how) => spare(() => {
  const began = performance.now(); work(); window.spent += performance.now() - began; window.isStarted = true;
}, how);
"""
AROUND = "(()=>{const began=performance.now();%s;window.spent+=performance.now()-began})()"
TRACK = """count => {
  const began = performance.now();
  for (let n = 0; n < count; n++) {
    datafly.track('add_to_cart', {value: n, items: [{item_id: '501', item_name: 'Moon Teapot', price: 42.25}]});
  }
  return (performance.now() - began) / count;
}"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


@contextmanager
def shop() -> Iterator[str]:
    """Serve the demonstration's pages on a free port; gives their origin."""
    handler = functools.partial(Quiet, directory=str(PAGES))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--headless", "--no-sandbox"])
        yield browser
        await browser.close()


@asynccontextmanager
async def visitor(browser: Browser, script: str | None) -> AsyncIterator[BrowserContext]:
    """Give a new profile that has agreed; `script` is what the shop serves under its name, None is nothing."""
    context = await browser.new_context()

    async def answer(route: Route) -> None:
        if route.request.method == "POST":
            await route.fulfill(status=204)
        elif script is None:
            await route.fulfill(status=404)
        else:
            await route.fulfill(body=script, content_type="text/javascript")

    await context.route("**/t/*", answer)
    await context.add_init_script("localStorage['shop.consent'] = 'true'")
    yield context
    await context.close()


async def start_and_event_ms(browser: Browser, origin: str, path: str, script: str) -> tuple[float, float]:
    """Give the time of loading and starting the script on a page, and of an event."""
    async with visitor(browser, AROUND % script.strip().rstrip(";")) as context:
        await context.add_init_script(TIMED)
        page = await context.new_page()
        await page.goto(origin + path)
        await page.wait_for_function("window.isStarted")
        started_ms = await page.evaluate("spent")
        return started_ms, await page.evaluate(TRACK, EVENTS)


async def page_ms(browser: Browser, origin: str, path: str, script: str | None) -> float:
    """Give the main thread's work of one page, from a new profile to a second after its load."""
    async with visitor(browser, script) as context:
        page = await context.new_page()
        devtools = await context.new_cdp_session(page)
        await devtools.send("Performance.enable")
        await page.goto(origin + path)
        await page.wait_for_timeout(1_200)
        told = await devtools.send("Performance.getMetrics")
    return 1e3 * {one["name"]: one["value"] for one in told["metrics"]}["TaskDuration"]


async def main() -> int:
    script = shipped("static/datafly.js").read_text("utf-8")
    print(f"{'ms, medians of ' + str(ROUNDS):38} {'start':>7} {'event':>7} {'page':>8} {'without':>8}")
    with shop() as origin:
        async with chromium() as browser:
            for path in PATHS:
                rounds = []
                for _ in range(ROUNDS):
                    own = await start_and_event_ms(browser, origin, path, script)
                    rounds.append((*own, *[await page_ms(browser, origin, path, one) for one in (script, None)]))
                start, event, with_it, without = (statistics.median(column) for column in zip(*rounds, strict=True))
                print(f"{path:38} {start:7.2f} {event:7.3f} {with_it:8.1f} {without:8.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
