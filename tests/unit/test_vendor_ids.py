"""Vendors' ids: what a landing URL brings, what is news, how long it holds, and what consent lets through."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.consent import ALL_PURPOSES, Purpose, names_of
from edge.person import Identifiers, KeptKind, VendorId
from edge.vendor_ids import (
    BROWSERS_OWN,
    CLICKS,
    PURPOSES,
    Found,
    MetaCookies,
    allowed,
    brought,
    holds,
    ids_in,
    index_of,
    is_news,
    kept_as,
    known_at,
)
from edge.vendor_ids.kinds import HOLDS_MS

NOW_MS = 1_795_183_389_120
DAY_MS = 86_400_000
SHOP = "https://shop.example/p"
IDENTITY = (Path(__file__).parents[2] / "docs/identity.md").read_text("utf-8")
FBCLID = "IwAR0abcDEF"


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("?_kx=AbC_d-E.f%3D%3D", {"_kx": "AbC_d-E.f=="}),
        ("?utm=1&_kx=first&_kx=second#x", {"_kx": "first"}),
        ("?not_kx=AbC", {}),
        ("#_kx=AbC", {}),
        ("#?gclid=AbC", {}),
        ("?_kx=", {}),
        ("?_kx=%3Cscript%3E", {}),
        ("?_kx=" + "x" * 600, {}),
        ("?fbclid=IwAR0abcDEF_-9", {"fbclid": "IwAR0abcDEF_-9"}),
        ("?fbclid=a.b", {}),
        ("?fbclid=" + "x" * 513, {}),
        ("?ttclid=E.C.P.v3fQ2&x=1", {"ttclid": "E.C.P.v3fQ2"}),
        ("?ttclid=" + "x" * 1_000, {"ttclid": "x" * 1_000}),
        ("?ttclid=" + "x" * 1_001, {}),
        (
            "?gclid=Cj0KCQiA-abc&gbraid=0AAAA_b&wbraid=Cl-w",
            {"gclid": "Cj0KCQiA-abc", "gbraid": "0AAAA_b", "wbraid": "Cl-w"},
        ),
        ("?gclid=%00&msclkid=0123456789abcdef0123456789abcdef", {"msclkid": "0123456789abcdef0123456789abcdef"}),
        ("?gclid=%3Cb%3E&gclid=good", {}),
        ("?dclid=1&srsltid=2&GCLID=3", {}),
        ("", {}),
    ],
)
def test_a_landing_urls_click_ids_are_read_whole_or_not_at_all(query: str, ids: dict[str, str]) -> None:
    assert ids_in(SHOP + query) == ids


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200) | st.text("?&=#%_kxgclidfb0", max_size=200))
def test_no_url_raises_and_what_is_kept_of_it_is_bounded_plain_text(text: str) -> None:
    for value in ids_in(f"{SHOP}?fbclid={text}&_kx={text}&gclid={text}").values():
        assert value.isascii() and value.isprintable() and 0 < len(value) <= 1_000


def context(query: str = "", **cookies: Any) -> dict[str, Any]:
    return {"page": {"url": SHOP + query}, **({"vendor_ids": cookies} if cookies else {})}


COOKIES_FBC = f"fb.1.{NOW_MS}.{FBCLID}"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (context(), ()),
        ({"page": "x"}, ()),
        ({"page": {"url": 7}, "vendor_ids": "x"}, ()),
        (context("?gclid=new", gclid=["old", 5]), (Found("gclid", "new", is_landing=True),)),
        (context(gclid=["old", 5]), (Found("gclid", "old", own_ms=5),)),
        (context(fbp="fb.1.1795180000000.1"), (Found("fbp", "fb.1.1795180000000.1"),)),
        (context(fbc=COOKIES_FBC), (Found("fbc", COOKIES_FBC, own_ms=NOW_MS),)),
        (context(fbc="x", nothing="y", ttp=7), ()),
        (context(f"?fbclid={FBCLID}"), (Found("fbc", f"fb.1.{NOW_MS - 5}.{FBCLID}", is_landing=True),)),
        (
            context(f"?fbclid={FBCLID}", fbc=COOKIES_FBC),
            (Found("fbc", COOKIES_FBC, is_landing=True, own_ms=NOW_MS),),
        ),
        (context("?_kx=token-1", kx="token-0"), (Found("kx", "token-1", is_landing=True),)),
    ],
)
def test_a_url_counts_before_a_cookie_but_for_metas_own_form_of_the_same_click(
    given: dict[str, Any], found: tuple[Found, ...]
) -> None:
    assert brought(given, NOW_MS - 5) == found


def kept(kind: KeptKind, value: str, days: int = 1) -> VendorId:
    """Give an id that has been known for some days."""
    return VendorId(kind, value, 7, NOW_MS - days * DAY_MS)


CLICK = Found("gclid", "new", is_landing=True)


@pytest.mark.parametrize(
    ("found", "known", "news"),
    [
        (CLICK, None, True),
        (CLICK, kept("gclid", "old"), True),
        (CLICK, kept("gclid", "new"), False),
        (CLICK, kept("gclid", "new", days=91), False),
        (Found("gclid", "other"), kept("gclid", "new"), False),
        (Found("gclid", "other"), kept("gclid", "new", days=91), True),
        (Found("gclid", "later", own_ms=NOW_MS), kept("gclid", "new"), True),
        (Found("gclid", "earlier", own_ms=NOW_MS - 2 * DAY_MS), kept("gclid", "new"), False),
        (Found("kx", "stale"), kept("kx", "token"), False),
        (Found("fbp", "fb.1.1795180000000.2"), kept("fbp", "fb.1.1795180000000.1"), True),
        (Found("fbp", "fb.1.1795180000000.1"), kept("fbp", "fb.1.1795180000000.1"), False),
        (Found("fbc", "fb.2.1795180000001.A.x", own_ms=5), kept("fbc", "fb.1.1795180000000.A"), True),
        (Found("fbc", "fb.2.1795180000001.A.x", own_ms=5), kept("fbc", "fb.1.1795180000000.A", days=91), False),
        (Found("fbc", "fb.1.1795180000009.A", is_landing=True), kept("fbc", "fb.1.1795180000000.A"), False),
        (Found("fbc", "fb.1.1795180000009.B", is_landing=True), kept("fbc", "fb.1.1795180000000.A"), True),
    ],
)
def test_a_click_is_news_once_and_a_cookie_only_fills_a_gap_unless_it_says_that_it_is_later(
    found: Found, known: VendorId | None, news: bool
) -> None:
    assert is_news(found, known, NOW_MS) == news


@pytest.mark.parametrize(
    ("found", "known", "at_ms"),
    [
        (CLICK, None, NOW_MS),
        (Found("gclid", "a", own_ms=5), None, 5),
        (Found("gclid", "a", own_ms=NOW_MS + 1), None, NOW_MS),
        (Found("fbc", "fb.2.1795180000001.A.x", own_ms=9), kept("fbc", "fb.1.1795180000000.A"), NOW_MS - DAY_MS),
    ],
)
def test_a_click_is_as_old_as_it_says_but_never_of_the_future_and_never_younger_than_it_was(
    found: Found, known: VendorId | None, at_ms: int
) -> None:
    assert kept_as(found, known, 9, NOW_MS) == VendorId(found.kind, found.value, 9, at_ms)


@pytest.mark.parametrize(
    ("kind", "days"),
    [("gclid", 90), ("gbraid", 90), ("wbraid", 90), ("msclkid", 90), ("ttclid", 90), ("fbc", 90), ("ga_session_id", 1)],
)
def test_an_id_that_does_not_hold_for_ever_ends_after_its_days(kind: KeptKind, days: int) -> None:
    assert [holds(kept(kind, "x", days=days), NOW_MS + more) for more in (0, 1)] == [True, False]


@pytest.mark.parametrize("kind", ["fbp", "ttp", "ga_client_id", "kx", "device"])
def test_a_browsers_own_id_and_a_mails_token_hold_for_ever(kind: KeptKind) -> None:
    assert holds(kept(kind, "x", days=4_000), NOW_MS)


def test_every_kind_is_a_browsers_or_a_click_and_has_a_purpose() -> None:
    assert not BROWSERS_OWN & CLICKS
    assert PURPOSES.keys() == BROWSERS_OWN | CLICKS | {"device"}


def test_only_what_holds_and_is_granted_is_given() -> None:
    known = known_at(
        Identifiers(email="visitor@shop.example"),
        [kept("kx", "token"), kept("gclid", "old", days=91), kept("fbp", "f"), kept("ga_client_id", "1.2")],
        NOW_MS,
    )
    assert known == Identifiers(
        email="visitor@shop.example", kx="token", vendor_ids=(("fbp", "f"), ("ga_client_id", "1.2"))
    )
    given = [
        allowed(known, granted).ids()
        for granted in (ALL_PURPOSES, Purpose.ANALYTICS, Purpose.ADVERTISING, Purpose.MARKETING)
    ]
    assert given == [
        {"fbp": "f", "ga_client_id": "1.2", "kx": "token"},
        {"ga_client_id": "1.2", "kx": "token"},
        {"fbp": "f", "kx": "token"},
        {"kx": "token"},
    ]


def test_the_table_of_the_docs_is_the_codes_own() -> None:
    section = IDENTITY.split("\n## Vendor ids\n")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    told = {kind: cells[2:] for cells in rows[2:] for kind in re.findall(r"`(\w+)`", cells[0])}
    days = {kind: HOLDS_MS[kind] // DAY_MS if kind in HOLDS_MS else 0 for kind in told}
    assert told == {
        kind: [
            f"{days[kind]} day{'s' if days[kind] > 1 else ''}" if days[kind] else "for ever",
            "browser" if kind in BROWSERS_OWN else "click",
            f"`{names_of(PURPOSES[kind])[0]}`" if PURPOSES[kind] else "by the pipeline's own purposes",
        ]
        for kind in BROWSERS_OWN | CLICKS
    }


@pytest.mark.parametrize(
    ("host", "index"), [("com", 0), ("shop.example", 1), (".shop.example", 1), ("www.shop.example", 2), ("", 0)]
)
def test_a_cookies_depth_is_that_of_its_host(host: str, index: int) -> None:
    assert index_of(host) == index


@pytest.mark.parametrize(
    ("found", "fbclid", "made"),
    [
        ({}, None, {"fbp": f"fb.2.{NOW_MS}.16909060"}),
        ({"fbp": "fb.1.1795180000000.1"}, None, {}),
        ({"fbp": "fb.1.1795180000000.1"}, FBCLID, {"fbc": f"fb.2.{NOW_MS}.{FBCLID}"}),
        ({"fbp": "fb.1.1795180000000.1", "fbc": f"fb.1.1795180000000.{FBCLID}.x"}, FBCLID, {}),
        (
            {"fbp": "fb.1.1795180000000.1", "fbc": "fb.1.1795180000000.iwar0ABCdef"},
            FBCLID,
            {"fbc": f"fb.2.{NOW_MS}.{FBCLID}"},
        ),
        ({"fbp": "fb.1.1795180000000.1"}, "a b", {}),
    ],
)
def test_metas_cookies_are_made_where_they_are_missing_or_the_click_is_another(
    found: dict[str, object], fbclid: str | None, made: dict[str, str]
) -> None:
    cookies = MetaCookies(2, "www.shop.example")
    assert cookies.wanted(found, fbclid, NOW_MS, lambda size: bytes(range(1, size + 1))) == made


def test_metas_cookies_are_for_its_pixel_to_read() -> None:
    value = MetaCookies(1, "shop.example").header_value("fbp", "fb.1.1795180000000.1")
    assert value == ("_fbp=fb.1.1795180000000.1; Max-Age=7776000; Domain=shop.example; Path=/; Secure; SameSite=Lax")
    assert MetaCookies(1).header_value("fbc", "x") == "_fbc=x; Max-Age=7776000; Path=/; Secure; SameSite=Lax"
