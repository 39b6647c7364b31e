"""What is told: one message a state change, bounded reminders, nothing that piles up; and how it is written."""

import base64
import hashlib
import hmac
import json
import re
from itertools import product
from pathlib import Path

import pytest

from edge.alerting import Alerts, Key, Kind, Limits, Message, Reading, Remembered, body_of, headers_of
from edge.alerting.message import verb_of
from edge.secret import Secret
from tests.alert_world import WELL, Watched, drainer, pipeline
from tests.verbs import parsed

PAUSED = pipeline(is_paused=True)
AGE = Message(Key(Kind.QUEUE_AGE, "klaviyo"), True, 1_795_000_000_000, Reading(True, False, 5_432.16, 900.0))
SECRET = Secret("whsec_" + base64.b64encode(b"s" * 32).decode())


def test_state_change_is_told_once() -> None:
    watched = Watched()
    watched.see(PAUSED, 30)
    assert (watched.told(), watched.told()) == ([("raised", "paused", 0)], [])
    watched.see(WELL, 90)
    assert (watched.told(), watched.told()) == ([("cleared", "paused", 0)], [])


def test_the_message_of_a_pause_says_how_to_end_it() -> None:
    message = Message(Key(Kind.PAUSED, "klaviyo"), True, 1_795_000_000_000, Reading(True, False))
    said = "its credentials are refused, everything is kept; mend them, then restart (run `edge queue`)"
    assert json.loads(body_of(message, "shop"))["text"] == f"shop: pipeline klaviyo is paused: {said}"


def test_what_stays_is_told_again_five_times_at_most() -> None:
    watched = Watched(Limits(no_events_s=None), repeat_s=3_600)
    told = []
    for _ in range(24):
        watched.see(PAUSED, 3_600)
        told += watched.told()
    assert told == [("raised", "paused", number) for number in range(6)]
    watched.see(WELL, 3_600)
    assert watched.told() == [("cleared", "paused", 0)]


def test_receiver_that_was_away_hears_what_stands_and_nothing_of_what_passed() -> None:
    watched = Watched()
    for _ in range(100):
        watched.see(PAUSED, 30)
        watched.see(WELL, 90)
    assert watched.told() == []
    watched.see(PAUSED, 30)
    assert watched.told() == [("raised", "paused", 0)]


def test_nothing_is_kept_of_what_is_over_and_told() -> None:
    watched = Watched()
    for number in range(200):
        watched.see(drainer(file_problems={f"{number}.yaml": 1}), 30)
        watched.told()
    watched.see(WELL, 90)
    watched.told()
    assert (watched.alerts.raised, watched.alerts.to_remember, len(watched.alerts._standing)) == ([], [], 0)


def restarted(before: Watched, repeat_s: float | None = None) -> Watched:
    after = Watched(repeat_s=repeat_s)
    after.alerts = Alerts(before.alerts.to_remember, repeat_s=repeat_s, now_s=after.clock.monotonic_s())
    return after


def test_restart_tells_nothing_anew_and_the_end_of_what_was_told() -> None:
    before = Watched(repeat_s=3_600)
    for _ in range(4):
        before.see(PAUSED, 3_600)
        before.told()
    (known,) = before.alerts.to_remember
    assert (known.key, known.reminders) == (Key(Kind.PAUSED, "klaviyo"), 3)
    after = restarted(before, 3_600)
    after.see(PAUSED, 60)
    assert after.told() == []
    after.see(WELL, 90)
    assert after.told() == [("cleared", "paused", 0)]


def test_restart_tells_what_was_never_taken_and_cannot_be_seen_any_more() -> None:
    """The hour that letters are counted in begins anew with the process: without a memory nobody would ever hear."""
    before = Watched()
    before.see(WELL)
    before.see(pipeline(dead=25), 30)
    first = before.alerts.next_message(before.clock.monotonic_s())
    after = restarted(before)
    after.see(pipeline(dead=25), 5)
    again = after.alerts.next_message(after.clock.monotonic_s())
    assert first is not None and again is not None
    assert (again.id, again.key, again.is_raised) == (first.id, Key(Kind.DEAD_LETTERS, "klaviyo"), True)
    unseen = restarted(before).alerts.next_message(0.0)
    assert unseen is not None and (unseen.reading.value, unseen.reading.limit) == (25, 20)


def test_restart_tells_an_end_that_was_never_taken() -> None:
    before = Watched()
    before.see(PAUSED, 30)
    assert before.told() == [("raised", "paused", 0)]
    before.see(WELL, 90)
    after = restarted(before)
    assert (after.told(), after.told()) == ([("cleared", "paused", 0)], [])
    assert after.alerts.to_remember == []


def test_end_that_was_never_taken_is_superseded_by_a_new_beginning() -> None:
    watched = Watched()
    watched.see(PAUSED, 30)
    watched.told()
    watched.see(WELL, 90)
    watched.see(PAUSED, 30)
    assert watched.told() == []


def test_repeat_is_the_same_whatever_is_seen_meanwhile() -> None:
    watched = Watched()
    bodies = set()
    for age_s in (901.0, 2_000.0, 600.0):
        watched.see(pipeline(oldest_s=age_s), 15)
        message = watched.alerts.next_message(watched.clock.monotonic_s())
        assert message is not None
        bodies.add((message.id, body_of(message, "tea")))
    assert len(bodies) == 1


def test_what_is_remembered_does_not_change_with_every_figure() -> None:
    """Else a file would be written at every look for as long as the receiver is away."""
    watched = Watched()
    kept = []
    for age_s in (901.0, 905.0, 1_000.0, 2_000.0):
        watched.see(pipeline(oldest_s=age_s), 15)
        kept.append(watched.alerts.to_remember)
    (raised,) = kept[0]
    assert (raised.value, raised.limit) == (901.0, 900.0)
    assert kept == [[raised]] * 4


def test_message_that_is_not_taken_lets_others_go_first() -> None:
    watched = Watched()
    watched.see(pipeline(is_paused=True, oldest_s=901.0), 30)
    now_s = watched.clock.monotonic_s()
    first = watched.alerts.next_message(now_s)
    assert first is not None
    watched.alerts.put_off(first)
    second = watched.alerts.next_message(now_s)
    assert second is not None and second.key != first.key
    watched.alerts.tell(second, now_s)
    assert watched.alerts.next_message(now_s) == first


def test_restart_does_not_take_an_empty_hour_for_a_good_one() -> None:
    watched = Watched()
    told = [Remembered(Key(kind, about), 1) for kind, about in
            ((Kind.DEAD_LETTERS, "klaviyo"), (Kind.RESTARTS, "drainer"), (Kind.NO_EVENTS, ""))]  # fmt: skip
    watched.alerts = Alerts(told, repeat_s=None, now_s=watched.clock.monotonic_s())
    assert watched.see(WELL, 590) == []
    assert watched.see(WELL, 120) == [("cleared", "restarts", "drainer")]
    assert watched.see(WELL, 3_600) == [("cleared", "dead_letters", "klaviyo")]


def test_message_has_a_line_for_people_and_fields_for_machines() -> None:
    assert json.loads(body_of(AGE, "tea")) == {
        "type": "alert.raised",
        "timestamp": "2026-11-18T11:06:40.000Z",
        "text": "tea: pipeline klaviyo has events that wait for 1.5 h (run `edge queue`)",
        "data": {
            "alert": "queue_age",
            "state": "raised",
            "site": "tea",
            "about": "klaviyo",
            "since": "2026-11-18T11:06:40.000Z",
            "value": 5432.2,
            "limit": 900.0,
            "unit": "s",
            "run": "edge queue",
            "reminder": 0,
        },
    }


@pytest.mark.parametrize(("kind", "is_raised", "value"), list(product(Kind, (True, False), (None, 3.0))))
def test_every_message_can_be_written(kind: Kind, is_raised: bool, value: float | None) -> None:
    text = json.loads(body_of(Message(Key(kind, "it"), is_raised, 1, Reading(True, True, value)), "tea"))["text"]
    assert text.startswith("tea: ") and "{" not in text and "None" not in text


def test_names_call_nobody_in_a_chat() -> None:
    told = json.loads(body_of(Message(Key(Kind.PAUSED, "<!channel>&"), True, 1, Reading(True, False)), "<@U1>"))
    assert told["text"].startswith("&lt;@U1&gt;: pipeline &lt;!channel&gt;&amp; is paused")


@pytest.mark.parametrize("kind", Kind)
def test_message_says_which_verb_to_run_and_there_is_such_a_one(kind: Kind) -> None:
    message = Message(Key(kind, "tea & cups"), True, 1, Reading(True, False, 3.0))
    said = json.loads(body_of(message, "tea"))
    assert parsed(said["data"]["run"]).get("pipeline") in (None, "tea & cups")
    assert said["text"].endswith(f"(run `{said['data']['run']}`)".replace("&", "&amp;"))
    over = json.loads(body_of(Message(message.key, False, 1, message.reading), "tea"))
    assert over["data"]["run"] is None and "run `" not in over["text"]


def test_page_lists_every_alert_with_its_verb() -> None:
    page = (Path(__file__).parents[2] / "docs/operations.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| [^|]+ \| `(edge [^`]+)`[^|]* \|$", page, re.MULTILINE)
    assert rows == [(str(kind), verb_of(Key(kind, "NAME"))) for kind in Kind]


def test_headers_name_the_message_and_sign_it() -> None:
    body = body_of(AGE, "tea")
    headers = headers_of(AGE, body, 1_795_000_001_999, [SECRET])
    digest = hmac.new(b"s" * 32, f"{AGE.id}.1795000001.".encode() + body, hashlib.sha256).digest()
    assert headers == {
        "Content-Type": "application/json",
        "webhook-id": AGE.id,
        "webhook-timestamp": "1795000001",
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
    assert "webhook-signature" not in headers_of(AGE, body, 0, ())


def test_id_names_the_change_and_not_the_try() -> None:
    again = Message(AGE.key, True, AGE.since_ms, Reading(True, False, 9_000.0, 900.0))
    others = [
        Message(AGE.key, False, AGE.since_ms, AGE.reading),
        Message(AGE.key, True, AGE.since_ms + 1, AGE.reading),
        Message(AGE.key, True, AGE.since_ms, AGE.reading, 1),
        Message(Key(Kind.QUEUE_AGE, "archive"), True, AGE.since_ms, AGE.reading),
    ]
    assert again.id == AGE.id
    assert len({AGE.id, *(one.id for one in others)}) == 5
