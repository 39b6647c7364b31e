"""What the webhook sends is taken by the fake receiver, over HTTP, once each, whatever goes wrong on the way."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from edge.delivery import Delivered, Outcome, Payload, Refused, Rejected, Retry, Throttled
from edge.destinations.webhook import Webhook
from edge.sandbox import Running, start
from edge.sandbox.faults import Fault
from edge.sandbox.webhook import SECRET
from edge.secret import Secret
from edge.transport import HttpTransport
from tests.clock import FakeClock
from tests.conversations import over
from tests.golden_cases import NOW_MS, pipeline_of, planned, sent_cases

CASES = list(sent_cases("webhook"))


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


def hook_at(sandbox: Running, secret: str = SECRET) -> Webhook:
    return Webhook(sandbox.base_url("webhook") + "/in", (Secret(secret),), is_private_allowed=True)


def payload_of(case: Any) -> Payload:
    return planned(case, pipeline_of(case)).payload  # type: ignore[union-attr]


async def deliver(hook: Webhook, payload: Payload, transport: HttpTransport) -> Outcome:
    [outcome] = await over(transport, hook.deliver([payload], NOW_MS))
    return outcome


def events(sandbox: Running) -> Any:
    return sandbox.sandbox.vendor("webhook").taken()["events"]


def notes(sandbox: Running) -> list[str]:
    return [note.text for exchange in sandbox.sandbox.received for note in exchange.notes]


async def test_fake_receiver_takes_every_golden_request(sandbox: Running, transport: HttpTransport) -> None:
    hook = hook_at(sandbox)
    for case in CASES:
        sandbox.sandbox.reset()
        assert await deliver(hook, payload_of(case), transport) == Delivered(200), case["says"]
        assert (events(sandbox), notes(sandbox)) == ([case["becomes"]["requests"][0]["body"]], [])


async def test_answer_that_was_lost_leads_to_a_repeat_that_is_taken_once(
    sandbox: Running, transport: HttpTransport
) -> None:
    hook, payload = hook_at(sandbox), payload_of(CASES[0])
    sandbox.sandbox.faults.add(Fault("webhook", "drop", after_processing=True))
    assert isinstance(await deliver(hook, payload, transport), Retry)
    assert await deliver(hook, payload, transport) == Delivered(200)
    assert len(events(sandbox)) == 1


async def test_wrong_secret_pauses_and_an_old_one_beside_the_new_one_does_not(
    sandbox: Running, transport: HttpTransport
) -> None:
    wrong = hook_at(sandbox, "w" * 24)
    assert await deliver(wrong, payload_of(CASES[0]), transport) == Refused("401")
    both = replace(wrong, secrets=(*wrong.secrets, Secret(SECRET)))
    assert await deliver(both, payload_of(CASES[0]), transport) == Delivered(200)


async def test_faults_are_read_as_what_they_are(sandbox: Running, transport: HttpTransport) -> None:
    hook, payload = hook_at(sandbox), payload_of(CASES[0])
    for fault, outcome in (
        (Fault("webhook", "status", status=503), Retry("503")),
        (Fault("webhook", "status", status=410), Refused("410")),
        (Fault("webhook", "rate_limit", retry_after_s=9), Throttled(9.0)),
        (Fault("webhook", "drop"), Retry("the connection was reset")),
        (Fault("webhook", "truncate"), Retry("the answer was cut")),
    ):
        sandbox.sandbox.faults.add(fault)
        assert await deliver(hook, payload, transport) == outcome
    sandbox.sandbox.faults.add(Fault("webhook", "status", status=422))
    assert isinstance(await deliver(hook, payload, transport), Rejected)


async def test_receiver_on_this_machine_is_not_reached_where_the_file_does_not_allow_it(
    sandbox: Running, transport: HttpTransport
) -> None:
    hook = replace(hook_at(sandbox), is_private_allowed=False)
    assert await deliver(hook, payload_of(CASES[0]), transport) == Retry("the host has no public address")
    assert events(sandbox) == []
