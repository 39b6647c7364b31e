"""The sandbox as a web application: vendors under their names, faults under /control, arrivals under /received."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from aiohttp import web

from edge.clock import Clock
from edge.sandbox.control import Control
from edge.sandbox.ga4 import GA4
from edge.sandbox.google_ads import GoogleAds
from edge.sandbox.klaviyo import Klaviyo
from edge.sandbox.meta import Meta
from edge.sandbox.received import KEPT_REQUESTS, Received
from edge.sandbox.segment import Jitsu, RudderStack, Segment
from edge.sandbox.tiktok import TikTok
from edge.sandbox.vendor import Vendor
from edge.sandbox.webhook import Webhook
from edge.sandbox.wire import MAX_BODY_BYTES, Sandbox, receive

SANDBOX = web.AppKey("sandbox", Sandbox)
_SHUTDOWN_S = 1.0


def builtin_vendors() -> tuple[Vendor, ...]:
    """Every vendor there is, each with its default keys and its real limits."""
    return (
        Klaviyo(),
        Meta(),
        GA4(),
        GoogleAds(),
        TikTok(),
        Webhook(),
        Segment(),
        RudderStack(),
        Jitsu(),
    )


def make_app(*, clock: Clock, vendors: Sequence[Vendor] | None = None, kept: int = KEPT_REQUESTS) -> web.Application:
    """Mount the vendors; `app[SANDBOX]` is what tests ask.

    Args:
        clock: gives each request its time; rate windows and revisions go by it.
        vendors: which, with what settings; `builtin_vendors()` when left out.
        kept: how many requests are remembered.
    """
    received = Received(kept=kept)
    sandbox = Sandbox(clock, tuple(builtin_vendors() if vendors is None else vendors), received=received)
    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app[SANDBOX] = sandbox
    Control(sandbox).add_routes(app.router)
    for vendor in sandbox.vendors:
        app.router.add_route("*", f"/{vendor.name}/{{path:.*}}", partial(receive, sandbox, vendor))
    app.on_shutdown.append(_release)
    return app


async def _release(app: web.Application) -> None:
    app[SANDBOX].faults.clear()


@dataclass(frozen=True, slots=True)
class Running:
    """A sandbox that listens."""

    sandbox: Sandbox
    host: str
    port: int
    _runner: web.AppRunner

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def base_url(self, vendor: str) -> str:
        """What a pipeline's `parameters.base_url` is set to."""
        return f"{self.url}/{vendor}"

    async def close(self) -> None:
        await self._runner.cleanup()


async def start(
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    clock: Clock,
    vendors: Sequence[Vendor] | None = None,
    kept: int = KEPT_REQUESTS,
) -> Running:
    """Listen in this event loop until `close`; port 0 takes a free one. Raises OSError when the port is taken."""
    app = make_app(clock=clock, vendors=vendors, kept=kept)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError:
        await runner.cleanup()
        raise
    return Running(app[SANDBOX], host, runner.addresses[0][1], runner)


async def serve(
    host: str, port: int, *, clock: Clock, announce: Callable[[Running], None], vendors: Sequence[Vendor] | None = None
) -> None:
    """Run until cancelled; `announce` is called once, when requests are accepted."""
    running = await start(host, port, clock=clock, vendors=vendors)
    try:
        announce(running)
        await asyncio.Event().wait()
    finally:
        await running.close()
