"""A pipeline: one file that says which events go to one destination, in which words.

`loading` reads a folder, `compiling` makes one file's text a `Pipeline`, `planning` makes an event's payload of it.
"""

from edge.pipeline.compiled import EventPlan, Lane, Pipeline
from edge.pipeline.compiling import compile_pipeline
from edge.pipeline.loading import Folder, files_of, load_folder, load_pipeline, load_pipelines
from edge.pipeline.planning import Dead, Plan, Planned, SkippedBy, Unmapped, plan, source_of, stripped_of

__all__ = [
    "Dead",
    "EventPlan",
    "Folder",
    "Lane",
    "Pipeline",
    "Plan",
    "Planned",
    "SkippedBy",
    "Unmapped",
    "compile_pipeline",
    "files_of",
    "load_folder",
    "load_pipeline",
    "load_pipelines",
    "plan",
    "source_of",
    "stripped_of",
]
