"""JSON Schema of the files that people write, so that editors complete and check them; `edge check --schema` prints it.

The loader decides what is right. What a schema cannot say it leaves to `edge check`: sizes against each other, the
grammar of expressions, names that two files share.
"""

from typing import Literal, TypeAlias, get_args

from edge.schema.config import CONFIG
from edge.schema.pipeline import pipeline_defs, pipeline_schema
from edge.shapes import Shape

Which: TypeAlias = Literal["both", "config", "pipeline"]
WHICH: tuple[Which, ...] = get_args(Which)

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema(which: Which) -> Shape:
    """Give the JSON Schema of one kind of file, or one document that takes both.

    Of both, a file with `integration` or `events` is a pipeline, any other one a configuration.
    """
    match which:
        case "config":
            return _titled("configuration", CONFIG)
        case "pipeline":
            return _titled("pipeline", {**pipeline_schema(), "$defs": pipeline_defs()})
        case "both":
            return _titled("configuration and pipelines", _either())


def _either() -> Shape:
    is_pipeline = {"anyOf": [{"required": ["integration"]}, {"required": ["events"]}]}
    parts = {"config": CONFIG, "pipeline": pipeline_schema(), **pipeline_defs()}
    branches = {"if": is_pipeline, "then": {"$ref": "#/$defs/pipeline"}, "else": {"$ref": "#/$defs/config"}}
    return {"description": "A file of the service.", **branches, "$defs": parts}


def _titled(what: str, found: Shape) -> Shape:
    return {"$schema": DIALECT, "title": f"datafly-edge {what}", **found}
