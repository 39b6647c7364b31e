"""Vendors' own ids of browsers and clicks: read from cookies and landing URLs, kept, and given for a while.

Every value is a stranger's: it is matched whole against its exact form, or it is none. Nothing here ever raises on one.
"""

from edge.vendor_ids.cookies import VENDOR_IDS_KEY, find_ids
from edge.vendor_ids.keeping import Found, brings_any, brought, is_news, kept_as, same_click
from edge.vendor_ids.kinds import BROWSERS_OWN, CLICKS, PURPOSES, allowed, holds, known_at
from edge.vendor_ids.landing import ids_in, page_url
from edge.vendor_ids.meta import MetaCookies, index_of

__all__ = [
    "BROWSERS_OWN",
    "CLICKS",
    "PURPOSES",
    "VENDOR_IDS_KEY",
    "Found",
    "MetaCookies",
    "allowed",
    "brings_any",
    "brought",
    "find_ids",
    "holds",
    "ids_in",
    "index_of",
    "is_news",
    "kept_as",
    "known_at",
    "page_url",
    "same_click",
]
