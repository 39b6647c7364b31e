"""A pipeline file's keys, mode by mode; docs/pipelines.md says the same.

The closed sets (modes, types, purposes, lanes, destinations) are those of the code that reads them.
"""

from collections.abc import Mapping

from edge.consent import PURPOSE_NAMES
from edge.destinations import BUILTIN
from edge.destinations.base import Destination, event_keys_of
from edge.mapping import MODES, TYPES
from edge.mapping.expressions import MAX_CHARS
from edge.pipeline.compiling import ANONYMOUS, LANES, MAX_NAME_CHARS
from edge.pipeline.planning import LIVE_EVENTS
from edge.shapes import (
    Shape,
    anything,
    boolean,
    choice,
    duration,
    listing,
    nullable,
    open_map,
    or_reference,
    refused,
    section,
    text,
)

OPTIONAL = ("field", "separator")
EITHER = {"array_map": ("fields", "field")}
REFUSED_KEYS = {"array_map": {"type": refused("Not for a list; accepted is a type in its fields.")}}
DEFAULT_MODE = "direct"
_STEP = r"[^.\s](?:[^.]*[^.\s])?"
_AN_EXPRESSION = {"minLength": 1, "maxLength": MAX_CHARS}


def _path(description: str) -> Shape:
    return text(description, pattern=or_reference(rf"{_STEP}(?:\.{_STEP})*"), examples=["properties.item_name"])


def _expression(description: str, example: str) -> Shape:
    return {"description": description, "type": "string", **_AN_EXPRESSION, "examples": [example]}


_LIST = _path("Where the list stands.")
_FIELD = _path("A path inside each entry; without it the entries themselves are taken.")
_WRITTEN = anything("A single value.", type=["string", "number", "boolean", "null"], examples=["Newsletter"])

# What each mode gives, in the words of docs/pipelines.md.
GIVES = {
    "direct": "the value at source",
    "static": "the value itself",
    "first_of": "the first that is there",
    "template": "a text with values in it",
    "value_map": "another value for each value",
    "array_map": "a list with one object, or one value, an item",
    "count": "how many entries a list has",
    "sum": "the sum of a list's numbers",
    "join": "a list's entries as one text",
    "expression": "whatever a JMESPath expression finds",
}
# The keys of each mode beside those of every rule; all are required but those in OPTIONAL, and one of those in EITHER.
OWN_KEYS: dict[str, dict[str, Shape]] = {
    "direct": {"source": _path("Where the value stands, keys with dots between.")},
    "static": {"value": anything("The value itself.", examples=["shop"])},
    "first_of": {
        "sources": listing(
            "Paths; the first whose value is there gives it. Null and an empty text count as not there.",
            _path("Where a value may stand."),
            minItems=1,
            examples=[["properties.sku", "properties.item_id"]],
        )
    },
    "template": {
        "template": text(
            "A text with paths in braces; {{ and }} stand for braces themselves.",
            pattern=r"^(?:[^{}]|\{\{|\}\}|\{[^{}]+\})*$",
            minLength=1,
            examples=["{properties.item_name} ({properties.item_id})"],
        )
    },
    "value_map": {
        "source": _path("Where the value stands that is looked up, as text."),
        "map": open_map(
            'What each value becomes; "*" stands for every value that is not listed.',
            _WRITTEN,
            type="object",
            minProperties=1,
            examples=[{"newsletter": "Newsletter", "*": "Other"}],
        ),
    },
    "array_map": {
        "source": _LIST,
        "fields": listing(
            "Rules with a target, in any mode; their paths start at the item.",
            {"$ref": "#/$defs/field"},
            minItems=1,
            examples=[[{"source": "item_name", "target": "ProductName"}]],
        ),
        "field": _path("A path inside each item instead: the list then holds the values themselves."),
    },
    "count": {"source": _LIST},
    "sum": {"source": _LIST, "field": _FIELD},
    "join": {"source": _LIST, "field": _FIELD, "separator": text("What stands between entries.", default=", ")},
    "expression": {
        "expression": _expression(
            "A JMESPath expression on what mappings read; inside array_map, on the item.",
            "properties.items[].item_name",
        )
    },
}
EVERY_RULE: dict[str, Shape] = {
    "type": choice("What the value is converted to.", TYPES),
    "default": anything("The value where there is none."),
    "required": boolean(
        "true: without a value the event is not sent, and kept as a dead letter with the reason.", default=False
    ),
}
TARGET: dict[str, Shape] = {
    "target": text("What the value is called in the made object.", minLength=1, examples=["ProductName"])
}
EVENT_KEYS: dict[str, Shape] = {
    "metric": nullable(text("What the destination calls it; else the event's own name.", examples=["Placed Order"])),
    "event_name": nullable(text("The same as metric.", examples=["Placed Order"])),
    "properties": {"description": "What is told of the event.", "$ref": "#/$defs/mapping"},
    "when": _expression(
        "A JMESPath condition; an event for which it is null, false or empty is counted as skipped.",
        "properties.value > `0`",
    ),
    "lane": choice("live goes first; else live for the six shop events and background for all others.", LANES),
}
EVENT = section(
    "What becomes of this event.", EVENT_KEYS, **{"not": {"type": "object", "required": ["metric", "event_name"]}}
)
KEYS: dict[str, Shape] = {
    "name": text(
        "The pipeline's place in the queue; a new name starts at the newest event.",
        pattern=or_reference(r"\S(?:.*\S)?"),
        maxLength=MAX_NAME_CHARS,
        examples=["my_events"],
    ),
    "integration": choice("The destination.", BUILTIN),
    "enabled": boolean("false: events are counted as skipped and passed by.", default=True),
    "parameters": {"description": "What the destination needs."},
    "consent": listing(
        "The purposes a visitor must have granted; else those that the destination needs.",
        choice("A purpose.", PURPOSE_NAMES),
        minItems=1,
    ),
    "anonymous": choice("What becomes of events by visitors nobody knows; else as the destination says.", ANONYMOUS),
    "hold_for": duration("How long a held event waits.", default="14d"),
    "fresh_for": duration(
        "How long after its time an event may still start something at the vendor.",
        default="4h",
    ),
    "max_age": duration("How long delivery is tried.", default="72h"),
    "global": section(
        "What holds for every event.",
        {"profile": {"description": "Who did it.", "$ref": "#/$defs/mapping"}},
    ),
    "events": open_map(
        'What is sent, by event name; "*" stands for every event that is not listed.',
        {"$ref": "#/$defs/event"},
        type="object",
        properties={name: {"$ref": "#/$defs/event"} for name in (*sorted(LIVE_EVENTS), "*")},
        minProperties=1,
    ),
}


def pipeline_schema() -> Shape:
    """Give what a pipeline file may hold; its references lead to `pipeline_defs`."""
    return section(
        "Which events go to one destination, and in which words.",
        KEYS,
        required=["name", "integration", "events"],
        allOf=[_only_for("integration", name, _of_destination(name, found)) for name, found in BUILTIN.items()],
    )


def pipeline_defs() -> dict[str, Shape]:
    """Give the parts that a pipeline's schema refers to, by name."""
    parameters = {f"parameters_{name}": found.parameters for name, found in BUILTIN.items()}
    mapping = open_map(
        "Targets, each with the rule that gives its value.", {"$ref": "#/$defs/rule"}, propertyNames={"minLength": 1}
    )
    rules = _rules("rule", {}) | _rules("field", TARGET)
    return {**parameters, "event": _event(), "mapping": mapping, **rules}


def _event() -> Shape:
    """Give an event's keys with those that only some destination knows; each says which in its description."""
    own = {key: declared.shape for found in BUILTIN.values() for key, declared in event_keys_of(found).items()}
    return {**EVENT, "properties": {**EVENT_KEYS, **own}}


def _of_destination(name: str, found: type[Destination]) -> Shape:
    """Give what a file with this integration holds: its own parameters, and its own defaults."""
    parameters = {"$ref": f"#/$defs/parameters_{name}"}
    defaults = {"consent": {"default": sorted(found.purposes)}, "anonymous": {"default": found.anonymous}}
    needed = ["parameters"] if found.parameters["required"] else []
    return {"properties": {"parameters": parameters, **defaults}, "required": needed}


def _only_for(key: str, value: str, then: Shape, *, is_default: bool = False) -> Shape:
    """Let `then` hold where a key has a value, and where it is absent if that value is its default."""
    condition = {"properties": {key: {"const": value}}, "required": [] if is_default else [key]}
    return {"if": condition, "then": then}


def _rules(name: str, extra: Mapping[str, Shape]) -> dict[str, Shape]:
    """Give a rule's schema, which sends each mode to its own, and those of the modes."""
    modes = {f"{name}_{mode}": _rule(mode, extra) for mode in MODES}
    cases = [
        _only_for("mode", mode, {"$ref": f"#/$defs/{name}_{mode}"}, is_default=mode == DEFAULT_MODE) for mode in MODES
    ]
    whole = {
        "description": "How a target gets its value.",
        "type": "object",
        "properties": {"mode": choice("How the value is found.", MODES, default=DEFAULT_MODE)},
        "allOf": cases,
    }
    return {name: whole, **modes}


def _rule(mode: str, extra: Mapping[str, Shape]) -> Shape:
    """Give the rule of one mode; the extra keys come first and are required."""
    own, either, is_default = OWN_KEYS[mode], EITHER.get(mode, ()), mode == DEFAULT_MODE
    named = {"description": f"Gives {GIVES[mode]}.", "const": mode, **({"default": mode} if is_default else {})}
    keys = {**extra, "mode": named, **own, **EVERY_RULE, **REFUSED_KEYS.get(mode, {})}
    always = (key for key in own if key not in (*OPTIONAL, *either))
    needed = [*extra, *([] if is_default else ["mode"]), *always]
    one = {"oneOf": [{"required": [key]} for key in either]} if either else {}
    return section(f"Gives {GIVES[mode]}.", keys, required=needed, **one)
