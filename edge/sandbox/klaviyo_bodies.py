"""Klaviyo's request bodies, read into words once their shape has been found good.

Source: Klaviyo API, revision 2026-07-15: Create Event, Bulk Create Events, Create or Update Profile, Bulk Subscribe
Profiles, Request Profile Deletion.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from edge.sandbox.klaviyo_profiles import Event, ProfileUpdate
from edge.sandbox.klaviyo_rules import IDENTIFIERS, identifiers_of
from edge.sandbox.klaviyo_values import read_time


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of a request, with the profile it belongs to and its place in the document."""

    pointer: str
    update: ProfileUpdate
    event: Event


@dataclass(frozen=True, slots=True)
class Subscription:
    """One profile's explicit consent; `list_id` None is the account as a whole."""

    identifiers: dict[str, str]
    channels: tuple[str, ...]
    list_id: str | None
    source: str | None


def read_event(document: Any, *, now_ms: int) -> Entry:
    """The one event of Create Event."""
    attributes = document["data"]["attributes"]
    update = _update(attributes["profile"]["data"])
    return Entry("/data", update, _event(attributes, backfill=False, now_ms=now_ms))


def read_job(document: Any, *, now_ms: int) -> Iterator[Entry]:
    """The events of Bulk Create Events, in their order."""
    for at, group in enumerate(document["data"]["attributes"]["events-bulk-create"]["data"]):
        attributes = group["attributes"]
        update = _update(attributes["profile"]["data"])
        backfill = bool(attributes.get("backfill"))
        for index, event in enumerate(attributes["events"]["data"]):
            pointer = f"/data/attributes/events-bulk-create/data/{at}/attributes/events/data/{index}"
            yield Entry(pointer, update, _event(event["attributes"], backfill=backfill, now_ms=now_ms))


def read_profile(document: Any) -> ProfileUpdate:
    """The profile of Create or Update Profile."""
    return _update(document["data"])


def read_subscriptions(document: Any) -> Iterator[Subscription]:
    """Who subscribes to what in Bulk Subscribe Profiles."""
    attributes, lists = document["data"]["attributes"], document["data"].get("relationships") or {}
    list_id = lists["list"]["data"]["id"] if "list" in lists else None
    for profile in attributes["profiles"]["data"]:
        channels = [name for name, consent in profile["attributes"]["subscriptions"].items() if consent is not None]
        yield Subscription(identifiers_of(profile), tuple(channels), list_id, attributes.get("custom_source"))


def read_deletion(document: Any) -> dict[str, str]:
    """The one identifier of Request Profile Deletion."""
    return identifiers_of(document["data"]["attributes"]["profile"]["data"])


def _update(profile: Any) -> ProfileUpdate:
    """A profile resource; an identifier that is null says nothing."""
    attributes = {key: value for key, value in profile["attributes"].items() if key not in {*IDENTIFIERS, "meta"}}
    return ProfileUpdate(identifiers_of(profile), attributes)


def _event(attributes: Any, *, backfill: bool, now_ms: int) -> Event:
    metric = attributes["metric"]["data"]["attributes"]
    when = read_time(attributes.get("time") or "")
    own_backfill = attributes.get("backfill")
    return Event(
        metric=metric["name"],
        service=metric.get("service") or "api",
        time_s=now_ms // 1000 if when is None else int(when.timestamp()),
        unique_id=attributes.get("unique_id"),
        value=attributes.get("value"),
        value_currency=attributes.get("value_currency"),
        backfill=backfill if own_backfill is None else own_backfill,
        properties=attributes["properties"],
    )
