"""Batches on their way: order, repeats, back-off, several tabs, and pages that are left."""

import asyncio
import json

import pytest

from tests.browser.conftest import QUEUE

pytestmark = pytest.mark.asyncio(loop_scope="session")

NEVER_A_BEACON = "Object.defineProperty(navigator,'sendBeacon',{value:()=>false})"
NO_LOCKS = "Object.defineProperty(navigator,'locks',{value:undefined})"


async def test_503_is_stored_and_sent_after_a_reload_with_the_same_ids_and_times(shop, visitor, answer):
    await visitor.start_clock()
    shop.answers.append(answer.busy())
    page = await visitor.open(shop.page(calls="datafly('track','a')"))
    await visitor.pass_s(2)
    await visitor.queued(page, 2)
    await visitor.pass_s(60)
    await page.reload()
    await visitor.pass_s(60)
    await visitor.pass_s(60)
    await shop.until(lambda s: len(s.stored) == 4)
    refused = shop.posts[0]
    assert shop.stored[:2] == [{**e, "context": refused.batch["context"]} for e in refused.batch["events"]]
    assert shop.names == ["page_view", "a", "page_view", "a"]
    await visitor.queued(page, 0)


@pytest.mark.parametrize("status", [404, 429, 500, 502, 504])  # a 408 is repeated by Chromium itself
async def test_a_passing_failure_is_repeated_by_the_same_page(shop, visitor, answer, status):
    await visitor.start_clock()
    shop.answers.extend([answer(status), answer(status)])
    page = await visitor.open(shop.page())
    await visitor.pass_s(2)
    for count in (1, 2, 3):
        await shop.until(lambda s, count=count: len(s.posts) >= count)
        await visitor.settled(page)
        await visitor.pass_s(10)
    await visitor.queued(page, 0)
    assert [(post.status, post.names) for post in shop.posts] == [
        (status, ["page_view"]),
        (status, ["page_view"]),
        (204, ["page_view"]),
    ]
    assert len({post.ids[0] for post in shop.posts}) == 1


async def test_a_lost_connection_is_repeated(shop, visitor):
    await visitor.start_clock()
    await visitor.context.route("**/t/e", lambda route: route.abort())
    page = await visitor.open(shop.page())
    await visitor.pass_s(2)
    (event,) = await visitor.queued(page)
    await visitor.context.unroute("**/t/e")
    await visitor.pass_s(10)
    await shop.until(lambda s: s.posts)
    assert [e["id"] for e in shop.stored] == [event["id"]]


@pytest.mark.parametrize("status", [400, 401, 403, 413, 415])
async def test_a_refusal_for_good_is_not_repeated(shop, visitor, answer, status):
    await visitor.start_clock()
    shop.answers.append(answer(status))
    page = await visitor.open(shop.page())
    await visitor.pass_s(2)
    await shop.until(lambda s: s.posts)
    await visitor.settled(page)
    await visitor.pass_s(3600)
    await page.evaluate("datafly('track', 'next')")
    await visitor.pass_s(5)
    await shop.until(lambda s: len(s.posts) == 2)
    assert [post.names for post in shop.posts] == [["page_view"], ["next"]]


async def test_an_event_refused_inside_a_200_is_not_repeated(shop, visitor, answer):
    refused = {"accepted": 1, "rejected": [{"index": 1, "code": "name", "message": "not a name"}]}
    shop.answers.append(answer(200, {"Content-Type": "application/json"}, json.dumps(refused)))
    page = await visitor.open(shop.page(calls="datafly('track','Bad Name!')"))
    await shop.until(lambda s: s.posts)
    await page.evaluate("datafly('track', 'next')")
    await shop.until(lambda s: len(s.posts) == 2)
    assert [post.names for post in shop.posts] == [["page_view", "Bad Name!"], ["next"]]


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_honoured_also_by_the_next_page(shop, visitor, answer, status):
    await visitor.start_clock()
    shop.answers.append(answer(status, {"Retry-After": "600"}))
    page = await visitor.open(shop.page("/a"))
    await visitor.pass_s(2)
    await visitor.queued(page)
    await page.goto(shop.page("/b"))
    await visitor.pass_s(500)
    await visitor.settled(page)
    assert len(shop.posts) == 1
    await visitor.pass_s(200)
    await shop.until(lambda s: len(s.posts) == 2)
    assert [post.names for post in shop.posts] == [["page_view"], ["page_view", "page_view"]]


async def test_one_request_is_under_way_at_a_time_and_the_order_is_kept(shop, visitor, answer):
    """Two first requests would bring one browser two cookie ids."""
    gate = asyncio.Event()
    shop.answers.append(answer(gate=gate))
    page = await visitor.open(shop.page())
    await shop.until(lambda s: s.posts)
    await page.evaluate("for (let n = 0; n < 30; n++) datafly('track', 'e' + n)")
    await page.evaluate("new Promise(r => setTimeout(r)).then(() => fetch('/quiet'))")
    assert len(shop.posts) == 1
    gate.set()
    await shop.until(lambda s: "e29" in s.names)
    assert shop.names == ["page_view", *(f"e{n}" for n in range(30))]


async def test_a_batch_is_split_at_60_kb_counted_in_bytes_of_utf_8(shop, visitor):
    """Three times 10,000 euro signs are few characters and too many bytes."""
    await visitor.open(
        shop.page(calls="var n=0;for(;n<3;n++)datafly('track','e'+n,{n:n,text:'\\u20ac'.repeat(10000)})")
    )
    await shop.until(lambda s: "e2" in s.names)
    assert shop.names == ["page_view", "e0", "e1", "e2"]
    assert len(shop.posts) > 1
    assert max(post.body_bytes for post in shop.posts) <= 61_440


async def test_more_than_a_hundred_events_go_in_batches_of_at_most_a_hundred(shop, visitor):
    await visitor.open(shop.page(calls="for(var n=0;n<150;n++)datafly('track','e'+n)"))
    await shop.until(lambda s: "e149" in s.names)
    assert shop.names == ["page_view", *(f"e{n}" for n in range(150))]
    assert [len(post.ids) for post in shop.posts] == [100, 51]


async def test_a_single_event_over_60_kb_goes_without_keepalive(shop, visitor):
    """With it the browser would refuse the request, and the queue behind it would wait for ever."""
    page = await visitor.open(shop.page(calls="datafly('track','big',{text:'x'.repeat(70000)})"))
    await page.evaluate("datafly('track', 'next')")
    await shop.until(lambda s: "next" in s.names)
    assert shop.names == ["page_view", "big", "next"]


async def test_the_stored_queue_keeps_the_newest_200_events_for_7_days(shop, visitor, answer):
    await visitor.start_clock()
    shop.answers.append(answer.busy())
    page = await visitor.open(shop.page(calls="for(var n=0;n<250;n++)datafly('track','e'+n)"))
    await visitor.pass_s(5)
    kept = await visitor.queued(page, 200)
    assert [event["name"] for event in kept] == [f"e{n}" for n in range(50, 250)]
    await page.goto("about:blank")
    await visitor.pass_s(8 * 86_400)
    await page.goto(shop.page("/b"))
    await visitor.pass_s(5)
    await shop.until(lambda s: s.stored)
    assert shop.names == ["page_view"]


async def test_the_stored_queue_stays_under_256_kb(shop, visitor, answer):
    await visitor.start_clock()
    shop.answers.append(answer.busy())
    page = await visitor.open(shop.page(calls="for(var n=0;n<20;n++)datafly('track','e'+n,{text:'x'.repeat(20000)})"))
    await visitor.pass_s(5)
    kept = await visitor.queued(page, 12)
    assert kept[-1]["name"] == "e19"
    assert await page.evaluate(f"JSON.stringify({QUEUE}).length") < 263_000


async def test_a_stored_queue_that_is_not_ours_is_ignored(shop, visitor):
    await visitor.context.add_init_script(
        "try { localStorage._df_q1 = '[null,{\"id\":1}]';localStorage._df_q2 = '{'; localStorage._df_s = '[5';"
        "localStorage._df_c = '0' } catch { /* the empty page before ours has no storage */ }"
    )
    await visitor.open(shop.page())
    await shop.until(lambda s: s.names == ["page_view"])


async def test_leaving_delivers_by_beacon_and_the_next_page_repeats_with_the_same_ids(shop, visitor):
    """The clock stands still, so nothing else than leaving can have sent it, not even the script's start."""
    await visitor.stop_clock()
    page = await visitor.open(shop.page("/a", calls="datafly('track','a')"))
    await page.goto(shop.page("/b"))
    await shop.until(lambda s: s.posts)
    assert [(post.is_beacon, post.names) for post in shop.posts] == [(True, ["page_view", "a"])]
    await visitor.pass_s(5)
    await visitor.pass_s(5)
    await shop.until(lambda s: len(s.posts) == 2)
    beacon, repeat = shop.posts
    assert (repeat.is_beacon, repeat.names) == (False, ["page_view", "a", "page_view"])
    assert repeat.ids[:2] == beacon.ids
    assert [e["context"]["page"]["path"] for e in shop.stored] == ["/a", "/a", "/b"]
    await visitor.queued(page, 0)


async def test_a_closed_tab_still_delivers(shop, visitor):
    await visitor.stop_clock()
    page = await visitor.open(shop.page(calls="datafly('track','a')"))
    await page.close(run_before_unload=True)
    await shop.until(lambda s: s.names == ["page_view", "a"])
    assert shop.posts[0].is_beacon


async def test_what_happens_while_the_page_is_left_is_delivered_too(shop, visitor):
    """A listener of the page that runs after ours, on the very last event."""
    await visitor.stop_clock()
    page = await visitor.open(
        shop.page("/a", calls="onload=function(){addEventListener('pagehide',function(){datafly('track','bye')})}")
    )
    await page.goto(shop.page("/b", has_script=False))
    await shop.until(lambda s: "bye" in s.names)
    assert shop.names == ["page_view", "bye"]


async def test_a_hidden_page_is_told_to_the_collector_at_once(shop, visitor):
    await visitor.stop_clock()
    page = await visitor.open(shop.page())
    await page.evaluate(
        "Object.defineProperty(document, 'hidden', {value: true});document.dispatchEvent(new Event('visibilitychange'))"
    )
    await shop.until(lambda s: s.names == ["page_view"])
    assert shop.posts[0].is_beacon


async def test_a_beacon_refused_by_the_browser_is_put_back(shop, visitor):
    await visitor.context.add_init_script(NEVER_A_BEACON)
    await visitor.stop_clock()
    page = await visitor.open(shop.page("/a", calls="datafly('track','a')"))
    await page.goto(shop.page("/b"))
    assert [event["name"] for event in await visitor.queued(page, 2)] == ["page_view", "a"]
    assert shop.posts == []
    await visitor.pass_s(5)
    await visitor.pass_s(5)
    await shop.until(lambda s: s.posts)
    assert [post.names for post in shop.posts] == [["page_view", "a", "page_view"]]


async def test_a_big_rest_leaves_in_several_beacons_and_nothing_of_it_is_lost(shop, visitor):
    """The browser takes 64 KiB of them at a time; what it refuses goes from the next page."""
    await visitor.stop_clock()
    page = await visitor.open(
        shop.page("/a", calls="for(var n=0;n<8;n++)datafly('track','e'+n,{text:'x'.repeat(20000)})")
    )
    await page.goto(shop.page("/b"))
    await visitor.context.clock.resume()
    await shop.until(lambda s: len(s.names) == 10)
    assert sorted(shop.names) == sorted(["page_view"] * 2 + [f"e{n}" for n in range(8)])


async def test_what_is_under_way_when_the_page_is_left_is_repeated_unless_answered(shop, visitor, answer):
    gate = asyncio.Event()
    shop.answers.append(answer.busy(gate=gate))
    page = await visitor.open(shop.page("/a"))
    await shop.until(lambda s: s.posts)
    await page.goto(shop.page("/b"))
    await shop.until(lambda s: len(s.posts) == 2)
    gate.set()
    first, second = shop.posts
    assert second.names == ["page_view", "page_view"]
    assert second.ids[:1] == first.ids


async def test_two_tabs_do_not_both_send_the_stored_queue(shop, visitor, answer):
    """The second tab wants to send while the first one's request has no answer yet."""
    await visitor.start_clock()
    shop.answers.append(answer.busy())
    page = await visitor.open(shop.page("/a", calls="datafly('track','a')"))
    await visitor.pass_s(2)
    await visitor.queued(page, 2)
    await page.goto("about:blank")
    await visitor.pass_s(70)

    gate = asyncio.Event()
    shop.answers.append(answer(gate=gate))
    url = shop.page("/b")
    one, two = await visitor.open(url), await visitor.open(url)
    await visitor.pass_s(5)
    await visitor.pass_s(5)
    pending = "navigator.locks.query().then(q => q.pending.length === 1 && q.held.length === 1)"
    await one.wait_for_function(pending, polling=50, timeout=20_000)
    gate.set()
    await shop.until(lambda s: len(s.stored) == 4)
    await visitor.settled(one)
    await visitor.settled(two)
    sent = [event_id for post in shop.posts[1:] for event_id in post.ids]
    assert len(sent) == len(set(sent)) == 4
    assert sent[:2] == shop.posts[0].ids


async def test_without_locks_a_stored_queue_is_sent_as_well(shop, visitor, answer):
    await visitor.context.add_init_script(NO_LOCKS)
    await visitor.start_clock()
    shop.answers.append(answer.busy())
    page = await visitor.open(shop.page("/a"))
    await visitor.pass_s(2)
    await visitor.queued(page)
    await visitor.pass_s(70)
    await shop.until(lambda s: s.names == ["page_view"])
    await visitor.queued(page, 0)
