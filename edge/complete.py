"""Completing an event: what a shop's page leaves out although it can be known for certain.

Pages write the same thing in two ways: flat (`properties.item_name`) or as a list (`properties.items[0].item_name`).
Mappings then find either. Four rules, in this order, and nothing else is ever added:

1. `value`, `price` and `quantity` written as text become numbers, at the top and in every item.
2. The fields of a single item also stand at the top, where the top has none of that name.
3. `num_items` is the sum of the quantities, where absent; an item without a quantity counts once.
4. `value` is the sum of price times quantity, where absent and certain: every item has a price, none of the quantities
   is unreadable, and no discount or coupon is named anywhere.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TypeAlias

from edge.jsontree import JSON, MAX_SAFE_INTEGER, number_of, plain_number

Line: TypeAlias = Mapping[str, JSON]

NUMERIC_KEYS = ("value", "price", "quantity")
REDUCING_KEYS = ("discount", "coupon")
ONE = Decimal(1)


def completed(properties: Mapping[str, JSON]) -> dict[str, JSON]:
    """Give the properties with what follows from them.

    Args:
        properties: as the page or server sent them; never modified.
    Returns:
        A new object; values that needed no change are shared with the given one.
    Source:
        docs/pipelines.md, "Completing".
    """
    full = _with_numbers(properties)
    items = full.get("items")
    items = items if isinstance(items, list) else []
    lines = [_with_numbers(item) for item in items if isinstance(item, dict)]
    if len(lines) != len(items):
        return full
    if lines:
        full["items"] = [*lines]
    if len(lines) == 1:
        _fill(full, lines[0])
    _fill(full, {"num_items": _count(full, lines), "value": _worth(full, lines)})
    return full


def _with_numbers(line: Line) -> dict[str, JSON]:
    numbers = {key: number_of(line[key]) for key in NUMERIC_KEYS if isinstance(line.get(key), str)}
    return {**line, **{key: number for key, number in numbers.items() if number is not None}}


def _fill(full: dict[str, JSON], more: Line) -> None:
    for key, value in more.items():
        if value is not None and full.get(key) is None:
            full[key] = value


def _count(full: Line, lines: Sequence[Line]) -> int | float | None:
    if not lines:
        return _total([_amount(full.get("quantity"), absent=None)])
    return _total([_amount(line.get("quantity"), absent=ONE) for line in lines])


def _worth(full: Line, lines: Sequence[Line]) -> int | float | None:
    if any(line.get(key) for line in (full, *lines) for key in REDUCING_KEYS):
        return None
    return _total([_line_worth(line) for line in lines or [full]])


def _line_worth(line: Line) -> Decimal | None:
    price, quantity = _amount(line.get("price"), absent=None), _amount(line.get("quantity"), absent=ONE)
    return None if price is None or quantity is None else price * quantity


def _amount(value: JSON, *, absent: Decimal | None) -> Decimal | None:
    if value is None:
        return absent
    number = number_of(value)
    return None if number is None or not 0 <= number <= MAX_SAFE_INTEGER else Decimal(str(number))


def _total(amounts: list[Decimal | None]) -> int | float | None:
    """Give the sum, exact to the cent, or None when one amount is unknown."""
    total = Decimal(0)
    for amount in amounts:
        if amount is None:
            return None
        total += amount
    return plain_number(total) if total <= MAX_SAFE_INTEGER else None
