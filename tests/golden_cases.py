"""Reading and playing golden cases: an event, a pipeline, and what becomes of it.

A case file says, in one sentence that could be false, what it shows (`says`), and then:

- the pipeline: `pipeline` (a file of this repository, or the text itself), or only the `events` of a small one, or only
  the `mapping` of every event's properties;
- `event`, by default a bare view_item; `identifiers` of its visitor, by default an e-mail address; `granted` purposes,
  by default all; `is_backfill`;
- `becomes`: {requests: […]}, {dead: why}, {skipped: why} or unmapped; or parts of the request: its `body`, and of one
  to Klaviyo `properties`, `frame` (its other attributes) and `lane`; or {same_as: the name of another case}, which has
  to become the same request.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from textwrap import indent
from typing import Any

import orjson
import yaml

from edge.consent import PURPOSE_NAMES, purposes
from edge.delivery import Payload, Request, Response
from edge.destinations.base import first_request
from edge.event import Event
from edge.person import Identifiers
from edge.pipeline import Dead, Pipeline, Planned, SkippedBy, Unmapped, compile_pipeline, plan

ROOT = Path(__file__).parent.parent
GOLDEN = ROOT / "tests/golden"
ENVIRON = {
    "KLAVIYO_PRIVATE_API_KEY": "sandbox-private-key",
    "GA4_ENABLED": "true",
    "GA4_MEASUREMENT_ID": "G-SANDBOX01",
    "GA4_API_SECRET": "sandbox-api-secret",
    "GOOGLE_ADS_ENABLED": "true",
    "GOOGLE_ADS_CREDENTIALS": "sandbox-access-token",
    "GOOGLE_ADS_CUSTOMER_ID": "123-456-7890",
    "GOOGLE_ADS_PURCHASE_ACTION": "700123456",
    "GOOGLE_ADS_SIGN_UP_ACTION": "700123457",
    "GOOGLE_ADS_CHECKOUT_ACTION": "700123458",
    "GOOGLE_ADS_CART_ACTION": "700123459",
    "GOOGLE_ADS_VIEW_ACTION": "700123460",
    "GOOGLE_ADS_SEARCH_ACTION": "700123461",
    "ARCHIVE_ENABLED": "true",
    "SEGMENT_ENABLED": "true",
    "SEGMENT_WRITE_KEY": "sandbox-write-key",
    "WEBHOOK_ENABLED": "true",
    "WEBHOOK_URL": "https://hooks.example/shop",
    "WEBHOOK_SECRET": "whsec_c2FuZGJveC13ZWJob29rLXNlY3JldC0t",
    "META_ENABLED": "true",
    "META_PIXEL_ID": "1234567890",
    "META_ACCESS_TOKEN": "sandbox-private-key",
    "TIKTOK_ENABLED": "true",
    "TIKTOK_PIXEL_CODE": "C4ABCDEF0123456789",
    "TIKTOK_ACCESS_TOKEN": "sandbox-private-key",
}
# Headers that tell our version, or are a signature over all that the case says.
UNTOLD = frozenset({"X-Klaviyo-User-Agent", "User-Agent", "webhook-signature"})
TIME_MS = 1_795_183_389_120  # 2026-11-20T14:03:09.120Z
NOW_MS = TIME_MS + 2_000
NEEDED, PIPELINES = {"says", "becomes"}, {"pipeline", "events", "mapping"}
OPTIONAL = {"event", "identifiers", "granted", "is_backfill"}
SMALL = """
name: small
integration: klaviyo-events-api
parameters: {private_api_key: "${KLAVIYO_PRIVATE_API_KEY}"}
global: {profile: {"$email": {source: context.traits.email}}}
events:
"""


def case_files() -> list[Path]:
    """Give the files of all folders."""
    return sorted(GOLDEN.glob("*/*.yaml"))


def load_case(file: Path) -> Any:
    """Read one file; a key that no case has, or two pipelines, are a mistake in the file."""
    case = yaml.safe_load(file.read_text("utf-8"))
    own = case.keys() - NEEDED - OPTIONAL
    assert case.keys() >= NEEDED and len(own) == 1 and own <= PIPELINES, f"{file.name}: {sorted(case)}"
    assert case["becomes"], f"{file.name} becomes nothing"
    return case


def find_case(stem: str) -> Any:
    """Give the case of that name, whatever its folder."""
    [file] = GOLDEN.glob(f"*/{stem}.yaml")
    return load_case(file)


def pipeline_text(case: Any) -> str:
    """Give the case's pipeline as the text of a file."""
    if "mapping" in case:
        return SMALL + '  "*":\n    properties:\n' + indent(case["mapping"], " " * 6)
    if "events" in case:
        return SMALL + indent(case["events"], "  ")
    named: str = case["pipeline"]
    return (ROOT / named).read_text("utf-8") if named.endswith(".yaml") else named


def pipeline_of(case: Any, environ: dict[str, str] | None = None) -> Pipeline:
    return compile_pipeline(pipeline_text(case), "p.yaml", ENVIRON | (environ or {}))


def event_of(case: Any) -> Event:
    given = {"name": "view_item", "properties": {}, "traits": {}, "context": {}, **case.get("event", {})}
    return Event(id="e-1", time_ms=TIME_MS, received_at_ms=TIME_MS + 500, source="browser", browser="0" * 32, **given)


def planned(case: Any, pipeline: Pipeline) -> Planned | Unmapped | SkippedBy | Dead:
    known = Identifiers(**case.get("identifiers", {"email": "visitor@shop.example"}))
    granted = purposes(case.get("granted", PURPOSE_NAMES))
    return plan(pipeline, event_of(case), known, granted)


def request_of(case: Any, pipeline: Pipeline) -> Request:
    found = planned(case, pipeline)
    assert isinstance(found, Planned), found
    payload = Payload(found.payload.body, found.payload.time_ms, bool(case.get("is_backfill")))
    return first_request(pipeline.destination, payload, NOW_MS)


def requests_of(case: Any, pipeline: Pipeline) -> list[Request]:
    """Give every request of the event's conversation with a vendor that takes each."""
    found = planned(case, pipeline)
    assert isinstance(found, Planned), found
    payload = Payload(found.payload.body, found.payload.time_ms, bool(case.get("is_backfill")))
    conversation = pipeline.destination.deliver([payload], NOW_MS)
    requests = [next(conversation)]
    with suppress(StopIteration):
        while True:
            status = 201 if requests[-1].url.endswith("/profile-import") else 202
            requests.append(conversation.send(Response(status, {}, b"{}")))
    return requests


def became(case: Any) -> Any:
    """Say what becomes of the event, in the words of the case's own `becomes`."""
    pipeline = pipeline_of(case)
    found = planned(case, pipeline)
    match found:
        case Dead(reason=why):
            return {"dead": why}
        case SkippedBy(reason=why):
            return {"skipped": why}
        case Unmapped():
            return "unmapped"
    told, asked = told_of(request_of(case, pipeline)), case["becomes"]
    if isinstance(asked, dict) and asked.keys() == {"body"}:
        return {"body": told["body"]}
    if pipeline.integration != "klaviyo-events-api":
        return {"requests": [told]}
    attributes = told["body"]["data"]["attributes"]
    if isinstance(asked, dict) and asked.keys() <= {"lane", "frame", "properties"}:
        parts = {"lane": found.lane, "frame": frame_of(attributes), "properties": attributes["properties"]}
        return {part: parts[part] for part in asked}
    return {"requests": [told_of(request) for request in requests_of(case, pipeline)]}


def expected(case: Any) -> Any:
    """Say what should become of it; for `same_as`, what becomes of that other event."""
    becomes = case["becomes"]
    if not isinstance(becomes, dict) or "same_as" not in becomes:
        return becomes
    other = find_case(becomes["same_as"])
    assert "same_as" not in other["becomes"], f"{becomes['same_as']} says nothing itself"
    return became({**other, "becomes": {"requests": []}})


def told_of(request: Request) -> dict[str, Any]:
    """Give a request as a case file writes it."""
    body = orjson.loads(request.body)
    assert orjson.dumps(body) == request.body.removesuffix(b"\n")
    headers = {name: value for name, value in request.headers.items() if name not in UNTOLD}
    return {"method": request.method, "url": request.url, "headers": headers, "body": body}


def frame_of(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Give all attributes but the properties, metric and profile without the resources around them."""
    frame = {name: value for name, value in attributes.items() if name != "properties"}
    frame["metric"] = frame["metric"]["data"]["attributes"]["name"]
    frame["profile"] = frame["profile"]["data"]["attributes"]
    return frame


def sent_cases(folder: str) -> Iterator[Any]:
    """Give every case of a folder that says a whole request."""
    for file in sorted((GOLDEN / folder).glob("*.yaml")):
        case = load_case(file)
        if "requests" in case["becomes"]:
            yield case
