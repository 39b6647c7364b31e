"""Pages that have bent the browser under the script: what still works arrives, and the page never notices."""

import pytest

from tests.browser.conftest import QUEUE

pytestmark = pytest.mark.asyncio(loop_scope="session")

FROZEN = "for (const one of [Object, Array, Function, String, Promise, Storage, Event]) Object.freeze(one.prototype);"
GROWN = "Object.prototype.extra = 'x'; Array.prototype.extra = () => 'x';"
LAYERS = {
    "a number": "window.dataLayer = 5",
    "a text": "window.dataLayer = 'GTM'",
    "frozen": "window.dataLayer = Object.freeze([{event: 'login'}])",
    "a getter that throws": "Object.defineProperty(window, 'dataLayer', {get() { throw new Error('no') }})",
    "filled with nonsense": "window.dataLayer = [null, 7, 'x', [], {event: {}}, {event: 'a', ecommerce: 5}]",
}
FETCHES = {
    "throws": "() => { throw new Error('no') }",
    "rejects": "() => Promise.reject(new Error('no'))",
    "gives nothing": "() => undefined",
    "gives nonsense": "() => Promise.resolve('sent')",
}


@pytest.mark.parametrize("bent", [FROZEN, GROWN], ids=["frozen", "grown"])
async def test_prototypes_that_a_page_has_changed_cost_no_event(shop, visitor, bent):
    await visitor.context.add_init_script(bent)
    page = await visitor.open(shop.page(calls="datafly('track','a',{value:1})"))
    await shop.until(lambda s: s.names == ["page_view", "a"])
    await page.evaluate("history.pushState({}, '', '/b')")
    await shop.until(lambda s: s.names == ["page_view", "a", "page_view"])


@pytest.mark.parametrize("fetch", FETCHES.values(), ids=FETCHES)
async def test_a_redefined_fetch_that_sends_nothing_keeps_the_events_for_the_next_page(shop, visitor, fetch):
    await visitor.start_clock()
    await visitor.context.add_init_script(f"if (location.pathname === '/a') window.fetch = {fetch}")
    page = await visitor.open(shop.page("/a", calls="datafly('track','a')"))
    await visitor.pass_s(2)
    await page.wait_for_function("localStorage._df_u")
    assert [event["name"] for event in await visitor.queued(page, 2)] == ["page_view", "a"]
    await page.goto(shop.page("/b"))
    await visitor.pass_s(10)
    await shop.until(lambda s: s.names == ["page_view", "a", "page_view"])


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
async def test_a_layer_that_is_none_stops_nothing(shop, visitor, layer):
    page = await visitor.open(shop.page(calls=f"{layer};datafly('track','a')"))
    await shop.until(lambda s: {"page_view", "a"} <= set(s.names))
    await page.evaluate("datafly('track','b'),datafly('flush')")
    await shop.until(lambda s: "b" in s.names)
    assert set(shop.names) <= {"page_view", "a", "b", "login"}


async def test_a_frozen_history_without_the_navigation_api_costs_routes_and_nothing_else(shop, visitor):
    await visitor.context.add_init_script(
        "Object.defineProperty(window, 'navigation', {value: undefined});"
        "for (const name of ['pushState', 'replaceState'])"
        " Object.defineProperty(history, name, {value: history[name], writable: false});"
        "Object.freeze(history)"
    )
    page = await visitor.open(shop.page("/a"))
    await page.evaluate("history.pushState({}, '', '/b'); datafly('track', 'a')")
    await shop.until(lambda s: "a" in s.names)
    assert shop.names == ["page_view", "a"]


async def test_a_page_that_breaks_json_hurts_nobody(shop, visitor):
    """Nothing can be sent; nothing is thrown either, which the visitor's fixture looks at."""
    page = await visitor.open(shop.page(calls="JSON.stringify=function(){throw new Error('no')}"))
    await page.evaluate("datafly('track','a')")
    await page.goto(shop.page("/b", calls="datafly('track','b')"))
    await shop.until(lambda s: "b" in s.names)
    assert shop.names == ["page_view", "b"]
    await visitor.queued(page, 0)


async def test_elements_named_like_the_pages_own_functions_stop_nothing(shop, visitor):
    body = (
        '<form data-df-event="a"><input name="closest"><input name="querySelector"><input name="hasAttribute">'
        '<input name="email" value="visitor@shop.example"></form><a id="navigation"></a>'
    )
    page = await visitor.open(shop.page(body=body))
    await page.evaluate("document.forms[0].onsubmit = () => false; document.forms[0].requestSubmit()")
    await page.evaluate("datafly('track','b')")
    await shop.until(lambda s: "b" in s.names)
    assert shop.names == ["page_view", "b"]


async def test_an_event_is_kept_before_anybody_hears_of_it(shop, visitor):
    """Browsers do not tell of every page that ends."""
    calls = f"window.kept=[];datafly('on','event',e=>kept.push({QUEUE}.some(one=>one.id===e.id)))"
    await visitor.stop_clock()
    page = await visitor.open(shop.page(calls=calls + ";datafly('track','a')"))
    await visitor.context.clock.run_for(100)
    assert await page.evaluate("kept") == [True, True]
