"""A real Chromium, and a shop with a collector that remembers what it was sent and answers as told."""

import asyncio
import json
import os
import shutil
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

SCRIPT = Path(__file__).parents[2] / "static" / "datafly.js"
DEADLINE_S = 20.0
POLL_S = 0.02
# What the browser keeps for want of an answer: entries of several pages, the oldest first.
QUEUE = (
    "Object.keys(localStorage).filter((name) => name.startsWith('_df_q')).sort()"
    ".flatMap((name) => JSON.parse(localStorage[name]))"
)
STUB = "window.datafly=window.datafly||function(){(datafly.q=datafly.q||[]).push(arguments)};"
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


@dataclass(frozen=True, slots=True)
class Answer:
    """What the collector says to one batch; with a gate, only once the test opens it."""

    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    gate: asyncio.Event | None = None

    @classmethod
    def busy(cls, *, retry_after_s: int = 60, gate: asyncio.Event | None = None) -> "Answer":
        return cls(503, {"Retry-After": str(retry_after_s)}, gate=gate)


@dataclass(frozen=True, slots=True)
class Post:
    """One request to the collector, and the status it got."""

    path: str
    batch: dict[str, Any]
    body_bytes: int
    content_type: str
    is_beacon: bool
    status: int

    @property
    def names(self) -> list[str]:
        return [event["name"] for event in self.batch["events"]]

    @property
    def ids(self) -> list[str]:
        return [event["id"] for event in self.batch["events"]]


class Shop:
    """One origin: pages by path, the script and the collector under /t/."""

    def __init__(self) -> None:
        self.origin = ""
        self.script = SCRIPT
        self.posts: list[Post] = []
        self.targets: list[str] = []  # every request target under /t/, as it stood on the wire
        self.answers: deque[Answer] = deque()  # the next ones; afterwards always 204
        self._pages: dict[str, tuple[str, str, dict[str, str]]] = {}
        self._changed = asyncio.Condition()

    @property
    def stored(self) -> list[dict[str, Any]]:
        """Each accepted event in the order of arrival, its context completed by its batch's; repeats left out."""
        events: dict[str, dict[str, Any]] = {}
        for post in self.posts:
            if post.status < 300:
                for event in post.batch["events"]:
                    context = {**post.batch["context"], **event.get("context", {})}
                    events.setdefault(event["id"], {**event, "context": context})
        return list(events.values())

    @property
    def names(self) -> list[str]:
        return [event["name"] for event in self.stored]

    def page(
        self,
        path: str = "/",
        *,
        tag: str = "",
        calls: str = "",
        title: str = "Shop",
        body: str = "<p>Hello</p>",
        headers: Mapping[str, str] | None = None,
        has_script: bool = True,
    ) -> str:
        """Adds a page with the stub, `calls` made through it, and our tag; gives its address."""
        script = (
            f'<script>{STUB}{calls}</script><script async src="/t/datafly.js" {tag}></script>' if has_script else ""
        )
        self.document(path, f"<!doctype html><title>{title}</title>{script}{body}", headers=headers)
        return self.origin + path

    def document(
        self, path: str, text: str, *, kind: str = "text/html", headers: Mapping[str, str] | None = None
    ) -> str:
        self._pages[path] = (text, kind, dict(headers or {}))
        return self.origin + path

    async def until(self, condition: Callable[["Shop"], object]) -> None:
        """Returns when the condition holds; a TimeoutError shows what had arrived by then."""
        try:
            async with asyncio.timeout(DEADLINE_S), self._changed:
                await self._changed.wait_for(lambda: condition(self))
        except TimeoutError:
            seen = [(post.status, post.is_beacon, post.names) for post in self.posts]
            raise AssertionError(f"not within {DEADLINE_S:.0f} s; arrived: {seen}") from None

    async def serve(self, request: web.Request) -> web.Response:
        if request.path.startswith("/t/"):
            self.targets.append(request.raw_path)
        if request.path == "/t/datafly.js":
            return web.Response(text=self.script.read_text("utf-8"), content_type="text/javascript")
        if request.method == "POST":
            return await self._collect(request)
        if request.path not in self._pages:
            return web.Response(status=404)
        text, kind, headers = self._pages[request.path]
        return web.Response(text=text, content_type=kind, headers=headers)

    async def _collect(self, request: web.Request) -> web.Response:
        body = await request.read()
        answer = self.answers.popleft() if self.answers else Answer()
        post = Post(
            path=request.raw_path,
            batch=json.loads(body),
            body_bytes=len(body),
            content_type=request.content_type,
            is_beacon=request.headers["Sec-Fetch-Mode"] == "no-cors",
            status=answer.status,
        )
        async with self._changed:
            self.posts.append(post)
            self._changed.notify_all()
        if answer.gate:
            await answer.gate.wait()
        return web.Response(status=answer.status, headers=answer.headers, text=answer.body or None)


class Visitor:
    """One browser profile; what its pages threw is kept for the end of the test."""

    NOW = datetime(2026, 11, 21, 18, 0, tzinfo=UTC)

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.errors: list[str] = []
        self._has_clock = False
        context.on("weberror", lambda error: self.errors.append(str(error.error)))

    async def open(self, url: str) -> Page:
        """Opens a page; unless the test has the clock, what its load brings is sent without the second of waiting."""
        page = await self.context.new_page()
        await page.goto(url)
        if not self._has_clock:
            await page.evaluate("() => window.datafly && datafly('flush')")
        return page

    async def stop_clock(self) -> None:
        """From now on no timer of any page fires by itself."""
        await self.start_clock()
        await self.context.clock.pause_at(self.NOW + timedelta(seconds=1))

    async def start_clock(self) -> None:
        """Time runs, and can be moved forward by `pass_s`."""
        self._has_clock = True
        await self.context.clock.install(time=self.NOW)

    async def pass_s(self, seconds: float) -> None:
        await self.context.clock.fast_forward(int(seconds * 1000))

    @staticmethod
    async def settled(page: Page) -> None:
        """Returns when a sender that had started has its answer: it holds the lock until then."""
        await page.evaluate("navigator.locks.request('_df', () => fetch('/quiet'))")
        await page.evaluate("navigator.locks.request('_df', () => fetch('/quiet'))")

    @staticmethod
    async def queued(page: Page, count: int = 1) -> list[dict[str, Any]]:
        """Waits until the stored queue holds `count` events, and gives them."""
        read = QUEUE
        await page.wait_for_function(f"{read}.length === {count}", timeout=DEADLINE_S * 1000)
        return await page.evaluate(read)

    @staticmethod
    async def emptied(page: Page) -> None:
        """Waits until the page knows that all is stored; asks from outside, as the page's own clock may stand still."""
        async with asyncio.timeout(DEADLINE_S):
            while await page.evaluate(f"{QUEUE}.length"):
                await asyncio.sleep(POLL_S)


def chromium_path() -> str:
    """Give the program; without it the test fails and says what to install."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.fail(
            "Chromium is missing. Install with: sudo apt-get update && sudo apt-get install -y chromium", pytrace=False
        )
    return path


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_path(), args=CHROMIUM_ARGS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def shop() -> AsyncIterator[Shop]:
    """A shop on a free port; at the end, no request of ours may have carried a query string."""
    shop = Shop()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", shop.serve)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    shop.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield shop
    await runner.cleanup()
    assert [target for target in shop.targets if "?" in target] == []


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(chromium: Browser) -> AsyncIterator[Visitor]:
    """A fresh profile; at the end, nothing may have been thrown into its pages."""
    context = await chromium.new_context(locale="en-GB", timezone_id="Europe/London")
    visitor = Visitor(context)
    yield visitor
    await context.close()
    assert visitor.errors == []


@pytest.fixture
def answer() -> type[Answer]:
    return Answer
