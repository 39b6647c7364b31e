"""Tables of counts that fit a terminal: empty columns go, then headers are shortened, and no figure is ever cut."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from edge.cli.screen import plain

NAME_COLUMNS = 24
SHORT = {
    "accepted": "acc",
    "duplicate": "dup",
    "behind": "beh",
    "waiting": "wait",
    "delivered": "deliv",
    "withheld": "withh",
    "unmapped": "unmap",
    "skipped": "skip",
    "expired": "expir",
    "erased": "erase",
    "damaged": "damag",
    "unreached": "unrea",
    "before": "bef",
    "missing": "miss",
}

MISSED_LEAST = ("expired", "skipped", "damaged", "erased", "unmapped", "withheld", "held", "behind", "dead", "waiting")


@dataclass(frozen=True, slots=True)
class Column:
    """What is counted, and a cell for each row; `is_empty`: there is none of it anywhere."""

    name: str
    cells: Sequence[Text]
    is_empty: bool = False

    def width(self) -> int:
        """Give how many columns of a terminal it takes, with the space behind it."""
        lines = [line for cell in self.cells for line in cell.plain.split("\n")]
        return max(len(self.name), *map(len, lines), 0) + 1


def fitted(names: Sequence[Text], columns: Sequence[Column], width: int) -> list[Table]:
    """Give a table with a row for each name; several of them, one below the other, where nothing else helps."""
    room = width - min(NAME_COLUMNS, max(len("pipeline"), *(len(name) for name in names), 0)) - 1
    columns = _without_empty(columns, room)
    if not _fit(columns, room):
        columns = [Column(SHORT.get(column.name, column.name), column.cells) for column in columns]
    return [_table(names, part) for part in _parts(columns, room)]


def name_of(pipeline: str, style: str = "") -> Text:
    """Give a row's name, cut where it is long."""
    return Text(plain(pipeline, NAME_COLUMNS), style)


def _without_empty(columns: Sequence[Column], room: int) -> list[Column]:
    """Leave out columns in which nothing stands, as many as needed, those first that are missed least."""
    left = list(columns)
    for name in MISSED_LEAST:
        if _fit(left, room):
            break
        left = [column for column in left if column.name != name or not column.is_empty]
    return left


def _fit(columns: Sequence[Column], room: int) -> bool:
    return sum(column.width() for column in columns) <= room


def _parts(columns: Sequence[Column], room: int) -> list[list[Column]]:
    parts: list[list[Column]] = [[]]
    for column in columns:
        if parts[-1] and not _fit([*parts[-1], column], room):
            parts.append([])
        parts[-1].append(column)
    return parts


def _table(names: Sequence[Text], columns: Sequence[Column]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("pipeline", no_wrap=True)
    for column in columns:
        table.add_column(column.name, justify="right", no_wrap=True)
    for at, name in enumerate(names):
        table.add_row(name, *(column.cells[at] for column in columns))
    return table
