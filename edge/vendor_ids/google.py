"""Google's cookies: `_ga`, `_ga_<stream>` and `_gcl_aw`.

Source: GA4 Measurement Protocol, reference (client_id, session_id); docs/identity.md, "Vendor ids".
"""

import re
from urllib.parse import unquote

_CLIENT = re.compile(r"GA1\.[0-9]{1,2}(?:-[0-9]{1,2})?\.([0-9]{1,10}\.[0-9]{1,10})")
_SESSION_1 = re.compile(r"GS1\.[0-9]{1,2}(?:-[0-9]{1,2})?\.([0-9]{1,12})\.[0-9.]{1,100}")
_SESSION_2 = re.compile(r"GS2\.[0-9]{1,2}(?:-[0-9]{1,2})?\.([A-Za-z0-9_$-]{1,300})")
_SESSION_PART = re.compile(r"s([0-9]{1,12})")
_CLICK = re.compile(r"GCL\.([0-9]{9,11})\.([A-Za-z0-9_-]{1,512})")


def read_ga(text: str) -> str | None:
    """Give the client id of `_ga`: of GA1.1.<a>.<b>, <a>.<b>."""
    found = _CLIENT.fullmatch(text)
    return found[1] if found else None


def read_ga_session(text: str) -> str | None:
    """Give the session id of `_ga_<stream>`: GS1.1.<session>.…, or GS2.1.s<session>$o…, its parts in any order."""
    found = _SESSION_1.fullmatch(text)
    if found:
        return found[1]
    whole = _SESSION_2.fullmatch(unquote(text) if "%" in text else text)
    parts = [_SESSION_PART.fullmatch(part) for part in whole[1].split("$")] if whole else []
    sessions = [part[1] for part in parts if part]
    return sessions[0] if len(sessions) == 1 else None


def read_gcl_aw(text: str) -> tuple[str, int] | None:
    """Give the gclid of `_gcl_aw`, GCL.<seconds>.<gclid>, and when it was clicked, in ms."""
    found = _CLICK.fullmatch(text)
    return (found[2], int(found[1]) * 1_000) if found else None
