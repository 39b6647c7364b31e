"""Between a socket and a vendor: a request is read, recorded, judged, and answered well or with a fault."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

from edge.clock import Clock
from edge.sandbox.faults import Fault, Faults
from edge.sandbox.received import Received
from edge.sandbox.vendor import Answer, Incoming, Vendor

MAX_BODY_BYTES = 16_000_000
_GARBAGE = b"<html><body>Please sign in to this network</body></html>"
_MISSING_BYTES = 64


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Everything one sandbox holds; nothing of it is shared with another."""

    clock: Clock
    vendors: Sequence[Vendor]
    faults: Faults = field(default_factory=Faults)
    received: Received = field(default_factory=Received)

    def vendor(self, name: str) -> Vendor:
        """Raises KeyError."""
        return {vendor.name: vendor for vendor in self.vendors}[name]

    def reset(self) -> None:
        """Forget every request, event and profile; faults, keys and rates stay."""
        self.received.reset()
        for vendor in self.vendors:
            vendor.reset()


class Visit:
    """One request at one vendor, from its arrival to the last byte of its answer."""

    def __init__(self, sandbox: Sandbox, vendor: Vendor, request: web.Request, incoming: Incoming) -> None:
        self._sandbox = sandbox
        self._vendor = vendor
        self._request = request
        self._incoming = incoming
        self._fault = sandbox.faults.take(vendor.name, incoming.body)
        kind = None if self._fault is None else self._fault.kind
        self._number = sandbox.received.open(vendor.name, vendor.masked(incoming), fault=kind)

    async def respond(self) -> web.StreamResponse:
        if self._fault is None:
            return self._send(self._judge())
        answer = self._judge() if self._fault.after_processing else None
        return await self._go_wrong(self._fault, answer)

    async def _go_wrong(self, fault: Fault, answer: Answer | None) -> web.StreamResponse:
        match fault.kind:
            case "status":
                return self._send(self._refusal(fault))
            case "rate_limit":
                return self._send(self._vendor.refusal(429, retry_after_s=fault.retry_after_s or 1))
            case "garbage":
                return self._send(Answer(200, fault.body or _GARBAGE, {"Content-Type": "text/html"}))
            case "drop":
                return self._hang_up()
            case "truncate":
                return await self._send_half(answer or self._judge())
            case "slow":
                await self._sandbox.faults.wait(fault.wait_s)
                return self._send_late(answer)
            case "hang":
                is_released = await self._sandbox.faults.wait(fault.wait_s)
                return self._send_late(answer) if is_released else self._hang_up()

    def _refusal(self, fault: Fault) -> Answer:
        answer = self._vendor.refusal(fault.status, retry_after_s=fault.retry_after_s)
        return answer if fault.body is None else Answer(answer.status, fault.body, answer.headers)

    def _judge(self) -> Answer:
        answer = self._vendor.answer(self._incoming)
        self._sandbox.received.judged(self._number, answer.status, answer.notes)
        return answer

    def _send(self, answer: Answer) -> web.StreamResponse:
        self._sandbox.received.close(self._number, answer.status)
        return web.Response(status=answer.status, body=answer.body, headers=dict(answer.headers))

    def _send_late(self, answer: Answer | None) -> web.StreamResponse:
        """The vendor's answer, unless the client has left; what it had not taken by then, it never takes."""
        transport = self._request.transport
        if transport is None or transport.is_closing():
            return self._hang_up()
        return self._send(answer or self._judge())

    def _hang_up(self) -> web.StreamResponse:
        """Close the connection; what is returned here finds it closed and is not sent."""
        self._sandbox.received.close(self._number, None)
        if self._request.transport is not None:
            self._request.transport.close()
        return web.Response()

    async def _send_half(self, answer: Answer) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status, headers=dict(answer.headers))
        response.content_length = len(answer.body) + _MISSING_BYTES
        await response.prepare(self._request)
        await response.write(answer.body + b"{")
        self._sandbox.received.close(self._number, answer.status)
        if self._request.transport is not None:
            self._request.transport.close()
        return response


async def receive(sandbox: Sandbox, vendor: Vendor, request: web.Request) -> web.StreamResponse:
    """Serve one request to one vendor."""
    try:
        body = await request.read()
    except web.HTTPRequestEntityTooLarge:
        return _refuse_unread(sandbox, vendor, _incoming(sandbox, request, b""), HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    except web.RequestPayloadError:
        return _refuse_unread(sandbox, vendor, _incoming(sandbox, request, b""), HTTPStatus.BAD_REQUEST)
    return await Visit(sandbox, vendor, request, _incoming(sandbox, request, body)).respond()


def _incoming(sandbox: Sandbox, request: web.Request, body: bytes) -> Incoming:
    return Incoming(
        method=request.method,
        path="/" + request.match_info["path"],
        query=tuple(request.query.items()),
        headers=CIMultiDictProxy(CIMultiDict(request.headers)),
        body=body,
        at_ms=sandbox.clock.now_ms(),
        monotonic_s=sandbox.clock.monotonic_s(),
    )


def _refuse_unread(sandbox: Sandbox, vendor: Vendor, incoming: Incoming, status: int) -> web.Response:
    """A body too big, or too broken, to be read: it is recorded without its body, and the connection ends."""
    answer = vendor.refusal(status)
    number = sandbox.received.open(vendor.name, vendor.masked(incoming), fault=None)
    sandbox.received.close(number, answer.status)
    response = web.Response(status=answer.status, body=answer.body, headers=dict(answer.headers))
    response.force_close()
    return response
