"""A request's cookies: what they say of the browser and of clicks, in the form that the envelope keeps.

A header without any is only searched: a cookie parser would cost more than all the rest of a request.
"""

import re
from collections.abc import Callable
from typing import Final

from edge.jsontree import JSON
from edge.vendor_ids import google, meta
from edge.vendor_ids.klaviyo import read_kla_id
from edge.vendor_ids.landing import read_ttclid

VENDOR_IDS_KEY: Final = "vendor_ids"

_TTP = re.compile(r"[A-Za-z0-9_.-]{8,128}")


def _read_ttp(text: str) -> str | None:
    return text if _TTP.fullmatch(text) else None


# The kind of id that a cookie holds, and how it is read: None where it cannot be, "" where it says nothing.
_READERS: Final[dict[str, tuple[str, Callable[[str], str | tuple[str, int] | None]]]] = {
    "_fbp": ("fbp", meta.read_fbp),
    "_fbc": ("fbc", meta.read_fbc),
    "_ga": ("ga_client_id", google.read_ga),
    "_gcl_aw": ("gclid", google.read_gcl_aw),
    "_ttp": ("ttp", _read_ttp),
    "ttclid": ("ttclid", read_ttclid),
    "__kla_id": ("kx", read_kla_id),
}
_STREAM: Final = "_ga_"
# Every cookie that may be unreadable, as it is counted.
COOKIES: Final = frozenset({*_READERS, _STREAM})
# One of these is in every header that has any of them.
_MARKS: Final = ("_fb", "_ga", "_gcl_aw=", "_ttp=", "ttclid=", "__kla_id=")
MAX_COOKIES: Final = 200


def find_ids(header: str) -> tuple[dict[str, JSON], list[str]]:
    """Find vendors' ids in a Cookie header; of what it has several times, the first that can be read.

    Returns:
        {"fbp": "fb.1.…", "gclid": ["Cj0…", 1795183389000]}: a text, or with when it was clicked, in ms, where the
        cookie says so; of several streams' sessions the one that began last. And the cookies that could not be read.
    """
    found: dict[str, JSON] = {}
    unreadable: dict[str, str] = {}
    if not any(mark in header for mark in _MARKS):
        return found, []
    for part in header.split(";", MAX_COOKIES)[:MAX_COOKIES]:
        name, _, text = part.partition("=")
        name = name.strip()
        if name in _READERS:
            kind, read = _READERS[name]
            value = read(text.strip()) if kind not in found else ""
        elif name.startswith(_STREAM):
            name, kind, value = _STREAM, "ga_session_id", google.read_ga_session(text.strip())
            value = "" if value and not _is_later(value, found.get(kind)) else value
        else:
            continue
        if value:
            found[kind] = list(value) if isinstance(value, tuple) else value
        elif value is None:
            unreadable[kind] = name
    return found, [name for kind, name in unreadable.items() if kind not in found]


def _is_later(session: str, known: JSON) -> bool:
    return not isinstance(known, str) or int(session) > int(known)
