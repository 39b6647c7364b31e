"""What the visitor answered decides what is held, what is stamped and what is forgotten."""

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")

WAIT = 'data-consent="wait"'


def answers(shop):
    return [(event["name"], event["context"].get("consent")) for event in shop.stored]


async def test_without_an_answer_no_consent_is_claimed(shop, visitor):
    await visitor.open(shop.page())
    await shop.until(lambda s: s.posts)
    assert answers(shop) == [("page_view", None)]


async def test_waiting_stores_nothing_and_sends_nothing_until_the_answer(shop, visitor):
    """Then everything held leaves once, in order, under that answer."""
    await visitor.start_clock()
    page = await visitor.open(shop.page(tag=WAIT, calls="datafly('track','a')"))
    await visitor.pass_s(60)
    await page.evaluate("datafly('track', 'b'); datafly('flush')")
    await visitor.pass_s(60)
    await visitor.settled(page)
    assert shop.posts == []
    assert await page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]

    await page.evaluate("datafly('consent', {analytics: true, marketing: 'denied'}); datafly('track', 'c')")
    await visitor.pass_s(5)
    await shop.until(lambda s: "c" in s.names)
    given = {"analytics": "granted", "marketing": "denied", "source": "explicit"}
    assert answers(shop) == [(name, given) for name in ["page_view", "a", "b", "consent", "c"]]
    assert [post.names for post in shop.posts] == [["page_view", "a", "b", "consent", "c"]]
    assert len({event["context"]["session"]["id"] for event in shop.stored}) == 1
    await visitor.queued(page, 0)
    assert await page.evaluate("Object.keys(localStorage).sort()") == ["_df_c", "_df_s"]


async def test_a_page_left_while_waiting_says_nothing(shop, visitor):
    await visitor.stop_clock()
    shop.page("/a", tag=WAIT, calls="datafly('track','a')")
    shop.page("/b", tag=WAIT)
    page = await visitor.open(shop.origin + "/a")
    await visitor.pass_s(5)
    await page.goto(shop.origin + "/b")
    await page.evaluate("datafly('consent', {analytics: true})")
    await visitor.pass_s(5)
    await visitor.pass_s(5)
    await shop.until(lambda s: s.posts)
    assert [post.names for post in shop.posts] == [["page_view", "consent"]]


async def test_an_answer_from_before_the_load_ends_the_waiting(shop, visitor):
    await visitor.open(shop.page(tag=WAIT, calls="datafly('track','a');datafly('consent',{analytics:true})"))
    await shop.until(lambda s: s.posts)
    assert [post.names for post in shop.posts] == [["page_view", "a", "consent"]]


async def test_a_remembered_answer_is_stamped_on_the_next_page_without_waiting(shop, visitor):
    page = await visitor.open(shop.page("/a", tag=WAIT, calls="datafly('consent',{functional:true,advertising:false})"))
    await shop.until(lambda s: s.posts)
    await page.goto(shop.page("/b", tag=WAIT))
    await shop.until(lambda s: len(s.names) == 3)
    assert answers(shop)[-1] == (
        "page_view",
        {"functional": "granted", "advertising": "denied", "source": "explicit"},
    )


async def test_declined_consent_is_stamped_and_the_events_still_go(shop, visitor):
    """The server withholds them and counts that."""
    denied = {
        "functional": "denied",
        "analytics": "denied",
        "marketing": "denied",
        "advertising": "denied",
        "source": "explicit",
    }
    page = await visitor.open(shop.page(tag=WAIT))
    await page.evaluate(
        "datafly('consent', {functional: false, analytics: 'denied', marketing: false, advertising: false});"
        "datafly('track', 'a')"
    )
    await shop.until(lambda s: "a" in s.names)
    assert answers(shop) == [("page_view", denied), ("consent", denied), ("a", denied)]


async def test_a_purpose_left_out_keeps_its_answer_and_each_call_is_an_event_of_its_own(shop, visitor):
    """Both calls leave in one batch, and each consent event shows what was answered then."""
    await visitor.open(
        shop.page(calls="datafly('consent',{analytics:true,advertising:true});datafly('consent',{advertising:false})")
    )
    await shop.until(lambda s: len(s.names) == 3)
    both = {"analytics": "granted", "advertising": "granted", "source": "explicit"}
    assert answers(shop) == [
        ("page_view", {**both, "advertising": "denied"}),
        ("consent", both),
        ("consent", {**both, "advertising": "denied"}),
    ]


async def test_an_answer_leaves_without_the_second_of_waiting(shop, visitor):
    await visitor.stop_clock()
    page = await visitor.open(shop.page(tag='data-page="off"'))
    await visitor.pass_s(2)
    await page.evaluate("datafly('consent', {analytics: true})")
    await visitor.context.clock.run_for(100)
    await shop.until(lambda s: s.names == ["consent"])


@pytest.mark.parametrize(
    ("withdrawn", "left"),
    [
        ("{analytics:false}", ["consent", "reset", "consent"]),
        ("{marketing:'denied'}", ["consent", "reset", "consent"]),
        ("{advertising:false}", ["page_view", "consent", "a", "reset", "reset_filters", "consent"]),
    ],
)
async def test_a_withdrawal_empties_the_stored_queue_but_for_what_the_server_must_know(
    shop, visitor, answer, withdrawn, left
):
    await visitor.start_clock()
    shop.answers.append(answer.busy())
    page = await visitor.open(
        shop.page(
            calls="datafly('consent',{analytics:true,marketing:true,advertising:true});"
            "datafly('track','a');datafly('reset');datafly('track','reset_filters')"
        )
    )
    await visitor.pass_s(5)
    await visitor.queued(page, 5)
    await page.evaluate(f"datafly('consent', {withdrawn})")
    await visitor.pass_s(70)
    await shop.until(lambda s: len(s.posts) > 1)
    assert shop.names == left
