"""What the script collects without a call from the shop: products, the tags' own layer, markup, searches."""

import json

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")

TEAPOT = {
    "@context": "https://schema.org",
    "@type": "Product",
    "sku": "TP-1",
    "name": "Moon Teapot",
    "brand": {"@type": "Brand", "name": "Kiln"},
    "category": "Kitchen",
    "image": ["https://shop.example/i/1.jpg", "https://shop.example/i/2.jpg"],
    "offers": [{"@type": "Offer", "price": "42.25", "priceCurrency": "GBP"}],
}
VIEW = {
    "currency": "GBP",
    "items": [
        {
            "item_id": "TP-1",
            "item_name": "Moon Teapot",
            "item_brand": "Kiln",
            "item_category": "Kitchen",
            "price": "42.25",
            "image_url": "https://shop.example/i/1.jpg",
        }
    ],
}
LAYER_VIEW = {
    "currency": "GBP",
    "value": 42.25,
    "items": [{"item_id": "501", "item_name": "Moon Teapot", "price": 42.25}],
}


def ld(*products):
    return "".join(f'<script type="application/ld+json">{json.dumps(product)}</script>' for product in products)


def views(shop):
    return [event["properties"] for event in shop.stored if event["name"] == "view_item"]


async def finish(shop, visitor, page):
    """Let the page's own second pass, then say a last word and wait for it: what came is then all there is."""
    await visitor.pass_s(5)
    await page.evaluate("datafly('track', 'last')")
    for _ in range(2):
        await visitor.pass_s(5)
    await shop.until(lambda s: "last" in s.names)


@pytest.mark.parametrize(
    "product",
    [
        TEAPOT,
        [TEAPOT],
        {"@context": "https://schema.org", "@graph": [{"@type": "WebPage", "name": "A page"}, TEAPOT]},
        {"@type": "ItemPage", "mainEntity": TEAPOT},
        {
            **TEAPOT,
            "@type": ["Product", "IndividualProduct"],
            "brand": "Kiln",
            "image": {"url": VIEW["items"][0]["image_url"]},
        },
        {**TEAPOT, "offers": {"@type": "AggregateOffer", "lowPrice": "42.25", "priceCurrency": "GBP"}},
        {**TEAPOT, "offers": {"priceSpecification": [{"price": "42.25", "priceCurrency": "GBP"}]}},
    ],
    ids=["product", "list", "graph", "main entity", "two types", "several offers", "price specification"],
)
async def test_a_product_page_is_a_view_item(shop, visitor, product):
    await visitor.start_clock()
    page = await visitor.open(shop.page("/p", body=ld(product)))
    await finish(shop, visitor, page)
    assert views(shop) == [VIEW]


@pytest.mark.parametrize(
    "body",
    [
        ld(TEAPOT, {**TEAPOT, "sku": "TP-2"}),
        ld({"@type": "Organization", "name": "Shop"}),
        '<script type="application/ld+json">{"@type": "Product", "name": </script>',
        ld({"@type": "Product"}, None),
        ld(TEAPOT).replace("ld+json", "json"),
    ],
    ids=["several", "none", "broken", "nameless", "another type"],
)
async def test_a_page_with_several_products_or_none_is_no_view_item(shop, visitor, body):
    await visitor.start_clock()
    page = await visitor.open(shop.page("/p", body=body))
    await finish(shop, visitor, page)
    assert shop.names == ["page_view", "last"]


async def test_json_ld_that_comes_after_the_script_is_seen(shop, visitor):
    """An async script may run before the rest of the page is parsed."""
    await visitor.start_clock()
    page = await visitor.open(shop.page("/p", body="<p>" + "x" * 200_000 + "</p>" + ld(TEAPOT)))
    await finish(shop, visitor, page)
    assert views(shop) == [VIEW]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_product_that_the_layer_tells_of_is_not_told_again(shop, visitor, when):
    """Exactly one of the two wins, whether the shop's own came first or last."""
    await visitor.start_clock()
    push = f"dataLayer.push({json.dumps({'event': 'view_item', 'ecommerce': LAYER_VIEW})})"
    calls = "window.dataLayer=[];" + (push if when == "before" else "")
    page = await visitor.open(shop.page("/p", calls=calls, body=ld(TEAPOT)))
    await visitor.pass_s(5)
    if when == "after":
        await page.evaluate(push)
    await finish(shop, visitor, page)
    assert views(shop) == [LAYER_VIEW if when == "before" else VIEW]


async def test_the_product_of_the_page_before_is_not_told_again(shop, visitor):
    """Its JSON-LD stays in the document of a single-page application."""
    await visitor.start_clock()
    page = await visitor.open(shop.page("/p", body=ld(TEAPOT)))
    await visitor.pass_s(5)
    await page.evaluate("history.pushState(0, '', '/list')")
    await visitor.pass_s(5)
    await page.evaluate(
        "text => { history.pushState(0, '', '/q'); document.querySelector('[type*=ld]').textContent = text }",
        json.dumps({**TEAPOT, "sku": "TP-2"}),
    )
    await finish(shop, visitor, page)
    assert [view["items"][0]["item_id"] for view in views(shop)] == ["TP-1", "TP-2"]
    assert [e["context"]["page"]["path"] for e in shop.stored if e["name"] == "view_item"] == ["/p", "/q"]


async def test_a_page_that_is_left_within_its_second_still_tells_of_its_product(shop, visitor):
    await visitor.stop_clock()
    page = await visitor.open(shop.page("/p", body=ld(TEAPOT)))
    await visitor.pass_s(0.5)
    await page.goto(shop.page("/next", has_script=False))
    await shop.until(lambda s: "view_item" in s.names)
    assert shop.names == ["page_view", "view_item"]


async def test_shopifys_own_product_stands_in_where_there_is_no_json_ld(shop, visitor):
    await visitor.start_clock()
    variant = {"id": 7, "price": 4225, "name": "Moon Teapot - Blue", "sku": "TP-1"}
    meta = {"currency": "GBP", "product": {"id": 501, "vendor": "Kiln", "type": "Kitchen", "variants": [variant]}}
    page = await visitor.open(shop.page("/p", calls=f"window.ShopifyAnalytics={{meta:{json.dumps(meta)}}};"))
    await finish(shop, visitor, page)
    item = {"item_id": 501, "sku": "TP-1", "item_name": "Moon Teapot - Blue", "item_brand": "Kiln"}
    assert views(shop) == [{"currency": "GBP", "items": [{**item, "item_category": "Kitchen", "price": 42.25}]}]


@pytest.mark.parametrize("is_early", [True, False], ids=["before the load", "after the load"])
async def test_what_the_shop_tells_its_tags_is_taken_in_both_forms(shop, visitor, is_early):
    cart = {"currency": "GBP", "value": 9.5, "items": [{"item_id": "A", "quantity": 1}]}
    pushes = (
        f"dataLayer.push({{event:'add_to_cart',ecommerce:{json.dumps(cart)}}});"
        "dataLayer.push({ecommerce:null});"
        f"gtag('event','begin_checkout',{json.dumps({**cart, 'send_to': 'G-1'})});"
        "dataLayer.push({event:'sign_up',method:'mail','gtm.uniqueEventId':4,element:{}});"
        "dataLayer.push({event:'gtm.js','gtm.start':1});gtag('js',new Date());gtag('config','G-1');"
        "gtag('event','scroll',{percent:90});dataLayer.push('odd');dataLayer.push(null,[],[1])"
    )
    layer = "window.dataLayer=[];function gtag(){dataLayer.push(arguments)};"
    page = await visitor.open(shop.page(calls=layer + (pushes if is_early else "")))
    await visitor.settled(page)
    if not is_early:
        await page.evaluate(pushes)
    await page.evaluate("datafly('track', 'last');datafly('flush')")
    await shop.until(lambda s: "last" in s.names)
    assert [(event["name"], event["properties"]) for event in shop.stored] == [
        ("page_view", {}),
        ("add_to_cart", cart),
        ("begin_checkout", {**cart, "send_to": "G-1"}),
        ("sign_up", {"method": "mail"}),
        ("last", {}),
    ]


async def test_the_layer_still_does_what_it_did(shop, visitor):
    page = await visitor.open(shop.page(calls="window.dataLayer=[1];"))
    assert await page.evaluate("[dataLayer.push({event:'x'}, 2), dataLayer.length]") == [3, 3]


async def test_another_layer_or_none_is_listened_to_when_the_tag_says_so(shop, visitor):
    push = "window.dataLayer=[{event:'search',search_term:'a'}];window.mine=[{event:'search',search_term:'b'}];"
    for path, tag in (("/mine", 'data-layer="mine"'), ("/off", 'data-layer="off"')):
        await visitor.open(shop.page(path, tag=tag, calls=push))
        await shop.until(lambda s, path=path: path in [e["context"]["page"]["path"] for e in s.stored])
    assert [e["properties"] for e in shop.stored if e["name"] == "search"] == [{"search_term": "b"}]


async def test_markup_says_what_a_click_means(shop, visitor):
    body = """
      <article data-df-item_id="501" data-df-item_name="Moon Teapot" data-df-price="42.25">
        <button data-df-event="add_to_cart" data-df-quantity="2"><b id="inside">Buy</b></button><i id="beside">More</i>
      </article>
      <form data-df-event="sign_up" data-df-method="footer" onsubmit="return false">
        <button id="send">Go</button></form>"""
    page = await visitor.open(shop.page(body=body))
    for element in ("#inside", "#beside", "#send"):
        await page.click(element)
    await page.evaluate("datafly('track', 'last');datafly('flush')")
    await shop.until(lambda s: "last" in s.names)
    assert [(event["name"], event["properties"]) for event in shop.stored][1:-1] == [
        ("add_to_cart", {"quantity": "2", "item_id": "501", "item_name": "Moon Teapot", "price": "42.25"}),
        ("sign_up", {"method": "footer"}),
    ]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/search?q=moon%20teapot", "moon teapot"),
        ("/suche?query=Tee", "Tee"),
        ("/?s=tea+pot", "tea pot"),
        ("/catalogsearch/result/?q=cup", "cup"),
        ("/p?q=1", None),
        ("/search?page=2", None),
        ("/search?q=%20", None),
    ],
)
async def test_a_search_page_is_a_search(shop, visitor, path, words):
    shop.page(path.partition("?")[0])
    page = await visitor.open(shop.origin + path)
    await page.evaluate("datafly('track', 'last');datafly('flush')")
    await shop.until(lambda s: "last" in s.names)
    assert [e["properties"].get("search_term") for e in shop.stored if e["name"] == "search"] == (
        [words] if words else []
    )


async def test_five_thousand_pushes_cost_no_event_of_the_shop(shop, visitor):
    earlier = "window.dataLayer=[{event:'search',search_term:'tea'}];"
    noise = "for(let i=0;i<5000;i++)dataLayer.push({event:'noise'+i,deep:{a:[i]}});"
    page = await visitor.open(shop.page(calls=earlier + noise))
    await page.evaluate("for (let i = 0; i < 5000; i++) dataLayer.push({event: 'more' + i}); datafly('track', 'last')")
    await shop.until(lambda s: "last" in s.names)
    assert shop.names == ["page_view", "search", "last"]
