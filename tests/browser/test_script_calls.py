"""What a page calls, and the events that come of it."""

import re

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")

UUID_4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


async def test_calls_from_before_the_load_arrive_in_order_in_one_batch(shop, visitor):
    calls = "".join(f"datafly('track','call_{n}',{{n:{n}}});" for n in range(12))
    await visitor.open(shop.page(calls=calls))
    await shop.until(lambda s: "call_11" in s.names)
    assert [post.names for post in shop.posts] == [["page_view", *(f"call_{n}" for n in range(12))]]


async def test_a_batch_has_exactly_the_documented_shape(shop, visitor):
    """The whole body but for what is random: a field too many is as wrong as one too few."""
    await visitor.stop_clock()
    page = await visitor.open(shop.page("/p", calls="datafly('track','view_item',{value:9.5,items:[{item_id:'A'}]})"))
    await visitor.pass_s(5)
    await visitor.pass_s(5)
    await shop.until(lambda s: s.posts)
    (post,) = shop.posts
    batch = post.batch
    assert post.content_type == "text/plain"
    assert UUID_4.fullmatch(batch["events"][0]["id"]) and UUID_4.fullmatch(batch["events"][1]["id"])
    assert re.fullmatch(r"[0-9a-f]{32}", batch["context"]["session"]["id"])
    assert ISO.fullmatch(batch["sent_at"]) and all(ISO.fullmatch(event["time"]) for event in batch["events"])
    assert batch == {
        "sent_at": batch["sent_at"],
        "context": {
            "page": {"url": f"{shop.origin}/p", "path": "/p", "title": "Shop", "referrer": ""},
            "session": {"id": batch["context"]["session"]["id"], "number": 1},
            "klaviyo": {"loaded": False, "known": False},
            "tags": {"gtag": False, "fbq": False},
            "locale": "en-GB",
            "timezone": "Europe/London",
            "screen": await page.evaluate("screen.width + 'x' + screen.height"),
            "library": {"name": "datafly.js", "version": "0.1.0"},
        },
        "events": [
            {"id": post.ids[0], "name": "page_view", "time": batch["events"][0]["time"], "properties": {}},
            {
                "id": post.ids[1],
                "name": "view_item",
                "time": batch["events"][1]["time"],
                "properties": {"value": 9.5, "items": [{"item_id": "A"}]},
            },
        ],
    }


@pytest.mark.parametrize(
    ("arguments", "traits"),
    [
        ("{email:'a@shop.example'}", {"email": "a@shop.example"}),
        ("'C-7',{email:'a@shop.example'}", {"email": "a@shop.example", "customer_id": "C-7"}),
        ("7", {"customer_id": "7"}),
        ("null,{phone:'+441'}", {"phone": "+441"}),
    ],
)
async def test_identify_gives_its_traits_and_the_id_as_customer_id(shop, visitor, arguments, traits):
    await visitor.open(shop.page(tag='data-page="off"', calls=f"datafly('identify',{arguments})"))
    await shop.until(lambda s: s.names == ["identify"])
    (event,) = shop.stored
    assert (event["properties"], event["traits"]) == ({}, traits)


async def test_after_the_load_commands_are_methods_too(shop, visitor):
    page = await visitor.open(shop.page())
    await page.evaluate("datafly.track('a', {n: 1}); datafly.page({kind: 'x'}); datafly('track', 'b'); datafly.flush()")
    await shop.until(lambda s: "b" in s.names)
    assert [(e["name"], e["properties"]) for e in shop.stored] == [
        ("page_view", {}),
        ("a", {"n": 1}),
        ("page_view", {"kind": "x"}),
        ("b", {}),
    ]


async def test_an_event_is_what_it_was_when_tracked(shop, visitor):
    """Shops reuse and change the objects that they pass."""
    page = await visitor.open(shop.page())
    await shop.until(lambda s: s.names == ["page_view"])
    await page.evaluate("const p = {n: 1}; datafly('track', 'a', p); p.n = 2")
    await shop.until(lambda s: "a" in s.names)
    assert shop.stored[-1]["properties"] == {"n": 1}


async def test_an_event_leaves_after_a_second(shop, visitor):
    await visitor.stop_clock()
    page = await visitor.open(shop.page(tag='data-page="off"'))
    await visitor.pass_s(2)  # the start
    await page.evaluate("datafly('track', 'a')")
    await visitor.context.clock.run_for(900)
    await page.evaluate("datafly('track', 'b')")
    await visitor.settled(page)
    assert shop.posts == []
    await visitor.context.clock.run_for(200)
    await shop.until(lambda s: s.names == ["a", "b"])


async def test_ten_events_leave_without_the_second_of_waiting(shop, visitor):
    await visitor.stop_clock()
    page = await visitor.open(shop.page(tag='data-page="off"'))
    await visitor.pass_s(2)  # the start
    await page.evaluate("for (let n = 0; n < 9; n++) datafly('track', 'e' + n)")
    await visitor.context.clock.run_for(500)
    await visitor.settled(page)
    assert shop.posts == []
    await page.evaluate("datafly('track', 'e9')")
    await visitor.context.clock.run_for(100)
    await shop.until(lambda s: s.names == [f"e{n}" for n in range(10)])


async def test_a_listener_hears_of_each_event_and_may_throw(shop, visitor):
    page = await visitor.open(
        shop.page(
            calls="var heard=[];datafly('on','event',function(){throw Error('theirs')});"
            "datafly('on','event',function(e){heard.push(e)});datafly('track','a')"
        )
    )
    await shop.until(lambda s: s.names == ["page_view", "a"])
    assert await page.evaluate("heard") == [{"id": e["id"], "name": e["name"]} for e in shop.stored]


async def test_the_page_gains_exactly_one_global(shop, visitor):
    shop.page("/bare", has_script=False)
    names = "Object.getOwnPropertyNames(window)"
    before = set(await (await visitor.open(shop.origin + "/bare")).evaluate(names))
    page = await visitor.open(shop.page())
    await shop.until(lambda s: s.posts)
    assert set(await page.evaluate(names)) - before == {"datafly"}


async def test_loading_the_script_twice_counts_nothing_twice(shop, visitor):
    second = '<script src="/t/datafly.js"></script>'
    page = await visitor.open(shop.page(calls="datafly('track','a')", body=second))
    await shop.until(lambda s: "a" in s.names)
    await page.evaluate("history.pushState(0, '', '/next'); datafly('track', 'last')")
    await shop.until(lambda s: "last" in s.names)
    assert shop.names == ["page_view", "a", "page_view", "last"]


async def test_nonsense_throws_nothing_and_stops_nothing(shop, visitor):
    """A cycle, an unknown command, a listener that is none, a name that is none."""
    page = await visitor.open(
        shop.page(
            calls="datafly();datafly('nope');datafly('constructor');datafly('consent');datafly('consent',{x:1});"
            "datafly('on','event',5);datafly('track');datafly('track',{});datafly('track','','x');"
            "var c={};c.c=c;datafly('track','cycle',c);datafly('track','a','text');datafly('identify')"
        )
    )
    await shop.until(lambda s: "identify" in s.names)
    await page.evaluate("datafly.track('cycle', c); datafly.nope?.(); datafly('track', 'b')")
    await shop.until(lambda s: "b" in s.names)
    assert [(e["name"], e["properties"]) for e in shop.stored] == [
        ("page_view", {}),
        ("a", {}),
        ("identify", {}),
        ("b", {}),
    ]


@pytest.mark.parametrize(
    ("tag", "calls", "path"),
    [
        ("", "", "/t/e"),
        ('data-endpoint="i"', "", "/t/i"),
        ('data-endpoint="/c/in?x=1#y"', "", "/c/in"),
        ("", "datafly('config',{endpoint:'/c/other'})", "/c/other"),
    ],
)
async def test_the_endpoint_stands_beside_the_script_unless_told_otherwise(shop, visitor, tag, calls, path):
    await visitor.open(shop.page(tag=tag, calls=calls))
    await shop.until(lambda s: s.posts)
    assert shop.posts[0].path == path


async def test_without_randomuuid_and_locks_events_still_arrive(shop, visitor):
    """Plain http on another name than localhost has neither."""
    await visitor.context.add_init_script(
        "Object.defineProperty(navigator,'locks',{value:undefined});"
        "Object.defineProperty(crypto,'randomUUID',{value:undefined})"
    )
    page = await visitor.open(shop.page())
    await shop.until(lambda s: s.names == ["page_view"])
    await page.evaluate("datafly('track', 'a')")
    await shop.until(lambda s: s.names == ["page_view", "a"])
    assert all(UUID_4.fullmatch(event["id"]) for event in shop.stored)


async def test_debug_writes_events_to_the_console(shop, visitor):
    lines: list[str] = []
    visitor.context.on("console", lambda message: lines.append(message.text))
    page = await visitor.open(shop.page(tag="data-debug"))
    await shop.until(lambda s: s.posts)
    await visitor.settled(page)
    assert [" ".join(line.split()[:2]) for line in lines if line.startswith("datafly")] == ["datafly page_view"]
