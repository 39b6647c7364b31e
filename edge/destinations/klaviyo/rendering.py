"""An event in Klaviyo's words: the attributes of Create Event, and of the profile it belongs to.

Source: Klaviyo Create Event API, revision 2026-10-15; older spellings ($email, $value, $event_id) from the former
track and identify APIs.
"""

import re
from typing import Any

from edge.delivery import Rendered
from edge.destinations.base import CONTAINERS, Unfit, without_nulls
from edge.destinations.values import NEWEST_MS, currency_of
from edge.jsontree import number_of
from edge.moments import iso_second

MAX_METRIC_CHARS, MAX_PROPERTIES, MAX_ARRAY_ITEMS, MAX_NESTING = 127, 400, 4_000, 10
MAX_STRING_BYTES = 100_000
SHORT_CHARS = MAX_STRING_BYTES // 4  # a character has four bytes at most, so that these need no counting
# The vendor's oldest moment, 2000-01-01, and the last one that ISO 8601 writes with four digits, both UTC.
OLDEST_MS = 946_684_800_000

# Identifiers and the form each must have; at least one makes the profile.
IDENTIFIERS = {
    "email": re.compile(r"(?=.{3,254}$)[^@\s\"(),:;<>\[\]\\]{1,64}@([a-z0-9-]{1,63}\.)+[a-z0-9-]{2,63}"),
    "phone_number": re.compile(r"\+[1-9][0-9]{6,14}"),
    "external_id": re.compile(r".{1,255}", re.DOTALL),
    "anonymous_id": re.compile(r".{1,255}", re.DOTALL),
    "_kx": re.compile(r"\S{1,4096}"),
}
ATTRIBUTES = ("first_name", "last_name", "organization", "locale", "title", "image")
COORDINATES = ("latitude", "longitude")
LOCATION = ("address1", "address2", "city", "country", "region", "zip", "timezone", "ip", *COORDINATES)
# What each key of a profile that Klaviyo knows is called today; the former APIs put a dollar before it.
NAMES = {name: name for name in (*IDENTIFIERS, *ATTRIBUTES, *LOCATION)}
NAMES |= {f"${name}": name for name in NAMES} | {"$id": "external_id", "$exchange_id": "_kx"}
# Parts of the former identify call that no event can carry: consent is given by a subscribe call only.
NOT_OF_AN_EVENT = frozenset({"$consent", "$source"})
EVENT_ID_KEYS = ("$event_id", "event_id")
CURRENCY_KEYS = ("$currency", "value_currency")


def attributes_of(rendered: Rendered) -> dict[str, Any]:
    """Give what Create Event is told of an event, without its `backfill` mark.

    Raises:
        Unfit: Klaviyo would refuse it.
    """
    _check_frame(rendered)
    properties = dict(rendered.properties)
    return {
        "unique_id": _unique_id(properties, rendered.unique_id),
        "time": iso_second(rendered.time_ms),
        **_money(properties, rendered.currency),
        "metric": {"data": {"type": "metric", "attributes": {"name": rendered.metric}}},
        "profile": {"data": {"type": "profile", "attributes": profile_of(rendered.profile, rendered.stranger_id)}},
        "properties": _told(properties),
    }


def _check_frame(rendered: Rendered) -> None:
    if not 0 < len(rendered.metric) <= MAX_METRIC_CHARS:
        raise Unfit(f"metric: Klaviyo takes 1 to {MAX_METRIC_CHARS} characters, not {len(rendered.metric)}")
    if not OLDEST_MS < rendered.time_ms <= NEWEST_MS:
        raise Unfit("time: Klaviyo takes moments after the year 2000")


def _unique_id(properties: dict[str, object], otherwise: str) -> str:
    """Take the mapped key out of the properties: without one Klaviyo keeps one event a second."""
    for key, value in [(key, properties.pop(key)) for key in EVENT_ID_KEYS if key in properties]:
        if isinstance(value, bool | list | dict):
            raise Unfit(f"{key}: Klaviyo takes a text, not a {type(value).__name__}")
        if value is not None and (text := str(value).strip()):
            return text
    if not otherwise:
        raise Unfit("unique_id: the event has none")
    return otherwise


def _money(properties: dict[str, object], currency: str | None) -> dict[str, object]:
    named = [properties.pop(key) for key in CURRENCY_KEYS if key in properties]
    value = properties.pop("$value", None)
    if value is None or value == "":
        return {}
    number = number_of(value)
    if number is None:
        raise Unfit("$value: Klaviyo takes a number")
    for one in (*named, currency):
        if code := currency_of(one):
            return {"value": number, "value_currency": code}
    return {"value": number}


def profile_of(mapped: dict[str, object], anonymous_id: str | None = None) -> dict[str, object]:
    """Sort what was mapped into identifiers, attributes, location and the shop's own properties; blanks say nothing.

    Raises:
        Unfit: Klaviyo would refuse it, as nobody is named or a value has a wrong form.
    """
    identifiers: dict[str, str] = {} if anonymous_id is None else {"anonymous_id": anonymous_id}
    attributes: dict[str, str] = {}
    location: dict[str, object] = {}
    own: dict[str, object] = {}
    for key, value in mapped.items():
        if value is None or key in NOT_OF_AN_EVENT or (isinstance(value, str) and not value.strip()):
            continue
        name = NAMES.get(key)
        if name is None:
            own[key] = value
        elif name in IDENTIFIERS:
            identifiers[name] = _text(name, value)
        elif name in ATTRIBUTES:
            attributes[name] = _text(name, value)
        else:
            location[name] = without_nulls(value) if name in COORDINATES else _text(name, value)
    profile: dict[str, object] = {**_identified(identifiers), **attributes}
    if location:
        profile["location"] = location
    if own:
        profile["properties"] = _fit(own, "profile", 1)
    return profile


def _text(name: str, value: object) -> str:
    if isinstance(value, bool | list | dict):
        raise Unfit(f"profile.{name}: Klaviyo takes a text, not a {type(value).__name__}")
    return str(value).strip()


def _identified(given: dict[str, str]) -> dict[str, str]:
    """Give the identifiers that are in form; a bad one is left out while another one says who it is.

    A click token says who opened a mail; beside an e-mail address it could only join two persons for good.
    """
    if "email" in given:
        given["email"] = given["email"].lower()
    fit = {name: given[name] for name, form in IDENTIFIERS.items() if name in given and form.fullmatch(given[name])}
    if "email" in fit:
        fit.pop("_kx", None)
    if fit:
        return fit
    if given:
        raise Unfit(f"profile: not in the form Klaviyo takes: {', '.join(given)}")
    raise Unfit(f"profile: has none of {', '.join(IDENTIFIERS)}")


def _told(properties: dict[str, object]) -> dict[str, object]:
    """Give what is left of the properties, without nulls; raises where Klaviyo takes less."""
    told: dict[str, object] = {}
    for name, value in properties.items():
        if isinstance(value, CONTAINERS):
            told[name] = _fit(value, f"properties.{name}", 2)
        elif value is not None:
            if isinstance(value, str) and len(value) > SHORT_CHARS:
                _check(value, f"properties.{name}")
            told[name] = value
    if len(told) > MAX_PROPERTIES:
        raise Unfit(f"properties: Klaviyo takes {MAX_PROPERTIES}, not {len(told)}")
    return told


def _fit(tree: Any, path: str, level: int) -> Any:
    """Give an object or a list without nulls; raises where it, a text or the nesting is larger than Klaviyo takes."""
    if level > MAX_NESTING:
        raise Unfit(f"{path}: is nested more than {MAX_NESTING} levels deep")
    fit: Any
    if isinstance(tree, dict):
        fit = {key: value for key, value in tree.items() if value is not None}
        entries = fit.items()
    else:
        fit = [value for value in tree if value is not None]
        entries = enumerate(fit)
        if len(fit) > MAX_ARRAY_ITEMS:
            raise Unfit(f"{path}: a list has more than {MAX_ARRAY_ITEMS} entries")
    for place, value in entries:
        if isinstance(value, CONTAINERS):
            fit[place] = _fit(value, path, level + 1)
        elif isinstance(value, str) and len(value) > SHORT_CHARS:
            _check(value, path)
    return fit


def _check(text: str, path: str) -> None:
    if len(text.encode(errors="surrogatepass")) > MAX_STRING_BYTES:
        raise Unfit(f"{path}: a text has more than {MAX_STRING_BYTES} bytes")
