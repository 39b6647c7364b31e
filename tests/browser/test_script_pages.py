"""Page views, routes, sessions: what counts as one, and what it carries."""

import pytest
import pytest_asyncio

pytestmark = pytest.mark.asyncio(loop_scope="session")

NO_NAVIGATION_API = "Object.defineProperty(window,'navigation',{value:document.createElement('nav')})"


def views(shop):
    return [
        (event["context"]["page"]["url"].removeprefix(shop.origin), event["context"]["page"]["referrer"])
        for event in shop.stored
        if event["name"] == "page_view"
    ]


@pytest_asyncio.fixture(loop_scope="session", params=["navigation", "history"])
async def routed(request, visitor):
    """With the Navigation API, and where it is missing or its name is taken by a variable of the page."""
    if request.param == "history":
        await visitor.context.add_init_script(NO_NAVIGATION_API)
    return visitor


async def test_the_landing_page_is_seen_once_with_its_whole_query(shop, visitor):
    shop.page("/landing")
    page = await visitor.open(shop.origin + "/landing?gclid=Cj0&utm_source=mail&_kx=a%20b.c#part")
    await shop.until(lambda s: s.names == ["page_view"])
    await page.evaluate("datafly('track', 'last')")
    await shop.until(lambda s: "last" in s.names)
    assert shop.names == ["page_view", "last"]
    assert views(shop) == [("/landing?gclid=Cj0&utm_source=mail&_kx=a%20b.c", "")]


async def test_data_page_off_sends_no_page_view(shop, visitor):
    page = await visitor.open(shop.page(tag='data-page="off"', calls="datafly('track','a')"))
    await page.evaluate("history.pushState(0, '', '/next'); datafly('track', 'b'); datafly('page')")
    await shop.until(lambda s: "b" in s.names)
    assert [(e["name"], e["context"]["page"]["path"]) for e in shop.stored] == [
        ("a", "/"),
        ("b", "/next"),
        ("page_view", "/next"),
    ]


async def test_a_page_carries_the_document_referrer(shop, visitor):
    first, second = shop.page("/first"), shop.page("/second")
    page = await visitor.open(first)
    await page.evaluate("location.href = '/second'")
    await page.wait_for_url(second)
    await shop.until(lambda s: len(views(s)) == 2)
    assert views(shop) == [("/first", ""), ("/second", first)]


async def test_a_route_is_a_page_view_with_its_own_url_and_the_fragment_alone_is_none(shop, routed):
    """All in one batch: each event names the page it happened on, not the one that was open when it left."""
    page = await routed.open(shop.page("/a") + "?gclid=1")
    await page.evaluate(
        """() => {
            datafly('track', 'on_a');
            history.pushState({}, '', '/b?q=2');
            datafly('track', 'on_b');
            history.pushState({}, '', '/b?q=2#top');
            history.replaceState({}, '', '/b?q=2#end');
            history.replaceState({}, '', '/b');
            history.pushState({}, '', '/b');
            datafly('track', 'still_b');
            history.replaceState({}, '', '/c');
            datafly('track', 'on_c');
        }"""
    )
    await shop.until(lambda s: "on_c" in s.names)
    facts = [(e["name"], e["context"]["page"]["url"].removeprefix(shop.origin)) for e in shop.stored]
    assert facts == [
        ("page_view", "/a?gclid=1"),
        ("on_a", "/a?gclid=1"),
        ("page_view", "/b?q=2"),
        ("on_b", "/b?q=2"),
        ("still_b", "/b?q=2"),
        ("page_view", "/c"),
        ("on_c", "/c"),
    ]


async def test_the_referrer_of_a_route_is_the_former_url_without_its_click_ids(shop, routed):
    page = await routed.open(shop.page("/a") + "?gclid=1")
    await page.evaluate("history.pushState({}, '', '/b?q=2'); history.pushState({}, '', '/c')")
    await shop.until(lambda s: len(views(s)) == 3)
    assert views(shop) == [("/a?gclid=1", ""), ("/b?q=2", f"{shop.origin}/a"), ("/c", f"{shop.origin}/b")]


async def test_going_back_is_a_page_view_and_a_link_to_a_fragment_is_none(shop, routed):
    page = await routed.open(shop.page("/a"))
    await page.evaluate("history.pushState({}, '', '/b')")
    await page.evaluate("location.hash = 'part'")
    await page.evaluate("new Promise(r => { addEventListener('popstate', r, {once: true}); history.go(-2) })")
    await page.evaluate("datafly('track', 'last')")
    await shop.until(lambda s: "last" in s.names)
    assert [url for url, _ in views(shop)] == ["/a", "/b", "/a"]
    assert shop.names[-1] == "last"


async def test_a_route_sees_the_title_that_its_application_sets_afterwards(shop, visitor):
    page = await visitor.open(shop.page("/a", title="A"))
    await shop.until(lambda s: s.names == ["page_view"])
    await page.evaluate("history.pushState({}, '', '/b'); setTimeout(() => { document.title = 'B' })")
    await shop.until(lambda s: len(s.names) == 2)
    assert [e["context"]["page"]["title"] for e in shop.stored] == ["A", "B"]


async def test_a_prerendered_page_is_seen_when_it_is_activated(shop, visitor):
    await visitor.context.add_init_script(
        "window.early = true; Object.defineProperty(document, 'prerendering', {get: () => window.early})"
    )
    await visitor.start_clock()
    page = await visitor.open(shop.page(calls="datafly('track','a')"))
    await visitor.pass_s(60)
    await visitor.settled(page)
    assert shop.posts == []
    await page.evaluate("window.early = false; document.dispatchEvent(new Event('prerenderingchange'))")
    await visitor.pass_s(5)
    await visitor.pass_s(5)
    await shop.until(lambda s: s.posts)
    assert shop.names == ["page_view", "a"]


async def test_a_page_out_of_the_back_forward_cache_is_a_new_page_view(shop, visitor):
    page = await visitor.open(shop.page())
    await shop.until(lambda s: s.names == ["page_view"])
    await page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    await page.evaluate("datafly('track', 'last')")
    await shop.until(lambda s: "last" in s.names)
    assert shop.names == ["page_view", "page_view", "last"]


async def test_a_session_spans_pages_and_ends_after_half_an_hour_without_an_event(shop, visitor):
    await visitor.start_clock()
    shop.page("/a"), shop.page("/b")
    page = await visitor.open(shop.origin + "/a")
    await visitor.pass_s(5)
    await shop.until(lambda s: len(s.names) == 1)
    await visitor.pass_s(29 * 60)
    await page.goto(shop.origin + "/b")
    await visitor.pass_s(5)
    await shop.until(lambda s: len(s.names) == 2)
    await visitor.pass_s(31 * 60)
    await page.evaluate("datafly('track', 'late')")
    await visitor.pass_s(5)
    await shop.until(lambda s: len(s.names) == 3)
    first, second, third = (event["context"]["session"] for event in shop.stored)
    assert first == second
    assert (first["number"], third["number"]) == (1, 2)
    assert first["id"] != third["id"]


async def test_reset_belongs_to_the_old_session_and_what_follows_to_a_new_one(shop, visitor):
    await visitor.open(shop.page(calls="datafly('track','a');datafly('reset');datafly('track','b')"))
    await shop.until(lambda s: "b" in s.names)
    sessions = {event["name"]: event["context"]["session"] for event in shop.stored}
    assert sessions["page_view"] == sessions["a"] == sessions["reset"]
    assert sessions["b"]["id"] != sessions["a"]["id"]
    assert sessions["b"]["number"] == 2
