"""The shipped dashboard and rules: every expression can be read, and names metrics and labels that there are."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.metric_docs import documented
from tests.promql import Malformed, Named, named_in
from tests.verbs import parsed

FOLDER = Path(__file__).parents[2] / "docs/monitoring"
RULES_FILE = FOLDER / "prometheus-rules.yaml"
RULES = [rule for group in yaml.safe_load(RULES_FILE.read_text())["groups"] for rule in group["rules"]]
DASHBOARD = json.loads((FOLDER / "grafana-dashboard.json").read_text())
TARGETS = [(panel, target) for panel in DASHBOARD["panels"] for target in panel["targets"]]
EXPRESSIONS = [rule["expr"] for rule in RULES] + [target["expr"] for _, target in TARGETS]
METRICS = documented()


def complaints(text: str) -> list[str]:
    """Say what an expression names that there is not."""
    try:
        named = named_in(text)
    except Malformed as error:
        return [str(error)]
    unknown = [name for name in named.metrics if name not in METRICS]
    if unknown:
        return [f"no metric {name}" for name in unknown]
    labels = {label for name in named.metrics for label in METRICS[name].labels}
    found = [f"no label {label}" for label in sorted(named.groups - labels)]
    return found + [one for name, matchers in named.metrics.items() for one in _matched(name, matchers)]


def _matched(name: str, matchers: set[tuple[str, str, str]]) -> list[str]:
    labels, found = METRICS[name].labels, []
    for label, sign, value in sorted(matchers):
        words = labels.get(label)
        wanted = value.split("|") if "~" in sign else [value]
        if label not in labels:
            found.append(f"{name}: no label {label}")
        elif words is not None:
            found += [f"{name}: {label} is never {one}" for one in wanted if one not in words]
    return found


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_expression_names_what_there_is(text: str) -> None:
    assert complaints(text) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("edge_nothing", ["no metric edge_nothing"]),
        ("sum by (visitor) (edge_process_ready)", ["no label visitor"]),
        ('edge_process_ready{pipeline="a"}', ["edge_process_ready: no label pipeline"]),
        (
            'rate(edge_deliveries_settled_total{fate=~"dead|lost"}[5m])',
            ["edge_deliveries_settled_total: fate is never lost"],
        ),
    ],
)
def test_what_there_is_not_is_found(text: str, said: list[str]) -> None:
    assert complaints(text) == said


@pytest.mark.parametrize(
    "text",
    [
        "", "sum(", "sum(a))", "a b", "rate(a)", "rate(a[5])", "a[5m]", "a >", "> 1", "a{b}", "a{b=c}", 'a{b="c"',
        "sum by fate (a)", "a ? b", "increase(sum(a)[5m])", "and", "a == == b", "5m",
    ],
)  # fmt: skip
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        named_in(text)


def test_everything_that_is_named_is_found() -> None:
    text = (
        'sum by (pipeline) (rate(a{x="1", y=~"b|c"}[5m])) / on (pipeline) group_left (z) -b > bool 0.5 or vector(2e9)'
    )
    assert named_in(text) == Named({"a": {("x", "=", "1"), ("y", "=~", "b|c")}, "b": set()}, {"pipeline"})


def test_rules_are_named_once_and_say_what_to_do() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"Edge[A-Z][A-Za-z]+", name) for name in names)
    for rule in RULES:
        assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"].keys() == {"summary"}
        assert re.fullmatch(r"[0-9]+[mh]", rule.get("for", "1m"))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_summary_shows_only_labels_that_its_metric_has(rule: dict[str, object]) -> None:
    shown = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
    assert shown <= {label for name in named_in(str(rule["expr"])).metrics for label in METRICS[name].labels}


@pytest.mark.parametrize(("panel", "target"), TARGETS, ids=lambda one: str(one.get("title", one.get("refId"))))
def test_legend_shows_only_labels_that_its_expression_leaves(panel: dict[str, object], target: dict[str, str]) -> None:
    shown, named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])), named_in(target["expr"])
    labels = {label for name in named.metrics for label in METRICS[name].labels}
    assert shown <= (named.groups if "sum" in target["expr"] else labels)


def test_panels_overlap_nowhere_and_ask_the_source_that_is_chosen() -> None:
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    cells: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        own = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not own & cells and all(x < 24 for x, _ in own), panel["title"]
        cells |= own
        assert panel["datasource"]["uid"] == "${datasource}"


def test_verbs_that_summaries_name_are_there() -> None:
    named = re.findall(r"`(edge [^`]+)`", " ".join(str(rule["annotations"]) for rule in RULES))
    assert len(named) > 3
    for command in named:
        parsed(command)


def test_rules_can_be_loaded() -> None:
    """By our own reader, and by Prometheus' tool where that is installed."""
    assert [one for rule in RULES for one in complaints(rule["expr"])] == []
    if tool := shutil.which("promtool"):
        told = subprocess.run([tool, "check", "rules", str(RULES_FILE)], capture_output=True, text=True, check=False)
        assert told.returncode == 0, told.stdout + told.stderr
