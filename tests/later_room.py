"""A pipeline to Google Ads over real HTTP, in front of a fake that judges conversions after it has taken them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from edge.delivery import Request, Response
from edge.drainer import Inquirer
from edge.event import Event
from edge.ledger import LedgerView, ReceiptLedger
from edge.ledger.receipts import Afterwards
from edge.pipeline import Pipeline
from edge.sandbox import GoogleAds, Running, start
from edge.sandbox.faults import parse_fault
from edge.transport import HttpTransport
from tests.backroom import ENVIRON
from tests.folder_room import FolderRoom

PIPELINE = """
name: {name}
integration: google-ads
parameters:
  credentials: "${{KEY}}"
  customer_id: "1234567890"
  conversion_action: "7"
  base_url: "{base_url}"
  validate_only: {validates}
global: {{profile: {{gclid: {{source: properties.gclid}}}}}}
events: {{purchase: {{properties: {{transaction_id: {{source: properties.transaction_id}}}}}}}}
"""
HOUR_S, DAY_S = 3_600.0, 86_400.0
FIRST_S, UNTIL_S = HOUR_S / 2, 3 * DAY_S


class Wire:
    """A transport that may let the process end once a request was answered."""

    def __init__(self, transport: HttpTransport) -> None:
        self._transport = transport
        self.dies: BaseException | None = None

    async def send(self, request: Request) -> Response:
        response = await self._transport.send(request)
        if self.dies is not None:
            died, self.dies = self.dies, None
            raise died
        return response


class LaterRoom:
    """Made by `later_room`; `restart` forgets everything that is only in memory, the vendor goes on."""

    def __init__(self, files: FolderRoom, running: Running, wire: Wire) -> None:
        self.files, self.running, self.wire = files, running, wire
        self.room, self.clock = files.room, files.room.clock
        self._is_closed = False

    async def start(self, text: str) -> None:
        """Begin with one pipeline."""
        (self.files.folder / "klaviyo.yaml").unlink()
        self.files.write("google-ads", text)
        await self.restart()

    async def close_files(self) -> None:
        """End what uses the files; the vendor goes on."""
        if not self._is_closed:
            self._is_closed = True
            await self.files.close()

    async def restart(self) -> None:
        await self.files.restart()
        self.inquirer = self.make_inquirer(ReceiptLedger(self.room.database))

    def make_inquirer(self, ledger: ReceiptLedger, pipelines: Sequence[Pipeline] | None = None) -> Inquirer:
        return Inquirer(
            ledger,
            pipelines=lambda: self.files.lanes.pipelines if pipelines is None else pipelines,
            transport=self.wire,
            clock=self.clock,
            wall=self.clock,
            uniform=lambda low, high: high,
            pause=self.room.pause,
            metrics=self.files.metrics,
        )

    def text(self, *, name: str = "google_ads", validates: bool = False) -> str:
        """Give the pipeline's file."""
        base_url = self.running.base_url("google-ads")
        return PIPELINE.format(name=name, base_url=base_url, validates=str(validates).lower())

    async def buy(self, *orders: str, click: str = "good") -> list[Event]:
        """Let somebody buy, each order by another visitor, and deliver all in one conversation."""
        told = [{"transaction_id": order, "gclid": click} for order in orders]
        events = [await self.room.store(n, "purchase", properties=one) for n, one in enumerate(told, 1)]
        await self.files.work()
        return events

    async def inquire(self) -> int:
        """Ask until nothing is due; give how often."""
        asked = 0
        while await self.inquirer.step():
            asked += 1
        return asked

    def break_it(self, **fault: Any) -> None:
        """Tell the vendor what to do wrong with the next request."""
        self.running.sandbox.faults.add(parse_fault({"vendor": "google-ads", **fault}, vendors=["google-ads"]))

    def counted(self, verdict: str, reason: str = "", pipeline: str = "google_ads") -> float | None:
        """Give the metric of what was told."""
        labels = {"pipeline": pipeline, "verdict": verdict, "reason": reason}
        return self.files.counted("edge_events_told_later_total", **labels)

    async def afterwards(self, pipeline: str = "google_ads") -> Afterwards:
        """Give what the ledger has of the last seven days, as `edge queue` asks."""
        view = await LedgerView.open(self.room.folder / "ledger.db")
        try:
            return (await view.told_later(self.clock.now_ms() - 7 * 86_400_000)).get(pipeline, Afterwards())
        finally:
            await view.close()


@asynccontextmanager
async def later_room(folder: Path, *, validates: bool = False, **vendor: Any) -> AsyncIterator[LaterRoom]:
    """Open everything, with a fake of these settings on a free port; everything is closed again."""
    files = await FolderRoom.open(folder)
    google = GoogleAds(keys=[ENVIRON["KEY"]], **vendor)
    running = await start(clock=files.room.clock, vendors=(google,))
    transport = HttpTransport(timeout_s=5.0)
    await transport.open()
    files.room.transport = wire = Wire(transport)  # type: ignore[assignment]
    room = LaterRoom(files, running, wire)
    await room.start(room.text(validates=validates))
    try:
        yield room
    finally:
        running.sandbox.faults.clear()
        await room.close_files()
        await transport.close()
        await running.close()
