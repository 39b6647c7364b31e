"""Bulk Create Events: which events share a job, its body, and whom a refusal is about.

A job fails as a whole, and is not heard of again, when one of its unique ids was processed before. So only events whose
unique id is their own go into one, each once, and what may have arrived already is never among them.

Source: Klaviyo Bulk Create Events API, revision 2026-10-15: 1,000 events and 5 MB a job.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from edge.delivery import Payload, Response
from edge.destinations.klaviyo.answers import errors_of, pointer_of
from edge.destinations.klaviyo.calls import bodies_of
from edge.destinations.parts import spans_of

JOB = "event-bulk-create-job"
MAX_JOB_EVENTS, MAX_JOB_BYTES = 1_000, 4_500_000
# What a group of its own adds to an event at most.
FRAME_BYTES = 200
IDENTIFIERS = ("email", "external_id", "phone_number", "_kx", "anonymous_id")
_DATA, _BEHIND = b'{"data":', b',"properties":'
_PROFILE, _PROPERTIES = b',"profile":{"data":{"type":"profile","attributes":', b"}}" + _BEHIND
_PLACE = re.compile(
    r"/data/attributes/events-bulk-create/data/([0-9]{1,4})(?:/attributes/events/data/([0-9]{1,4}))?(?:/.*)?", re.DOTALL
)


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One event of a job, as JSON, and whose it is; `of` is its payload's place in the conversation.

    `key` is what must not stand twice in a job, as far as it is known here: its unique id and its metric. `size_bytes`
    is the most that it adds to a job. Equal only to itself.
    """

    of: int
    key: tuple[bytes, bytes]
    event: bytes
    profile: bytes
    size_bytes: int

    @property
    def who(self) -> dict[str, Any]:
        """The profile's attributes."""
        who: dict[str, Any] = orjson.loads(self.profile)
        return who

    @property
    def person(self) -> tuple[str, str]:
        """The first of the profile's identifiers."""
        who = self.who
        return next((kind, who[kind]) for kind in IDENTIFIERS if kind in who)


@dataclass(frozen=True, slots=True)
class Job:
    """A body, and where each entry stands in it: groups, and entries in a group."""

    body: bytes
    places: Sequence[Sequence[Entry]]


def entries_of(payloads: Sequence[Payload]) -> Iterator[Entry]:
    """Give the events of payloads in their order."""
    for of, payload in enumerate(payloads):
        for _, body in bodies_of(payload):
            yield _entry(of, body)


def _entry(of: int, body: bytes) -> Entry:
    """Take an event and its profile apart where they stand in the bytes of Create Event, whose order we wrote.

    What is looked for holds quotation marks, which JSON escapes within a text. A profile's end is sure where no object
    stands in it; else it is parsed.
    """
    before, _, rest = body.removeprefix(_DATA).partition(_PROFILE)
    profile, _, behind = rest.partition(_PROPERTIES)
    if profile.count(b"{") > 1:
        event = orjson.loads(body)["data"]
        profile = orjson.dumps(event["attributes"].pop("profile")["data"]["attributes"])
        behind = orjson.dumps(event).partition(_BEHIND)[2] + b"}"
    unique_id, _, told = before.partition(b',"time":')
    metric = told.partition(b',"metric":')[2]
    return Entry(of, (unique_id, metric), before + _BEHIND + behind[:-1], profile, len(body) + FRAME_BYTES)


def without_repeats(entries: Sequence[Entry]) -> tuple[list[Entry], list[tuple[Entry, Entry]]]:
    """Give the entries that may share a job, and the others, each with the one whose unique id it has."""
    first: dict[tuple[bytes, bytes], Entry] = {}
    kept, repeats = [], []
    for entry in entries:
        earlier = first.setdefault(entry.key, entry)
        if earlier is entry:
            kept.append(entry)
        else:
            repeats.append((entry, earlier))
    return kept, repeats


def is_same_person(one: Entry, other: Entry) -> bool:
    """Tell whether two entries share an identifier, so that Klaviyo keeps only the first of one unique id."""
    who, whom = one.who, other.who
    return any(kind in who and who[kind] == whom.get(kind) for kind in IDENTIFIERS)


def jobs_within_limits(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Cut entries into jobs of at most 1,000 events and 5 MB, in their order."""
    sizes_bytes = (entry.size_bytes for entry in entries)
    for span in spans_of(sizes_bytes, max_count=MAX_JOB_EVENTS, max_bytes=MAX_JOB_BYTES):
        yield list(entries[span.start : span.stop])


def job_of(entries: Sequence[Entry]) -> Job:
    """Give a job's body: events grouped by profile, one person's profiles in the order in which they came."""
    groups: list[list[Entry]] = []
    latest: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        person = entry.person
        group = latest.get(person)
        if group is None or group[0].profile != entry.profile:
            group = latest[person] = []
            groups.append(group)
        group.append(entry)
    data = [_group(group) for group in groups]
    attributes = {"events-bulk-create": {"data": data}}
    return Job(orjson.dumps({"data": {"type": JOB, "attributes": attributes}}), groups)


def blamed(response: Response, job: Job) -> dict[Entry, list[Any]] | None:
    """Give the entries that a refusal is about, with what it says of each; None where it is not about single ones."""
    found: dict[Entry, list[Any]] = {}
    for error in errors_of(response):
        place = _PLACE.fullmatch(pointer_of(error))
        entries = _entries_at(place, job.places) if place else []
        if not entries:
            return None
        for entry in entries:
            found.setdefault(entry, []).append(error)
    return found or None


def is_about_its_id(errors: Sequence[Any]) -> bool:
    """Tell whether a refusal says no more than that a unique id was there before: no reason to give an event up."""
    return all(pointer_of(error).endswith("/unique_id") for error in errors)


def _entries_at(place: re.Match[str], groups: Sequence[Sequence[Entry]]) -> Sequence[Entry]:
    group = groups[int(place[1])] if int(place[1]) < len(groups) else []
    return group if place[2] is None else group[int(place[2]) : int(place[2]) + 1]


def _group(entries: Sequence[Entry]) -> dict[str, Any]:
    events = [orjson.Fragment(entry.event) for entry in entries]
    profile = {"data": {"type": "profile", "attributes": orjson.Fragment(entries[0].profile)}}
    return {"type": "event-bulk-create", "attributes": {"profile": profile, "events": {"data": events}}}
