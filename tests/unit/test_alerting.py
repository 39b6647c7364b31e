"""When alerts are raised and cleared: a table of states, limits with a gap between good and bad, a fake clock."""

from dataclasses import replace

import pytest

from edge.alerting import Key, Kind, Limits, Seen
from tests.alert_world import (
    GB,
    WELL,
    Watched,
    cleared,
    collector,
    died,
    drainer,
    pipeline,
    raised,
    unready,
)

# What is seen, whose limit it reaches, a state in between that changes nothing, and how long good takes to be believed.
CASES = {
    "paused": (pipeline(is_paused=True), Key(Kind.PAUSED, "klaviyo"), None, 65),
    "file": (drainer(file_problems={"a.yaml": 2}), Key(Kind.PIPELINE_FILE, "a.yaml"), None, 65),
    "queue age": (pipeline(oldest_s=900.0), Key(Kind.QUEUE_AGE, "klaviyo"), pipeline(oldest_s=600.0), 65),
    "lag": (drainer(resolver_lag_s=60.0), Key(Kind.RESOLVER_LAG), drainer(resolver_lag_s=31.0), 65),
    "spool": (collector(spool_bytes=16 * GB), Key(Kind.SPOOL), collector(spool_bytes=15 * GB), 65),
    "disk": (collector(free_bytes=2 * GB - 1), Key(Kind.DISK), collector(free_bytes=round(2.3 * GB)), 65),
    "watermark": (
        collector(free_bytes=12 * GB, free_limit_bytes=10 * GB),
        Key(Kind.DISK),
        collector(free_bytes=14 * GB, free_limit_bytes=10 * GB),
        65,
    ),
    "dead": (pipeline(dead=20), Key(Kind.DEAD_LETTERS, "klaviyo"), pipeline(dead=20), 3_700),
    "restarts": (died("drainer", 3), Key(Kind.RESTARTS, "drainer"), died("drainer", 3), 700),
    "not ready": (unready("collector"), Key(Kind.NOT_READY, "collector"), None, 65),
}
LEAST_S = {Kind.NOT_READY: 120}


@pytest.mark.parametrize(("bad", "key", "between", "good_s"), CASES.values(), ids=CASES)
def test_alert_is_raised_once_and_cleared_once(bad: Seen, key: Key, between: Seen | None, good_s: int) -> None:
    watched, after = Watched(), WELL
    if key.kind in (Kind.DEAD_LETTERS, Kind.RESTARTS):
        after = bad  # counts never go back: good is when they stand still
    assert watched.see(WELL, 60) == []
    assert watched.see(bad, LEAST_S.get(key.kind, 0) + 10) == [], "too early"
    assert watched.see(bad, 120) == raised(*key)
    if between is not None:
        assert watched.see(between, 300) == [], "what is neither good nor bad changes nothing"
    assert watched.see(after, good_s) == cleared(*key)
    assert watched.see(after, 7_200) == []


@pytest.mark.parametrize(("bad", "key", "between"), [case[:3] for case in CASES.values()], ids=CASES)
def test_state_in_between_raises_nothing(bad: Seen, key: Key, between: Seen | None) -> None:
    if between is not None and between != bad:
        assert Watched().see(between, 600) == []


@pytest.mark.parametrize(("bad", "key"), [case[:2] for case in CASES.values()], ids=CASES)
def test_limit_that_is_null_is_never_judged(bad: Seen, key: Key) -> None:
    watched = Watched(Limits(*[None] * len(Limits.__dataclass_fields__)))
    watched.see(WELL)
    always = {Kind.PAUSED, Kind.PIPELINE_FILE}
    assert watched.see(bad, 86_400) == (raised(*key) if key.kind in always else [])


def test_blinking_raises_nothing_and_clears_nothing() -> None:
    watched, bad = Watched(), pipeline(is_paused=True)
    for _ in range(50):
        assert watched.see(bad, 5) + watched.see(WELL, 5) == []
    watched.see(bad, 30)
    for _ in range(50):
        assert watched.see(WELL, 55) + watched.see(bad, 5) == []


def test_no_events_counts_from_the_last_one_and_ends_only_with_another() -> None:
    watched = Watched()
    watched.see(collector(last_seq=7), 3_600)
    watched.see(collector(last_seq=8), 6 * 3_600)
    assert watched.changes == []
    assert watched.see(collector(last_seq=8), 60) == raised(Kind.NO_EVENTS)
    assert watched.see(collector(last_seq=8), 3_600) == []
    assert watched.see(collector(last_seq=9), 65) == cleared(Kind.NO_EVENTS)


def test_no_events_are_missed_also_while_the_collector_does_not_tell() -> None:
    watched = Watched(Limits(not_ready_s=None))
    assert watched.see(replace(WELL, collector=None), 6 * 3_600 + 60) == raised(Kind.NO_EVENTS)


def test_drainer_that_runs_alone_misses_no_events() -> None:
    watched = Watched()
    alone = replace(WELL, collector=None, is_ready={"drainer": True}, deaths={})
    assert watched.see(alone, 7 * 3_600) == []
    assert watched.see(replace(alone, is_ready={"drainer": False}), 180) == raised(Kind.NOT_READY, "drainer")


def test_what_nobody_tells_of_stays_as_it_was() -> None:
    watched = Watched(Limits(not_ready_s=None, no_events_s=None))
    watched.see(pipeline(is_paused=True), 60)
    assert watched.see(replace(WELL, drainer=None), 86_400) == []
    assert watched.alerts.raised == [Key(Kind.PAUSED, "klaviyo")]


def test_pipeline_that_is_gone_is_no_trouble_any_more() -> None:
    watched = Watched()
    watched.see(pipeline(is_paused=True), 60)
    assert watched.see(drainer(pipelines={}), 65) == cleared(Kind.PAUSED, "klaviyo")


def test_dead_letters_count_within_an_hour_and_replayed_ones_take_none_away() -> None:
    watched = Watched()
    assert [watched.see(pipeline(dead=count), 3_000) for count in (1_000, 1_009, 1_018, 1_027)] == [[]] * 4
    watched.see(pipeline(dead=1_036), 600)
    assert watched.see(pipeline(dead=0), 30) == [], "replayed"
    assert watched.see(pipeline(dead=12), 30) == raised(Kind.DEAD_LETTERS, "klaviyo")


def test_deaths_long_ago_are_forgotten() -> None:
    watched = Watched()
    for deaths in range(20):
        assert watched.see(died("drainer", deaths), 305) == []
