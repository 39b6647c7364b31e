"""A pipeline: one file that says which events go to one destination, in which words.

Loading reads and checks files; `plan` is pure: from one event and what is known of its visitor it makes the payload,
or says why there is none.
"""

import hashlib
from collections.abc import Callable
from collections.abc import Mapping as Tree
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeAlias

import jmespath
from jmespath.exceptions import JMESPathError, JMESPathTypeError

from edge.complete import completed
from edge.consent import PURPOSE_NAMES, Purpose, purposes
from edge.delivery import Payload, Rejected, Rendered
from edge.destinations import read_integration
from edge.destinations.base import Anonymous, Destination
from edge.errors import ConfigErrors, Problem
from edge.event import ALIASES, RESERVED_NAMES, Event
from edge.mapping import Mapping, Unfit, apply, compile_mapping
from edge.person import KINDS, Identifiers
from edge.settings import Problems, Reader
from edge.yamlfile import load_yaml

Lane: TypeAlias = Literal["live", "background"]
Condition: TypeAlias = Callable[[Tree[str, object]], object]

ANONYMOUS: tuple[Anonymous, ...] = ("hold", "send", "drop")
LANES: tuple[Lane, ...] = ("live", "background")
LIVE_EVENTS = frozenset({"view_item", "add_to_cart", "started_checkout", "purchase", "search", "sign_up"})
# What these say is for the sidecar itself; "*" does not stand for them, a file may still list them.
UNSTARRED = RESERVED_NAMES - {"page_view"}
DURATIONS_S = {"hold_for": 14 * 86_400.0, "fresh_for": 4 * 3_600.0, "max_age": 72 * 3_600.0}
MAX_NAME_CHARS = 100


@dataclass(frozen=True, slots=True)
class EventPlan:
    """What becomes of one kind of event; where the file names no metric or lane, the event's own name decides."""

    metric: str | None
    properties: Mapping
    lane: Lane | None
    when: Condition | None = None


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One compiled file. `hash` is the first 16 hex digits of its bytes' SHA-256; `name` is its cursor."""

    name: str
    file: str
    hash: str
    integration: str
    is_enabled: bool
    destination: Destination
    purposes: Purpose
    anonymous: Anonymous
    hold_for_s: float
    fresh_for_s: float
    max_age_s: float
    profile: Mapping
    events: Tree[str, EventPlan]

    def event_plan(self, name: str) -> EventPlan | None:
        """Give what the file says of an event's canonical name, by itself or as "*"."""
        return self.events.get(name) or (None if name in UNSTARRED else self.events.get("*"))

    def is_deliverable(self, identifiers: Identifiers) -> bool:
        """Tell whether events of such a visitor go out now; where not, `anonymous` says what becomes of them."""
        return bool(identifiers) or self.anonymous == "send"


@dataclass(frozen=True, slots=True)
class Planned:
    """The event's payload, ready for the pipeline's destination."""

    payload: Payload
    metric: str
    lane: Lane


@dataclass(frozen=True, slots=True)
class Unmapped:
    """The pipeline says nothing of this event."""


@dataclass(frozen=True, slots=True)
class SkippedBy:
    """The pipeline says that this one is not sent."""

    reason: str


@dataclass(frozen=True, slots=True)
class Dead:
    """The event cannot be sent as the pipeline says; kept with the reason, which holds no value of the event."""

    reason: str


Plan: TypeAlias = Planned | Unmapped | SkippedBy | Dead


def plan(pipeline: Pipeline, event: Event, identifiers: Identifiers) -> Plan:
    """Make an event's payload.

    Args:
        pipeline: compiled.
        event: as it was accepted; never modified.
        identifiers: what is known of its visitor now.
    Returns:
        For the same pipeline hash, event and identifiers always the same bytes.
    Source:
        docs/pipelines.md, "What an event goes through".
    """
    name = event.canonical_name
    event_plan = pipeline.event_plan(name)
    if not pipeline.is_enabled:
        return SkippedBy("the pipeline is disabled")
    if event_plan is None:
        return Unmapped()
    source = source_of(event, identifiers)
    refusal = _refusal(event_plan, source)
    if refusal is not None:
        return refusal
    profile, properties = apply(pipeline.profile, source), apply(event_plan.properties, source)
    if isinstance(profile, Unfit):
        return Dead(f"global.profile.{profile}")
    if isinstance(properties, Unfit):
        return Dead(f"events.{name}.properties.{properties}")
    metric, currency = event_plan.metric or name, event.properties.get("currency")
    fallback, currency = event.order_id or event.id, currency if isinstance(currency, str) else None
    payload = pipeline.destination.render(Rendered(metric, profile, properties, fallback, event.time_ms, currency))
    if isinstance(payload, Rejected):
        return Dead(payload.reason)
    return Planned(payload, metric, event_plan.lane or ("live" if name in LIVE_EVENTS else "background"))


def source_of(event: Event, identifiers: Identifiers) -> dict[str, object]:
    """Give what mappings read.

    Identifiers in `context.traits` are those the visitor is known by, never the ones the event merely claims: a
    foreign address sent along could join two persons at the vendor for good.
    """
    given = event.context.get("traits")
    claims = {**(given if isinstance(given, dict) else {}), **event.traits}
    simple = {k: v for k, v in claims.items() if k not in KINDS and not isinstance(v, dict | list)}
    return {
        "id": event.id,
        "name": event.canonical_name,
        "time": datetime.fromtimestamp(event.time_ms / 1000, UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
        "properties": completed(event.properties),
        "traits": event.traits,
        "context": {**event.context, "traits": {**simple, **identifiers.traits()}},
    }


def _refusal(event_plan: EventPlan, source: Tree[str, object]) -> SkippedBy | Dead | None:
    if event_plan.when is None:
        return None
    try:
        answer = event_plan.when(source)
    except JMESPathError as error:  # its message quotes the event
        return Dead(f"when: cannot be evaluated ({type(error).__name__})")
    is_false = answer is None or answer is False or answer in ("", [], {})
    return SkippedBy("when is false") if is_false else None


def load_pipelines(directory: Path, environ: Tree[str, str]) -> list[Pipeline]:
    """Compile every .yaml (and .yml) file of a directory, in the order of their names.

    Raises:
        ConfigErrors: with the problems of all files together; a name may be used once.
    """
    if not directory.is_dir():
        raise ConfigErrors(
            [Problem(str(directory), 0, "", "is not a directory; accepted is the one with the pipelines")]
        )
    pipelines: dict[str, Pipeline] = {}
    problems: list[Problem] = []
    for file in sorted(directory.iterdir()):
        if file.suffix not in (".yaml", ".yml") or file.name.startswith("."):
            continue
        try:
            pipeline = compile_pipeline(_read(file), str(file), environ)
        except ConfigErrors as errors:
            problems += errors.problems
            continue
        first = pipelines.setdefault(pipeline.name, pipeline)
        if first is not pipeline:
            what = f"'{first.name}' is also the name of {first.file}; accepted is a name that no other pipeline has"
            problems.append(Problem(str(file), 0, "name", what))
    if problems:
        raise ConfigErrors(problems)
    return list(pipelines.values())


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        what = "is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else f"cannot be read: {error.strerror}"
        raise ConfigErrors([Problem(str(file), 0, "", what)]) from error


def compile_pipeline(text: str, file: str, environ: Tree[str, str]) -> Pipeline:
    """Compile one file's text.

    Raises:
        ConfigErrors: with every problem of the file.
    """
    problems = Problems(file)
    reader = Reader(load_yaml(text, file, environ), "", problems)
    name = reader.parsed("name", _name, "") or reader.text("name")
    found = read_integration(reader)
    is_enabled = reader.boolean("enabled", True)
    parameters, overall = reader.section("parameters"), reader.section("global")
    destination = found.from_reader(parameters) if found else None
    consent = reader.parsed_list("consent", _purpose, tuple(found.purposes) if found else ("functional",))
    if not consent:
        reader.refuse("consent", f"names no purpose; accepted are {', '.join(PURPOSE_NAMES)}")
    anonymous: Anonymous = reader.choice("anonymous", ANONYMOUS, found.anonymous if found else "hold")
    hold_for_s, fresh_for_s, max_age_s = [reader.duration_s(key, default) for key, default in DURATIONS_S.items()]
    profile = compile_mapping(overall.section("profile"))
    events = _events(reader.section("events"))
    if not events:
        reader.refuse("events", "names no event; accepted is 'view_item: {metric: …}', one event a line")
    overall.done()
    reader.done()
    problems.raise_if_any()
    assert destination is not None
    return Pipeline(
        name=name,
        file=file,
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
    )


def _events(reader: Reader) -> dict[str, EventPlan]:
    events: dict[str, EventPlan] = {}
    for key, section in reader.entries():
        name = ALIASES.get(key, key)
        if name in events:
            reader.refuse(key, f"is the same event as another one here; accepted is one entry for {name}")
        events[name] = _event_plan(section)
    return events


def _event_plan(reader: Reader) -> EventPlan:
    metric, alias = reader.optional_text("metric"), reader.optional_text("event_name")
    if metric and alias:
        reader.refuse("event_name", "says the same as metric; accepted is one of the two")
    event_plan = EventPlan(
        metric=metric or alias,
        properties=compile_mapping(reader.section("properties")),
        lane=None if reader.node("lane") is None else reader.choice("lane", LANES),
        when=reader.parsed("when", _condition, None),
    )
    reader.done()
    return event_plan


def _name(text: str) -> str:
    if text != text.strip() or not text.isprintable() or not 0 < len(text) <= MAX_NAME_CHARS:
        raise ValueError(f"is not a name; accepted are 1 to {MAX_NAME_CHARS} printable characters")
    return text


def _purpose(text: str) -> str:
    if text not in PURPOSE_NAMES:
        raise ValueError(f"is not a purpose; accepted are {', '.join(PURPOSE_NAMES)}")
    return text


def _condition(text: str) -> Condition | None:
    try:
        search: Condition = jmespath.compile(text).search
        search({})  # finds functions that do not exist
    except JMESPathTypeError:
        return search
    except JMESPathError as error:
        raise ValueError("is not a JMESPath expression; accepted is one such as properties.value > `0`") from error
    return search
