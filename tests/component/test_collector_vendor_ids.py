"""What the collector keeps of vendors' cookies, and the two of Meta's that its answers set."""

from typing import Any

import pytest

from tests.clock import FakeClock
from tests.running_collector import SAME, Answer, Running, batch, event, running

FBP, FBC = "fb.1.1795180000000.1234567890", "fb.1.1795180000000.IwAR0abc"
SESSION = {"session": {"id": "0123456789abcdef0123456789abcdef"}}
GRANTED = {"advertising": "granted", "source": "explicit"}
LANDING = {"url": "https://shop.example/?fbclid=IwAR0abc"}
NOW_MS = FakeClock().now_ms()
ATTRIBUTES = "; Max-Age=7776000; Path=/; Secure; SameSite=Lax"


async def kept(cookie: str, *events: Any, **context: Any) -> Any:
    """Give what the collector kept of a request's cookies."""
    async with running() as edge:
        assert (await edge.post(batch(*events, **context), Cookie=cookie)).status == 204
    return edge.log.events[0].context.get("vendor_ids")


@pytest.mark.parametrize(
    ("cookie", "ids"),
    [
        ("cart=1", None),
        (f"cart=1; _fbp={FBP}; _ga=GA1.1.1.2", {"fbp": FBP, "ga_client_id": "1.2"}),
        ("_gcl_aw=GCL.1795180000.Cj0", {"gclid": ["Cj0", 1_795_180_000_000]}),
        ("_fbp=<script>; _ttp=short", None),
    ],
)
async def test_only_what_is_in_a_vendors_form_is_kept(cookie: str, ids: Any) -> None:
    assert await kept(cookie) == ids


async def test_no_page_can_say_what_its_cookies_were() -> None:
    forged = {"vendor_ids": {"fbp": "fb.1.1.1"}}
    assert await kept("cart=1", event(context=forged), **forged) is None
    assert await kept(f"_fbp={FBP}", event(context=forged), **forged) == {"fbp": FBP}


async def test_what_cannot_be_read_is_counted_by_its_cookies_name() -> None:
    async with running() as edge:
        await edge.post(Cookie="_fbp=x; __kla_id=%%; _ga=GA1.1.1.2")
    counted = {
        name: edge.count("edge_vendor_cookies_unreadable_total", cookie=name) for name in ("_fbp", "__kla_id", "_ga")
    }
    assert counted == {"_fbp": 1, "__kla_id": 1, "_ga": 0}


def metas(answer: Answer) -> list[str]:
    return [value for value in answer.headers.getall("Set-Cookie", ()) if value.startswith("_fb")]


@pytest.mark.parametrize(
    ("settings", "context", "headers"),
    [
        ({}, {"consent": GRANTED}, {}),
        ({"meta_cookies": True}, {}, {}),
        ({"meta_cookies": True}, {"consent": {"advertising": "denied", "analytics": "granted"}}, {}),
        ({"meta_cookies": True}, {"consent": {"analytics": "granted"}}, {}),
        ({"meta_cookies": True}, {"consent": GRANTED}, {"Sec-GPC": "1"}),
        ({"meta_cookies": True}, {"consent": {**GRANTED, "gpc": True}}, {}),
        (
            {"meta_cookies": True},
            {"consent": {"source": "consent_mode", "value": {"default": {"ad_storage": "granted"}}}},
            {},
        ),
    ],
)
async def test_metas_cookies_are_not_set_unless_the_shop_wants_it_and_the_visitor_has_granted_it(
    settings: dict[str, Any], context: dict[str, Any], headers: dict[str, str]
) -> None:
    async with running(**settings) as edge:
        answer = await edge.post(batch(page=LANDING, **context), {**SAME, **headers})
    assert metas(answer) == []
    assert "vendor_ids" not in edge.log.events[0].context


async def first(edge: Running, **context: Any) -> Answer:
    return await edge.post(batch(page=LANDING, consent=GRANTED, **SESSION, **context))


async def test_a_new_browser_gets_both_and_its_first_event_has_them() -> None:
    async with running(meta_cookies=True) as edge:
        answer = await first(edge)
    fbp, fbc = f"fb.1.{NOW_MS}.2", f"fb.1.{NOW_MS}.IwAR0abc"
    assert metas(answer) == [f"_fbp={fbp}{ATTRIBUTES}", f"_fbc={fbc}{ATTRIBUTES}"]
    assert answer.cookie.startswith("__Host-dfid=")
    assert edge.log.events[0].context["vendor_ids"] == {"fbp": fbp, "fbc": fbc}


async def test_a_browser_that_takes_no_such_cookies_does_not_have_other_ids_with_each_event() -> None:
    async with running(meta_cookies=True) as edge:
        answer = await first(edge)
        again = await edge.post(batch(page=LANDING, consent=GRANTED), Cookie=answer.cookie)
    assert len(metas(again)) == 2
    assert "vendor_ids" not in edge.log.events[1].context


async def test_what_the_browser_has_stays_and_the_click_is_new_when_it_is_another() -> None:
    async with running(meta_cookies=True) as edge:
        mine = (await first(edge)).cookie
        same = await edge.post(batch(page=LANDING, consent=GRANTED), Cookie=f"{mine}; _fbp={FBP}; _fbc={FBC}")
        url = {"url": "https://shop.example/?fbclid=IwAR0ABC"}
        other = await edge.post(batch(page=url, consent=GRANTED), Cookie=f"{mine}; _fbp={FBP}; _fbc={FBC}")
        strange = await edge.post(batch(consent=GRANTED), Cookie=f"{mine}; _fbp=fb.1.later.form")
    assert metas(same) == metas(strange) == []
    assert metas(other) == [f"_fbc=fb.1.{NOW_MS}.IwAR0ABC{ATTRIBUTES}"]


async def test_fbp_is_renewed_with_the_visitor_cookie_and_fbc_never() -> None:
    async with running(meta_cookies=True) as edge:
        mine = (await first(edge)).cookie
        edge.clock.advance(86_400.0)
        answer = await edge.post(batch(consent=GRANTED), Cookie=f"{mine}; _fbp={FBP}.Bg; _fbc={FBC}")
    assert metas(answer) == [f"_fbp={FBP}.Bg{ATTRIBUTES}"]


async def test_the_domain_is_the_visitor_cookies_and_says_how_deep_it_lies() -> None:
    origins = ("https://www.shop.example",)
    page = {"Sec-Fetch-Site": "same-site", "Origin": origins[0]}
    body = batch(consent=GRANTED)
    async with running(meta_cookies=True, origins=origins) as edge:
        own = await edge.post(body, page)
    async with running(meta_cookies=True, origins=origins, domain="shop.example", cookie_domain="shop.example") as edge:
        shared = await edge.post(body, page)
    assert metas(own) == [f"_fbp=fb.2.{NOW_MS}.2{ATTRIBUTES}"]
    assert metas(shared)[0].startswith(f"_fbp=fb.1.{NOW_MS}.")
    assert "; Domain=shop.example; Path=/; Secure; SameSite=Lax" in metas(shared)[0]


async def test_nothing_is_set_where_nothing_was_stored() -> None:
    async with running(meta_cookies=True) as edge:
        answer = await edge.post(batch(1))
        refused = await edge.post(batch(1, consent={"advertising": "?"}))
    assert [metas(one) for one in (answer, refused)] == [[], []]
