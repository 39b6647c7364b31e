"""An address that somebody leaves in a form becomes an identify: when it is sent, where consent allows, and once."""

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")

FORM = (
    '<form onsubmit="return false" {form}>{before}<input {field} value="{value}"><button id="send">Go</button></form>'
)
ADDRESS = "Visitor@Shop.example "


def form(field='type="email"', value=ADDRESS, attributes="", before=""):
    return FORM.format(form=attributes, field=field, value=value, before=before)


async def send(shop, visitor, body, *, tag="", calls="", times=1):
    """Send the form, then give every identify that left."""
    page = await visitor.open(shop.page(tag=tag, calls=calls, body=body))
    for _ in range(times):
        await page.click("#send")
    await page.evaluate("datafly('track', 'last');datafly('consent',{functional:true});datafly('flush')")
    await shop.until(lambda s: "last" in s.names)
    return [event["traits"] for event in shop.stored if event["name"] == "identify"]


@pytest.mark.parametrize("field", ['type="email"', 'autocomplete="section-a email"', 'name="contact[Email]"'])
async def test_a_sent_form_tells_its_address_in_normal_form(shop, visitor, field):
    assert await send(shop, visitor, form(field)) == [{"email": "visitor@shop.example"}]


async def test_the_same_address_is_told_once_and_another_one_anew(shop, visitor):
    assert await send(shop, visitor, form(), times=3) == [{"email": "visitor@shop.example"}]


async def test_whoever_signs_in_again_with_the_same_address_is_told_again(shop, visitor):
    """After a reset the visitor is nobody, on a page that has not been left as well."""
    page = await visitor.open(shop.page(body=form()))
    await page.click("#send")
    await page.evaluate("datafly('reset')")
    await page.click("#send")
    await page.evaluate("datafly('flush')")
    await shop.until(lambda s: s.names.count("identify") == 2)
    assert shop.names == ["page_view", "identify", "reset", "identify"]


async def test_what_was_typed_and_not_sent_is_nobodys_business(shop, visitor):
    page = await visitor.open(shop.page(body=form(value="")))
    await page.fill("input", "visitor@shop.example")
    await page.press("input", "Tab")
    await page.evaluate("datafly('track', 'last');datafly('flush')")
    await shop.until(lambda s: "last" in s.names)
    assert shop.names == ["page_view", "last"]


@pytest.mark.parametrize(
    "body",
    [
        form(before='<input type="password">'),
        form(before='<input autocomplete="cc-number">'),
        form(before='<input name="creditCard">'),
        form(attributes="data-df-ignore"),
        form('type="email" data-df-ignore'),
        f"<div data-df-ignore>{form()}</div>",
        form(value="visitor at shop"),
        form('name="q"'),
    ],
    ids=[
        "password",
        "card",
        "card by name",
        "form ignored",
        "field ignored",
        "around ignored",
        "no address",
        "no field",
    ],
)
async def test_forms_with_secrets_and_those_to_be_ignored_are_not_read(shop, visitor, body):
    assert await send(shop, visitor, body) == []


@pytest.mark.parametrize(
    ("tag", "calls"),
    [
        ('data-forms="off"', ""),
        ('data-consent="wait"', ""),
        ("", "datafly('consent',{marketing:false});"),
        ("", "document.cookie='CookieConsent=%7Bmarketing:false%7D';"),
        ("", "window.dataLayer=[];(function(){dataLayer.push(arguments)})('consent','update',{ad_storage:'denied'});"),
    ],
    ids=["switched off", "waiting", "the page's own words", "Cookiebot", "Consent Mode"],
)
async def test_no_address_is_noted_where_consent_does_not_allow_it(shop, visitor, tag, calls):
    assert await send(shop, visitor, form(), tag=tag, calls=calls) == []


async def test_a_platform_that_allows_messages_lets_the_address_pass(shop, visitor):
    calls = "document.cookie='CookieConsent=%7Bmarketing:true%7D';"
    assert await send(shop, visitor, form(), calls=calls) == [{"email": "visitor@shop.example"}]
