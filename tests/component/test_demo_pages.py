"""The demonstration shop's pages: strict, complete, and as its catalogue says."""

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from edge.demo.shop import PAGES
from tests.demo_shop import shop_client

CATALOGUE = json.loads((PAGES / "products.json").read_text())
PRODUCTS = CATALOGUE["products"]
PATHS = sorted(f"/{file.relative_to(PAGES)}" for file in PAGES.rglob("*.html"))


@dataclass
class Document(HTMLParser):
    """What a page refers to, what it names, and what a strict content policy would refuse."""

    text: str
    links: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    inline: list[str] = field(default_factory=list)
    linked_data: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._is_linked_data = False
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.links += [value for name in ("href", "src", "action") if (value := given.get(name))]
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.inline += [name for name in given if name == "style" or name.startswith("on")]
        self._is_linked_data = given.get("type") == "application/ld+json"
        if tag == "style" or (tag == "script" and "src" not in given and not self._is_linked_data):
            self.inline.append(tag)

    def handle_data(self, data: str) -> None:
        if self._is_linked_data and data.strip():
            self.linked_data.append(json.loads(data))

    def handle_endtag(self, tag: str) -> None:
        self._is_linked_data = False


def document(path: str) -> Document:
    return Document((PAGES / path.lstrip("/")).read_text())


@pytest.fixture
async def pages(tmp_path: Path) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    async with shop_client(tmp_path / "nobody.sock") as client:
        yield client


@pytest.mark.parametrize("path", ["/", *PATHS, "/shop.js", "/shop.css", "/images/hero.svg", "/missing.html"])
async def test_every_answer_of_the_shop_carries_the_content_policy(
    pages: TestClient[web.Request, web.Application], path: str
) -> None:
    answer = await pages.get(path)

    assert answer.status == (404 if path == "/missing.html" else 200)
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'self';")


async def test_home_is_the_index_file(pages: TestClient[web.Request, web.Application]) -> None:
    assert await (await pages.get("/")).read() == (PAGES / "index.html").read_bytes()


@pytest.mark.parametrize("path", PATHS)
async def test_every_link_and_asset_of_a_page_resolves(
    pages: TestClient[web.Request, web.Application], path: str
) -> None:
    page = document(path)
    links = {link for link in page.links if not link.startswith("/t/")}

    assert {link for link in links if link.startswith("#") and link[1:] not in page.ids} == set()
    assert {link for link in links if not link.startswith(("/", "#"))} == set(), (
        "all paths are absolute, on this origin"
    )
    statuses = {link: (await pages.get(link)).status for link in links if link.startswith("/")}
    assert statuses == dict.fromkeys(statuses, 200)


async def test_modules_are_served_with_the_types_that_browsers_demand(
    pages: TestClient[web.Request, web.Application],
) -> None:
    assert (await pages.get("/shop.js")).content_type in {"text/javascript", "application/javascript"}
    assert (await pages.get("/products.json")).content_type == "application/json"
    assert (await pages.get("/images/mark.svg")).content_type == "image/svg+xml"


@pytest.mark.parametrize("path", PATHS)
def test_a_page_has_the_tag_the_banner_and_nothing_inline(path: str) -> None:
    page = document(path)

    assert {"consent", "consent-accept", "consent-decline", "consent-change", "cart-link", "cart-count"} <= set(
        page.ids
    )
    assert len(page.ids) == len(set(page.ids))
    assert page.inline == []
    assert '<script src="/datafly-stub.js"></script>' in page.text
    assert '<script async src="/t/datafly.js" data-consent="wait"></script>' in page.text


def test_a_page_with_inline_script_would_be_found() -> None:
    assert Document('<p style="x" onclick="y"><script>z()</script>').inline == ["style", "onclick", "script"]


def test_nothing_comes_from_another_host() -> None:
    hosts = {
        host
        for file in PAGES.rglob("*")
        if file.is_file()
        for host in re.findall(r"https?://([\w.-]+)", file.read_text())
    }
    assert hosts == {"schema.org", "www.w3.org"}  # names of vocabularies, never fetched


@pytest.mark.parametrize("product", PRODUCTS, ids=[product["slug"] for product in PRODUCTS])
def test_a_product_page_says_what_the_catalogue_says(product: dict[str, Any]) -> None:
    page = document(product["url"])

    assert page.linked_data == [
        {
            "@context": "https://schema.org",
            "@type": "Product",
            "name": product["name"],
            "sku": product["sku"],
            "productID": product["product_id"],
            "description": product["description"],
            "image": product["image"],
            "url": product["url"],
            "brand": {"@type": "Brand", "name": product["brand"]},
            "category": product["category"],
            "offers": {
                "@type": "Offer",
                "url": product["url"],
                "price": f"{product['price']:.2f}",
                "priceCurrency": CATALOGUE["currency"],
                "availability": "https://schema.org/InStock",
            },
        }
    ]
    assert f'data-sku="{product["sku"]}"' in page.text
    assert f'<p class="price">£{product["price"]:.2f} ' in page.text


def test_home_lists_the_whole_catalogue_and_nothing_else() -> None:
    home = document("/index.html").text

    assert re.findall(r'data-sku="([^"]+)"', home) == [product["sku"] for product in PRODUCTS]
    assert re.findall(r'<p class="price">£([\d.]+)</p>', home) == [f"{product['price']:.2f}" for product in PRODUCTS]
    assert {f"/products/{product['slug']}.html" for product in PRODUCTS} == {
        path for path in PATHS if path.startswith("/products/")
    }
