"""The drainer's base: an aiohttp client that posts one body after the other, 32 at a time, and does nothing else.

python -m bench.client PORT
"""

import asyncio
import sys

import aiohttp
import uvloop

CONCURRENCY = 32
BODY = b"x" * 1_150  # what one of the shipped pipeline's events has at Klaviyo
HEADERS = {
    "Authorization": "Klaviyo-API-Key pk_benchmark_only",
    "Content-Type": "application/vnd.api+json",
    "Accept": "application/vnd.api+json",
    "revision": "2026-10-15",
}


async def post(port: int) -> None:
    connector = aiohttp.TCPConnector(limit=CONCURRENCY)
    jar = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(connector=connector, cookie_jar=jar, headers=HEADERS) as session:
        await asyncio.gather(*(_one(session, f"http://127.0.0.1:{port}/sink") for _ in range(CONCURRENCY)))


async def _one(session: aiohttp.ClientSession, url: str) -> None:
    while True:
        async with session.post(url, data=BODY) as answer:
            await answer.read()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(post(int(sys.argv[1])))
