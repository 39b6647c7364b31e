"""The modes that read a list: its entries counted, summed, joined, or each of them mapped."""

from collections.abc import Iterator
from decimal import Decimal

from edge.jsontree import MAX_SAFE_INTEGER, number_of, plain_number
from edge.mapping.modes import Made, parsed_at, reading
from edge.mapping.paths import find_at, parse_path
from edge.mapping.rendering import Finish, Mapping, Unfit, apply
from edge.mapping.types import as_string
from edge.settings import Reader

NOT_A_LIST = "is not a list"


class Entries:
    """What stands at `field` in each entry of a list, or the entries themselves."""

    def __init__(self, reader: Reader, path: str) -> None:
        field = None if reader.node("field") is None else parsed_at(reader, "field", parse_path, "")
        self._path, self._end = path, "" if field is None else f".{field}"
        self._find = find_at([] if field is None else field.split("."))
        self.not_a_list = Unfit("", path, NOT_A_LIST)

    def of(self, values: list[object]) -> Iterator[tuple[int, object]]:
        """Give each entry that is there, with its place."""
        for index, value in enumerate(values):
            found = self._find(value)
            if found is not None:
                yield index, found

    def unfit(self, index: int, what: str) -> Unfit:
        """Say what is wrong with one entry."""
        return Unfit("", f"{self._path}.{index}{self._end}", what)


def count(reader: Reader) -> Made:
    path, steps = reading(reader)
    unfit = Unfit("", path, NOT_A_LIST)
    return Made(path, steps, lambda value: len(value) if isinstance(value, list) else unfit, is_open=False)


def total(reader: Reader) -> Made:
    """Mode `sum`."""
    path, steps = reading(reader)
    return Made(path, steps, _summed(path, Entries(reader, path)), is_open=False)


def join(reader: Reader) -> Made:
    path, steps = reading(reader)
    entries = Entries(reader, path)
    made = _joined(entries, reader.text("separator", ", "))
    return Made(path, steps, made, missing="is missing or empty", is_open=False)


def each(path: str, mapping: Mapping) -> Finish:
    """Map every entry of a list by itself."""
    not_a_list = Unfit("", path, NOT_A_LIST)

    def make(value: object) -> object:
        if not isinstance(value, list):
            return not_a_list
        made: list[object] = []
        for index, item in enumerate(value):
            if not isinstance(item, dict):
                return Unfit(str(index), f"{path}.{index}", "is not an object")
            row = apply(mapping, item)
            if type(row) is Unfit:
                return row.under(str(index), f"{path}.{index}")
            made.append(row)
        return made

    return make


def picked(entries: Entries) -> Finish:
    """Give the entries as they are."""

    def make(value: object) -> object:
        return ([found for _, found in entries.of(value)] or None) if isinstance(value, list) else entries.not_a_list

    return make


def _summed(path: str, entries: Entries) -> Finish:
    def make(value: object) -> object:
        if not isinstance(value, list):
            return entries.not_a_list
        summed = Decimal(0)
        for index, found in entries.of(value):
            number = number_of(found)
            if number is None:
                return entries.unfit(index, "is not a number")
            summed += Decimal(number) if isinstance(number, int) else Decimal(str(number))
        return plain_number(summed) if abs(summed) <= MAX_SAFE_INTEGER else Unfit("", path, "adds up to too much")

    return make


def _joined(entries: Entries, separator: str) -> Finish:
    def make(value: object) -> object:
        if not isinstance(value, list):
            return entries.not_a_list
        texts: list[str] = []
        for index, found in entries.of(value):
            text = as_string(found)
            if text is None:
                return entries.unfit(index, "is not a text")
            texts.append(text)
        return separator.join(texts) if texts else None

    return make
