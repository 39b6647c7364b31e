"""Every golden request is one that the fake Google Ads, written from Google's rules alone, takes without a remark."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from edge.clock import SystemClock
from edge.delivery import Delivered, Refused, Rejected, Response, Retry
from edge.sandbox import GoogleAds, start
from edge.transport import HttpTransport
from tests import conversations, golden_cases
from tests.google_ads_events import NOW_MS, ROBOT, account, payload, robot_credentials, robot_public_key, user
from tests.google_ads_requests import Api

FILES = sorted((golden_cases.GOLDEN / "google_ads").glob("*.yaml"))
CASES = [case for case in map(golden_cases.load_case, FILES) if case["becomes"].keys() & {"body", "requests"}]


def queued(number: int) -> Delivered:
    """Give what the fake says of the request with this number."""
    return Delivered(200, f"sandbox-request-{number}")


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["says"])
def test_fake_google_ads_takes_the_golden_request(api: Api, case: Any) -> None:
    request = golden_cases.request_of(case, golden_cases.pipeline_of(case))
    answer = api.google.answer(api.incoming(request.body, "/v1/events:ingest", headers=dict(request.headers)))
    assert (answer.status, answer.notes) == (200, ())
    [event] = orjson.loads(request.body)["events"]
    assert api.events() == [{"action": event["destinationReferences"][0], **event}]


@pytest.mark.parametrize("make", [account, user, lambda: account(robot_credentials())])
def test_every_credential_delivers_and_passes_the_probe(make: Any) -> None:
    api = Api(GoogleAds(service_accounts={ROBOT: robot_public_key()}))
    google = make()
    assert conversations.converse(google.deliver([payload()], NOW_MS), api.answer)[1] == [queued(1)]
    assert conversations.converse(google.probe(NOW_MS), api.answer)[1] == [Delivered(200)]
    assert len(api.events()) == 1


def test_wrong_credential_and_wrong_action_are_refused_by_the_probe() -> None:
    api = Api(GoogleAds(actions=["8"]))
    assert conversations.converse(account("wrong").probe(NOW_MS), api.answer)[1] == [
        Refused("401 UNAUTHENTICATED ACCESS_TOKEN_INVALID")
    ]
    assert conversations.converse(account(robot_credentials()).probe(NOW_MS), api.answer)[1] == [
        Refused("token: 400 invalid_grant")
    ]
    assert conversations.converse(account().probe(NOW_MS), api.answer)[1] == [
        Refused("400 INVALID_ARGUMENT INVALID_CONVERSION_ACTION_ID")
    ]


def test_bad_events_among_many_are_the_only_ones_that_die(api: Api) -> None:
    """A payload of an earlier version may hold what today's rendering would refuse."""
    payloads = [payload(properties={"transaction_id": f"o-{n}"}) for n in range(50)]
    for bad in (0, 7, 49):
        broken = orjson.loads(payloads[bad].body) | {"currency": "euro"}
        payloads[bad] = type(payloads[bad])(orjson.dumps(broken), payloads[bad].time_ms)
    asked, outcomes = conversations.converse(account().deliver(payloads, NOW_MS), api.answer)
    assert len(asked) == 2
    assert {place: outcome for place, outcome in enumerate(outcomes) if outcome != queued(1)} == dict.fromkeys(
        (0, 7, 49), Rejected("400 INVALID_CURRENCY_CODE at currency")
    )
    assert [event["transactionId"] for event in api.events()] == [f"o-{n}" for n in range(50) if n not in (0, 7, 49)]


def test_token_that_google_withdrew_costs_no_event(api: Api) -> None:
    google = user()
    for number in range(2):
        order = payload(properties={"transaction_id": f"o-{number}"})
        assert conversations.converse(google.deliver([order], NOW_MS), api.answer)[1] == [queued(number + 1)]
        api.google.oauth.revoke()
    assert len(api.events()) == 2


async def test_request_that_was_taken_before_its_answer_was_lost_counts_once() -> None:
    """Over real HTTP, the token too."""
    sandbox, transport = await start(clock=SystemClock()), HttpTransport(timeout_s=10.0)
    await transport.open()
    try:
        base = sandbox.base_url("google-ads")
        google = user(base_url=base, token_url=f"{base}/token")
        now_ms = SystemClock().now_ms()
        order = payload(time_ms=now_ms - 1_000)
        fault = {"vendor": "google-ads", "fault": "drop", "after_processing": True, "match": "eventTimestamp"}
        request = golden_cases.Request("POST", f"{sandbox.url}/control/faults", {}, orjson.dumps(fault))
        assert isinstance(await transport.send(request), Response)
        outcomes = [(await conversations.over(transport, google.deliver([order], now_ms)))[0] for _ in range(2)]
        assert outcomes == [Retry("the connection was reset"), queued(2)]
        taken = sandbox.sandbox.vendor("google-ads").taken()
        assert [len(taken[word]) for word in ("events", "ignored")] == [1, 1]  # type: ignore[arg-type]
    finally:
        await transport.close()
        await sandbox.close()


def test_destinations_bring_no_http_client_of_their_own() -> None:
    """google-auth only signs: its transports, and requests with them, are never imported."""
    barred = ("requests", "urllib3", "google.auth.transport.requests")
    told = f"import edge.destinations, sys; print([name for name in {barred!r} if name in sys.modules])"
    command, root = [sys.executable, "-c", told], Path(__file__).parents[2]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=root)
    assert run.stdout == "[]\n"
