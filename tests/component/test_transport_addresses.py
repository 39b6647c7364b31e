"""Requests that may only go to public addresses: resolved once, judged, and connected to exactly what was judged."""

import socket
from collections.abc import AsyncIterator, Sequence

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from edge.delivery import Request, Response
from edge.errors import TransportFailed
from edge.transport import NOT_PUBLIC, HttpTransport

GOOD, BAD = "127.0.0.2", "127.0.0.3"


class FakeDns(AbstractResolver):
    """Answers each question with the next of some lists of addresses, then with the last one again."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers, self.asked = list(answers), list[str]()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        self.asked.append(host)
        found = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [
            ResolveResult(hostname=host, host=one, port=port, family=socket.AF_INET, proto=0, flags=0) for one in found
        ]

    async def close(self) -> None:
        """Nothing to close."""


class Receiver:
    """Listens on every address of this machine and notes where it was reached, and under which name."""

    def __init__(self) -> None:
        self.reached: list[tuple[str, str]] = []
        self.port = 0

    async def answer(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        self.reached.append((request.transport.get_extra_info("sockname")[0], request.host.partition(":")[0]))
        if request.path == "/elsewhere":
            return web.Response(status=307, headers={"Location": f"http://{BAD}:{self.port}/"})
        return web.Response(status=204, headers={"Connection": "close"})


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made, app = Receiver(), web.Application()
    app.router.add_route("*", "/{path:.*}", made.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", 0).start()
    made.port = runner.addresses[0][1]
    yield made
    await runner.cleanup()


async def send(dns: FakeDns, *urls: str) -> list[Response | str]:
    """Send a request to each address through one transport for which GOOD is public; give the answers."""
    transport = HttpTransport(timeout_s=5.0, resolver=lambda: dns, is_allowed=lambda address: address == GOOD)
    await transport.open()
    told: list[Response | str] = []
    for url in urls:
        try:
            told.append(await transport.send(Request("POST", url, {}, b"{}", is_private_allowed=False)))
        except TransportFailed as error:
            told.append(str(error))
    await transport.close()
    return told


async def test_connection_goes_to_the_address_that_was_judged(receiver: Receiver) -> None:
    dns = FakeDns([BAD, GOOD, "10.0.0.1"])
    [answer] = await send(dns, f"http://hooks.example:{receiver.port}/")
    assert isinstance(answer, Response)
    assert (answer.status, receiver.reached, dns.asked) == (204, [(GOOD, "hooks.example")], ["hooks.example"])


async def test_name_that_leads_elsewhere_the_next_time_is_not_followed(receiver: Receiver) -> None:
    """One answer to judge, another to connect to, is how a check of the name alone is got around."""
    dns, url = FakeDns([GOOD], [BAD]), f"http://hooks.example:{receiver.port}/"
    first, second = await send(dns, url, url)
    assert isinstance(first, Response)
    assert (second, receiver.reached) == (NOT_PUBLIC, [(GOOD, "hooks.example")])


@pytest.mark.parametrize("host", [BAD, "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"])
async def test_address_in_the_url_itself_is_judged(receiver: Receiver, host: str) -> None:
    dns = FakeDns([GOOD])
    assert await send(dns, f"http://{host}:{receiver.port}/") == [NOT_PUBLIC]
    assert (receiver.reached, dns.asked) == ([], [])


async def test_redirect_is_an_answer_and_is_not_followed(receiver: Receiver) -> None:
    [answer] = await send(FakeDns([GOOD]), f"http://hooks.example:{receiver.port}/elsewhere")
    assert isinstance(answer, Response)
    assert (answer.status, len(receiver.reached)) == (307, 1)


async def test_other_requests_go_where_the_file_says(receiver: Receiver) -> None:
    transport = HttpTransport(timeout_s=5.0)
    await transport.open()
    answer = await transport.send(Request("POST", f"http://127.0.0.1:{receiver.port}/", {}, b"{}"))
    refused = Request("POST", f"http://127.0.0.1:{receiver.port}/", {}, b"{}", is_private_allowed=False)
    with pytest.raises(TransportFailed, match=NOT_PUBLIC):
        await transport.send(refused)
    with pytest.raises(TransportFailed, match=NOT_PUBLIC):
        await transport.send(Request("POST", "http://localhost/", {}, b"{}", is_private_allowed=False))
    await transport.close()
    assert (answer.status, receiver.reached) == (204, [("127.0.0.1", "127.0.0.1")])
