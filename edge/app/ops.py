"""The ops listener, never public: /healthz (alive), /readyz (can store and drain), /metrics."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import orjson
from aiohttp import web

from edge.app.report import Report

State = Callable[[], Mapping[str, Report | None]]


class OpsListener:
    """Shows the latest reports."""

    def __init__(self, state: State, own_metrics: Callable[[], str] = str) -> None:
        self._state, self._own_metrics = state, own_metrics
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> None:
        """Listen on a loopback address."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/healthz", self._healthz),
                web.get("/readyz", self._readyz),
                web.get("/metrics", self._metrics),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()

    @property
    def port(self) -> int:
        """The port in use."""
        assert self._runner is not None, "the listener has not started"
        port: int = self._runner.addresses[0][1]
        return port

    async def stop(self) -> None:
        """Close the listener."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        return _json(200, {"alive": True})

    async def _readyz(self, _: web.Request) -> web.Response:
        reports = self._state()
        is_ready = all(report is not None and report.is_ready for report in reports.values())
        parts = {role: _part(report) for role, report in reports.items()}
        return _json(200 if is_ready else 503, {"ready": is_ready, **parts})

    async def _metrics(self, _: web.Request) -> web.Response:
        texts = [report.metrics for report in self._state().values() if report is not None]
        return web.Response(
            body="".join([*texts, self._own_metrics()]).encode(), content_type="text/plain", charset="utf-8"
        )


def _part(report: Report | None) -> dict[str, Any]:
    if report is None:
        return {"ready": False, "detail": "no report in the last seconds"}
    shown = asdict(report)
    return {"ready": shown["is_ready"], "pid": shown["pid"], **shown["detail"]}


def _json(status: int, body: dict[str, Any]) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(body), content_type="application/json")
