"""Mappings: a target, where its value comes from, and how; compiled once to closures.

    ProductName: {source: properties.item_name, mode: direct}
    Items:
      source: properties.items
      mode: array_map
      fields:
        - {source: item_name, target: ProductName}

Compiling collects problems in its reader; applying never raises. A source that is not there, or is null, leaves its
target out; `default` fills it, `required` makes it a reason not to send the event.

`rendering` applies what is compiled, `rules` compiles one rule, `modes` and `lists` are what `mode` may say, `types`
what `type` may; `paths`, `templates` and `expressions` read what stands in a rule as text.
"""

from edge.mapping.expressions import Expression, compile_expression, read_by
from edge.mapping.paths import look_up
from edge.mapping.rendering import Mapping, Unfit, apply
from edge.mapping.rules import MODES, compile_mapping
from edge.mapping.types import TYPES

__all__ = [
    "MODES",
    "TYPES",
    "Expression",
    "Mapping",
    "Unfit",
    "apply",
    "compile_expression",
    "compile_mapping",
    "look_up",
    "read_by",
]
