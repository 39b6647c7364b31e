"""Google Consent Mode v2, as a page's tags set it.

Source: Google, "Set up consent mode on websites" (consent types, `default`, `update`, `wait_for_update`), 2026-11.
"""

from collections.abc import Mapping

from edge.consent import Purpose
from edge.consent_platforms.reading import Reading
from edge.jsontree import JSON

DEFAULT = "default"
ADS = Purpose.MARKETING | Purpose.ADVERTISING
MEANINGS: dict[str, Purpose] = {
    "ad_storage": ADS,
    "ad_user_data": ADS,
    "ad_personalization": ADS,
    "analytics_storage": Purpose.ANALYTICS,
    "functionality_storage": Purpose.FUNCTIONAL,
    "personalization_storage": Purpose.NONE,
    "security_storage": Purpose.NONE,
}


def read(value: JSON) -> Reading | None:
    """Read the state of a page's consent types.

    Args:
        value: {"default": {"ad_storage": "denied", …}, "update": {"ad_storage": "granted", …},
            "wait_for_update": 500}, each part optional; or the types alone, which then are an update. "defaultES,US-CA"
            is a default for some regions.
    Returns:
        An update is the visitor's answer. A default is what holds until then, and says nothing while an update is
        still waited for; one for some regions only ever denies, as nobody here knows where the visitor is. None when
        there is no consent type in it.
    """
    if not isinstance(value, dict):
        return None
    update, default = _types(value.get("update")), dict(_types(value.get(DEFAULT)))
    regional = [_types(said) for key, said in value.items() if key.startswith(DEFAULT) and key != DEFAULT]
    for types in regional:
        default |= {name: False for name, is_granted in types.items() if not is_granted}
    if not update and not default and not any(regional):
        update = _types(value)
        if not update:
            return None
    if not update and _waits(value.get("wait_for_update")):
        return Reading(version="2")
    return Reading(update, {name: said for name, said in default.items() if name not in update}, version="2")


def _types(raw: JSON) -> Mapping[str, bool]:
    if not isinstance(raw, dict):
        return {}
    return {name: said == "granted" for name in MEANINGS if (said := raw.get(name)) in ("granted", "denied")}


def _waits(raw: JSON) -> bool:
    return isinstance(raw, int | float) and raw > 0
