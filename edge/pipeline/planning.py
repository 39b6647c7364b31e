"""From one event, and what is known of its visitor, to the payload; or why there is none. Pure."""

from collections.abc import Mapping as Tree
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from edge.complete import completed
from edge.consent import MASKS, PURPOSE_NAMES, Purpose
from edge.delivery import Payload, Rejected, Rendered, Skipped
from edge.event import Event, is_server
from edge.foreign_links import Hosts, without_foreign_links
from edge.identity import BROWSER_LEVEL, level_of
from edge.mapping import Unfit, apply
from edge.moments import iso_millisecond
from edge.person import FIRST_EPOCH, KINDS, Identifiers, anonymous_id
from edge.pipeline.compiled import EventPlan, Lane, Pipeline
from edge.vendor_ids import VENDOR_IDS_KEY, allowed

LIVE_EVENTS = frozenset({"view_item", "add_to_cart", "started_checkout", "purchase", "search", "sign_up"})
# What was decided, by its mask, as mappings read it.
CONSENTS = tuple({name: bool(mask & purpose) for name, purpose in PURPOSE_NAMES.items()} for mask in MASKS)
_DEVICE_KEYS = frozenset({"ip", "user_agent"})


@dataclass(frozen=True, slots=True)
class Planned:
    """The event's payload, ready for the pipeline's destination; without what led away from the shop, by its paths."""

    payload: Payload
    metric: str
    lane: Lane
    stripped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unmapped:
    """The pipeline says nothing of this event."""


@dataclass(frozen=True, slots=True)
class SkippedBy:
    """The pipeline says that this one is not sent."""

    reason: str


@dataclass(frozen=True, slots=True)
class Dead:
    """The event cannot be sent as the pipeline says; kept with the reason, which holds no value of the event."""

    reason: str


Plan: TypeAlias = Planned | Unmapped | SkippedBy | Dead


def plan(
    pipeline: Pipeline,
    event: Event,
    identifiers: Identifiers,
    granted: Purpose = Purpose.NONE,
    hosts: Hosts | None = None,
) -> Plan:
    """Make an event's payload.

    Args:
        pipeline: compiled.
        event: as it was accepted; never modified.
        identifiers: what is known of its visitor now.
        granted: what it may be used for, for vendors that want to be told.
        hosts: the shop's own, to which links in a browser's words may lead; None: to any.
    Returns:
        For the same pipeline hash, event, identifiers, consent and hosts always the same bytes.
    Source:
        docs/pipelines.md, "What an event goes through".
    """
    name = event.canonical_name
    event_plan = pipeline.event_plan(name)
    if not pipeline.is_enabled:
        return SkippedBy("the pipeline is disabled")
    if event_plan is None:
        return Unmapped()
    event, stripped = _said(event, hosts)
    told = allowed(identifiers, granted)
    source = _source_of(event, told, granted)
    refusal = _refusal(event_plan, source)
    if refusal is not None:
        return refusal
    profile, properties = apply(pipeline.profile, source), apply(event_plan.properties, source)
    if isinstance(profile, Unfit):
        return Dead(f"global.profile.{profile}")
    if isinstance(properties, Unfit):
        return Dead(f"events.{name}.properties.{properties}")
    own: dict[str, bool | dict[str, object]] = {}
    for key, said in event_plan.own.items():
        made = said if isinstance(said, bool) else apply(said, source)
        if isinstance(made, Unfit):
            return Dead(f"events.{name}.{key}.{made}")
        own[key] = made
    metric, fallback = event_plan.metric or name, event.order_id or event.id
    named = source["properties"].get("currency")
    currency = named if isinstance(named, str) else None
    own_id = source["context"]["ids"]["anonymous_id"]
    rendered = Rendered(
        metric,
        profile,
        properties,
        fallback,
        event.time_ms,
        currency,
        event=source,
        is_from_server=is_server(event.source),
        identifiers=told,
        granted=granted,
        anonymous_id=own_id,
        stranger_id=own_id if pipeline.goes_by_own_id(identifiers) else None,
        received_at_ms=event.received_at_ms,
        own=own,
    )
    payload = pipeline.destination.render(rendered)
    if isinstance(payload, Rejected):
        return Dead(payload.reason)
    if isinstance(payload, Skipped):
        return SkippedBy(payload.reason)
    return Planned(
        payload, metric, event_plan.lane or ("live" if name in LIVE_EVENTS else "background"), tuple(stripped)
    )


def source_of(
    event: Event, identifiers: Identifiers, hosts: Hosts | None = None, granted: Purpose = Purpose.NONE
) -> dict[str, Any]:
    """Give what mappings read.

    Identifiers in `traits` and `context.traits` are those the visitor is known by, never the ones the event merely
    claims: a foreign address sent along could join two persons at the vendor for good. So is `context.ids` our own;
    it has what is granted. A server's event that names neither address nor user agent gets its person's last browser's.
    """
    return _source_of(_said(event, hosts)[0], allowed(identifiers, granted), granted)


def _source_of(said: Event, identifiers: Identifiers, granted: Purpose) -> dict[str, Any]:
    given, known = said.context.get("traits"), identifiers.traits()
    claims: dict[str, Any] = given | said.traits if isinstance(given, dict) else said.traits
    simple = {k: v for k, v in claims.items() if k not in KINDS and not isinstance(v, dict | list)}
    is_told = _DEVICE_KEYS.isdisjoint(said.context) and level_of(said.source) > BROWSER_LEVEL
    own_id = identifiers.anonymous_id or anonymous_id(bytes.fromhex(said.browser), FIRST_EPOCH)
    context = {
        **said.context,
        **(identifiers.device() if is_told else {}),
        "ids": {**identifiers.ids(), "anonymous_id": own_id},
        "traits": {**simple, **known},
    }
    context.pop(VENDOR_IDS_KEY, None)
    return {
        "id": said.id,
        "name": said.canonical_name,
        "time": iso_millisecond(said.time_ms),
        "properties": completed(said.properties),
        "traits": {**{k: v for k, v in said.traits.items() if k not in KINDS}, **known},
        "context": context,
        "consent": CONSENTS[granted],
    }


def stripped_of(event: Event, hosts: Hosts) -> list[str]:
    """Give the paths of what mappings do not see, as it leads away from the shop: e.g. ["properties.item_url"]."""
    return _said(event, hosts)[1]


def _said(event: Event, hosts: Hosts | None) -> tuple[Event, list[str]]:
    """Take a browser's foreign links out of an event; a referrer is foreign by nature and stays."""
    if hosts is None or level_of(event.source) > BROWSER_LEVEL:
        return event, []
    page, given = event.context.get("page"), event.context.get("traits")
    own_page = dict(page) if isinstance(page, dict) else {}
    own_page.pop("referrer", None)
    said = {
        "properties": event.properties,
        "traits": event.traits,
        "context.traits": given if isinstance(given, dict) else {},
        "context.page": own_page,
    }
    kept, gone = without_foreign_links(said, hosts)
    if not gone:
        return event, gone
    context = dict(event.context)
    if isinstance(page, dict):
        context["page"] = kept["context.page"] | ({"referrer": page["referrer"]} if "referrer" in page else {})
    if isinstance(given, dict):
        context["traits"] = kept["context.traits"]
    return replace(event, properties=kept["properties"], traits=kept["traits"], context=context), gone


def _refusal(event_plan: EventPlan, source: Tree[str, object]) -> SkippedBy | Dead | None:
    if event_plan.when is None:
        return None
    answer = event_plan.when(source)
    if isinstance(answer, Unfit):
        return Dead(f"when: {answer.what}")
    is_false = answer is None or answer is False or answer in ("", [], {})
    return SkippedBy("when is false") if is_false else None
