"""What Klaviyo keeps: profiles found by any of their identifiers, and each event once.

Source: Klaviyo API, revision 2026-07-15: Create Event (`unique_id`), "Identity resolution" (identifiers that come
together belong to one profile). Merging is as merciless here as it can be there: two profiles named by one request
become one, cannot be parted again, and the survivor says so in `merges`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import TypeAlias

from edge.sandbox.vendor import JSON

OccurrenceKey: TypeAlias = "tuple[str, str, str | int]"
"""(service, metric, unique id or second): what makes two events of one profile the same."""


@dataclass(frozen=True, slots=True)
class ProfileUpdate:
    """The profile part of a request; `identifiers` by kind, the profile's own id as "id"."""

    identifiers: Mapping[str, str]
    attributes: Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class Event:
    """One event as the vendor understands it; `time_s` is truncated to the second."""

    metric: str
    service: str
    time_s: int
    unique_id: str | None
    value: float | None
    value_currency: str | None
    backfill: bool
    properties: Mapping[str, JSON]

    @property
    def key(self) -> OccurrenceKey:
        return self.service, self.metric, self.time_s if self.unique_id is None else self.unique_id

    def to_json(self, number: int, profile_id: str) -> dict[str, JSON]:
        return {
            "number": number,
            "profile_id": profile_id,
            "metric": self.metric,
            "service": self.service,
            "time": datetime.fromtimestamp(self.time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "unique_id": self.unique_id,
            "value": self.value,
            "value_currency": self.value_currency,
            "backfill": self.backfill,
            "properties": dict(self.properties),
        }


@dataclass(slots=True)
class Profile:
    """One person in the vendor's eyes. Each kind of identifier keeps every value it ever had, the newest last."""

    id: str
    identifiers: dict[str, list[str]] = field(default_factory=dict)
    attributes: dict[str, JSON] = field(default_factory=dict)
    events: dict[int, Event] = field(default_factory=dict)
    seen: set[OccurrenceKey] = field(default_factory=set)
    merges: list[str] = field(default_factory=list)
    subscriptions: list[JSON] = field(default_factory=list)

    def to_json(self) -> dict[str, JSON]:
        return {
            "id": self.id,
            "identifiers": {kind: list(values) for kind, values in self.identifiers.items()},
            "attributes": dict(self.attributes),
            "merges": list(self.merges),
            "subscriptions": list(self.subscriptions),
            "events": self.events_json(),
        }

    def events_json(self) -> list[JSON]:
        """Its events in the order of recording."""
        return [self.events[number].to_json(number, self.id) for number in sorted(self.events)]

    def taken(self) -> dict[str, JSON]:
        """This profile alone, in the form that a vendor reports everything."""
        return {"events": self.events_json(), "profiles": [self.to_json()]}


class Profiles:
    """Every profile, and the identifiers that lead to it."""

    def __init__(self) -> None:
        self._profiles: dict[str, Profile] = {}
        self._owners: dict[tuple[str, str], str] = {}
        self._profile_numbers = count(1)
        self._event_numbers = count(1)

    def __iter__(self) -> Iterator[Profile]:
        return iter(self._profiles.values())

    def find(self, identifiers: Mapping[str, str]) -> list[Profile]:
        """The profiles these identifiers name, each once, in the order of the identifiers."""
        owners = (self._owners.get((kind, _normal(kind, value))) for kind, value in identifiers.items())
        return [self._profiles[owner] for owner in dict.fromkeys(owners) if owner is not None]

    def find_any(self, identifier: str) -> Profile | None:
        """The profile that has this value as an identifier of any kind."""
        kinds = dict.fromkeys(kind for kind, _ in self._owners)
        return next(iter(self.find(dict.fromkeys(kinds, identifier))), None)

    def apply(self, update: ProfileUpdate) -> tuple[Profile, bool]:
        """Find or make the profile, link its identifiers, write its attributes.

        Returns:
            The profile, and whether it is new.
        """
        found = self.find(update.identifiers)
        profile = found[0] if found else self._new()
        for other in found[1:]:
            self._merge(other, into=profile)
        for kind, value in update.identifiers.items():
            self._link(profile, kind, _normal(kind, value))
        _write(profile.attributes, update.attributes)
        return profile, not found

    def record(self, update: ProfileUpdate, event: Event) -> bool:
        """Put an event on its profile; False when the profile had it already, which changes only its attributes."""
        profile, _ = self.apply(update)
        if event.key in profile.seen:
            return False
        profile.seen.add(event.key)
        profile.events[next(self._event_numbers)] = event
        return True

    def erase(self, profile: Profile) -> None:
        """Remove a profile with its events; its identifiers may make a new one later."""
        del self._profiles[profile.id]
        self._owners = {key: owner for key, owner in self._owners.items() if owner != profile.id}

    def events(self) -> list[JSON]:
        """Every recorded event, in the order of recording."""
        every = ((number, profile.id, event) for profile in self for number, event in profile.events.items())
        return [event.to_json(number, owner) for number, owner, event in sorted(every, key=lambda one: one[0])]

    def _new(self) -> Profile:
        profile = Profile(id=f"01SANDBOX{next(self._profile_numbers):017d}")
        self._profiles[profile.id] = profile
        self._owners["id", profile.id] = profile.id
        return profile

    def _link(self, profile: Profile, kind: str, value: str) -> None:
        self._owners[kind, value] = profile.id
        if kind != "id":
            values = profile.identifiers.setdefault(kind, [])
            if value in values:
                values.remove(value)
            values.append(value)

    def _merge(self, other: Profile, *, into: Profile) -> None:
        for kind, values in other.identifiers.items():
            for value in values:
                self._link(into, kind, value)
        into.attributes = {**other.attributes, **into.attributes}
        into.events |= {number: event for number, event in other.events.items() if event.key not in into.seen}
        into.seen |= other.seen
        into.merges += [other.id, *other.merges]
        into.subscriptions += other.subscriptions
        self._owners = {key: into.id if owner == other.id else owner for key, owner in self._owners.items()}
        del self._profiles[other.id]


def _normal(kind: str, value: str) -> str:
    return value.lower() if kind == "email" else value


def _write(kept: dict[str, JSON], new: Mapping[str, JSON]) -> None:
    """Set what is given, clear what is null, leave the rest; one level down too (location, properties)."""
    for key, value in new.items():
        before = kept.get(key)
        if value is None:
            kept.pop(key, None)
        elif isinstance(value, dict) and isinstance(before, dict):
            kept[key] = {name: inner for name, inner in {**before, **value}.items() if inner is not None}
        else:
            kept[key] = value
