"""What is sent to Segment, RudderStack and Jitsu is kept there, over HTTP, once each."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from edge.delivery import Delivered, Outcome, Payload, Refused, Rejected, Retry, Throttled, Unclear
from edge.destinations.segment import Segment
from edge.sandbox import Running, start
from edge.sandbox.faults import Fault
from edge.sandbox.segment import KEY
from edge.secret import Secret
from edge.transport import HttpTransport
from tests.clock import FakeClock
from tests.conversations import over
from tests.golden_cases import NOW_MS, pipeline_of, planned, sent_cases

CASES = list(sent_cases("segment"))
VENDORS = {"segment": "/v1", "rudderstack": "/v1", "jitsu": ""}


@pytest.fixture
async def sandbox() -> AsyncIterator[Running]:
    running = await start(clock=FakeClock(NOW_MS))
    yield running
    await running.close()


@pytest.fixture
async def transport() -> AsyncIterator[HttpTransport]:
    made = HttpTransport(timeout_s=5.0)
    await made.open()
    yield made
    await made.close()


def source_at(sandbox: Running, vendor: str, key: str = KEY) -> Segment:
    api = "jitsu" if vendor == "jitsu" else "segment"
    return Segment(Secret(key), sandbox.base_url(vendor) + VENDORS[vendor], api)


def payload_of(case: Any) -> Payload:
    return planned(case, pipeline_of(case)).payload  # type: ignore[union-attr]


async def deliver(source: Segment, payload: Payload, transport: HttpTransport) -> Outcome:
    [outcome] = await over(transport, source.deliver([payload], NOW_MS))
    return outcome


def taken(sandbox: Running, vendor: str) -> Any:
    return sandbox.sandbox.vendor(vendor).taken()


@pytest.mark.parametrize("vendor", VENDORS)
async def test_fake_platform_keeps_every_golden_message(
    sandbox: Running, transport: HttpTransport, vendor: str
) -> None:
    source = source_at(sandbox, vendor)
    for case in CASES:
        sandbox.sandbox.reset()
        assert await deliver(source, payload_of(case), transport) == Delivered(200), case["says"]
        kept = [{k: v for k, v in one.items() if k != "sentAt"} for one in taken(sandbox, vendor)["events"]]
        assert kept == case["becomes"]["requests"][0]["body"]["batch"]
        assert taken(sandbox, vendor)["ignored"] == []


@pytest.mark.parametrize("vendor", VENDORS)
async def test_answer_that_was_lost_leads_to_a_repeat_that_is_kept_once(
    sandbox: Running, transport: HttpTransport, vendor: str
) -> None:
    source, payload = source_at(sandbox, vendor), payload_of(CASES[0])
    sandbox.sandbox.faults.add(Fault(vendor, "drop", after_processing=True))
    assert isinstance(await deliver(source, payload, transport), Retry)
    assert await deliver(source, payload, transport) == Delivered(200)
    assert len(taken(sandbox, vendor)["events"]) == 1


async def test_wrong_key_pauses_where_the_platform_says_so(sandbox: Running, transport: HttpTransport) -> None:
    payload = payload_of(CASES[0])
    outcomes = [await deliver(source_at(sandbox, vendor, "other"), payload, transport) for vendor in VENDORS]
    assert outcomes == [Delivered(200), Refused("401"), Refused("401")]
    assert [one["reason"] for one in taken(sandbox, "segment")["ignored"]] == ["unknown write key"]
    gone = replace(source_at(sandbox, "rudderstack"), base_url=sandbox.base_url("rudderstack") + "/v9")
    assert await deliver(gone, payload, transport) == Refused("404")


async def test_rudderstack_keeps_all_but_the_bad_message_of_a_batch(sandbox: Running, transport: HttpTransport) -> None:
    good = [payload_of(case) for case in CASES[:6]]
    payloads = [*good[:3], Payload(b'[{"type":"track"}]', 0), *good[3:]]
    for number, payload in enumerate(payloads):
        payloads[number] = replace(payload, body=payload.body.replace(b'"e-1', b'"e-%d' % number))
    outcomes = await over(transport, source_at(sandbox, "rudderstack").deliver(payloads, NOW_MS))
    assert [type(one) for one in outcomes] == [*[Delivered] * 3, Rejected, *[Delivered] * 3]
    assert len({one["messageId"] for one in taken(sandbox, "rudderstack")["events"]}) >= 6


async def test_faults_are_read_as_what_they_are(sandbox: Running, transport: HttpTransport) -> None:
    source, payload = source_at(sandbox, "segment"), payload_of(CASES[0])
    for fault, outcome in (
        (Fault("segment", "status", status=503), Retry("503")),
        (Fault("segment", "status", status=403), Refused("403")),
        (Fault("segment", "rate_limit", retry_after_s=9), Throttled(9.0)),
        (Fault("segment", "truncate"), Retry("the answer was cut")),
    ):
        sandbox.sandbox.faults.add(fault)
        assert await deliver(source, payload, transport) == outcome
    sandbox.sandbox.faults.add(Fault("segment", "garbage"))
    assert isinstance(await deliver(source, payload, transport), Unclear)
