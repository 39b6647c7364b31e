"""What the script does by itself can be switched off one by one, and what stands beside it is reported."""

import subprocess
from pathlib import Path

import pytest

from tests.browser.conftest import SCRIPT

pytestmark = pytest.mark.asyncio(loop_scope="session")

PRODUCT = '<script type="application/ld+json">{"@type":"Product","name":"Moon Teapot","sku":"501"}</script>'
FORM = '<form onsubmit="return false"><input type="email" value="visitor@shop.example"></form>'
LINK = '<a href="https://other.example/x" onclick="return false">Out</a>'
LAYER = "window.dataLayer=[{event:'login'}];"
ALL = ["page_view", "login", "search", "identify", "view_item"]
KNOWN = "document.cookie='__kla_id='+btoa('{\"$exchange_id\":\"x\"}')"
SEEN = "document.cookie='__kla_id='+btoa('{\"cid\":\"x\"}')"


@pytest.fixture(scope="session")
def whole_script(tmp_path_factory) -> Path:
    """The script with everything that the limit leaves out."""
    file = tmp_path_factory.mktemp("whole") / "datafly.js"
    build = SCRIPT.with_name("build.mjs")
    subprocess.run(["node", build, "--out", file, "--limit", "9999"], check=True, capture_output=True, timeout=120)
    return file


async def names_with(shop, visitor, tag: str) -> list[str]:
    """What a page with everything on it brings, until after its product's second."""
    await visitor.start_clock()
    address = shop.page("/search", tag=tag, calls=LAYER, body=PRODUCT + FORM)
    page = await visitor.open(address + "?q=teapot")
    await visitor.pass_s(0.5)
    await page.evaluate("document.forms[0].requestSubmit()")
    await visitor.pass_s(2)
    await page.evaluate("datafly('track','last'),datafly('flush')")
    await visitor.pass_s(2)
    await shop.until(lambda s: "last" in s.names)
    return [name for name in shop.names if name != "last"]


@pytest.mark.parametrize(
    ("tag", "missing"),
    [
        ("", set()),
        ('data-page="off"', {"page_view"}),
        ('data-products="off"', {"view_item"}),
        ('data-layer="off"', {"login"}),
        ('data-forms="off"', {"identify"}),
        ('data-search="off"', {"search"}),
    ],
)
async def test_each_collection_is_switched_off_by_its_attribute_alone(shop, visitor, tag, missing):
    assert sorted(await names_with(shop, visitor, tag)) == sorted(set(ALL) - missing)


@pytest.mark.parametrize(
    ("calls", "klaviyo", "tags"),
    [
        ("", (False, False), (False, False)),
        ("window.klaviyo=[];window.fbq=function(){};window.gtag=function(){}", (False, False), (False, False)),
        (SEEN, (False, False), (False, False)),
        (f"window.klaviyo=[];{SEEN}", (True, False), (False, False)),
        (f"window.klaviyo=[];{KNOWN}", (True, True), (False, False)),
        ("window.klaviyo=[];document.cookie='__kla_id=%E0%A4%A'", (True, False), (False, False)),
        ("window.google_tag_manager={}", (False, False), (True, False)),
        ("window.fbq=function(){};fbq.getState=function(){}", (False, False), (False, True)),
    ],
)
async def test_other_scripts_are_reported_once_they_have_loaded_and_know_somebody(shop, visitor, calls, klaviyo, tags):
    await visitor.open(shop.page(calls=calls))
    await shop.until(lambda s: s.names == ["page_view"])
    context = shop.stored[0]["context"]
    assert context["klaviyo"] == {"loaded": klaviyo[0], "known": klaviyo[1]}
    assert context["tags"] == {"gtag": tags[0], "fbq": tags[1]}


async def test_the_ids_that_listeners_hear_are_the_ones_that_are_stored(shop, visitor):
    calls = f"window.heard=[];datafly('on','event',e=>heard.push([e.id,e.name]));{LAYER}datafly('track','a')"
    page = await visitor.open(shop.page(calls=calls, body=PRODUCT))
    await page.evaluate("datafly('identify', '7'); datafly('consent', {analytics: true})")
    await shop.until(lambda s: "view_item" in s.names)
    assert len(shop.stored) == 6
    assert await page.evaluate("heard") == [[event["id"], event["name"]] for event in shop.stored]


async def test_the_time_that_a_page_was_looked_at_is_told_when_it_is_left(shop, visitor, whole_script):
    shop.script = whole_script
    await visitor.stop_clock()
    page = await visitor.open(shop.page("/a"))
    await visitor.context.clock.run_for(100)
    await visitor.context.clock.run_for(5_000)
    await shop.until(lambda s: s.names == ["page_view"])
    await visitor.emptied(page)
    await page.goto(shop.page("/b", tag='data-engagement="off"'))
    await shop.until(lambda s: "user_engagement" in s.names)
    (told,) = [event for event in shop.stored if event["name"] == "user_engagement"]
    assert told["properties"] == {"engagement_time_msec": pytest.approx(5_100, abs=200)}
    assert told["context"]["page"]["path"] == "/a"
    await visitor.context.clock.run_for(5_000)
    await page.evaluate("datafly('track','last')")
    await page.goto("about:blank")
    await shop.until(lambda s: "last" in s.names)
    assert shop.names.count("user_engagement") == 1


@pytest.mark.parametrize(("tag", "clicks"), [("", 1), ('data-outbound="off"', 0)])
async def test_a_click_that_leads_to_another_site_is_told(shop, visitor, whole_script, tag, clicks):
    shop.script = whole_script
    inside = '<a href="/b" onclick="return false">In</a>'
    page = await visitor.open(shop.page(tag=tag, body=LINK + inside))
    await shop.until(lambda s: s.names == ["page_view"])
    await page.get_by_text("Out").click()
    await page.get_by_text("In").click()
    await page.evaluate("datafly('track','last')")
    await shop.until(lambda s: "last" in s.names)
    told = [event["properties"] for event in shop.stored if event["name"] == "click"]
    assert told == [{"link_url": "https://other.example/x", "outbound": True}] * clicks
