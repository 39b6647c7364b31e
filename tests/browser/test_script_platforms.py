"""What consent platforms say reaches the collector as they said it, and each change once."""

import pytest

from edge.consent import Purpose
from edge.consent_platforms import hear
from tests.browser.conftest import QUEUE

pytestmark = pytest.mark.asyncio(loop_scope="session")

WAIT = 'data-consent="wait"'
KEPT = f"{QUEUE}.map((event) => event.name)"
LAYER = "window.dataLayer=window.dataLayer||[];function gtag(){dataLayer.push(arguments)};"
TCF = """
window.__tcfapi = function (command, version, hear) {
  window.tell = (eventStatus, tcString, allowed) =>
    hear({eventStatus, tcString, gdprApplies: true, purpose: {consents: {4: allowed}}}, true);
};"""
OPTANON = "OptanonConsent=datestamp={stamp}&groups=C0001%3A1%2CC0004%3A{marketing}"


def consents(shop):
    return [(event["name"], event["context"].get("consent")) for event in shop.stored]


async def last(shop, page):
    await page.evaluate("datafly('track', 'last');datafly('flush')")
    await shop.until(lambda s: "last" in s.names)


def mode(**value):
    return {"source": "consent_mode", "value": value}


async def test_consent_mode_is_reported_with_default_and_update(shop, visitor):
    calls = LAYER + "gtag('consent','default',{ad_storage:'denied',analytics_storage:'denied'});"
    page = await visitor.open(shop.page(calls=calls))
    await shop.until(lambda s: s.names)
    await page.evaluate("gtag('consent','update',{ad_storage:'granted'})")
    await last(shop, page)
    default = {"ad_storage": "denied", "analytics_storage": "denied"}
    both = mode(default=default, update={"ad_storage": "granted"})
    assert consents(shop) == [("page_view", mode(default=default)), ("consent", both), ("last", both)]


async def test_a_default_for_some_regions_is_told_apart_from_the_one_for_all(shop, visitor):
    """The last call would win otherwise, and grant for everybody what is denied where the visitor may be."""
    calls = LAYER + (
        "gtag('consent','default',{ad_storage:'denied',region:['ES','FR']});"
        "gtag('consent','default',{ad_storage:'granted'});"
    )
    await visitor.open(shop.page(calls=calls))
    await shop.until(lambda s: s.names)
    regional = {"ad_storage": "denied", "region": ["ES", "FR"]}
    said = {"defaultES,FR": regional, "default": {"ad_storage": "granted"}}
    assert consents(shop) == [("page_view", mode(**said))]
    assert [answer.granted for answer in hear({"consent": mode(**said)}).answers] == [Purpose.NONE]


async def test_the_same_answer_is_sent_once_over_all_pages(shop, visitor):
    """A platform repeats its update on every page."""
    calls = LAYER + "gtag('consent','update',{ad_storage:'granted'});"
    for path in ("/a", "/b", "/c"):
        page = await visitor.open(shop.page(path, calls=calls))
        await last(shop, page)
    assert shop.names.count("consent") == 1
    page = await visitor.open(shop.page("/d", calls=calls.replace("granted", "denied")))
    await page.evaluate("datafly('track', 'end');datafly('flush')")
    await shop.until(lambda s: "end" in s.names)
    assert shop.names.count("consent") == 2


async def test_wait_for_update_holds_and_lets_go_once_in_order(shop, visitor):
    await visitor.start_clock()
    calls = LAYER + "gtag('consent','default',{ad_storage:'denied',wait_for_update:5000});datafly('track','a');"
    page = await visitor.open(shop.page(calls=calls))
    await visitor.pass_s(2)
    await visitor.settled(page)
    assert shop.posts == []
    await page.evaluate("gtag('consent','update',{ad_storage:'granted'})")
    await visitor.pass_s(2)
    await shop.until(lambda s: s.posts)
    assert [post.names for post in shop.posts] == [["page_view", "a", "consent"]]


async def test_an_update_that_never_comes_is_waited_for_no_longer_than_asked(shop, visitor):
    await visitor.start_clock()
    calls = LAYER + "gtag('consent','default',{ad_storage:'denied',wait_for_update:3000});"
    await visitor.open(shop.page(calls=calls))
    for _ in range(4):
        await visitor.pass_s(2)
    await shop.until(lambda s: s.posts)
    asked = {"ad_storage": "denied", "wait_for_update": 3000}
    assert consents(shop) == [("page_view", mode(default=asked))]


async def test_a_tc_string_is_reported_when_it_is_there_and_when_it_changes(shop, visitor):
    page = await visitor.open(shop.page(tag=WAIT, calls=TCF))
    await page.wait_for_function("() => window.tell")
    await page.evaluate("tell('cmpuishown','CQ-old',false);datafly('flush')")
    await visitor.settled(page)
    assert shop.posts == []
    await page.evaluate("tell('useractioncomplete','CQ-new',true)")
    await last(shop, page)
    assert consents(shop)[0] == ("page_view", {"source": "tcf", "value": "CQ-new"})
    assert shop.names == ["page_view", "consent", "last"]


@pytest.mark.parametrize(
    ("cookie", "event", "source"),
    [
        ("CookieConsent=%7Bmarketing:true%7D", "CookiebotOnConsentReady", "cookiebot"),
        ("_tracking_consent=3AMPS_GB_f_f_x", "visitorConsentCollected", "shopify"),
    ],
)
async def test_an_answer_kept_in_a_cookie_ends_the_waiting(shop, visitor, cookie, event, source):
    page = await visitor.open(shop.page(tag=WAIT))
    await page.wait_for_function("() => window.datafly?.track && !window.requestIdleCallback || datafly.q.push")
    await page.evaluate("requestIdleCallback(() => window.idle = 1)")
    await page.wait_for_function("() => window.idle")
    target = "document" if source == "shopify" else "window"
    await page.evaluate(f"document.cookie = '{cookie}'; {target}.dispatchEvent(new Event('{event}'))")
    await last(shop, page)
    name, _, text = cookie.partition("=")
    assert consents(shop)[0] == ("page_view", {"source": source, "value": {name: text}})
    assert shop.names == ["page_view", "consent", "last"]


async def test_onetrust_is_answered_only_once_its_banner_was_closed(shop, visitor):
    page = await visitor.open(shop.page(tag=WAIT, calls=f"document.cookie='{OPTANON.format(stamp=1, marketing=0)}';"))
    await page.evaluate("datafly('flush')")
    await visitor.settled(page)
    assert shop.posts == []
    closed = (
        f"document.cookie='OptanonAlertBoxClosed=2026-11-21';document.cookie='{OPTANON.format(stamp=2, marketing=1)}';"
    )
    await page.evaluate(closed + "dispatchEvent(new Event('OneTrustGroupsUpdated'))")
    await page.evaluate(
        f"document.cookie='{OPTANON.format(stamp=3, marketing=1)}';dispatchEvent(new Event('OneTrustGroupsUpdated'))"
    )
    await last(shop, page)
    assert shop.names == ["page_view", "consent", "last"]


async def test_a_platforms_withdrawal_empties_the_stored_queue(shop, visitor, answer):
    shop.answers.extend([answer.busy()] * 4)
    calls = "document.cookie='CookieConsent=%7Bmarketing:true%7D';"
    page = await visitor.open(shop.page(calls=calls))
    await page.evaluate("datafly('track', 'kept')")
    await page.wait_for_function(f"() => {KEPT}.includes('page_view')")
    await page.evaluate(
        "document.cookie='CookieConsent=%7Bmarketing:false%7D';dispatchEvent(new Event('CookiebotOnConsentReady'))"
    )
    kept = await page.evaluate(KEPT)
    assert [name for name in kept if name not in ("consent", "reset")] == []


async def test_the_privacy_signal_travels_with_the_pages_own_words(shop, visitor):
    await visitor.context.add_init_script("Object.defineProperty(navigator, 'globalPrivacyControl', {value: true})")
    page = await visitor.open(shop.page())
    await page.evaluate("datafly('consent', {marketing: true})")
    await last(shop, page)
    assert consents(shop)[-1][1] == {"gpc": True, "marketing": "granted", "source": "explicit"}


async def test_several_voices_are_a_list(shop, visitor):
    calls = "document.cookie='CookieConsent=%7Bmarketing:true%7D';datafly('consent',{marketing:true});"
    page = await visitor.open(shop.page(calls=calls))
    await last(shop, page)
    own = {"marketing": "granted", "source": "explicit"}
    assert consents(shop)[-1][1] == [own, {"source": "cookiebot", "value": {"CookieConsent": "%7Bmarketing:true%7D"}}]
