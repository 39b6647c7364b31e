"""Random lives for the resolver alone: what browsers and servers say, page by page, and what the ledger holds then."""

import asyncio
import random
from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from edge.consent import Purpose
from edge.consent_rules import ConsentSettings
from edge.errors import StorageFull
from edge.event import Event, encode
from edge.ledger import Database, DeliveryLedger, LedgerSettings, ResolverLedger
from edge.ledger.database import fetch
from edge.ledger.erasing import ErasureLedger
from edge.ledger.records import Known, Resolution, Revision, Terms
from edge.ledger.theirs import Whom
from edge.metrics import DrainerMetrics
from edge.resolver import Limits, Resolver, ResolverSettings
from edge.secret import Secret
from edge.spool import SpoolReader, SpoolSettings, SpoolWriter
from tests.clock import FakeClock
from tests.consent_values import COOKIEBOT, ONETRUST

BROWSERS, KEYS = (1, 2, 3, 4), (101, 102)
NAMES = ("view_item", "view_item", "identify", "identify", "identify", "reset", "consent", "purchase")
POOL = {
    "email": [f"user{number}@shop.example" for number in range(3)] + ["nonsense"],
    "phone": [f"+44207946001{number}" for number in range(2)],
    "customer_id": [f"c-{number}" for number in range(3)],
}
SAID: list[Any] = [
    None,
    {"marketing": "granted", "source": "explicit"},
    {"marketing": "denied", "analytics": "granted", "source": "explicit", "version": "2"},
    {"source": "onetrust", "value": ONETRUST},
    [{"source": "consent_mode", "value": {"default": {"ad_storage": "denied"}}}, {"gpc": True}],
]
COOKIES: list[Any] = [None, None, {"CookieConsent": COOKIEBOT}, {"CookieConsent": "?"}]
BREAKS = ("", "", "", "", "full", "failed", "cancelled", "cancelled late")
ERASE = "erase "
KEY = Secret("key-of-the-log")
NO_BROWSER = "x'of nobody'"
HOLD = """
INSERT INTO held (pipeline, visitor, seq, waits)
SELECT p.id, j.visitor, j.seq, j.waits & p.purposes FROM journal j CROSS JOIN pipeline p WHERE j.fate = 0 AND j.seq > ?
"""
CONSENT = ConsentSettings(
    Purpose.FUNCTIONAL, server_default=Purpose.ANALYTICS, waits=Purpose.ADVERTISING, server_waits=Purpose.MARKETING
)
URLS = ["", "", "?_kx=token-{0}", "?fbclid=click-{0}", "?gclid=ad-{0}", "?fbclid=click-{0}&ttclid=tok-{0}"]


def life(dice: random.Random, steps: int) -> list[tuple[list[Event], str]]:
    """Give pages of events, and how the ledger breaks while each is recorded, or who is erased after it."""
    return [([_event(dice) for _ in range(dice.randrange(1, 6))], _turn(dice)) for _ in range(steps)]


def calm(pages: Sequence[tuple[list[Event], str]]) -> list[tuple[list[Event], str]]:
    """Give the same pages with a ledger that never breaks."""
    return [(events, how if how.startswith(ERASE) else "") for events, how in pages]


def _turn(dice: random.Random) -> str:
    return ERASE + dice.choice(POOL["email"][:2]) if dice.random() < 0.06 else dice.choice(BREAKS)


def _event(dice: random.Random) -> Event:
    is_server = dice.random() < 0.15
    number = dice.choice((*KEYS, *BROWSERS)) if is_server else dice.choice(BROWSERS)
    name, minute = dice.choice(NAMES), dice.randrange(3_000)
    traits: dict[str, Any] = {}
    if name == "identify" or dice.random() < 0.2:
        # Mostly what it always says.
        traits = {"email": POOL["email"][number % 3]}
        if dice.random() < 0.4:
            traits = {kind: dice.choice(POOL[kind]) for kind in POOL if dice.random() < 0.5}
    url = "https://shop.example/" + dice.choice(URLS).format(dice.randrange(3))
    context = {
        "page": {"url": url},
        "vendor_ids": {} if is_server or dice.random() < 0.6 else _vendor_ids(dice),
        "ip": f"203.0.113.{dice.randrange(2)}" if dice.random() < 0.5 else None,
        "user_agent": "Browser/1" if dice.random() < 0.7 else None,
        "session": {"id": f"{number}-{dice.randrange(2)}"} if dice.random() < 0.8 else None,
        "consent": dice.choice(SAID),
        "consent_cookies": dice.choice(COOKIES),
        "gpc": dice.random() < 0.1,
    }
    return Event(
        id=f"event-{dice.randrange(400)}",
        name=name,
        time_ms=1_795_000_000_000,
        received_at_ms=1_795_000_000_000 + minute * 60_000,
        source="server:shop" if is_server else "browser",
        browser=f"{number:032x}",
        properties={"transaction_id": f"o-{dice.randrange(4)}"} if name == "purchase" else {},
        traits=traits,
        context={key: value for key, value in context.items() if value},
    )


def _vendor_ids(dice: random.Random) -> dict[str, Any]:
    """Give what cookies say: ids of the browser, and clicks with a moment of their own, some days apart."""
    day_ms = 86_400_000
    clicked_ms = 1_795_000_000_000 + dice.randrange(-120, 2) * day_ms
    told = {
        "fbp": f"fb.1.1795000000000.{dice.randrange(3)}",
        "fbc": f"fb.1.{clicked_ms}.click-{dice.randrange(3)}",
        "ga_client_id": f"{dice.randrange(3)}.1795000000",
        "gclid": [f"ad-{dice.randrange(3)}", clicked_ms],
        "kx": f"token-{dice.randrange(3)}",
    }
    return {kind: value for kind, value in told.items() if dice.random() < 0.5}


class Breaking(ResolverLedger):
    """A ledger that fails as it is told, once; and that tells what it was asked."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.breaks = ""
        self.asked: list[dict[str, Any]] = []

    async def find(self, **asked: Any) -> Known:
        self.asked.append(
            {name: list(values) for name, values in asked.items() if name not in ("keys", "claims_limit")}
        )
        return await super().find(**asked)

    async def record(self, page: Resolution) -> None:
        how, self.breaks = self.breaks, ""
        if how == "full":
            raise StorageFull("no room for the ledger")
        if how == "failed":
            page.journal.append(page.journal[-1])  # a number twice: all that came before it is rolled back
        if how == "cancelled":
            raise asyncio.CancelledError
        await super().record(page)
        if how == "cancelled late":
            raise asyncio.CancelledError


class Room:
    """A spool, a ledger and a resolver with a memory of a size."""

    @classmethod
    async def open(cls, folder: Path, remembered: int) -> "Room":
        room = cls()
        room.clock, room.folder = FakeClock(), folder
        room.writer = SpoolWriter(SpoolSettings(folder / "spool", free_bytes=0), room.clock)
        await room.writer.open()
        room.database = Database(LedgerSettings(folder / "ledger.db"))
        await room.database.open()
        room.spool, room.ledger = SpoolReader(folder / "spool"), Breaking(room.database)
        limits = Limits(values_per_browser=2, browsers_per_value=3)
        room.resolver = Resolver(
            ResolverSettings("GB", CONSENT, limits=limits, consent_key=KEY),
            spool=room.spool,
            ledger=room.ledger,
            clock=room.clock,
            metrics=DrainerMetrics(CollectorRegistry()),
            remembered=remembered,
        )
        await room.resolver.open()
        terms = Terms(is_known_by_click=True, purposes=Purpose.MARKETING)
        revision = Revision("klaviyo", "klaviyo-events-api", "klaviyo.yaml", "hash", "text", terms)
        await DeliveryLedger.register(room.database, revision, room.clock.now_ms())
        return room

    async def store(self, events: Sequence[Event]) -> None:
        await self.writer.append([encode(event) for event in events])

    async def hold(self, after: int) -> None:
        """Let a pipeline hold what was resolved since, so that links, clicks and answers have something to release."""
        async with self.database.transaction() as db:
            await db.execute(HOLD, (after,))

    async def erase(self, email: str) -> None:
        """Erase somebody from the ledger; what comes later of them meets a tombstone."""
        ledger = ErasureLedger(self.database, KEY)
        async with self.resolver.between_pages():
            asked = await ledger.ask(Whom((("email", email),)), lambda names: (), self.clock.now_ms())
            self.resolver.forget_cached(erased=asked.visitors)

    async def contents(self) -> dict[str, list[str]]:
        """Give every row of every table; who was erased is in a browser of no name, which chance has given."""
        async with self.database.snapshot() as db:
            tables = [name for (name,) in await fetch(db, "SELECT name FROM sqlite_master WHERE type = 'table'")]
            found = {name: sorted(map(repr, await fetch(db, f"SELECT * FROM {name}"))) for name in tables}
            erased = [browser for (browser,) in await fetch(db, "SELECT browser FROM visitor") if any(browser[:8])]
        return {
            name: [reduce(lambda text, one: text.replace(repr(one), NO_BROWSER), erased, row) for row in rows]
            for name, rows in found.items()
        }

    async def close(self) -> None:
        await self.spool.close()
        await self.writer.close()
        await self.database.close()
