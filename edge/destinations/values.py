"""Single values that mappings gave, read as vendors take them; what cannot be read raises Unfit."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from edge.consent import Purpose
from edge.delivery import Payload, Rendered
from edge.destinations.base import Unfit
from edge.jsontree import number_of
from edge.moments import iso_millisecond

NEWEST_MS = 253_402_300_799_999  # the last moment that ISO 8601 writes with four digits of year
LIMITED = ("never", "unless_granted", "always")

_CURRENCY = re.compile(r"[A-Z]{3}")
_WEB_ADDRESS = re.compile(r"https?://[^\s/?#]+[^\s]*")


def texts(value: object) -> list[str]:
    """Give a text or number, or those of a list, as trimmed texts; blanks, truth values and objects are none."""
    if isinstance(value, str):
        word = value.strip()
        return [word] if word else []
    given = value if isinstance(value, list) else [value]
    words = (str(one).strip() for one in given if isinstance(one, str | int | float) and not isinstance(one, bool))
    return [word for word in words if word]


def web_address(value: object) -> str | None:
    """Give an http or https URL as it is."""
    return value.strip() if isinstance(value, str) and _WEB_ADDRESS.fullmatch(value.strip()) else None


def inside(tree: Any, *path: str) -> Any:
    """Give what stands at a path of nested objects, else None."""
    for key in path:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree


def text(name: str, value: object) -> str:
    """Give a text, "" where there is none."""
    if isinstance(value, bool | list | dict):
        raise Unfit(f"{name}: a text is needed, not a {type(value).__name__}")
    return "" if value is None else str(value).strip()


def filled(mapped: Mapping[str, Any], keys: Sequence[str], path: str = "") -> dict[str, object]:
    """Give those of the texts that are there and not blank."""
    found = {key: text(f"{path}{key}", mapped.get(key)) for key in keys}
    return {key: value for key, value in found.items() if value}


def number(name: str, value: object) -> int | float:
    """Give a number, or the one that a text spells."""
    found = number_of(value)
    if found is None:
        raise Unfit(f"{name}: a number is needed")
    return found


def flag(name: str, value: object) -> dict[str, object]:
    """Give {name: value} for true or false, nothing where there is none."""
    if value is None:
        return {}
    if not isinstance(value, bool):
        raise Unfit(f"{name}: true or false is needed")
    return {name: value}


def currency_of(value: object) -> str | None:
    """Give three capital letters."""
    code = value.strip().upper() if isinstance(value, str) else ""
    return code if _CURRENCY.fullmatch(code) else None


def iso(at_ms: int) -> str:
    """Give a moment in UTC, "2026-11-20T14:03:09.120Z"; raises Unfit outside 1970 to 9999."""
    if not 0 <= at_ms <= NEWEST_MS:
        raise Unfit("time: is not one that ISO 8601 can say")
    return iso_millisecond(at_ms)


def is_limited(when: str, rendered: Rendered) -> bool:
    """Tell whether an event is for limited use: by the parameter, or by a mapping, which may ask for it, never lift it.

    Args:
        when: one of LIMITED; "unless_granted" is without consent to advertising.
    """
    if flag("limited_data_use", rendered.properties.get("limited_data_use")).get("limited_data_use"):
        return True
    return when == "always" or (when == "unless_granted" and not rendered.granted & Purpose.ADVERTISING)


def not_ahead(payload: Payload, now_ms: int) -> bytes:
    """Give an event whose clock runs ahead the moment of sending as its `event_time`: no allowance is documented."""
    if payload.time_ms // 1_000 <= now_ms // 1_000:
        return payload.body
    return orjson.dumps(orjson.loads(payload.body) | {"event_time": now_ms // 1_000})
