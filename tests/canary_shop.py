"""A shop whose visitors, servers, vendors and files are full of canaries, run by the real processes."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import orjson

from edge.app.control import CONTROL_SOCKET
from tests.canaries import (
    API_KEY,
    CLICK,
    COOKIE,
    COOKIE_KEY,
    EMAIL,
    EVENT_ID,
    IP,
    NAME,
    ORDER,
    PHONE,
    QUERY,
    TOKEN,
    USER_AGENT,
    WRITE_KEY,
    Parrot,
)
from tests.faults.driver import GRANTED, ORIGIN, Service

BEHAVIOURS = ("400", "401", "403", "429", "500", "302", "200", "hang", "cut", "garbage")
WITHIN_S = 60.0  # a busy machine; alone it is about a second
PIPELINE = """
name: p{behaviour}
integration: klaviyo-events-api
parameters: {{private_api_key: "${{KLAVIYO_PRIVATE_API_KEY}}{behaviour}", base_url: "${{PARROT}}/{behaviour}"}}
global: {{profile: {{"$email": {{source: context.traits.email}}, name: {{source: context.traits.name}}}}}}
events:
  "*": {{properties: {{all: {{source: properties}}, order: {{source: properties.transaction_id}}}}}}
"""
ARCHIVE = "{name: archive, integration: archive, parameters: {directory: archive}, events: {'*': {}}}"
CONFIG = """\
site:       {{origins: ["{origin}"]}}
data_dir:   {folder}/data
pipelines:  {folder}/pipelines
spool:      {{free_bytes: 200KB}}
collector:  {{listen: "unix:{folder}/edge.sock"}}
cookie:     {{keys: ["${{COOKIE_KEY}}"]}}
ops:        {{listen: "127.0.0.1:{ops}"}}
drainer:    {{timeout: 1s}}
write_keys: [{{name: till, key: "${{WRITE_KEY}}"}}]
alerts:     {{webhook: "${{ALERTS}}", secret: "${{SIGN}}", allow_http: true, repeat: 1min, queue_age: 1s,
             dead_letters: 1, resolver_lag: 1s, spool_percent: 1, free_bytes: 1TB, not_ready: 1s, restarts: 1}}
"""
EVERYWHERE = {
    "email": EMAIL,
    "phone": PHONE,
    "name": NAME,
    "transaction_id": ORDER,
    "ip": IP,
    "url": f"{ORIGIN}/?{QUERY}",
    EMAIL: [NAME, {"kanarie": EMAIL}],
}
CONTEXT = {
    "consent": {**GRANTED, "source": "explicit", "raw": EMAIL},
    "page": {"url": f"{ORIGIN}/{ORDER}?{QUERY}", "path": f"/{ORDER}", "title": NAME, "referrer": f"{ORIGIN}/?{QUERY}"},
    "locale": EMAIL,
    "library": {"name": NAME, "version": EMAIL},
}
# Of vendors' cookies some that can be read and some that cannot.
VENDORS = (
    f"_fbp={COOKIE}; _fbc=fb.1.1795183389000.{CLICK}; _ga={COOKIE}; _gcl_aw=GCL.1795183389.{CLICK}; ttclid={CLICK}"
)
HEADERS = {
    "Origin": ORIGIN,
    "Sec-Fetch-Site": "same-origin",
    "User-Agent": USER_AGENT,
    "X-Forwarded-For": IP,
    "Cookie": f"{COOKIE}=1; __Host-dfid={COOKIE}; CookieConsent={{stamp:%27{COOKIE}%27,marketing:{EMAIL}}}; {VENDORS}",
    "Referer": f"{ORIGIN}/?{QUERY}",
    "X-Kanarie": NAME,
}
BASIC = {"Authorization": "Basic " + base64.b64encode(f"{WRITE_KEY}:".encode()).decode()}


class Shop:
    """The service, what it is asked, and everything that it ever said."""

    def __init__(self, folder: Path, parrot: Parrot, session: aiohttp.ClientSession) -> None:
        self.folder, self.parrot, self.said = folder, parrot, [b""]
        self._session = session
        self.service = Service(folder, "http://unused.example", pipelines=folder / "pipelines")
        ops = self.service._ops.rpartition(":")[2]
        self.service.config.write_text(CONFIG.format(origin=ORIGIN, folder=folder, ops=ops))
        self.service._environ |= {
            "KLAVIYO_PRIVATE_API_KEY": API_KEY,
            "COOKIE_KEY": COOKIE_KEY,
            "WRITE_KEY": WRITE_KEY,
            "PARROT": f"http://127.0.0.1:{parrot.port}",
            "ALERTS": f"http://127.0.0.1:{parrot.port}/alerts/{TOKEN}",
            "SIGN": "whsec_" + base64.b64encode(COOKIE_KEY.encode()).decode(),
        }

    async def post(self, path: str, body: bytes, headers: dict[str, str] | None = None, *, keep: bool = True) -> int:
        """Post, keep what is answered to that, and give the status."""
        async with self._session.post(f"http://shop{path}", data=body, headers=headers or HEADERS) as answer:
            body = await answer.read()
            self.said.append(body if keep else b"")
            return answer.status

    async def look(self) -> None:
        """Keep what the ops listener says now, and the arguments that everybody may read."""
        for path in ("healthz", "readyz", "metrics"):
            async with self.service._session.get(f"{self.service._ops}/{path}") as answer:
                self.said.append(await answer.read())
        self.said += [Path(f"/proc/{self.service.process.pid}/cmdline").read_bytes()]

    async def metric(self, name: str) -> float:
        """Give the sum of a metric's samples."""
        async with self.service._session.get(f"{self.service._ops}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name}{{", f"{name} ")))

    async def is_judged(self) -> bool:
        """Tell whether alerts have begun with what both processes say: what comes then is news to them."""
        return await self.metric("edge_process_ready") == 2

    async def ask(self, request: dict[str, object]) -> object:
        """Ask the drainer over its control socket, and leave after the first answer."""
        reader, writer = await asyncio.open_unix_connection(str(self.folder / "data" / CONTROL_SOCKET))
        writer.write(orjson.dumps(request) + b"\n")
        answer = await asyncio.wait_for(reader.readline(), WITHIN_S)
        writer.close()
        return orjson.loads(answer)

    @property
    def metrics(self) -> str:
        """Everything that was scraped."""
        return "\n".join(text.decode() for text in self.said if text.startswith(b"# HELP"))


@asynccontextmanager
async def open_shop(folder: Path) -> AsyncIterator[Shop]:
    """Start vendor and service; until it is ready."""
    (folder / "pipelines").mkdir()
    for behaviour in BEHAVIOURS:
        (folder / f"pipelines/{behaviour}.yaml").write_text(PIPELINE.format(behaviour=behaviour))
    (folder / "pipelines/archive.yaml").write_text(ARCHIVE)
    async with AsyncExitStack() as stack:
        parrot = Parrot()
        stack.push_async_callback((await parrot.start()).cleanup)
        session = await stack.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(str(folder / "edge.sock")), cookie_jar=aiohttp.DummyCookieJar()
            )
        )
        shop = Shop(folder, parrot, session)
        await stack.enter_async_context(shop.service.open())
        await shop.service.until_ready(within_s=WITHIN_S)
        yield shop


def batch(*events: object, session: str = "kanarie" + "0" * 25) -> bytes:
    """Give what a page posts."""
    context = {**CONTEXT, "session": {"id": session, "number": 1}}
    return orjson.dumps({"context": context, "sent_at": NAME, "events": list(events)})


def event(name: str = "purchase", number: int = 1, **more: object) -> dict[str, object]:
    """Give one event with canaries everywhere."""
    traits = {"email": EMAIL, "phone": PHONE, "name": NAME, "customer_id": ORDER}
    return {"id": f"{EVENT_ID}-{number}", "name": name, "properties": EVERYWHERE, "traits": traits, **more}
