"""The page never notices: forbidden storage, strict policies, and a collector out of reach."""

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")

FORBIDDEN = "Object.defineProperty(window,'localStorage',{get(){throw new DOMException('no','SecurityError')}})"
FULL = "Storage.prototype.setItem=function(){throw new DOMException('full','QuotaExceededError')}"
READ_ONLY = FULL + ";Storage.prototype.removeItem=Storage.prototype.setItem"
EXTERNAL = (
    '<!doctype html><title>Shop</title><script src="/calls.js"></script><script async src="/t/datafly.js"></script>'
)
CALLS = (
    "window.violations=[];document.addEventListener('securitypolicyviolation',e=>violations.push(e.violatedDirective));"
    "window.datafly=window.datafly||function(){(datafly.q=datafly.q||[]).push(arguments)};"
    "datafly('consent',{analytics:true});datafly('track','a')"
)


@pytest.mark.parametrize("storage", [FORBIDDEN, FULL, READ_ONLY], ids=["forbidden", "full", "read-only"])
async def test_storage_that_throws_costs_no_event_of_this_page(shop, visitor, answer, storage):
    """Nor the answer to the consent question, while the page lives."""
    await visitor.context.add_init_script(storage)
    await visitor.start_clock()
    shop.answers.append(answer.busy())
    page = await visitor.open(
        shop.page(tag='data-consent="wait"', calls="datafly('consent',{analytics:true});datafly('track','a')")
    )
    await visitor.pass_s(2)
    await shop.until(lambda s: s.posts)
    await visitor.settled(page)
    await page.evaluate("datafly('track', 'b')")
    await visitor.pass_s(70)
    await shop.until(lambda s: len(s.posts) == 2)
    await visitor.settled(page)
    await page.evaluate("datafly('track', 'c')")
    await visitor.pass_s(10)
    await shop.until(lambda s: "c" in s.names)
    assert [post.names for post in shop.posts] == [
        ["page_view", "consent", "a"],
        ["page_view", "consent", "a", "b"],
        ["c"],
    ]
    assert len({event["context"]["session"]["id"] for event in shop.stored}) == 1
    assert {event["context"]["consent"]["analytics"] for event in shop.stored} == {"granted"}


async def test_a_strict_content_security_policy_is_met(shop, visitor):
    shop.document("/calls.js", CALLS, kind="text/javascript")
    policy = {"Content-Security-Policy": "default-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'"}
    page = await visitor.open(shop.document("/", EXTERNAL, headers=policy))
    await shop.until(lambda s: s.posts)
    await page.evaluate("history.pushState({}, '', '/b')")
    await shop.until(lambda s: len(s.names) == 4)
    assert shop.names == ["page_view", "consent", "a", "page_view"]
    assert await page.evaluate("violations") == []


async def test_a_policy_that_forbids_every_connection_throws_nothing_into_the_page(shop, visitor):
    """The visitor fixture fails on an uncaught error or an unhandled rejection."""
    shop.document("/calls.js", CALLS, kind="text/javascript")
    policy = {"Content-Security-Policy": "default-src 'self'; connect-src 'none'"}
    page = await visitor.open(shop.document("/", EXTERNAL, headers=policy))
    await page.wait_for_function("() => violations.includes('connect-src')", timeout=20_000)
    await visitor.queued(page, 3)
    await page.evaluate("datafly('track', 'b'); datafly('flush')")
    await page.goto(shop.page("/b", has_script=False))
    await page.evaluate("fetch('/quiet')")
    assert shop.posts == []


async def test_an_error_in_the_page_would_be_noticed(shop, visitor):
    """The gate itself: what a page throws or rejects reaches the fixture that asserts on it."""
    page = await visitor.open(shop.page(has_script=False))
    async with visitor.context.expect_event("weberror"):
        await page.evaluate("void setTimeout(() => { throw Error('thrown') })")
    async with visitor.context.expect_event("weberror"):
        await page.evaluate("void Promise.reject(Error('rejected'))")
    assert [error.split("\n")[0] for error in visitor.errors] == ["Error: thrown", "Error: rejected"] or (
        [error.split("\n")[0] for error in visitor.errors] == ["thrown", "rejected"]
    )
    visitor.errors.clear()


async def test_a_frame_without_an_origin_of_its_own_is_survived(shop, visitor):
    """A sandboxed frame has neither storage nor locks; its requests are cross-origin and get no answer."""
    shop.page("/frame", calls="datafly('track','a')")
    shop.document("/", '<!doctype html><iframe sandbox="allow-scripts" src="/frame"></iframe>')
    await visitor.open(shop.origin + "/")
    await shop.until(lambda s: s.posts)
    assert shop.posts[0].names == ["page_view", "a"]


async def test_no_request_of_ours_carries_a_query_string(shop, visitor, answer):
    """Asserted after every test by the fixture; here with what would most easily leak one."""
    await visitor.start_clock()
    shop.answers.append(answer.busy())
    shop.page("/a", tag='data-endpoint="e?v=2&tid=G-1"')
    page = await visitor.open(shop.origin + "/a?gclid=1")
    await visitor.pass_s(2)
    await visitor.queued(page)
    await page.goto(shop.origin + "/a?fbclid=2")
    await visitor.pass_s(70)
    await shop.until(lambda s: len(s.stored) == 2)
    assert set(shop.targets) == {"/t/datafly.js", "/t/e"}
