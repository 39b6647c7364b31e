"""An event's evidence about consent: what the page reported, else what the request's own cookies say."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeAlias

from edge.consent import Answer, Purpose, find_answer
from edge.consent_platforms import consent_mode, cookiebot, onetrust, shopify, tcf
from edge.consent_platforms.reading import Reading, answers_of
from edge.jsontree import JSON

Meanings: TypeAlias = Mapping[str, Mapping[str, Purpose]]

CONSENT_KEY, COOKIES_KEY = "consent", "consent_cookies"
MAX_ENTRIES = 8
MAX_COOKIE_BYTES = 4_096

READERS: dict[str, Callable[[JSON], Reading | None]] = {
    "consent_mode": consent_mode.read,
    "tcf": tcf.read,
    "onetrust": onetrust.read,
    "cookiebot": cookiebot.read,
    "shopify": shopify.read,
}
MEANINGS: Meanings = {
    "consent_mode": consent_mode.MEANINGS,
    "tcf": tcf.MEANINGS,
    "onetrust": onetrust.MEANINGS,
    "cookiebot": cookiebot.MEANINGS,
    "shopify": shopify.MEANINGS,
}
COOKIES: dict[str, str] = {
    "euconsent-v2": "tcf",
    onetrust.CONSENT: "onetrust",
    onetrust.CLOSED: "onetrust",
    cookiebot.COOKIE: "cookiebot",
    shopify.TRACKING: "shopify",
    shopify.CMP: "shopify",
}

_MARKS = tuple((name, f"{name}=") for name in COOKIES)
_SINGLE = ("euconsent-v2", cookiebot.COOKIE)  # one cookie is all that its platform writes


@dataclass(frozen=True, slots=True)
class Heard:
    """What an event brings: answers, the platforms whose values could not be read, and whether GPC is on."""

    answers: tuple[Answer, ...] = ()
    unreadable: tuple[str, ...] = ()
    has_gpc: bool = False


NOTHING, ONLY_GPC = Heard(), Heard(has_gpc=True)


def with_meanings(changes: Meanings) -> Meanings:
    """Give every platform's categories with their purposes, the configured ones instead of ours."""
    return {platform: {**known, **changes.get(platform, {})} for platform, known in MEANINGS.items()}


def hear(context: Mapping[str, JSON], meanings: Meanings = MEANINGS) -> Heard:
    """Read all the evidence in an event's context; never raises.

    Args:
        context: `consent` is the page's own words {"marketing": "granted", …}, a platform's report {"source": "tcf",
            "value": "CP…"}, or a list of such. `consent_cookies` are the request's, {"CookieConsent": "…"}, and
            count only where the page reported nothing that can be read. `gpc` is the header's signal.
    """
    said, cookies = context.get(CONSENT_KEY), context.get(COOKIES_KEY)
    if said is None and cookies is None:
        return ONLY_GPC if context.get("gpc") is True else NOTHING
    entries = said[:MAX_ENTRIES] if isinstance(said, list) else [said]
    answers, unreadable = list[Answer](), list[str]()
    has_gpc = context.get("gpc") is True
    for entry in entries:
        if isinstance(entry, dict):
            has_gpc = has_gpc or entry.get("gpc") is True
            _hear_entry(entry, meanings, answers, unreadable)
    if not answers and isinstance(cookies, dict):
        for platform, value in by_platform(cookies).items():
            _hear_platform(platform, value, meanings, answers, unreadable)
    return Heard(tuple(answers), tuple(unreadable), has_gpc)


def find_cookies(header: str) -> dict[str, JSON]:
    """Find the consent platforms' cookies in a Cookie header, each once and as it came.

    Returns:
        {"OptanonConsent": "…"}; one over MAX_COOKIE_BYTES, or any that would make all of them more, is only told by
        {"sha256": "<hex>"}.
    """
    found: dict[str, JSON] = {}
    left_bytes = MAX_COOKIE_BYTES
    for name, mark in _MARKS:
        if mark in header and (value := _cookie(header, mark)) is not None:
            raw = value.encode("utf-8", "replace")
            left_bytes -= len(raw)
            found[name] = raw.decode() if left_bytes >= 0 else {"sha256": sha256(raw).hexdigest()}
            left_bytes = left_bytes if left_bytes >= 0 else left_bytes + len(raw)
    return found


def by_platform(cookies: Mapping[str, JSON]) -> dict[str, JSON]:
    """Give each platform's value out of its cookies."""
    values: dict[str, dict[str, JSON]] = {}
    for name, value in cookies.items():
        if name in COOKIES:
            values.setdefault(COOKIES[name], {})[name] = value
    return {
        platform: next(iter(found.values())) if next(iter(found)) in _SINGLE else dict(found)
        for platform, found in values.items()
    }


def _hear_entry(entry: Mapping[str, JSON], meanings: Meanings, answers: list[Answer], unreadable: list[str]) -> None:
    source = entry.get("source")
    if isinstance(source, str) and source in READERS and "value" in entry:
        _hear_platform(source, entry["value"], meanings, answers, unreadable)
    elif (answer := find_answer(entry)) is not None:
        answers.append(answer)


def _hear_platform(
    platform: str, value: JSON, meanings: Meanings, answers: list[Answer], unreadable: list[str]
) -> None:
    reading = READERS[platform](value)
    if reading is None:
        unreadable.append(platform)
    else:
        answers += answers_of(reading, platform, meanings[platform], value)


def _cookie(header: str, mark: str) -> str | None:
    at = header.find(mark)
    while at >= 0:
        if at == 0 or header[at - 1] in "; ":
            start = at + len(mark)
            return header[start:].partition(";")[0].strip()
        at = header.find(mark, at + 1)
    return None
