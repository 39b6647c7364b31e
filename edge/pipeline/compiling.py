"""From a file's text to a pipeline; what is wrong is collected, with its place."""

import hashlib
from collections.abc import Iterable, Iterator
from collections.abc import Mapping as Tree

from edge.consent import PURPOSE_NAMES, purposes
from edge.destinations import BUILTIN, read_integration
from edge.destinations.base import Anonymous, Destination, EventKey, Feature, event_keys_of
from edge.errors import Problem
from edge.event import ALIASES
from edge.mapping import Expression, Mapping, compile_expression, compile_mapping, read_by
from edge.pipeline.compiled import ROOTS, EventPlan, Lane, Pipeline
from edge.pipeline.leaving_out import left_out
from edge.settings import Problems, Reader
from edge.yamlfile import load_yaml

ANONYMOUS: tuple[Anonymous, ...] = ("hold", "send", "drop")
LANES: tuple[Lane, ...] = ("live", "background")
DURATIONS_S = {"hold_for": 14 * 86_400.0, "fresh_for": 4 * 3_600.0, "max_age": 72 * 3_600.0}
MAX_NAME_CHARS = 100


def compile_pipeline(text: str, file: str, environ: Tree[str, str]) -> Pipeline:
    """Compile one file's text.

    Raises:
        ConfigErrors: with every problem of the file.
    """
    problems = Problems(file)
    reader = Reader(load_yaml(text, file, environ, problems), "", problems)
    name = reader.parsed("name", _name, "") or reader.text("name")
    found = read_integration(reader)
    is_enabled = reader.boolean("enabled", True)
    parameters, overall = reader.section("parameters"), reader.section("global")
    destination = found.from_reader(parameters) if found else None
    consent = reader.parsed_list("consent", _purpose, tuple(found.purposes) if found else ("functional",))
    if not consent:
        reader.refuse("consent", f"names no purpose; accepted are {', '.join(PURPOSE_NAMES)}")
    anonymous: Anonymous = reader.choice("anonymous", ANONYMOUS, found.anonymous if found else "hold")
    durations_s = {**DURATIONS_S, "max_age": default_max_age_s(found)}
    hold_for_s, fresh_for_s, max_age_s = [reader.duration_s(key, default) for key, default in durations_s.items()]
    profile = compile_mapping(overall.section("profile"), ROOTS)
    listed = reader.section("events")
    events = _events(listed, _event_keys([found] if found else BUILTIN.values()))
    if not events:
        reader.refuse("events", "names no event; accepted is 'view_item: {metric: …}', one event a line")
    overall.done()
    reader.done()
    if not is_enabled and not reader.is_unread("enabled"):
        problems.withdraw_unset("parameters")  # who does not use a vendor has none of its keys
    problems.raise_if_any()
    assert destination is not None
    return Pipeline(
        name=name,
        file=file,
        text=text,
        hash=hashlib.sha256(text.encode()).hexdigest()[:16],
        integration=destination.integration,
        is_enabled=is_enabled,
        destination=destination,
        purposes=purposes(consent),
        anonymous=anonymous,
        hold_for_s=hold_for_s,
        fresh_for_s=fresh_for_s,
        max_age_s=max_age_s,
        profile=profile,
        events=events,
        warnings=tuple(_warnings(destination.features, profile, overall, listed, events)),
    )


def default_max_age_s(found: type[Destination] | None) -> float:
    """Give how long delivery is tried where the file does not say: never longer than the vendor takes an event."""
    limit_s = found.max_event_age_s if found is not None else None
    return DURATIONS_S["max_age"] if limit_s is None else min(DURATIONS_S["max_age"], limit_s)


def _warnings(
    features: Iterable[Feature], profile: Mapping, overall: Reader, listed: Reader, events: Tree[str, EventPlan]
) -> Iterator[Problem]:
    """Say what the vendor's features will miss, each at the key of the event, or of the profile."""
    for event, what in left_out(features, profile, events):
        if event is None:
            yield overall.problem_at("profile", what)
        else:
            key = next(key for key, _ in listed.nodes() if ALIASES.get(key, key) == event)
            yield listed.problem_at(key, what)


def _event_keys(destinations: Iterable[type[Destination]]) -> dict[str, EventKey]:
    """Give the keys of one destination; of all of them where nobody knows which is meant."""
    return {key: declared for one in destinations for key, declared in event_keys_of(one).items()}


def _events(reader: Reader, keys: Tree[str, EventKey]) -> dict[str, EventPlan]:
    events: dict[str, EventPlan] = {}
    for key, section in reader.entries():
        name = ALIASES.get(key, key)
        if name in events:
            reader.refuse_key(key, f"is the same event as another one here; accepted is one entry for {name}")
        events[name] = _event_plan(section, keys)
    return events


def _event_plan(reader: Reader, keys: Tree[str, EventKey]) -> EventPlan:
    metric, alias = reader.optional_text("metric"), reader.optional_text("event_name")
    if metric and alias:
        reader.refuse("event_name", "says the same as metric; accepted is one of the two")
    event_plan = EventPlan(
        metric=metric or alias,
        properties=compile_mapping(reader.section("properties"), ROOTS),
        lane=None if reader.node("lane") is None else reader.choice("lane", LANES),
        when=reader.parsed("when", _condition, None),
        own={key: _own(reader, key, declared) for key, declared in keys.items() if reader.node(key) is not None},
    )
    reader.done()
    return event_plan


def _own(reader: Reader, key: str, declared: EventKey) -> bool | Mapping:
    """Read a key that only the destination knows."""
    if declared.targets is None:
        return reader.boolean(key, False)
    section = reader.section(key)
    for target in declared.targets:
        section.node(target)
    section.done()
    return compile_mapping(section, ROOTS)


def _name(text: str) -> str:
    if text != text.strip() or not text.isprintable() or not 0 < len(text) <= MAX_NAME_CHARS:
        raise ValueError(f"is not a name; accepted are 1 to {MAX_NAME_CHARS} printable characters")
    return text


def _condition(text: str) -> Expression | None:
    condition = compile_expression(text)
    if not set(read_by(text)) <= set(ROOTS):
        raise ValueError(f"reads what is not there; accepted are paths that begin with {', '.join(ROOTS)}")
    return condition


def _purpose(text: str) -> str:
    if text not in PURPOSE_NAMES:
        raise ValueError(f"is not a purpose; accepted are {', '.join(PURPOSE_NAMES)}")
    return text
