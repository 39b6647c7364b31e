"""How a sandbox is told what to do, and asked what it received, over HTTP."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

import orjson
from aiohttp import web

from edge.errors import RequestRefused
from edge.sandbox.faults import parse_fault, refused
from edge.sandbox.vendor import JSON, Rate, Scopes, Vendor
from edge.sandbox.wire import Sandbox

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.Response]]


class Control:
    """The handlers of /control and /received."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get("/control/faults", _said(self.list_faults))
        router.add_post("/control/faults", _said(self.add_fault))
        router.add_delete("/control/faults", _said(self.clear_faults))
        router.add_post("/control/keys", _said(self.accept_keys))
        router.add_post("/control/rates", _said(self.set_rates))
        router.add_get("/received", _said(self.received))
        router.add_get("/received/{vendor}", _said(self.received_by))
        router.add_delete("/received", _said(self.forget))

    async def list_faults(self, request: web.Request) -> web.Response:
        return _json({"faults": self._sandbox.faults.to_json()})

    async def add_fault(self, request: web.Request) -> web.Response:
        vendors = [vendor.name for vendor in self._sandbox.vendors]
        self._sandbox.faults.add(parse_fault(await _body(request), vendors=vendors))
        return _json({"faults": self._sandbox.faults.to_json()}, status=201)

    async def clear_faults(self, request: web.Request) -> web.Response:
        self._sandbox.faults.clear()
        return web.Response(status=204)

    async def accept_keys(self, request: web.Request) -> web.Response:
        raw = await _body(request)
        self._vendor(raw.get("vendor")).accept_keys(_keys(raw.get("keys")))
        return web.Response(status=204)

    async def set_rates(self, request: web.Request) -> web.Response:
        raw = await _body(request)
        try:
            self._vendor(raw.get("vendor")).set_rates(_rates(raw.get("rates")))
        except KeyError as error:
            raise refused(f"rates: {error.args[0]}") from error
        return web.Response(status=204)

    async def received(self, request: web.Request) -> web.Response:
        return _json({vendor.name: self._taken(vendor, request) for vendor in self._sandbox.vendors})

    async def received_by(self, request: web.Request) -> web.Response:
        return _json(self._taken(self._vendor(request.match_info["vendor"]), request))

    async def forget(self, request: web.Request) -> web.Response:
        self._sandbox.reset()
        return web.Response(status=204)

    def _taken(self, vendor: Vendor, request: web.Request) -> dict[str, JSON]:
        requests: list[JSON] = [exchange.to_json() for exchange in self._sandbox.received.of(vendor.name)]
        forgotten = self._sandbox.received.forgotten
        return {"requests": requests, "forgotten": forgotten, **vendor.taken(request.query.get("identifier"))}

    def _vendor(self, name: JSON) -> Vendor:
        for vendor in self._sandbox.vendors:
            if vendor.name == name:
                return vendor
        raise refused(f"vendor: {name!r} is not one of {', '.join(vendor.name for vendor in self._sandbox.vendors)}")


def _said(handler: Handler) -> Handler:
    """Turn a refusal into its JSON."""

    async def handle(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except RequestRefused as error:
            return _json({"error": {"code": error.code, "message": error.message}}, status=error.status)

    return handle


def _json(value: JSON, *, status: int = 200) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(value), content_type="application/json")


async def _body(request: web.Request) -> dict[str, JSON]:
    try:
        parsed: JSON = orjson.loads(await request.read())
    except orjson.JSONDecodeError as error:
        raise refused(f"the body is not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise refused("the body is not a JSON object")
    return parsed


def _keys(raw: JSON) -> dict[str, Scopes]:
    """["a", {"key": "b", "scopes": ["events:write"]}]: a plain key may do everything."""
    if not isinstance(raw, list):
        raise refused("keys: an array is needed")
    return dict(_key(one) for one in raw)


def _key(raw: JSON) -> tuple[str, Scopes]:
    match raw:
        case str():
            return raw, None
        case {"key": str(key), "scopes": list(scopes), **rest} if not rest:
            return key, frozenset(str(scope) for scope in scopes)
    raise refused('keys: each is a string or {"key": …, "scopes": […]}')


def _rates(raw: JSON) -> Mapping[str, Rate] | None:
    """{"create_event": {"burst_per_s": 5, "steady_per_min": 60}}; {} is the real limits, null is none."""
    if raw is None:
        return None
    if not isinstance(raw, dict):
        raise refused("rates: an object or null is needed")
    return {name: _rate(name, one) for name, one in raw.items()}


def _rate(name: str, raw: JSON) -> Rate:
    match raw:
        case {"burst_per_s": int(burst), "steady_per_min": int(steady), **rest} if not rest:
            return Rate(burst, steady)
    raise refused(f'rates.{name}: {{"burst_per_s": n, "steady_per_min": n}} is needed')
