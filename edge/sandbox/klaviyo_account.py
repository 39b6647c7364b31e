"""What a Klaviyo account does with a good request: it records each event once, and says nothing when it does not.

Source: Klaviyo API, revision 2026-07-15. Create Event keeps the first of a repeated `unique_id`; Bulk Create Events
fails as a whole when it repeats one, and processes nothing. An account without SMS may drop events whose only
identifier is a phone number (changelog of 2023-01-11); this one always does.
"""

from collections.abc import Sequence

from edge.sandbox.klaviyo_bodies import Entry, Subscription
from edge.sandbox.klaviyo_profiles import Profile, Profiles, ProfileUpdate
from edge.sandbox.shape import Problem
from edge.sandbox.vendor import JSON, Note


class Account:
    """Profiles with their events, and the events that were accepted but left no trace there."""

    def __init__(self, *, has_sms: bool) -> None:
        self.profiles = Profiles()
        self._has_sms = has_sms
        self._ignored: list[JSON] = []

    def knows(self, update: ProfileUpdate) -> bool:
        """False when the request names a profile id that nobody has."""
        named = update.identifiers.get("id")
        return named is None or bool(self.profiles.find({"id": named}))

    def record(self, entry: Entry) -> tuple[Note, ...]:
        """Take one event; the notes say when it is not recorded."""
        if not self._has_sms and set(entry.update.identifiers) == {"phone_number"}:
            return self._ignore(entry, "the account has no SMS, and the phone number is the only identifier")
        if not self.profiles.record(entry.update, entry.event):
            return self._ignore(entry, "a duplicate: the profile has this event already")
        return ()

    def record_job(self, entries: Sequence[Entry]) -> tuple[Note, ...]:
        """Take all events of a job, or none when one of their unique ids was recorded before."""
        if any(self._is_recorded(entry) for entry in entries):
            reason = "the job failed: a unique_id in it was recorded before"
            return tuple(note for entry in entries for note in self._ignore(entry, reason))
        return tuple(note for entry in entries for note in self.record(entry))

    def repeats(self, entries: Sequence[Entry]) -> list[Problem]:
        """Where a job repeats a unique id for the same profile and metric."""
        seen: set[tuple[str, tuple[str, str, str | int]]] = set()
        problems = []
        for entry in entries:
            key = self._owner(entry.update), entry.event.key
            if entry.event.unique_id is not None and key in seen:
                detail = "This unique_id is repeated for the same profile and metric; no event is processed."
                problems.append(Problem(f"{entry.pointer}/attributes/unique_id", detail))
            seen.add(key)
        return problems

    def subscribe(self, asked: Subscription) -> None:
        """Keep an explicit consent, which lifts every earlier unsubscription."""
        profile, _ = self.profiles.apply(ProfileUpdate(asked.identifiers, {}))
        channels: list[JSON] = [*asked.channels]
        profile.subscriptions.append({"channels": channels, "list": asked.list_id, "source": asked.source})

    def erase(self, identifiers: dict[str, str]) -> None:
        for profile in self.profiles.find(identifiers):
            self.profiles.erase(profile)

    def find(self, identifier: str) -> Profile | None:
        return self.profiles.find_any(identifier)

    def to_json(self) -> dict[str, JSON]:
        profiles: list[JSON] = [profile.to_json() for profile in self.profiles]
        return {"events": self.profiles.events(), "profiles": profiles, "ignored": list(self._ignored)}

    def _owner(self, update: ProfileUpdate) -> str:
        found = self.profiles.find(update.identifiers)
        return found[0].id if found else "{}:{}".format(*next(iter(update.identifiers.items())))

    def _is_recorded(self, entry: Entry) -> bool:
        found = self.profiles.find(entry.update.identifiers)
        return entry.event.unique_id is not None and any(entry.event.key in profile.seen for profile in found)

    def _ignore(self, entry: Entry, reason: str) -> tuple[Note, ...]:
        event = entry.event
        identifiers: dict[str, JSON] = dict(entry.update.identifiers)
        self._ignored.append(
            {"reason": reason, "metric": event.metric, "unique_id": event.unique_id, "identifiers": identifiers}
        )
        return (Note(entry.pointer, reason),)
