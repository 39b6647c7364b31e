"""The shapes of Klaviyo's requests: which keys stand where, and which of them must.

Source: Klaviyo API, revisions 2026-07-15 and 2026-10-15: Create Event, Bulk Create Events, Create or Update Profile,
Bulk Subscribe Profiles, Request Profile Deletion.
"""

from collections.abc import Mapping
from datetime import date

import orjson

from edge.sandbox import klaviyo_values as values
from edge.sandbox.shape import (
    Check,
    Field,
    Report,
    all_of,
    any_text,
    boolean,
    constant,
    listing,
    mapping,
    nullable,
    number,
    optional,
    record,
    required,
    text,
)
from edge.sandbox.vendor import JSON

# Which identifier each channel reaches somebody by, where it is one of a profile's.
CHANNELS = {"email": "email", "sms": "phone_number", "whatsapp": "phone_number", "push": ""}
MAX_SUBSCRIBED = 1_000
IDENTIFIERS = ("email", "phone_number", "external_id", "_kx", "anonymous_id")

MAX_METRIC_CHARS = 127
MAX_EXTERNAL_ID_CHARS = 255
MAX_BULK_EVENTS = 1_000

BACKFILL_SINCE = date(2026, 7, 15)
META_ONLY_BESIDE_SINCE = date(2026, 10, 15)
IMPORT_WITHOUT_ANONYMOUS_ID_SINCE = date(2025, 10, 15)


def event_document(revision: date, *, now_ms: int) -> Check:
    """The body of Create Event."""
    attributes = _event_fields(revision, now_ms=now_ms) | {"profile": required(_event_profile(revision))}
    return _document(_resource("event", attributes))


def bulk_document(revision: date, *, now_ms: int) -> Check:
    """The body of Bulk Create Events: groups of one profile and its events."""
    event = _resource("event", _event_fields(revision, now_ms=now_ms))
    group = _backfill(revision) | {
        "profile": required(_event_profile(revision)),
        "events": required(record("events", {"data": required(listing(event, min_items=1))})),
    }
    groups = all_of(listing(_resource("event-bulk-create", group), min_items=1), _at_most_1000_events)
    attributes = {"events-bulk-create": required(record("events-bulk-create", {"data": required(groups)}))}
    return _document(_resource("event-bulk-create-job", attributes))


def profile_document(revision: date, *, now_ms: int) -> Check:
    """The body of Create or Update Profile; `now_ms` is there because all four are made alike."""
    fields = _profile_fields(revision)
    if revision >= IMPORT_WITHOUT_ANONYMOUS_ID_SINCE:
        del fields["anonymous_id"]
    return _document(all_of(_resource("profile", fields, id=nullable(text()), meta=nullable(_META)), _has_identifier))


def deletion_document(revision: date, *, now_ms: int) -> Check:
    """The body of Request Profile Deletion: exactly one identifier."""
    fields = {"email": nullable(values.email), "phone_number": nullable(values.phone)}
    profile = all_of(_resource("profile", fields, id=nullable(text())), _has_one_identifier)
    return _document(_resource("data-privacy-deletion-job", {"profile": required(_relation("profile", profile))}))


def subscription_document(revision: date, *, now_ms: int) -> Check:
    """The body of Bulk Subscribe Profiles: who agreed to what, and the list that they join."""
    consents = {channel: nullable(_consent(channel, now_ms)) for channel in CHANNELS}
    fields = {
        "email": nullable(values.email),
        "phone_number": nullable(values.phone),
        "subscriptions": required(all_of(record("subscriptions", consents), _has_a_channel)),
    }
    who = all_of(_resource("profile", fields, id=nullable(text())), _is_reached_by_its_channels)
    profiles = all_of(listing(who, min_items=1), _at_most_1000_profiles)
    attributes = {
        "profiles": required(record("profiles", {"data": required(profiles)})),
        "custom_source": nullable(text()),
        "historical_import": nullable(boolean),
    }
    a_list = _relation("list", record("list resource", {"type": required(constant("list")), "id": required(text())}))
    lists = optional(record("relationships", {"list": optional(a_list)}))
    job = _resource("profile-subscription-bulk-create-job", attributes, relationships=lists)
    return _document(all_of(job, _has_history_with_its_time))


def identifiers_of(profile: Mapping[str, JSON]) -> dict[str, str]:
    """The identifiers that a profile resource carries, its own id as "id"; empty for a profile of a wrong shape."""
    attributes = profile.get("attributes")
    inner = attributes if isinstance(attributes, dict) else {}
    found = {"id": profile.get("id")} | {kind: inner.get(kind) for kind in IDENTIFIERS}
    return {kind: value for kind, value in found.items() if isinstance(value, str) and value}


def _document(resource: Check) -> Check:
    return record("document", {"data": required(resource)})


def _resource(kind: str, attributes: Mapping[str, Field], **beside: Field) -> Check:
    """A JSON:API resource object: its type, its attributes, and what else may stand beside them."""
    fields = {"type": required(constant(kind)), "attributes": required(record(kind, attributes)), **beside}
    return record(f"{kind} resource", fields)


def _relation(name: str, resource: Check) -> Check:
    return record(name, {"data": required(resource)})


def _event_profile(revision: date) -> Check:
    resource = _resource("profile", _profile_fields(revision), id=nullable(text()), meta=nullable(_META))
    return _relation("profile", all_of(resource, _has_identifier))


def _event_fields(revision: date, *, now_ms: int) -> dict[str, Field]:
    metric = {"name": required(text(max_chars=MAX_METRIC_CHARS)), "service": nullable(text())}
    return _backfill(revision) | {
        "properties": required(values.event_properties),
        "metric": required(_relation("metric", _resource("metric", metric))),
        "time": nullable(values.event_time(now_ms)),
        "value": nullable(number),
        "value_currency": nullable(values.currency),
        "unique_id": nullable(text()),
    }


def _backfill(revision: date) -> dict[str, Field]:
    return {"backfill": nullable(boolean)} if revision >= BACKFILL_SINCE else {}


def _profile_fields(revision: date) -> dict[str, Field]:
    fields = dict.fromkeys(("first_name", "last_name", "organization", "title", "image"), _LINE)
    fields |= {
        "email": nullable(values.email),
        "phone_number": nullable(values.phone),
        "external_id": nullable(text(max_chars=MAX_EXTERNAL_ID_CHARS)),
        "anonymous_id": nullable(text()),
        "_kx": nullable(text()),
        "locale": nullable(values.locale),
        "location": nullable(_LOCATION),
        "properties": nullable(all_of(mapping, values.within_limits)),
    }
    if revision < META_ONLY_BESIDE_SINCE:
        fields["meta"] = nullable(_META)
    return fields


_LINE = nullable(text(is_good=any_text))
_LOCATION = record(
    "location",
    dict.fromkeys(("address1", "address2", "city", "country", "region", "zip", "timezone"), _LINE)
    | {
        "latitude": nullable(values.degrees(90)),
        "longitude": nullable(values.degrees(180)),
        "ip": nullable(values.address),
    },
)


def _names(report: Report, pointer: str, value: JSON) -> None:
    """One property's name or an array of them."""
    (listing(text()) if isinstance(value, list) else text())(report, pointer, value)


_SECOND_EMAILS = record("identifiers", {"email": optional(listing(values.email))})
_META = record(
    "meta",
    {
        "patch_properties": nullable(
            record(
                "patch_properties",
                {"append": nullable(mapping), "unappend": nullable(mapping), "unset": nullable(_names)},
            )
        ),
        "patch_identifiers": nullable(
            record("patch_identifiers", {"append": nullable(_SECOND_EMAILS), "unappend": nullable(_SECOND_EMAILS)})
        ),
    },
)


def _has_identifier(report: Report, pointer: str, value: JSON) -> None:
    if isinstance(value, dict) and not identifiers_of(value):
        report.wrong(f"{pointer}/attributes", f"At least one identifier is needed: id, {', '.join(IDENTIFIERS)}.")


def _has_one_identifier(report: Report, pointer: str, value: JSON) -> None:
    if isinstance(value, dict) and len(identifiers_of(value)) != 1:
        report.wrong(f"{pointer}/attributes", "Exactly one identifier is needed: id, email or phone_number.")


def _consent(channel: str, now_ms: int) -> Check:
    marketing = {"consent": required(constant("SUBSCRIBED")), "consented_at": nullable(values.event_time(now_ms))}
    return record(channel, {"marketing": required(record("marketing", marketing))})


def _has_a_channel(report: Report, pointer: str, value: JSON) -> None:
    if value == {}:
        report.wrong(pointer, f"At least one channel is needed: {', '.join(CHANNELS)}.")


def _is_reached_by_its_channels(report: Report, pointer: str, value: JSON) -> None:
    match value:
        case {"attributes": {"subscriptions": dict(channels), **fields}}:
            for channel in channels:
                needed = CHANNELS.get(channel)
                if needed and not fields.get(needed):
                    report.wrong(f"{pointer}/attributes/{needed}", f"'{needed}' is needed for the channel '{channel}'.")


def _has_history_with_its_time(report: Report, pointer: str, value: JSON) -> None:
    match value:
        case {"attributes": {"historical_import": True, "profiles": {"data": list(profiles)}}}:
            for at, profile in enumerate(profiles):
                if b'"consented_at":"' not in orjson.dumps(profile):
                    place = f"{pointer}/attributes/profiles/data/{at}/attributes/subscriptions"
                    report.wrong(place, "A historical import needs 'consented_at'.")


def _at_most_1000_profiles(report: Report, pointer: str, value: JSON) -> None:
    if isinstance(value, list) and len(value) > MAX_SUBSCRIBED:
        report.wrong(pointer, f"At most {MAX_SUBSCRIBED} profiles are accepted in one job; there are {len(value)}.")


def _at_most_1000_events(report: Report, pointer: str, value: JSON) -> None:
    count = sum(_events_in(group) for group in value) if isinstance(value, list) else 0
    if count > MAX_BULK_EVENTS:
        report.wrong(pointer, f"At most {MAX_BULK_EVENTS} events are accepted in one job; there are {count}.")


def _events_in(group: JSON) -> int:
    match group:
        case {"attributes": {"events": {"data": list(events)}}}:
            return len(events)
    return 0
