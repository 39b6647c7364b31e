"""What consent platforms say, read into purposes: real shapes, and what nobody should send."""

from hashlib import sha256
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.consent import ALL_PURPOSES, Answer, Purpose
from edge.consent_platforms import Heard, find_cookies, hear, with_meanings
from edge.consent_platforms.evidence import READERS
from edge.consent_platforms.reading import Reading
from tests.consent_values import COOKIEBOT, ONETRUST, SHOPIFY, tc_string

NO, F, A, M, ADS = (
    Purpose.NONE,
    Purpose.FUNCTIONAL,
    Purpose.ANALYTICS,
    Purpose.MARKETING,
    Purpose.MARKETING | Purpose.ADVERTISING,
)
CLOSED = "2026-11-20T18:00:00.120Z"
CLOSED_MS = 1_795_197_600_120


def said(platform: str, value: Any) -> list[tuple[Purpose, Purpose, bool]]:
    """Give what a platform's report grants and denies, and whether only as a default."""
    heard = hear({"consent": {"source": platform, "value": value}})
    assert heard.unreadable == ()
    return [(answer.granted, answer.denied, answer.is_default) for answer in heard.answers]


GRANT_ALL = dict.fromkeys(("ad_storage", "ad_user_data", "ad_personalization", "analytics_storage"), "granted")
CONSENT_MODE = [
    ({"update": GRANT_ALL}, [(A | ADS, NO, False)]),
    (GRANT_ALL, [(A | ADS, NO, False)]),
    ({"default": GRANT_ALL}, [(A | ADS, NO, True)]),
    ({"default": {"ad_storage": "denied"}, "wait_for_update": 500}, []),
    ({"default": {"ad_storage": "denied"}, "wait_for_update": 0}, [(NO, ADS, True)]),
    (
        {"default": dict.fromkeys(GRANT_ALL, "denied"), "update": {"ad_storage": "granted"}, "wait_for_update": 500},
        [(NO, A | ADS, True)],  # ad_user_data is denied still, and means advertising as well
    ),
    (
        {"default": dict.fromkeys(GRANT_ALL, "denied"), "update": {"analytics_storage": "granted"}},
        [(A, NO, False), (NO, ADS, True)],
    ),
    ({"default": {"ad_user_data": "denied"}, "update": {"ad_storage": "denied"}}, [(NO, ADS, False), (NO, ADS, True)]),
    (
        {"default": {"ad_user_data": "granted"}, "update": {"ad_storage": "granted"}},
        [(ADS, NO, False), (ADS, NO, True)],
    ),
    ({"default": GRANT_ALL, "defaultES,FR": {"ad_storage": "denied"}}, [(A, ADS, True)]),
    ({"defaultES": {"ad_storage": "denied"}, "default": GRANT_ALL, "defaultUS": GRANT_ALL}, [(A, ADS, True)]),
    ({"default": {"ad_storage": "denied"}, "defaultUS": GRANT_ALL}, [(NO, ADS, True)]),
    ({"defaultUS": GRANT_ALL}, []),
    ({"default": GRANT_ALL, "defaultES": {"ad_storage": "denied"}, "update": GRANT_ALL}, [(A | ADS, NO, False)]),
    ({"update": {**GRANT_ALL, "ad_personalization": "denied"}}, [(A, ADS, False)]),
    ({"update": {"functionality_storage": "granted", "analytics_storage": "denied"}}, [(F, A, False)]),
    ({"update": {"security_storage": "granted"}}, []),
    ({"update": {"ad_storage": "granted", "analytics_storage": True, "x": "denied"}}, [(ADS, NO, False)]),
]


@pytest.mark.parametrize(("value", "expected"), CONSENT_MODE)
def test_consent_mode(value: Any, expected: Any) -> None:
    assert said("consent_mode", value) == expected


TCF = [
    (tc_string({1, 3, 4, 7, 8}), [(ALL_PURPOSES, NO, False)]),
    (tc_string(set(range(1, 12))), [(ALL_PURPOSES, NO, False)]),
    (tc_string(set()), [(NO, ALL_PURPOSES, False)]),
    (tc_string({1}), [(F, A | ADS, False)]),
    (tc_string({1, 8}), [(F | A, ADS, False)]),
    (tc_string({1, 3, 4, 8}), [(F | A, ADS, False)]),
    (tc_string(set(), legitimate={1, 3, 4, 7, 8}), [(NO, ALL_PURPOSES, False)]),
    (tc_string({3, 4, 7, 8}, is_purpose_one_left=True), [(A | ADS, NO, False)]),
    ({"tcString": tc_string({1, 8}), "gdprApplies": True, "eventStatus": "useractioncomplete"}, [(F | A, ADS, False)]),
    ({"tcString": tc_string(set()), "gdprApplies": True, "eventStatus": "cmpuishown"}, []),
    ({"tcString": "", "gdprApplies": False}, []),
    ("COvFyGBOvFyGBAbAAAENAPCAAOAAAAAAAAAAAEEUACCKAAA.IFoEUQQgAIQwgIwQABAEAAAAOIAACAIAAAAQAIAgEAACEAAAAAgAQBAA", None),
]


@pytest.mark.parametrize(("value", "expected"), TCF)
def test_tcf(value: Any, expected: Any) -> None:
    """The last string is the framework's own example: consent to purposes 1, 2 and 3."""
    assert said("tcf", value) == ([(F, A | ADS, False)] if expected is None else expected)


def test_a_tc_string_keeps_its_versions_and_its_moment_for_the_log() -> None:
    (answer,) = hear({"consent": {"source": "tcf", "value": tc_string({1}, updated_ms=1_795_197_600_100)}}).answers
    assert (answer.version, answer.banner, answer.own_ms) == ("2.4", "cmp 300.2 list 142", 1_795_197_600_100)


ONETRUST_VALUES = [
    (ONETRUST, [(A, ADS | F, False)]),
    (ONETRUST.replace("interactionCount=1", "interactionCount=0"), [(A, ADS | F, True)]),
    (ONETRUST + "&AwaitingReconsent=true", [(A, ADS | F, True)]),
    ({"OptanonConsent": "groups=C0004%3A1%2CC0003%3A0", "OptanonAlertBoxClosed": CLOSED}, [(ADS, F, False)]),
    ({"OptanonConsent": "groups=C0004%3A1%2CC0003%3A0"}, [(ADS, F, True)]),
    ("groups=C0001%3A1&interactionCount=2", []),
    ("groups=ads%3A1&interactionCount=2", []),
]


@pytest.mark.parametrize(("value", "expected"), ONETRUST_VALUES)
def test_onetrust(value: Any, expected: Any) -> None:
    assert said("onetrust", value) == expected


def test_onetrust_says_when_and_by_which_version() -> None:
    value = {"OptanonConsent": ONETRUST, "OptanonAlertBoxClosed": quote(CLOSED)}
    (answer,) = hear({"consent": {"source": "onetrust", "value": value}}).answers
    assert (answer.own_ms, answer.version) == (CLOSED_MS, "202405.1.0")


COOKIEBOT_VALUES = [
    (COOKIEBOT, [(A, F | ADS, False)]),
    (quote(COOKIEBOT), [(A, F | ADS, False)]),
    ("-1", [(A | F | ADS, NO, True)]),
    ("0", [(NO, A | F | ADS, False)]),
    ({"necessary": True, "preferences": True, "statistics": False, "marketing": True}, [(F | ADS, A, False)]),
    ({"preferences": False, "statistics": False, "marketing": False, "hasResponse": False}, []),
]


@pytest.mark.parametrize(("value", "expected"), COOKIEBOT_VALUES)
def test_cookiebot(value: Any, expected: Any) -> None:
    assert said("cookiebot", value) == expected


SHOPIFY_VALUES = [
    ({"marketing": "yes", "analytics": "no", "preferences": "", "sale_of_data": ""}, [(ADS, A, False)]),
    (
        {"marketing": "yes", "analytics": "yes", "preferences": "yes", "sale_of_data": "no"},
        [(A | F | M, ADS & ~M, False)],
    ),
    ({"marketing": "", "analytics": "", "preferences": "", "sale_of_data": "yes"}, []),
    (SHOPIFY, [(A, ADS | F, False)]),
    (quote(SHOPIFY), [(A, ADS | F, False)]),
    ('{"purposes":{"a":true,"p":true,"m":false,"t":false},"display_banner":true}', [(A | F, ADS, True)]),
    ({"_tracking_consent": "{", "_cmp_a": '{"purposes":{"a":true}}'}, [(A, NO, True)]),
]


@pytest.mark.parametrize(("value", "expected"), SHOPIFY_VALUES)
def test_shopify(value: Any, expected: Any) -> None:
    assert said("shopify", value) == expected


UNREADABLE = {
    "consent_mode": [None, "granted", [], {}, {"update": []}, {"ad_storage": "yes"}, {"default": {"ads": "granted"}}],
    "tcf": [None, 1, {}, "", "CP", tc_string({1})[:35], "A" * 40, "é" * 40, "C" * 35 + " ", "x" * 9_000 + "!"],
    "onetrust": [None, {}, "", "groups=", "groups=C0001", "groups=C0002%3A2", "&" * 100, "groups=%FF%3A"],
    "cookiebot": [None, True, {}, "", "true", "{}", "{statistics:maybe}", "{" * 500, COOKIEBOT[:-1]],
    "shopify": [None, 0, {}, "", "{}", "[]", "%7B", "3", '{"con":{"CMP":[]},"purposes":7}', SHOPIFY[:-1]],
}


@pytest.mark.parametrize(("platform", "value"), [(name, value) for name, some in UNREADABLE.items() for value in some])
def test_what_cannot_be_read_is_no_evidence_and_is_told(platform: str, value: Any) -> None:
    assert hear({"consent": {"source": platform, "value": value}}) == Heard((), (platform,))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=80),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(max_size=12), below, max_size=4),
    max_leaves=12,
)
REAL = {"tcf": tc_string({1, 8}), "onetrust": ONETRUST, "cookiebot": COOKIEBOT, "shopify": SHOPIFY}


@given(value=JSON_VALUES)
def test_no_value_is_an_error(value: Any) -> None:
    for read in READERS.values():
        assert isinstance(read(value), Reading | None)
    assert isinstance(hear({"consent": value, "consent_cookies": value}), Heard)


@given(name=st.sampled_from(sorted(REAL)), start=st.integers(0, 300), end=st.integers(0, 600), put=st.text(max_size=3))
def test_a_cut_or_changed_value_is_no_error(name: str, start: int, end: int, put: str) -> None:
    real = REAL[name]
    assert isinstance(READERS[name](real[start:end]), Reading | None)
    assert isinstance(READERS[name](real[:start] + put + real[start:]), Reading | None)


# The event's evidence


def test_a_page_may_report_several_at_once() -> None:
    page = {"marketing": "granted", "source": "explicit"}
    heard = hear({"consent": [page, {"source": "cookiebot", "value": "0"}, 7, {"source": "tcf", "value": "x"}]})
    assert heard == Heard(
        (Answer(M, NO, "explicit"), Answer(NO, A | F | ADS, "cookiebot", "cookiebot")), unreadable=("tcf",)
    )


def test_cookies_count_only_where_the_page_reported_nothing() -> None:
    cookies = {"CookieConsent": "0"}
    by_cookie = Heard((Answer(NO, A | F | ADS, "cookiebot", "cookiebot"),))
    by_page = Heard((Answer(M, NO, "explicit"),))
    page = {"marketing": "granted", "source": "explicit"}
    assert hear({"consent_cookies": cookies}) == by_cookie
    assert hear({"consent": {}, "consent_cookies": cookies}) == by_cookie
    assert hear({"consent": page, "consent_cookies": cookies}) == by_page


@pytest.mark.parametrize("context", [{"gpc": True}, {"consent": {"gpc": True}}, {"consent": [{}, {"gpc": True}]}])
def test_the_privacy_signal_is_heard_from_header_and_page(context: Any) -> None:
    assert hear(context) == Heard(has_gpc=True)


def test_an_unknown_platform_speaks_only_through_the_pages_words() -> None:
    assert hear({"consent": {"source": "didomi", "value": "x"}}) == Heard()
    assert hear({"consent": {"source": "tcf", "marketing": "denied"}}) == Heard((Answer(NO, M, "tcf"),))


def test_the_configured_meaning_of_a_category_replaces_ours() -> None:
    meanings = with_meanings({"onetrust": {"C0002": NO, "ads": Purpose.ADVERTISING}})
    value = "groups=C0002%3A1%2CC0003%3A1%2Cads%3A0&interactionCount=1"
    (answer,) = hear({"consent": {"source": "onetrust", "value": value}}, meanings).answers
    assert (answer.granted, answer.denied) == (F, Purpose.ADVERTISING)


# Cookies


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("", {}),
        ("cart=1; theme=dark", {}),
        ("CookieConsent=0", {"CookieConsent": "0"}),
        ("a=1; CookieConsent=-1 ; b=2", {"CookieConsent": "-1"}),
        ("a=CookieConsent=0; xCookieConsent=1", {}),
        ("xCookieConsent=1; CookieConsent=0; CookieConsent=-1", {"CookieConsent": "0"}),
        ("euconsent-v2=CP; OptanonConsent=a%20b", {"euconsent-v2": "CP", "OptanonConsent": "a%20b"}),
        ("CookieConsent=\udcff", {"CookieConsent": "?"}),
    ],
)
def test_cookies_are_found_by_their_whole_name(header: str, found: Any) -> None:
    assert find_cookies(header) == found


def test_a_cookie_too_large_to_keep_is_told_by_its_hash_and_is_no_evidence() -> None:
    cookies = find_cookies(f"OptanonConsent={'a' * 4_097}; CookieConsent=0")
    digest = sha256(b"a" * 4_097).hexdigest()
    assert cookies == {"OptanonConsent": {"sha256": digest}, "CookieConsent": "0"}
    assert hear({"consent_cookies": {"OptanonConsent": cookies["OptanonConsent"]}}) == Heard((), ("onetrust",))


def test_cookies_together_are_bounded() -> None:
    cookies = find_cookies(f"OptanonConsent={'a' * 3_000}; euconsent-v2={'b' * 3_000}; _cmp_a={'c' * 900}")
    assert {name: isinstance(value, str) for name, value in cookies.items()} == {
        "euconsent-v2": True,
        "OptanonConsent": False,
        "_cmp_a": True,
    }


def test_a_platforms_several_cookies_are_one_report() -> None:
    cookies = find_cookies(f"OptanonAlertBoxClosed={CLOSED}; OptanonConsent={ONETRUST}")
    (answer,) = hear({"consent_cookies": cookies}).answers
    assert (answer.granted, answer.is_default, answer.own_ms) == (A, False, CLOSED_MS)
