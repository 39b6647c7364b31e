"""Reading and playing golden cases: an event, a pipeline, and what becomes of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import yaml

from edge.delivery import Payload, Request
from edge.destinations.base import first_request
from edge.event import Event
from edge.person import Identifiers
from edge.pipeline import Dead, Pipeline, Planned, SkippedBy, Unmapped, compile_pipeline, plan

ROOT = Path(__file__).parent.parent
ENVIRON = {"KLAVIYO_PRIVATE_API_KEY": "sandbox-private-key"}
TIME_MS = 1_795_183_389_120  # 2026-11-20T14:03:09.120Z


def load_case(file: Path) -> Any:
    return yaml.safe_load(file.read_text())


def pipeline_of(case: Any, environ: dict[str, str] | None = None) -> Pipeline:
    """Compile the case's pipeline: a file of this repository, or the text itself."""
    named = case["pipeline"]
    text = (ROOT / named).read_text() if named.endswith(".yaml") else named
    return compile_pipeline(text, "p.yaml", ENVIRON | (environ or {}))


def event_of(case: Any) -> Event:
    given = {"properties": {}, "traits": {}, "context": {}, **case["event"]}
    return Event(id="e-1", time_ms=TIME_MS, received_at_ms=TIME_MS + 500, source="browser", browser="0" * 32, **given)


def planned(case: Any, pipeline: Pipeline) -> Planned | Unmapped | SkippedBy | Dead:
    return plan(pipeline, event_of(case), Identifiers(**case["identifiers"]))


def request_of(case: Any, pipeline: Pipeline) -> Request:
    found = planned(case, pipeline)
    assert isinstance(found, Planned), found
    payload = Payload(found.payload.body, found.payload.time_ms, bool(case.get("is_backfill")))
    return first_request(pipeline.destination, payload)


def became(case: Any) -> Any:
    """Say it as a case file does: {"requests": […]}, {"dead": why}, {"skipped": why} or "unmapped"."""
    pipeline = pipeline_of(case)
    match planned(case, pipeline):
        case Dead(reason=why):
            return {"dead": why}
        case SkippedBy(reason=why):
            return {"skipped": why}
        case Unmapped():
            return "unmapped"
    request = request_of(case, pipeline)
    body = orjson.loads(request.body)
    assert orjson.dumps(body) == request.body
    headers = {name: value for name, value in request.headers.items() if name != "X-Klaviyo-User-Agent"}
    return {"requests": [{"method": request.method, "url": request.url, "headers": headers, "body": body}]}


def sent_cases(folder: str) -> Iterator[Any]:
    """Give every case of a folder that ends in a request."""
    for file in sorted((ROOT / "tests/golden" / folder).glob("*.yaml")):
        case = load_case(file)
        if "requests" in case["becomes"]:
            yield case
