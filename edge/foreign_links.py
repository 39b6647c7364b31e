"""Links that lead away from the shop: what a browser says ends in the shop's own mails, so a stranger's link must not.

A text goes as a whole when it holds a link to a host that is not the shop's, or markup. Nothing is rewritten.
The common event is proved harmless by a few searches in its JSON; only the rest is walked.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Any, TypeAlias

import orjson

from edge.jsontree import JSON

Hosts: TypeAlias = frozenset[str]
Path: TypeAlias = tuple[str, ...]

# What browsers and mail programs leave out of a URL before they read it; JSON writes the first three with a backslash.
_ESCAPED, _UNSEEN = "\t\r\n", "\u00ad\u200b\u200c\u200d\u2060\ufeff"
_LEFT_OUT = str.maketrans("", "", _ESCAPED + _UNSEEN)
# Every branch begins with a letter of its own, so that the search skips to it: most texts hold none of them.
_SUSPECT = re.compile(rf":|//|<|&#|\\|w[wW]{{2}}\.|W[wW]{{2}}\.|[{_ESCAPED}{_UNSEEN}]")
_MARKUP = re.compile(r"<[a-z/!?]|&#|\b(?:javascript|vbscript|data):", re.IGNORECASE)
# A scheme or none and two slashes; http: with fewer, which browsers mend; a host that mail programs make a link of.
_LINK = re.compile(
    r"\b(?P<scheme>[a-z][a-z0-9+.-]*):/{2,}(?P<host>[^/?#\s\"'<>]*)"
    r"|(?<![^\s\"'=(,>])/{2,}(?P<relative>[^/?#\s\"'<>]+)"
    r"|\b(?P<mended>https?):"
    r"|(?<![^\s\"'=(,>])(?P<bare>www\.[^/?#\s\"'<>]+)",
    re.IGNORECASE,
)
_PORT = re.compile(r":[0-9]*$")
REMEMBERED_CHARS = 300


def hosts_of(origins: tuple[str, ...], asset_hosts: tuple[str, ...]) -> Hosts:
    """Give the hosts that are the shop's own, without ports, from origins such as https://shop.example:8443."""
    return frozenset(_PORT.sub("", given.partition("//")[2] or given).lower() for given in (*origins, *asset_hosts))


def without_foreign_links(tree: Mapping[str, Any], hosts: Hosts) -> tuple[Mapping[str, Any], list[str]]:
    """Give an object without the texts that lead away from the shop.

    Args:
        tree: e.g. an event's properties; never modified.
        hosts: the shop's own, lower-case, as `hosts_of` gives them.
    Returns:
        The same object where nothing had to go, else a copy; and the paths of what is gone, e.g. ["items.0.item_url"].
    Source:
        docs/identity.md, "Links in what browsers say".
    """
    if _is_plain(tree, hosts):
        return tree, []
    gone: list[str] = []
    kept = _object(tree, hosts, (), gone)
    return (kept, gone) if gone else (tree, [])


def _is_plain(tree: Mapping[str, JSON], hosts: Hosts) -> bool:
    """Prove that there is nothing to look for: no mark of a link but in texts that begin with one of the shop's own.

    What remains of JSON's own marks is then one colon behind each key: a text that begins with one is no link either.
    """
    try:
        text = orjson.dumps(tree).lower().decode()
    except orjson.JSONEncodeError:
        return False
    if "\\" in text or "<" in text or "#" in text:
        return False
    own, parts = _own_links(hosts), text.split("//")
    for before, after in pairwise(parts):
        if not (before.endswith('"https:') and after.startswith(own)):
            return False
    return (
        text.count(":") == text.count('":') + len(parts) - 1
        and ("www" not in text or text.count("www") == text.count("//www"))
        and (text.isascii() or not any(unseen in text for unseen in _UNSEEN))
    )


@lru_cache(64)
def _own_links(hosts: Hosts) -> tuple[str, ...]:
    """Give what stands behind the two slashes of a link to the shop."""
    return tuple(f"{host}/" for host in hosts)


def is_foreign(text: str, hosts: Hosts) -> bool:
    """Tell whether a text holds markup, or a link that leads to none of the hosts."""
    if not _SUSPECT.search(text):
        return False
    return _judged(text, hosts) if len(text) <= REMEMBERED_CHARS else _is_foreign(text, hosts)


@lru_cache(1_024)
def _judged(text: str, hosts: Hosts) -> bool:
    """Remember what was judged: events name the same few pages and pictures of the shop again and again."""
    return _is_foreign(text, hosts)


def _is_foreign(text: str, hosts: Hosts) -> bool:
    text = text.translate(_LEFT_OUT)
    if _MARKUP.search(text):
        return True
    if "\\" in text and _LINK.search(text.replace("\\", "/")):
        return True  # browsers take it for a slash, others do not
    return any(_leads_away(match, hosts) for match in _LINK.finditer(text))


def _leads_away(match: re.Match[str], hosts: Hosts) -> bool:
    scheme = match["scheme"]
    if match["mended"] or (scheme is not None and scheme.lower() not in ("http", "https")):
        return True
    host = match["host"] if scheme is not None else match["relative"] or match["bare"]
    return _PORT.sub("", host).rstrip(".").lower() not in hosts


def _object(tree: Mapping[str, JSON], hosts: Hosts, path: Path, gone: list[str]) -> dict[str, JSON]:
    kept: dict[str, JSON] = {}
    for key, value in tree.items():
        if is_foreign(key, hosts) or (isinstance(value, str) and is_foreign(value, hosts)):
            gone.append(".".join((*path, key)))
        else:
            kept[key] = _value(value, hosts, (*path, key), gone)
    return kept


def _value(value: JSON, hosts: Hosts, path: Path, gone: list[str]) -> JSON:
    if isinstance(value, dict):
        return _object(value, hosts, path, gone)
    if not isinstance(value, list):
        return value
    kept: list[JSON] = []
    for index, item in enumerate(value):
        place = (*path, str(index))
        if isinstance(item, str) and is_foreign(item, hosts):
            gone.append(".".join(place))
        else:
            kept.append(_value(item, hosts, place, gone))
    return kept
