"""When a person is to be told, and what is said: pure.

`vitals` is what processes report of themselves, `judging` holds that against limits, `standing` turns readings into one
message a state change, `message` writes and signs it.
"""

from edge.alerting.judging import Judge, Judgement, Key, Kind, Limits, Reading
from edge.alerting.message import Message, body_of, headers_of
from edge.alerting.standing import Alerts, Change, Remembered
from edge.alerting.vitals import CollectorVitals, DrainerVitals, PipelineVitals, Seen, find_vitals

__all__ = [
    "Alerts",
    "Change",
    "CollectorVitals",
    "DrainerVitals",
    "Judge",
    "Judgement",
    "Key",
    "Kind",
    "Limits",
    "Message",
    "PipelineVitals",
    "Reading",
    "Remembered",
    "Seen",
    "body_of",
    "find_vitals",
    "headers_of",
]
