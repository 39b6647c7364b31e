"""docs/metrics.md and the registries say the same, both ways; names and labels keep to Prometheus' conventions."""

import re
from dataclasses import dataclass
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from edge.alerting import Kind
from edge.app.report import exposition
from edge.collector.write_keys import KEY_CODES
from edge.consent_platforms import MEANINGS
from edge.delivery import Fate, Outcome, Told, Undecided
from edge.ledger.receipts import Verdict
from edge.ledger.records import JournalFate
from edge.metrics import CollectorMetrics, DrainerMetrics, SupervisorMetrics
from edge.person import KINDS
from edge.server_wire import MESSAGE_CODES
from edge.vendor_ids.cookies import COOKIES
from tests.metric_docs import documented, undocumented

# A figure's unit ends its name; what has none is a state of its own.
UNITS = ("_seconds", "_bytes", "_total")
STATES = ("_paused", "_problems", "_cursor", "_ready", "_raised", "_erasing")
# The closed sets that code owns; where it has no such set, the running service of test_canaries.py is the judge.
OWNED = {
    ("edge_events_rejected_total", "code"): MESSAGE_CODES,
    ("edge_write_keys_refused_total", "result"): KEY_CODES,
    ("edge_vendor_cookies_unreadable_total", "cookie"): COOKIES,
    ("edge_events_resolved_total", "fate"): {fate.name.lower() for fate in JournalFate},
    ("edge_deliveries_settled_total", "fate"): set(Fate),
    ("edge_delivery_answers_total", "outcome"): {one.__name__.lower() for one in Outcome.__args__},
    ("edge_vendor_erasures_total", "outcome"): {one.__name__.lower() for one in Outcome.__args__},
    ("edge_events_told_later_total", "verdict"): Verdict.__args__,
    ("edge_inquiries_total", "outcome"): {one.__name__.lower() for one in (*Outcome.__args__, Told, Undecided)}
    - {"delivered"},
    ("edge_consent_unreadable_total", "platform"): set(MEANINGS),
    ("edge_identifiers_dropped_total", "kind"): set(KINDS),
    ("edge_identifiers_left_out_total", "kind"): set(KINDS),
    ("edge_alert_raised", "alert"): set(Kind),
}


@dataclass(frozen=True)
class Made:
    """A metric that our classes make."""

    type: str
    labels: frozenset[str]
    text: str


def families() -> dict[str, Made]:
    """Give every metric that our classes make, by the name that is scraped."""
    registry = CollectorRegistry()
    for make in (CollectorMetrics, DrainerMetrics, SupervisorMetrics):
        make(registry)
    return dict(map(described, registry._collector_to_names))


def described(collector: Any) -> tuple[str, Made]:
    """Read a metric; its labels, where it has no samples, are told by nothing but its own attribute."""
    (family,) = collector.collect()
    labels = collector._labelnames if hasattr(collector, "_labelnames") else collector.labels
    name = family.name + ("_total" if family.type == "counter" else "")
    return name, Made(family.type, frozenset(labels), family.documentation)


MADE = families()


def test_every_metric_is_documented_and_every_documented_one_exists():
    assert sorted(MADE) == sorted(documented())


@pytest.mark.parametrize("name", MADE)
def test_type_and_labels_are_as_documented(name):
    row = documented()[name]
    assert (MADE[name].type, MADE[name].labels) == (row.type, row.labels.keys())


@pytest.mark.parametrize("name", MADE)
def test_name_says_its_unit(name):
    assert re.fullmatch(r"edge_[a-z]+(_[a-z]+)*", name)
    assert name.endswith((*UNITS, *STATES)), name
    assert name.endswith("_total") == (MADE[name].type == "counter")
    assert MADE[name].text.endswith(".")


@pytest.mark.parametrize(("name", "label"), OWNED)
def test_closed_set_is_the_one_that_code_owns(name, label):
    assert documented()[name].labels[label] == {str(word) for word in OWNED[name, label]}


def test_labels_that_are_names_are_names_from_the_configuration():
    named = {label for row in documented().values() for label, words in row.labels.items() if words is None}
    assert named == {"source", "pipeline", "task", "file", "about", "reason"}


def test_what_the_page_does_not_say_is_found():
    """The gate that the running service's metrics go through can fail."""
    registry = CollectorRegistry()
    metrics = DrainerMetrics(registry)
    metrics.settled.add(1, "klaviyo", "delivered")
    assert undocumented(exposition(registry)) == []
    metrics.settled.add(1, "visitor@shop.example", "delivered")
    metrics.settled.add(1, "klaviyo", "lost")
    told = undocumented(exposition(registry) + "# TYPE edge_foreign gauge\nedge_foreign 1\n")
    assert told == [
        "edge_deliveries_settled_total: pipeline visitor@shop.example",
        "edge_deliveries_settled_total: fate lost",
        "edge_foreign (gauge)",
    ]
