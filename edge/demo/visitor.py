"""A scripted visitor: sends what the collector script sends when a person walks through the shop."""

import json
import uuid
from datetime import UTC, datetime
from typing import Any, TypeAlias

import aiohttp

from edge.demo.shop import PAGES

Call: TypeAlias = tuple[str, dict[str, Any]] | tuple[str, dict[str, Any], dict[str, str]]

GRANTED = {"functional": "granted", "analytics": "granted", "marketing": "granted", "advertising": "granted"}
NO_ADVERTISING = {**GRANTED, "advertising": "denied"}
DENIED = dict.fromkeys(GRANTED, "denied")


def answers_of(consent: dict[str, str]) -> dict[str, bool]:
    """Give each purpose's answer, true where it is granted."""
    return {purpose: answer == "granted" for purpose, answer in consent.items()}


class ScriptedVisitor:
    """One browser: keeps the server's cookie, one session, and an answer to the consent banner."""

    def __init__(self, session: aiohttp.ClientSession, shop: str, *, consent: dict[str, str]) -> None:
        self._session, self._shop = session, shop
        self._consent = {**consent, "source": "explicit"}
        self._context = {"id": uuid.uuid4().hex, "number": 1}
        self._cookie = ""
        catalogue: dict[str, Any] = json.loads((PAGES / "products.json").read_text("utf-8"))
        self._currency: str = catalogue["currency"]
        self._product: dict[str, Any] = catalogue["products"][0]

    async def look_around(self) -> None:
        """Answer the banner, look at a product, put two of it into the cart."""
        await self._send("/", ("consent", {}), ("page_view", {}))
        await self._send(self._product["url"], ("page_view", {}), ("view_item", self._goods(1)))
        await self._send(self._product["url"], ("add_to_cart", self._goods(2)))

    async def sign_up(self, email: str) -> None:
        """Leave an e-mail address for the newsletter: from here on the visitor is known."""
        identify: Call = ("identify", {}, {"email": email})
        await self._send("/signup.html", ("page_view", {}), identify, ("sign_up", {"method": "newsletter"}))

    async def buy(self, order_id: str) -> None:
        """Start the checkout and place the order."""
        checkout = {**self._goods(2), "checkout_id": uuid.uuid4().hex, "checkout_url": f"{self._shop}/checkout.html"}
        await self._send("/checkout.html", ("page_view", {}), ("started_checkout", checkout))
        order = {**self._goods(2), "transaction_id": order_id, "tax": 0, "shipping": 0}
        await self._send("/thanks.html", ("page_view", {}), ("purchase", order))

    async def _send(self, path: str, *calls: Call) -> None:
        page = {"url": self._shop + path, "path": path, "title": "Tea & Kiln", "referrer": ""}
        batch = {
            "sent_at": _now(),
            "context": {"page": page, "session": self._context, "consent": self._consent, "locale": "en-GB"},
            "events": [_event(*call) for call in calls],
        }
        headers = {"Content-Type": "text/plain;charset=UTF-8", "Origin": self._shop, "Sec-Fetch-Site": "same-origin"}
        if self._cookie:
            headers["Cookie"] = self._cookie
        async with self._session.post(f"{self._shop}/t/e", data=json.dumps(batch), headers=headers) as answer:
            answer.raise_for_status()
            self._cookie = answer.headers.get("Set-Cookie", self._cookie).partition(";")[0]

    def _goods(self, quantity: int) -> dict[str, Any]:
        product = self._product
        item = {
            "item_id": product["sku"],
            "item_name": product["name"],
            "item_brand": product["brand"],
            "item_category": product["category"],
            "item_url": self._shop + product["url"],
            "image_url": self._shop + product["image"],
            "price": product["price"],
            "quantity": quantity,
        }
        return {"currency": self._currency, "value": product["price"] * quantity, "items": [item]}


def _event(name: str, properties: dict[str, Any], traits: dict[str, str] | None = None) -> dict[str, Any]:
    event = {"id": str(uuid.uuid4()), "name": name, "time": _now(), "properties": properties}
    return {**event, "traits": traits} if traits else event


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
