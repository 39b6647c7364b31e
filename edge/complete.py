"""Completing an event: what a shop's page leaves out although it can be known for certain.

Pages write the same thing in two ways: flat (`properties.item_name`) or as a list (`properties.items[0].item_name`).
Mappings then find either. Eight rules, in this order, and nothing else is ever added:

1. `value`, `price` and `quantity` written as text become numbers, at the top and in every item.
2. An event without `items`, with an `item_id` or an `item_name` at the top, has one item: the item fields at the top
   (`ITEM_KEYS`, a closed list).
3. An item without `categories` has those of its categories that are texts (`CATEGORY_KEYS`, in that order) as a list.
4. `currency` is the one that every item names, where absent.
5. The fields of a single item also stand at the top, where the top has none of that name; its `value` only if the top
   names no discount, no coupon and no other currency, as the item's worth is then not the event's.
6. `num_items` is the sum of the quantities, where absent; an item without a quantity counts once.
7. `value` is the sum of price times quantity, where absent and certain: every item has a price, none of the quantities
   is unreadable, no item names another currency than the top, and no discount or coupon is named anywhere.
8. So is the `value` of each item: its own price times quantity, if it names no discount and no coupon itself.

Null counts as absent. What is no list of objects is left alone.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import TypeAlias

from edge.jsontree import JSON, MAX_SAFE_INTEGER, number_of, plain_number

Line: TypeAlias = Mapping[str, JSON]
Amount: TypeAlias = int | float

NUMERIC_KEYS = ("value", "price", "quantity")
CATEGORY_KEYS = ("item_category", "item_category2", "item_category3", "item_category4", "item_category5")
# What tells of one item, wherever it stands; `value` is not among them, as at the top it is the event's.
ITEM_KEYS = (
    *("item_id", "item_name", "item_brand", "item_variant", "sku"),
    *(*CATEGORY_KEYS, "categories", "item_list_id", "item_list_name", "item_url", "image_url"),
    *("price", "quantity", "discount", "coupon"),
)


def completed(properties: Mapping[str, JSON]) -> dict[str, JSON]:
    """Give the properties with what follows from them.

    Args:
        properties: as the page or server sent them; never modified.
    Returns:
        A new object; values that needed no change are shared with the given one. Completing it again changes nothing.
    Source:
        docs/pipelines.md, "Completing".
    """
    full = _with_numbers(properties)
    lines = _lines(full)
    if lines is None:
        return full
    for line in lines:
        if line.get("categories") is None:
            _set(line, "categories", _categories(line))
    if full.get("currency") is None:
        _set(full, "currency", _currency(lines))
    if len(lines) == 1:
        _lift(full, lines[0])
    if full.get("num_items") is None:
        _set(full, "num_items", _count(full, lines))
    if full.get("value") is None and _is_the_events_worth(full, lines):
        _set(full, "value", _worth(lines or [full]))
    for line in lines:
        if line.get("value") is None:
            _set(line, "value", _line_worth(line))
    if lines:
        full["items"] = [*lines]
    return full


def _lines(full: Line) -> list[dict[str, JSON]] | None:
    """Give a copy of each item, of the flat one too; None when the list holds anything that is no item."""
    items = full.get("items")
    if items is None and (full.get("item_id") is not None or full.get("item_name") is not None):
        return [{key: value for key in ITEM_KEYS if (value := full.get(key)) is not None}]
    items = items if isinstance(items, list) else []
    lines = [_with_numbers(item) for item in items if isinstance(item, dict)]
    return lines if len(lines) == len(items) else None


def _with_numbers(line: Line) -> dict[str, JSON]:
    copy = dict(line)
    for key in NUMERIC_KEYS:
        value = copy.get(key)
        if isinstance(value, str):
            _set(copy, key, number_of(value))
    return copy


def _categories(line: Line) -> list[JSON] | None:
    named = [value for key in CATEGORY_KEYS if isinstance(value := line.get(key), str) and value.strip()]
    return [*named] or None


def _currency(lines: Sequence[Line]) -> JSON:
    """Give the currency that every item names, as the first one writes it."""
    codes = set(map(_code, lines))
    return lines[0]["currency"] if len(codes) == 1 and None not in codes else None


def _code(line: Line) -> str | None:
    code = line.get("currency")
    return code.strip().upper() or None if isinstance(code, str) else None


def _set(full: dict[str, JSON], key: str, value: JSON) -> None:
    if value is not None:
        full[key] = value


def _lift(full: dict[str, JSON], line: Line) -> None:
    takes_value = line.get("value") is not None and _is_the_events_worth(full, [line])
    for key, value in line.items():
        if value is not None and full.get(key) is None and (takes_value or key != "value"):
            full[key] = value


def _is_the_events_worth(full: Line, lines: Sequence[Line]) -> bool:
    """Tell whether what the items are worth is what the event is: nothing taken off it, and all in its currency."""
    return not _is_reduced(full) and set(map(_code, lines)) <= {None, _code(full)}


def _is_reduced(line: Line) -> bool:
    return bool(line.get("discount") or line.get("coupon"))


def _count(full: Line, lines: Sequence[Line]) -> Amount | None:
    if not lines:
        return _product(_amount(full.get("quantity"), absent=None), 1)
    return _sum([(_amount(line.get("quantity"), absent=1), 1) for line in lines])


def _worth(lines: Sequence[Line]) -> Amount | None:
    if any(map(_is_reduced, lines)):
        return None
    return _sum([_factors(line) for line in lines])


def _line_worth(line: Line) -> Amount | None:
    return None if _is_reduced(line) else _product(*_factors(line))


def _factors(line: Line) -> tuple[Amount | None, Amount | None]:
    return _amount(line.get("price"), absent=None), _amount(line.get("quantity"), absent=1)


def _amount(value: JSON, *, absent: Amount | None) -> Amount | None:
    if value is None:
        return absent
    number = number_of(value)
    return None if number is None or not 0 <= number <= MAX_SAFE_INTEGER else number


def _sum(products: Sequence[tuple[Amount | None, Amount | None]]) -> Amount | None:
    """Give the sum of price times quantity, exact to the cent, or None when one of them is unknown."""
    if len(products) == 1:
        return _product(*products[0])
    total = Decimal(0)
    for price, quantity in products:
        if price is None or quantity is None:
            return None
        total += Decimal(str(price)) * Decimal(str(quantity))
    return _plain(total)


@lru_cache(1_024)
def _product(price: Amount | None, quantity: Amount | None) -> Amount | None:
    """Give what one line comes to; it is remembered, as a shop's prices come again and again."""
    return None if price is None or quantity is None else _plain(Decimal(str(price)) * Decimal(str(quantity)))


def _plain(total: Decimal) -> Amount | None:
    return plain_number(total) if total <= MAX_SAFE_INTEGER else None
