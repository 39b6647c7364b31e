"""Who stays behind when somebody withdraws at the last moment."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry

from edge.budget import Budget
from edge.consent import ALL_PURPOSES, Purpose
from edge.delivery import Fate
from edge.drainer import Sender
from edge.drainer.health import Health
from edge.drainer.jobs import Job
from edge.metrics import DrainerMetrics
from edge.pipeline import compile_pipeline
from tests.backroom import ENVIRON, PIPELINE, ScriptedTransport
from tests.clock import FakeClock
from tests.klaviyo_events import event

LESS = Purpose.ADVERTISING


def sender_to(transport: ScriptedTransport) -> Sender:
    """Send for a pipeline that does without the one purpose that the first visitor denies."""
    pipeline, clock = compile_pipeline(PIPELINE, "klaviyo.yaml", ENVIRON), FakeClock()
    assert not pipeline.purposes & LESS

    async def pause(seconds: float) -> None:
        clock.advance(seconds)

    def denied(visitor: int, _persons: Iterable[int], _asks: Purpose) -> Purpose:
        return LESS if visitor == 1 else Purpose.NONE

    return Sender(
        pipeline,
        transport=transport,
        budget=Budget(pipeline.destination.rate),
        health=Health(lambda low, high: high),
        clock=clock,
        wall=clock,
        uniform=lambda low, high: high,
        pause=pause,
        denied=denied,
        metrics=DrainerMetrics(CollectorRegistry()),
        concurrency=8,
    )


async def test_what_follows_an_event_that_may_only_say_less_by_now_does_not_overtake_it() -> None:
    transport = ScriptedTransport()
    jobs = [
        Job(1, 1, event(1), 0, told=ALL_PURPOSES & ~LESS),
        Job(2, 1, event(2), 0, told=ALL_PURPOSES),
        Job(3, 1, event(3), 0, told=ALL_PURPOSES & ~LESS),
        Job(4, 2, event(4), 0, told=ALL_PURPOSES),
    ]
    settled = await sender_to(transport).send(jobs, is_backlog=True)
    assert {one.seq: one.fate for one in settled} == {
        1: Fate.DELIVERED,
        2: Fate.WAITING,
        3: Fate.WAITING,
        4: Fate.DELIVERED,
    }
    assert len(transport.requests) == 1
