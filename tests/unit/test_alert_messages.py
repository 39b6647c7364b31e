"""What is told: one message a state change, bounded reminders, nothing that piles up; and how it is written."""

import base64
import hashlib
import hmac
import json
from itertools import product

import pytest

from edge.alerting import Alerts, Key, Kind, Limits, Message, Reading, Remembered, body_of, headers_of, key_of_secret
from edge.alerting.message import signature_of
from edge.secret import Secret
from tests.alert_world import WELL, Watched, drainer, pipeline

PAUSED = pipeline(is_paused=True)
AGE = Message(Key(Kind.QUEUE_AGE, "klaviyo"), True, 1_795_000_000_000, Reading(True, False, 5_432.16, 900.0))
SECRET = Secret("whsec_" + base64.b64encode(b"s" * 32).decode())


def test_state_change_is_told_once() -> None:
    watched = Watched()
    watched.see(PAUSED, 30)
    assert (watched.told(), watched.told()) == ([("raised", "paused", 0)], [])
    watched.see(WELL, 90)
    assert (watched.told(), watched.told()) == ([("cleared", "paused", 0)], [])


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
    assert (watched.alerts.raised, watched.alerts.told, len(watched.alerts._standing)) == ([], [], 0)


def test_restart_tells_nothing_anew_and_the_end_of_what_was_told() -> None:
    before = Watched(repeat_s=3_600)
    for _ in range(4):
        before.see(PAUSED, 3_600)
        before.told()
    (known,) = before.alerts.told
    assert (known.key, known.reminders) == (Key(Kind.PAUSED, "klaviyo"), 3)
    after = Watched(repeat_s=3_600)
    after.alerts = Alerts([known], repeat_s=3_600, now_s=after.clock.monotonic_s())
    after.see(PAUSED, 60)
    assert after.told() == []
    after.see(WELL, 90)
    assert after.told() == [("cleared", "paused", 0)]


def test_restart_tells_what_was_never_taken() -> None:
    before = Watched()
    before.see(PAUSED, 60)
    assert before.alerts.told == []


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
        "text": "tea: pipeline klaviyo has events that wait for 1.5 h (see `edge queue`)",
        "data": {
            "alert": "queue_age",
            "state": "raised",
            "site": "tea",
            "about": "klaviyo",
            "since": "2026-11-18T11:06:40.000Z",
            "value": 5432.2,
            "limit": 900.0,
            "unit": "s",
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


def test_signature_is_the_one_that_standard_webhooks_describes() -> None:
    body = body_of(AGE, "tea")
    headers = headers_of(AGE, body, 1_795_000_001_999, SECRET)
    digest = hmac.new(b"s" * 32, f"{AGE.id}.1795000001.".encode() + body, hashlib.sha256).digest()
    assert headers == {
        "Content-Type": "application/json",
        "webhook-id": AGE.id,
        "webhook-timestamp": "1795000001",
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
    assert "webhook-signature" not in headers_of(AGE, body, 0, None)


def test_signature_of_the_specification_is_found() -> None:
    """Its own example: secret, id, moment and payload."""
    secret = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = signature_of("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}', secret)
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("text", ["plain", "whsec_", "whsec_c2hvcnQ=", "whsec_ü", "whsec_" + "A" * 200])
def test_secret_that_signs_badly_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="accepted is whsec_ and 24 to 64 bytes"):
        key_of_secret(text)


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
