"""What two folders of pipelines make of one event, and in what they differ. Pure."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, Literal, TypeAlias

import orjson

from edge.cli.rehearsal import Rehearsal, rehearse
from edge.cli.stored_events import Known
from edge.delivery import Request
from edge.drainer.letters import SECRET_HEADERS
from edge.foreign_links import Hosts
from edge.pipeline import Pipeline

Kind: TypeAlias = Literal["added", "removed", "changed", "otherwise"]
KINDS: tuple[Kind, ...] = ("added", "removed", "changed", "otherwise")
EXAMPLES = 3
# Event names come from outside: beyond so many, those that no file lists are counted as one group.
MAX_GROUPS = 50
MORE_EVENTS = "other events"
_GONE = object()
_POSITION = re.compile(r"\.\d+")


@dataclass(frozen=True, slots=True)
class Pair:
    """A pipeline today and as it was edited; None where a folder has none of this name."""

    name: str
    today: Pipeline | None
    edited: Pipeline | None

    @property
    def is_same(self) -> bool:
        """Whether both files say the same, so that no event can tell them apart."""
        return self.today is not None and self.edited is not None and self.today.text == self.edited.text

    def lists(self, event: str) -> bool:
        """Whether one of the files names an event, not only with "*"."""
        return any(one is not None and event in one.events for one in (self.today, self.edited))


@dataclass(frozen=True, slots=True)
class Side:
    """What one folder makes of an event."""

    word: str
    reason: str
    metric: str


@dataclass(frozen=True, slots=True)
class Difference:
    """One place in which two requests differ: JSON before and after; None: not there. A masked one shows no value."""

    path: str
    today: str | None
    edited: str | None
    is_masked: bool = False


@dataclass(frozen=True, slots=True)
class Example:
    """One event that goes otherwise; a side is None where the folder has no such pipeline."""

    kind: Kind
    seq: int
    id: str
    received_at_ms: int
    today: Side | None
    edited: Side | None
    differences: tuple[Difference, ...] = ()

    @property
    def shape(self) -> object:
        """What kind of difference it is: examples of different shapes say more."""
        places = {(_POSITION.sub(".#", one.path), one.today is None, one.edited is None) for one in self.differences}
        return (self.today, self.edited, frozenset(places))


@dataclass(slots=True)
class Group:
    """What differs for one event name in one pipeline."""

    pipeline: str
    event: str
    counts: Counter[Kind] = field(default_factory=Counter)
    examples: dict[Kind, list[Example]] = field(default_factory=lambda: {kind: [] for kind in KINDS})

    def note(self, example: Example) -> None:
        """Count an event, and keep it where it is one of the first or the first of its shape."""
        self.counts[example.kind] += 1
        kept = self.examples[example.kind]
        if len(kept) == EXAMPLES:
            shapes = [one.shape for one in kept]
            repeated = [index for index, shape in enumerate(shapes) if shape in shapes[:index]]
            if not repeated or example.shape in shapes:
                return
            del kept[repeated[-1]]
        kept.append(example)


class Comparison:
    """Takes events one by one and keeps counts, groups and a few examples of each."""

    def __init__(self, pairs: Sequence[Pair], hosts: Hosts | None = None) -> None:
        self.pairs, self._hosts = pairs, hosts
        self.looked_at = self.same = 0
        self.left_out: Counter[str] = Counter()
        self.counts: Counter[Kind] = Counter()
        self._groups: dict[tuple[str, str], Group] = {}
        self._edited = [pair for pair in pairs if not pair.is_same]

    def take(self, known: Known) -> None:
        """Compare what becomes of one event."""
        self.looked_at += 1
        found = [self._note(pair, known) for pair in self._edited]
        self.same += not any(found)

    def groups(self, pair: Pair) -> list[Group]:
        """Give what differs in a pipeline, by event name."""
        return sorted(
            (group for group in self._groups.values() if group.pipeline == pair.name), key=lambda group: group.event
        )

    def _note(self, pair: Pair, known: Known) -> bool:
        example = compare(pair, known, self._hosts)
        if example is None:
            return False
        self.counts[example.kind] += 1
        self._group(pair, known.event.canonical_name).note(example)
        return True

    def _group(self, pair: Pair, event: str) -> Group:
        is_new = (pair.name, event) not in self._groups and not pair.lists(event)
        key = (pair.name, MORE_EVENTS if is_new and len(self._groups) >= MAX_GROUPS else event)
        return self._groups.setdefault(key, Group(*key))


def compare(pair: Pair, known: Known, hosts: Hosts | None = None) -> Example | None:
    """Give in what one event goes otherwise; None where it does not.

    Both sides are judged at the moment the event was accepted, as if it were delivered at once.
    """
    today, edited = _rehearsed(pair.today, known, hosts), _rehearsed(pair.edited, known, hosts)
    was_sent, is_sent = today is not None and today.word == "sent", edited is not None and edited.word == "sent"
    found: tuple[Difference, ...] = ()
    kind: Kind
    if today is not None and edited is not None and was_sent and is_sent:
        kind, found = "changed", tuple(differences(today, edited))
        if not found:
            return None
    elif was_sent or is_sent:
        kind = "added" if is_sent else "removed"
    elif today is None or edited is None or today.word == edited.word:
        return None
    else:
        kind = "otherwise"
    event = known.event
    return Example(kind, known.seq, event.id, event.received_at_ms, _side(today), _side(edited), found)


def differences(today: Rehearsal, edited: Rehearsal) -> list[Difference]:
    """Give every place in which two requests differ; the order of keys says nothing, a value's type does."""
    was, becomes = today.request, edited.request
    assert was is not None, "what is sent has a request"
    assert becomes is not None, "what is sent has a request"
    if today.requests == edited.requests and today.lane == edited.lane:
        return []
    found: list[Difference] = []
    for name, old, new in (("lane", today.lane, edited.lane), ("method", was.method, becomes.method)):
        _walk(old, new, name, found)
    found += _url_differences(was.url, becomes.url) + _header_differences(was, becomes)
    found += _body_differences(was, becomes)
    return found + _further_differences(today.further, edited.further)


def _rehearsed(pipeline: Pipeline | None, known: Known, hosts: Hosts | None) -> Rehearsal | None:
    if pipeline is None:
        return None
    event = known.event
    now_ms = event.received_at_ms
    granted, waits = known.granted, known.waits
    return rehearse(pipeline, event, known.identifiers, granted=granted, waits=waits, now_ms=now_ms, hosts=hosts)


def _side(one: Rehearsal | None) -> Side | None:
    return Side(one.word, one.reason, one.metric) if one is not None else None


def _url_differences(was: str, becomes: str) -> list[Difference]:
    """Compare addresses; what stands behind a question mark may be a key."""
    found: list[Difference] = []
    (old, _, old_query), (new, _, new_query) = was.partition("?"), becomes.partition("?")
    _walk(old, new, "url", found)
    if old_query != new_query:
        found.append(Difference("url.query", None, None, is_masked=True))
    return found


def _further_differences(was: Sequence[Request], becomes: Sequence[Request]) -> list[Difference]:
    """Compare the requests that follow the first ones, each by its address and its body."""
    found: list[Difference] = []
    for number, (old, new) in enumerate(zip_longest(was, becomes), start=1):
        _walk(_tree(old), _tree(new), f"then.{number}", found)
    return found


def _tree(request: Request | None) -> Any:
    if request is None:
        return _GONE
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        body = f"{len(request.body)} bytes"
    return {"method": request.method, "url": request.url.partition("?")[0], "body": body}


def _header_differences(old: Request, new: Request) -> list[Difference]:
    found: list[Difference] = []
    was, becomes, secret = old.headers, new.headers, SECRET_HEADERS | old.secret_headers | new.secret_headers
    for name in {**was, **becomes}:
        if was.get(name) == becomes.get(name):
            continue
        if name.lower() in secret:
            found.append(Difference(f"headers.{name}", None, None, is_masked=True))
        else:
            _walk(was.get(name, _GONE), becomes.get(name, _GONE), f"headers.{name}", found)
    return found


def _body_differences(was: Request, becomes: Request) -> list[Difference]:
    if was.body == becomes.body:
        return []
    found: list[Difference] = []
    try:
        old, new = orjson.loads(was.body), orjson.loads(becomes.body)
    except orjson.JSONDecodeError:
        old, new = f"{len(was.body)} bytes", f"{len(becomes.body)} other bytes"
    _walk(old, new, "" if isinstance(old, dict) and isinstance(new, dict) else "body", found)
    return found


def _walk(was: Any, becomes: Any, path: str, found: list[Difference]) -> None:
    """Note where two JSON trees differ."""
    if isinstance(was, dict) and isinstance(becomes, dict):
        for key in {**was, **becomes}:
            _walk(was.get(key, _GONE), becomes.get(key, _GONE), f"{path}.{key}" if path else key, found)
    elif isinstance(was, list) and isinstance(becomes, list):
        for index, (old, new) in enumerate(zip_longest(was, becomes, fillvalue=_GONE)):
            _walk(old, new, f"{path}.{index}", found)
    elif type(was) is not type(becomes) or was != becomes:  # true is not 1, and 1.0 is not 1
        found.append(Difference(path, _text(was), _text(becomes)))


def _text(value: object) -> str | None:
    return None if value is _GONE else orjson.dumps(value).decode()
