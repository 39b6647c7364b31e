"""The archive: accepted events as compressed JSON Lines by day, on the shop's own disk.

A line is the event as mappings read it, completed, with what the pipeline file maps beside it. Nothing leaves the
machine. A repeat after a death may write a line again: lines are told apart by their ids.

Source: JSON Lines (one value a line, UTF-8, "\\n"); the files themselves: edge/archive_files.py.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, ClassVar, Self

import orjson

from edge.consent import PURPOSE_NAMES
from edge.delivery import Append, Conversation, Delivered, Outcome, Payload, Rate, Rejected, Rendered, Response, Retry
from edge.destinations.base import Anonymous, Feature, Unfit
from edge.destinations.parts import Sent, in_parts, spans_of
from edge.destinations.values import iso
from edge.settings import Reader
from edge.shapes import Shape, choice, duration, listing, section, text, word

DIRECTORY, COMPRESSIONS, KEEP_FOR_S = "archive", ("gzip",), 400 * 86_400.0
MAX_LINES, MAX_LINE_BYTES = 100, 1_000_000
# Yesterday's file stays open for so long after midnight (UTC), for what was accepted then and arrives now.
LATE_S = 3_600.0
DAY_MS = 86_400_000
_DIRECTORY = re.compile(r"/?[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")

PARAMETERS = section(
    "Where the files are, and for how long.",
    {
        "directory": word(
            "Of this pipeline alone; relative to the data directory.", _DIRECTORY.pattern, default=DIRECTORY
        ),
        "compression": choice("How files are packed.", COMPRESSIONS, default="gzip"),
        "keep_for": duration("How long a day is kept.", default="400d"),
        "leave_out": listing(
            "Paths whose values are not written.",
            text("Keys with dots between.", examples=["context.ip"]),
            default=[],
        ),
    },
)


@dataclass(frozen=True, slots=True)
class Archive:
    """One directory of files."""

    integration: ClassVar[str] = "archive"
    purposes: ClassVar[frozenset[str]] = frozenset({"analytics"})
    max_batch: ClassVar[int] = MAX_LINES
    rate: ClassVar[Rate] = Rate(burst_per_s=1_000, steady_per_min=60_000)
    anonymous: ClassVar[Anonymous] = "send"
    click_targets: ClassVar[frozenset[str]] = frozenset()
    features: ClassVar[tuple[Feature, ...]] = ()
    parameters: ClassVar[Shape] = PARAMETERS
    max_event_age_s: ClassVar[float | None] = None
    anonymous_targets: ClassVar[frozenset[str]] = frozenset()
    discloses: ClassVar[frozenset[str]] = frozenset(PURPOSE_NAMES)
    why_unasked: ClassVar[str] = "a folder of this machine, nothing to ask"

    directory: str = DIRECTORY
    keep_for_s: float = KEEP_FOR_S
    leave_out: tuple[str, ...] = ()

    @classmethod
    def from_reader(cls, reader: Reader) -> Self:
        """Read `parameters`; what is wrong is collected in the reader's problems."""
        reader.choice("compression", COMPRESSIONS, "gzip")
        destination = cls(
            reader.parsed("directory", _directory, DIRECTORY),
            reader.duration_s("keep_for", KEEP_FOR_S, minimum=86_400.0),
            reader.parsed_list("leave_out", _path, ()),
        )
        reader.done()
        return destination

    @property
    def account(self) -> str:
        """Name what shares one rate: the directory."""
        return f"archive:{self.directory}"

    def render(self, rendered: Rendered) -> Payload | Rejected:
        """Give one line with its end."""
        try:
            line = orjson.dumps(_line(rendered, self.leave_out)) + b"\n"
        except Unfit as unfit:
            return Rejected(str(unfit))
        except orjson.JSONEncodeError:
            return Rejected("the event cannot be written as JSON")
        if len(line) > MAX_LINE_BYTES:
            return Rejected(f"the event has {len(line)} bytes; a line has at most {MAX_LINE_BYTES}")
        return Payload(line, rendered.time_ms)

    def deliver(self, payloads: Sequence[Payload], now_ms: int) -> Conversation:
        """Append the lines of each file together; what is not on disk is tried again, with all that follows."""
        paths = [self._path(payload, now_ms) for payload in payloads]
        parts: list[Sequence[int]] = []
        for _, group in groupby(range(len(payloads)), paths.__getitem__):
            places = list(group)
            sizes_bytes = (len(payloads[place].body) for place in places)
            spans = spans_of(sizes_bytes, max_count=MAX_LINES, max_bytes=MAX_LINE_BYTES)
            parts += [places[span.start : span.stop] for span in spans]

        def send(places: Sequence[int]) -> Sent:
            lines = b"".join(payloads[place].body for place in places)
            return read((yield Append.to(paths[places[0]], lines)))

        return in_parts(parts, send)

    def probe(self, now_ms: int) -> Conversation | None:
        """Give nothing: there are no credentials."""
        return None

    def _path(self, payload: Payload, now_ms: int) -> str:
        return f"{self.directory}/{file_of(payload.body, now_ms)}"


def read(response: Response) -> Outcome:
    """Give what an answer means: 200 says that the lines are on disk, and there is no other that says so."""
    return Delivered(200) if response.status == 200 else Retry(str(response.status))


def file_of(line: bytes, now_ms: int) -> str:
    """Name the file of a line: that of the day it was accepted on, and once that is closed one of today's beside it."""
    day = str(orjson.loads(line)["received_at"])[:10]
    return f"{day}.jsonl.gz" if day >= day_of(open_from_ms(now_ms)) else f"{day}.late-{day_of(now_ms)}.jsonl.gz"


def open_from_ms(now_ms: int) -> int:
    """Give a moment of the oldest day that is written to."""
    return now_ms - round(LATE_S * 1_000)


def day_of(at_ms: int) -> str:
    """Give the day of a moment in UTC, e.g. "2026-11-22"."""
    return datetime.fromtimestamp(at_ms / 1_000, UTC).date().isoformat()


def _line(rendered: Rendered, leave_out: Sequence[str]) -> dict[str, Any]:
    told = rendered.event
    line = {
        "id": told.get("id") or rendered.unique_id,
        "name": told.get("name") or rendered.metric,
        "time": iso(rendered.time_ms),
        "received_at": iso(rendered.received_at_ms),
        "source": "server" if rendered.is_from_server else "browser",
        "anonymous_id": rendered.anonymous_id,
        "consent": [name for name, purpose in PURPOSE_NAMES.items() if purpose & rendered.granted],
        "properties": {**told.get("properties", {}), **rendered.properties},
        "traits": told.get("traits", {}),
        "context": told.get("context", {}),
        **({"profile": rendered.profile} if rendered.profile else {}),
    }
    for path in leave_out:
        line = _without(line, path.split("."))
    return line


def _without(tree: dict[str, Any], steps: Sequence[str]) -> dict[str, Any]:
    """Give a tree without what stands at a path; the tree itself is not changed."""
    first, *rest = steps
    if first not in tree:
        return tree
    if rest:
        return {**tree, first: _without(tree[first], rest)} if isinstance(tree[first], dict) else tree
    return {key: value for key, value in tree.items() if key != first}


def _directory(name: str) -> str:
    if not _DIRECTORY.fullmatch(name):
        raise ValueError("is not a directory; accepted is one such as archive/shop, no part begins with a dot")
    return name


def _path(path: str) -> str:
    if not all(path.split(".")) or path.partition(".")[0] in ("id", "received_at"):
        raise ValueError("is not left out; accepted are paths such as context.ip, but for id and received_at")
    return path
