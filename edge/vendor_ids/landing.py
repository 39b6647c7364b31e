"""The click ids in a landing URL's query: fbclid, ttclid, gclid, gbraid, wbraid, msclkid and `_kx`."""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

from edge.jsontree import JSON
from edge.vendor_ids.klaviyo import read_token

_PARAMETER = re.compile(r"[?&](fbclid|ttclid|gclid|gbraid|wbraid|msclkid|_kx)=([^&#]{1,3072})")
_FORMS: Final = {
    "fbclid": re.compile(r"[A-Za-z0-9_-]{1,512}"),
    "ttclid": re.compile(r"[A-Za-z0-9_.~-]{1,1000}"),
    "gclid": re.compile(r"[A-Za-z0-9_-]{1,512}"),
    "gbraid": re.compile(r"[A-Za-z0-9_-]{1,512}"),
    "wbraid": re.compile(r"[A-Za-z0-9_-]{1,512}"),
    "msclkid": re.compile(r"[A-Za-z0-9_-]{1,128}"),
}
# One of these is in every URL that has any.
_MARKS: Final = ("clid=", "clkid=", "braid=", "_kx=")


def page_url(context: Mapping[str, JSON]) -> str:
    """Give the page's URL, "" where there is none."""
    page = context.get("page")
    url = page.get("url") if isinstance(page, dict) else None
    return url if isinstance(url, str) else ""


def ids_in(url: str) -> dict[str, str]:
    """Give the click ids of a URL by their parameters' names, the first of each; what is no id is left out."""
    found: dict[str, str] = {}
    if not any(mark in url for mark in _MARKS):
        return found
    for name, raw in _PARAMETER.findall(url.partition("#")[0]):
        value = unquote(raw) if "%" in raw else raw
        is_good = read_token(value) is not None if name == "_kx" else bool(_FORMS[name].fullmatch(value))
        if name not in found:
            found[name] = value if is_good else ""
    return {name: value for name, value in found.items() if value}


def read_ttclid(text: str) -> str | None:
    """Give TikTok's click id as its pixel's cookie holds it."""
    return text if _FORMS["ttclid"].fullmatch(text) else None
