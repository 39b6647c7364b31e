"""Pipeline files: what they may say, and what is said when they are wrong."""

import hashlib
from pathlib import Path

import pytest

from edge.consent import Purpose
from edge.destinations import BUILTIN
from edge.destinations.klaviyo import Klaviyo
from edge.errors import ConfigErrors, Problem
from edge.person import Identifiers
from edge.pipeline import SkippedBy, load_pipelines, plan
from tests.pipeline_files import ENVIRON, MINIMAL, compiled, event, problems_of

USER = Identifiers(email="user@shop.example")


def test_defaults_of_a_file_that_says_little() -> None:
    pipeline = compiled(MINIMAL)
    assert (pipeline.name, pipeline.file, pipeline.integration) == ("k", "p.yaml", "klaviyo-events-api")
    assert (pipeline.is_enabled, pipeline.anonymous, pipeline.purposes) == (True, "hold", Purpose.MARKETING)
    assert (pipeline.hold_for_s, pipeline.fresh_for_s, pipeline.max_age_s) == (1_209_600.0, 14_400.0, 259_200.0)
    assert pipeline.destination == Klaviyo(pipeline.destination.private_api_key)  # type: ignore[attr-defined]


def test_every_top_level_key_is_heard() -> None:
    text = (
        MINIMAL + "enabled: false\nconsent: [analytics, marketing]\nanonymous: drop\nhold_for: 2d\nfresh_for: 30min\n"
    )
    pipeline = compiled(text + "max_age: 1h\n")
    assert (pipeline.is_enabled, pipeline.anonymous) == (False, "drop")
    assert pipeline.purposes == Purpose.ANALYTICS | Purpose.MARKETING
    assert (pipeline.hold_for_s, pipeline.fresh_for_s, pipeline.max_age_s) == (172_800.0, 1_800.0, 3_600.0)
    assert plan(pipeline, event("search"), USER) == SkippedBy("the pipeline is disabled")


def test_hash_is_that_of_the_bytes() -> None:
    assert compiled(MINIMAL).hash == hashlib.sha256(MINIMAL.encode()).hexdigest()[:16]
    assert compiled(MINIMAL).hash != compiled(MINIMAL + "# more\n").hash


def test_what_is_wrong_is_said_all_at_once() -> None:
    text = """
nam: k
integration: klaviyo-event-api
parameters: {private_api_key: "${KLAVIYO_PRIVATE_API_KEY}"}
consent: [marketing, mails]
anonymous: keep
hold_for: 14
event:
  search: {metric: Searched Site}
"""
    assert problems_of(text) == [
        "p.yaml:2:1: nam: unknown key (did you mean name?); "
        "accepted here: name, integration, enabled, parameters, global, consent, anonymous, hold_for, fresh_for, "
        "max_age, events",
        f"p.yaml:3:14: integration: 'klaviyo-event-api' is not one of {', '.join(BUILTIN)} "
        "(did you mean klaviyo-events-api?)",
        "p.yaml:5:22: consent[1]: 'mails' is not a purpose; accepted are functional, analytics, marketing, advertising",
        "p.yaml:6:12: anonymous: 'keep' is not one of hold, send, drop",
        "p.yaml:7:11: hold_for: '14' is not a duration; accepted is a number with its unit (ms, s, min, h or d), "
        "such as 500ms, 90s, 15min, 4h or 14d",
        "p.yaml:8:1: event: unknown key (did you mean events?); "
        "accepted here: name, integration, enabled, parameters, global, consent, anonymous, hold_for, fresh_for, "
        "max_age, events",
    ]


def test_what_is_wrong_with_an_event_is_said_all_at_once() -> None:
    text = MINIMAL.replace(
        "{search: {metric: Searched Site, properties: {Term: {source: properties.search_term}}}}",
        """
  begin_checkout: {metric: A}
  started_checkout: {metric: B, event_name: C}
  search:
    metrics: D
    lane: fast
    when: "properties.value >"
    properties: {Term: {mode: arraymap}}
""",
    )
    assert problems_of(text) == [
        "p.yaml:8:3: events.started_checkout: is the same event as another one here; "
        "accepted is one entry for started_checkout",
        "p.yaml:8:45: events.started_checkout.event_name: says the same as metric; accepted is one of the two",
        "p.yaml:10:5: events.search.metrics: unknown key (did you mean metric?); "
        "accepted here: metric, event_name, properties, lane, when, ordered_product, subscribe",
        "p.yaml:11:11: events.search.lane: 'fast' is not one of live, background",
        "p.yaml:12:11: events.search.when: 'properties.value >' is not a JMESPath expression: "
        "it ends too early; accepted is one such as properties.value > `0`",
        "p.yaml:13:31: events.search.properties.Term.mode: 'arraymap' is not one of direct, static, first_of, "
        "template, value_map, array_map, count, sum, join, expression (did you mean array_map?)",
    ]


@pytest.mark.parametrize(
    ("when", "what"),
    [
        ("nosuch(name)", "calls a function that does not exist; accepted are those of JMESPath"),
        ("length(name, id)", "gives length 2 values; accepted for length are 1"),
        ("a ==", "is not a JMESPath expression: it ends too early; accepted is one such as properties.value > `0`"),
        ("a b", "is not a JMESPath expression from its character 3 on; accepted is one such as properties.value > `0`"),
    ],
)
def test_condition_is_tried_when_the_file_is_read(when: str, what: str) -> None:
    problems = problems_of(MINIMAL.replace("metric:", f'when: "{when}", metric:'))
    assert problems == [f"p.yaml:6:25: events.search.when: '{when}' {what}"]


def test_purposes_cannot_be_emptied_by_a_slip() -> None:
    assert problems_of(MINIMAL + "consent: []\n") == [
        "p.yaml:7:10: consent: names no purpose; accepted are functional, analytics, marketing, advertising"
    ]


@pytest.mark.parametrize("name", ["' k'", '"a\\tb"', "k" * 101])
def test_name_that_cannot_stand_in_a_list_is_refused(name: str) -> None:
    [problem] = problems_of(MINIMAL.replace("name: k", f"name: {name}"))
    assert problem.endswith("is not a name; accepted are 1 to 100 printable characters")


def test_directory_is_loaded_in_the_order_of_its_names(tmp_path: Path) -> None:
    for file, name in (("b.yaml", "b"), ("a.yml", "a"), (".c.yaml", "c"), ("d.yaml~", "d"), ("notes.txt", "n")):
        (tmp_path / file).write_text(MINIMAL.replace("name: k", f"name: {name}"))
    assert [pipeline.name for pipeline in load_pipelines(tmp_path, ENVIRON)] == ["a", "b"]


def test_problems_of_all_files_come_together_and_names_are_used_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(MINIMAL)
    (tmp_path / "b.yaml").write_text(MINIMAL)
    (tmp_path / "c.yaml").write_text(MINIMAL + "enabld: true\n")
    (tmp_path / "d.yaml").write_bytes(b"name: \xff")
    with pytest.raises(ConfigErrors) as caught:
        load_pipelines(tmp_path, ENVIRON)
    first, *others = caught.value.problems
    what = f"'k' is also the name in {tmp_path / 'a.yaml'}:2; accepted is a name that no other pipeline has"
    assert first == Problem(str(tmp_path / "b.yaml"), 2, "name", what, 7)
    assert [(Path(problem.file).name, problem.line, problem.column, problem.path) for problem in others] == [
        ("c.yaml", 7, 1, "enabld"),
        ("d.yaml", 1, 7, ""),
    ]


def test_directory_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors, match="is not a directory"):
        load_pipelines(tmp_path / "none", ENVIRON)


def test_shipped_pipelines_load() -> None:
    shipped = Path(__file__).parents[2] / "pipelines"
    names = [pipeline.name for pipeline in load_pipelines(shipped, ENVIRON)]
    assert "klaviyo_events" in names


def test_every_destination_is_found_by_its_own_word() -> None:
    assert {word: destination.integration for word, destination in BUILTIN.items()} == {word: word for word in BUILTIN}


def test_a_disabled_file_needs_none_of_the_variables_of_its_parameters() -> None:
    unset = MINIMAL.replace("KLAVIYO_PRIVATE_API_KEY", "NOT_SET_ANYWHERE") + "enabled: ${NOT_SET:-false}\n"
    assert not compiled(unset).is_enabled
    assert problems_of(unset.replace(":-false", ":-true"))[0].split(": ")[1] == "parameters.private_api_key"


def test_a_disabled_file_is_refused_for_everything_else() -> None:
    text = MINIMAL.replace("name: k", "name: ${NOT_SET}") + "enabled: false\nhold_for: 14\n"
    assert [problem.split(": ")[1] for problem in problems_of(text)] == ["name", "hold_for"]
    assert [problem.split(": ")[1] for problem in problems_of(MINIMAL + "enabled: ${NOT_SET}\n")] == ["enabled"]
