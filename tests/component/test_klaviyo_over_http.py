"""Jobs over real HTTP to a sandbox that goes wrong after it took them."""

from typing import Any

import pytest

from edge.sandbox import Klaviyo, start
from edge.sandbox.faults import Fault
from edge.transport import HttpTransport
from tests.backroom import PIPELINE, Backroom
from tests.clock import FakeClock

PARAMETERS = 'parameters: {private_api_key: "${KEY}", base_url: "http://klaviyo.test"'


async def deliver(folder: Any, *faults: Fault) -> tuple[list[str], list[str], dict[str, int]]:
    """Let three visitors' events go to a sandbox with faults; give their ids, what it recorded, and their fates."""
    klaviyo = Klaviyo(keys=("a-key",), rates=None)
    running = await start(clock=FakeClock(), vendors=(klaviyo,))
    transport = HttpTransport(timeout_s=2.0)
    await transport.open()
    address = f'{PARAMETERS[: PARAMETERS.index("http")]}{running.base_url("klaviyo")}", endpoint: bulk_create_events'
    room = await Backroom.open(folder, pipeline=PIPELINE.replace(PARAMETERS, address), starts_lane=False)
    room.transport = transport
    await room.restart()
    for fault in faults:
        running.sandbox.faults.add(fault)
    try:
        for visitor in (1, 2, 3):
            await room.identify(visitor, email=f"v{visitor}@shop.example")
        ids = [(await room.store(visitor, "view_item")).id for visitor in (1, 2, 3)]
        for _ in range(3):
            await room.work()
            room.clock.advance(10)
        events: Any = klaviyo.taken()["events"]
        return sorted(ids), sorted(one["unique_id"] for one in events), await room.tally()
    finally:
        await room.close()
        await transport.close()
        await running.close()


@pytest.mark.parametrize(
    "fault",
    [
        Fault("klaviyo", "drop", after_processing=True),
        Fault("klaviyo", "drop"),
        Fault("klaviyo", "truncate", after_processing=True),
        Fault("klaviyo", "hang", after_processing=True, wait_s=2.5),
        Fault("klaviyo", "status", status=503, after_processing=True),
        Fault("klaviyo", "status", status=524),
        Fault("klaviyo", "garbage", after_processing=True, body=b"<html>"),
        Fault("klaviyo", "rate_limit", retry_after_s=3),
    ],
    ids=lambda fault: f"{fault.kind}{'-after' * fault.after_processing}-{fault.status}",
)
async def test_every_event_of_a_job_that_went_wrong_is_recorded_once(tmp_path: Any, fault: Fault) -> None:
    ids, recorded, tally = await deliver(tmp_path, fault)
    assert (recorded, tally) == (ids, {"delivered": 3, "unmapped": 3})
