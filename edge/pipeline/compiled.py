"""What a pipeline file says, compiled; nothing here reads a file."""

from collections.abc import Mapping as Tree
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from edge.consent import Purpose, purposes
from edge.destinations.base import Anonymous, Destination
from edge.errors import Problem
from edge.event import RESERVED_NAMES
from edge.mapping import Expression, Mapping
from edge.person import Identifiers

Lane: TypeAlias = Literal["live", "background"]

# What stands at the top of what mappings and conditions read, the likeliest first.
ROOTS = ("properties", "context", "traits", "consent", "id", "name", "time")
# What these say is for the sidecar itself; "*" does not stand for them, a file may still list them.
UNSTARRED = RESERVED_NAMES - {"page_view"}


@dataclass(frozen=True, slots=True)
class EventPlan:
    """What becomes of one kind of event; where the file names no metric or lane, the event's own name decides.

    `own` is what the file says under the keys that only its destination knows.
    """

    metric: str | None
    properties: Mapping
    lane: Lane | None
    when: Expression | None = None
    own: Tree[str, bool | Mapping] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One compiled file. `hash` is the first 16 hex digits of its bytes' SHA-256; `name` is its cursor.

    `warnings` say what the file leaves out that the vendor's own features need. The rest follows from the others:
    `discloses` are the purposes whose answers stand in a payload: one that is withdrawn must not be told any more;
    `is_known_by_click`: a click token is enough to say who it was, as the vendor knows its own and the file maps it;
    `sends_own_ids`: strangers go under their visitors' own ids, which the file itself does not name.
    """

    name: str
    file: str
    text: str = field(repr=False)
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
    warnings: tuple[Problem, ...] = ()
    discloses: Purpose = field(init=False)
    is_known_by_click: bool = field(init=False)
    sends_own_ids: bool = field(init=False)

    def __post_init__(self) -> None:
        """Judge once what is asked for each event."""
        clicks, own_ids, paths = self.destination.click_targets, self.destination.anonymous_targets, self.profile.paths
        object.__setattr__(self, "discloses", purposes(self.destination.discloses))
        object.__setattr__(self, "is_known_by_click", not clicks.isdisjoint(paths))
        is_own = self.anonymous == "send" and own_ids and own_ids.isdisjoint(paths)
        object.__setattr__(self, "sends_own_ids", bool(is_own))

    def event_plan(self, name: str) -> EventPlan | None:
        """Give what the file says of an event's canonical name, by itself or as "*"."""
        return self.events.get(name) or (None if name in UNSTARRED else self.events.get("*"))

    @property
    def age_limit(self) -> str:
        """Say how old an event may be for the destination, as a reason."""
        return f"{self.integration} takes no event older than {_span(self.destination.max_event_age_s or 0.0)}"

    def is_refused_at(self, time_ms: int, now_ms: int) -> bool:
        """Tell whether an event of a moment is too old for the destination, however it is sent."""
        limit_s = self.destination.max_event_age_s
        return limit_s is not None and now_ms - time_ms > limit_s * 1_000

    def goes_by_own_id(self, identifiers: Identifiers) -> bool:
        """Tell whether a stranger goes, or is introduced, under its visitor's own id."""
        if not self.sends_own_ids:
            return False
        return identifiers.introduces if identifiers else identifiers.kx is None or not self.is_known_by_click

    def is_deliverable(self, identifiers: Identifiers) -> bool:
        """Tell whether events of such a visitor go out now; where not, `anonymous` says what becomes of them."""
        return bool(identifiers) or self.anonymous == "send" or (identifiers.kx is not None and self.is_known_by_click)


def _span(seconds: float) -> str:
    return f"{seconds / 86_400:g} d" if seconds % 86_400 == 0 else f"{seconds / 3_600:g} h"
