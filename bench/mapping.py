"""What mapping costs beside the same dictionaries made by hand; the goal is 3 times at most.

    .venv/bin/python bench/mapping.py

Both sides run in turn within one process, so that what disturbs the machine disturbs both; the ratio of a round is
one side's time over the other's, and the median of the rounds counts. Exit code 1 when the goal is missed.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge.complete import completed
from edge.event import Event
from edge.mapping import apply
from edge.person import Identifiers
from edge.pipeline import Pipeline, compile_pipeline, source_of

GOAL = 3.0
ROUNDS = int(os.environ.get("ROUNDS") or 301)
REPEATS = 200
FILE = Path(__file__).parents[1] / "pipelines/klaviyo-events.yaml"

IDENTIFIERS = Identifiers(email="visitor@shop.example", phone="+4915112345678", customer_id="c-19")
CONTEXT: dict[str, Any] = {
    "page": {"url": "https://shop.example/p/501", "path": "/p/501", "title": "Moon Teapot"},
    "session": {"id": "0123456789abcdef0123456789abcdef", "number": 3},
    "traits": {"first_name": "First", "last_name": "Last"},
    "locale": "de-DE",
}


def item(number: int) -> dict[str, Any]:
    return {
        "item_id": f"TK-{number}",
        "sku": f"TK-{number}-B",
        "item_name": f"Moon Teapot {number}",
        "item_brand": "Moon",
        "item_category": "Tea",
        "item_variant": "blue",
        "categories": ["Tea", "Pots"],
        "price": 42.25,
        "quantity": number,
        "item_url": f"https://shop.example/p/{number}",
        "image_url": f"https://shop.example/i/{number}.jpg",
    }


EVENTS: dict[str, dict[str, Any]] = {
    "view_item": {"currency": "EUR", "value": 42.25, **item(1)},
    "purchase": {
        "transaction_id": "TK-7F3K",
        "value": 253.5,
        "currency": "EUR",
        "tax": 40.47,
        "shipping": 0,
        "coupon": "SPRING",
        "discount": 5,
        "items": [item(1), item(2), item(3)],
    },
}


def event_of(name: str) -> Event:
    return Event(
        f"e-{name}", name, 1_795_183_389_120, 1_795_183_389_620, "browser", "0" * 32, EVENTS[name], {}, CONTEXT
    )


def profile_by_hand(source: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    traits = source["context"]["traits"]
    if (value := traits.get("email")) is not None:
        made["$email"] = value
    if (value := traits.get("phone")) is not None:
        made["$phone_number"] = value
    if (value := traits.get("customer_id")) is not None:
        made["external_id"] = value
    if (value := traits.get("first_name")) is not None:
        made["$first_name"] = value
    if (value := traits.get("last_name")) is not None:
        made["$last_name"] = value
    if (value := source["context"]["ids"].get("kx")) is not None:
        made["_kx"] = value
    return made


def item_by_hand(line: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if (value := line.get("item_id")) is not None:
        made["ProductID"] = value if isinstance(value, str) else str(value)
    if (value := line.get("sku")) is not None:
        made["SKU"] = value
    if (value := line.get("item_name")) is not None:
        made["ProductName"] = value
    if (value := line.get("item_brand")) is not None:
        made["Brand"] = value
    if (value := line.get("item_category")) is not None:
        made["Category"] = value
    if (value := line.get("item_variant")) is not None:
        made["Variant"] = value
    if (value := line.get("categories")) is not None:
        made["Categories"] = value
    value = line.get("quantity")
    made["Quantity"] = 1 if value is None else value
    if (value := line.get("price")) is not None:
        made["ItemPrice"] = value
    if (value := line.get("value")) is not None:
        made["RowTotal"] = value
    if (value := line.get("item_url")) is not None:
        made["ProductURL"] = value
    if (value := line.get("image_url")) is not None:
        made["ImageURL"] = value
    return made


def each_by_hand(items: list[dict[str, Any]], key: str) -> list[Any]:
    return [value for line in items if (value := line.get(key)) is not None]


def view_item_by_hand(source: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    properties = source["properties"]
    if (value := properties.get("value")) is not None:
        made["$value"] = value
    if (value := properties.get("item_id")) is not None:
        made["ProductID"] = value if isinstance(value, str) else str(value)
    if (value := properties.get("sku")) is not None:
        made["SKU"] = value
    if (value := properties.get("item_name")) is not None:
        made["ProductName"] = value
    if (value := properties.get("item_brand")) is not None:
        made["Brand"] = value
    if (value := properties.get("item_category")) is not None:
        made["Category"] = value
    if (value := properties.get("item_variant")) is not None:
        made["Variant"] = value
    if (value := properties.get("categories")) is not None:
        made["Categories"] = value
    if (value := properties.get("price")) is not None:
        made["Price"] = value
    if (value := properties.get("currency")) is not None:
        made["Currency"] = value
    if (value := properties.get("item_url")) is not None:
        made["URL"] = value
    if (value := properties.get("image_url")) is not None:
        made["ImageURL"] = value
    return made


def purchase_by_hand(source: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    properties = source["properties"]
    if (value := properties.get("transaction_id")) is not None:
        made["$event_id"] = value
    if (value := properties.get("value")) is not None:
        made["$value"] = value
    if value := properties.get("transaction_id") or properties.get("order_id"):
        made["OrderId"] = value if isinstance(value, str) else str(value)
    if (value := properties.get("currency")) is not None:
        made["Currency"] = value
    if (value := properties.get("num_items")) is not None:
        made["ItemCount"] = value
    if (value := properties.get("tax")) is not None:
        made["Tax"] = value
    if (value := properties.get("shipping")) is not None:
        made["Shipping"] = value
    if (value := properties.get("coupon")) is not None:
        made["DiscountCode"] = value
    if (value := properties.get("discount")) is not None:
        made["DiscountValue"] = value
    if (items := properties.get("items")) is not None:
        if names := each_by_hand(items, "item_name"):
            made["ItemNames"] = names
        if categories := each_by_hand(items, "item_category"):
            made["Categories"] = categories
        if brands := each_by_hand(items, "item_brand"):
            made["Brands"] = brands
        made["Items"] = [item_by_hand(line) for line in items]
    return made


BY_HAND = {"view_item": view_item_by_hand, "purchase": purchase_by_hand}


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times the one takes what the other takes: the median of the rounds, the least and the most."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.least:.2f} to {self.most:.2f})"


def ratio(measured: Callable[[], object], beside: Callable[[], object]) -> Ratio:
    """Measure two things in turn."""
    found = [_seconds(measured) / _seconds(beside) for _ in range(ROUNDS)]
    return Ratio(statistics.median(found), min(found), max(found))


def _seconds(work: Callable[[], object]) -> float:
    started_s = time.process_time()
    for _ in range(REPEATS):
        work()
    return time.process_time() - started_s


def mapping_ratio(pipeline: Pipeline, name: str) -> Ratio:
    """Measure mapping one event against the same by hand, after making sure that both give the same."""
    source, by_hand = source_of(event_of(name), IDENTIFIERS), BY_HAND[name]
    profile, properties = pipeline.profile, pipeline.events[name].properties
    assert apply(profile, source) == profile_by_hand(source), "the profile made by hand is another"
    assert apply(properties, source) == by_hand(source), f"what is made of {name} by hand is another"
    return ratio(
        lambda: (apply(profile, source), apply(properties, source)),
        lambda: (profile_by_hand(source), by_hand(source)),
    )


def completing_ratio(name: str) -> tuple[Ratio, Ratio]:
    """Measure completing, and making the whole of what mappings read, against mapping by hand: for information."""
    event, by_hand = event_of(name), BY_HAND[name]
    source = source_of(event, IDENTIFIERS)

    def beside() -> object:
        return profile_by_hand(source), by_hand(source)

    return ratio(lambda: completed(event.properties), beside), ratio(lambda: source_of(event, IDENTIFIERS), beside)


def main() -> int:
    """Print the ratios; give 1 when one is over the goal."""
    pipeline = compile_pipeline(FILE.read_text("utf-8"), str(FILE), {"KLAVIYO_PRIVATE_API_KEY": "key"})
    is_met, told = True, []
    for name in BY_HAND:
        mapping, (completing, whole) = mapping_ratio(pipeline, name), completing_ratio(name)
        is_met = is_met and mapping.median <= GOAL
        print(f"{name}: mapping costs {mapping} times the same by hand; the goal is {GOAL} at most")
        print(f"{name}: for information, completing costs {completing} times, all that mappings read {whole} times")
        told.append({"name": name, **asdict(mapping)})
    print("met" if is_met else "missed")
    print(json.dumps(told))
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
