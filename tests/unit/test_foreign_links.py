"""Links that lead away from the shop do not get into its mails."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.event import Event
from edge.foreign_links import hosts_of, is_foreign, without_foreign_links
from edge.person import Identifiers
from edge.pipeline import source_of, stripped_of

HOSTS = hosts_of(("https://shop.example", "http://127.0.0.1:8080"), ("cdn.shop.example",))
# What links are made of, and what hides them: whatever stands together may be one.
PARTS = (
    *(
        "https://shop.example/",
        "https://www.shop.example/",
        "https",
        "data",
        "http",
        "HTTPS",
        "www",
        "WwW",
        "evil.example",
    ),
    *(":", "/", "//", "\\", '"', "<", "a", "#", "&#", "&", ".", " ", "(", "\t", "\n", "\u200b", "\u00ad", "ä", "?x=1"),
)


@pytest.mark.parametrize(
    "text",
    [
        "https://evil.example/p",
        "HTTPS://EVIL.EXAMPLE",
        "//evil.example/i.jpg",
        "https:/evil.example",
        "https:evil.example",
        "https:\\\\evil.example",
        "\\\\evil.example",
        "https://shop.example\\@evil.example",
        "https://shop.example@evil.example/",
        "https://evil.example\\@shop.example",
        "https://shop.example.evil.example/",
        "https://evil.example:443/",
        "https://evil.example./",
        "ht\ntps://evil.example",
        "h\u200bttps://evil.example",
        "/\t/evil.example",
        "/\u200b/evil.example",
        "w\u00adww.evil.example",
        "ftp://shop.example/x",
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "data:text/html,hi",
        "Win now at https://evil.example today",
        "Win now at www.evil.example",
        "https://shop.example/?next=https://evil.example",
        '<a href="https://shop.example">click</a>',
        "<img src=x>",
        "</b>",
        "<!-- x -->",
        "&#104;ttps://evil.example",
        "https://%65vil.example",
        "https://",
        "https://xn--vil-9na.example",
    ],
)
def test_what_leads_away_or_is_markup_is_foreign(text):
    assert is_foreign(text, HOSTS)
    beside = {"item_url": "https://shop.example/p", "image_url": "https://cdn.shop.example/i.jpg"}
    for at, tree in {"x": {"x": text}, "0": {"0": [text]}, text: {text: 1}}.items():
        assert without_foreign_links({**beside, **tree}, HOSTS)[1] in ([at], [f"{at}.0"])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Moon Teapot",
        "/p/501?x=1",
        "https://shop.example/p/501",
        "https://SHOP.example:443/p",
        "http://127.0.0.1:9000/p",
        "//cdn.shop.example/i.jpg",
        "https://cdn.shop.example//i.jpg",
        "look: https://shop.example and https://cdn.shop.example/x",
        "Tea <3 and 1 < 2",
        "either // or",
        "12:30",
        "Size: L",
        "a@b",
        "50//60",
    ],
)
def test_what_stays_at_the_shop_is_not(text):
    assert not is_foreign(text, HOSTS)


def test_each_foreign_text_goes_as_a_whole_and_the_rest_stays():
    tree = {
        "item_name": "Moon Teapot",
        "item_url": "https://evil.example/p",
        "price": 42,
        "items": [{"image_url": "//evil.example/i.jpg", "item_id": "1"}, {"tags": ["tea", "https://evil.example"]}],
        "https://evil.example": 1,
    }
    before = copy.deepcopy(tree)
    kept, gone = without_foreign_links(tree, HOSTS)
    assert kept == {"item_name": "Moon Teapot", "price": 42, "items": [{"item_id": "1"}, {"tags": ["tea"]}]}
    assert gone == ["item_url", "items.0.image_url", "items.1.tags.1", "https://evil.example"]
    assert tree == before


@given(st.lists(st.sampled_from(PARTS), max_size=6).map("".join), st.lists(st.sampled_from(PARTS)).map("".join))
def test_what_is_proved_harmless_at_a_glance_holds_no_foreign_text(text, key):
    """Every event is looked at as one text; only where that proves nothing, text by text."""
    tree = {"item_url": "https://shop.example/p", "items": [{key: text}]}
    is_whole = without_foreign_links(tree, HOSTS)[0] is tree
    assert is_whole is not (is_foreign(text, HOSTS) or is_foreign(key, HOSTS))


def test_an_object_without_any_is_the_very_same():
    tree = {"item_url": "https://shop.example/p"}
    assert without_foreign_links(tree, HOSTS)[0] is tree


def event(source):
    return Event(
        id="e",
        name="view_item",
        time_ms=0,
        received_at_ms=0,
        source=source,
        browser="0" * 32,
        properties={"item_name": "Tea", "item_url": "https://evil.example"},
        traits={"first_name": "Win at www.evil.example"},
        context={
            "page": {"url": "https://evil.example", "path": "/p", "referrer": "https://search.example"},
            "traits": {"plan": "<b>gold</b>"},
        },
    )


def test_mappings_read_nothing_foreign_that_a_browser_said():
    source = source_of(event("browser"), Identifiers(), HOSTS)
    assert source["properties"]["item_name"] == "Tea"
    assert "item_url" not in source["properties"]
    assert source["traits"] == {}
    assert set(source["context"].pop("ids")) == {"anonymous_id"}
    assert source["context"] == {"page": {"path": "/p", "referrer": "https://search.example"}, "traits": {}}
    assert stripped_of(event("browser"), HOSTS) == [
        "properties.item_url",
        "traits.first_name",
        "context.traits.plan",
        "context.page.url",
    ]


def test_a_servers_word_and_a_page_that_nobody_restricts_stay_whole():
    for source in (source_of(event("server:shop"), Identifiers(), HOSTS), source_of(event("browser"), Identifiers())):
        assert source["properties"]["item_url"] == "https://evil.example"
        assert source["context"]["page"]["url"] == "https://evil.example"
    assert stripped_of(event("server:shop"), HOSTS) == []
