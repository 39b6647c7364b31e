"""Tables of counts on a narrow terminal: what is empty goes first, and no figure and no age is ever cut."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from edge.cli.figures import SHORT, Column, fitted
from edge.cli.queueing import ENDED, OPEN, RARE
from edge.cli.screen import counted, print_trimmed
from tests.component.world import build, served


def drawn(columns: list[Column], width: int) -> list[str]:
    """Give what two rows look like."""
    out = Console(width=width, record=True, file=StringIO())
    for table in fitted([Text("archive"), Text("klaviyo")], columns, width):
        print_trimmed(out, table)
    return out.export_text().splitlines()


def column(name: str, *cells: str) -> Column:
    """Give a column; "·" is nothing."""
    return Column(name, [Text(cell) for cell in cells], is_empty=set(cells) == {"·"})


COLUMNS = [
    column("behind", "·", "·"),
    column("waiting", "1,234,567\n13 min", "·"),
    column("delivered", "12", "34,567"),
    column("unmapped", "·", "7"),
]


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (
            44,
            [
                "pipeline behind   waiting delivered unmapped",
                "archive       · 1,234,567        12        ·",
                "                   13 min",
                "klaviyo       ·         ·    34,567        7",
            ],
        ),
        (
            38,
            [
                "pipeline   waiting delivered unmapped",
                "archive  1,234,567        12        ·",
                "            13 min",
                "klaviyo          ·    34,567        7",
            ],
        ),
        (
            32,
            [
                "pipeline      wait  deliv unmap",
                "archive  1,234,567     12     ·",
                "            13 min",
                "klaviyo          · 34,567     7",
            ],
        ),
        (
            20,
            [
                "pipeline      wait",
                "archive  1,234,567",
                "            13 min",
                "klaviyo          ·",
                "pipeline  deliv",
                "archive      12",
                "klaviyo  34,567",
                "pipeline unmap",
                "archive      ·",
                "klaviyo      7",
            ],
        ),
    ],
)
def test_a_narrow_terminal_loses_what_is_empty_then_long_headers_and_never_a_figure(
    width: int, lines: list[str]
) -> None:
    assert drawn(COLUMNS, width + (width == 44)) == lines


def test_every_long_header_has_a_short_name() -> None:
    names = ["behind", *OPEN, *ENDED, *RARE, "accepted", "duplicate", "unreached", "before", "missing"]
    assert {name for name in names if name not in SHORT} == {"held", "dead"}
    assert len(set(SHORT.values())) == len(SHORT)


def test_an_erasure_mangles_no_table_at_80_columns(tmp_path: Path) -> None:
    world = build(tmp_path)
    assert world.edge("identity", "forget", "user@shop.example", "--yes").exit_code == 0
    with served(tmp_path):
        queue = world.edge("queue", env={"COLUMNS": "80"}).stdout.splitlines()
        balance = world.edge("queue", "--balance", env={"COLUMNS": "80"}).stdout.splitlines()
    assert queue[3:8] == [
        "pipeline behind waiting  held delivered withheld unmapped skipped dead erased",
        "archive       1       ·     ·         ·        ·        ·       ·    ·      ·",
        "            5 s",
        "klaviyo       2       1     1         2        1        3       ·    ·      1",
        "           35 s   4 min 5 min",
    ]
    assert balance[2:5] == [
        "pipeline acc dup wait held deliv withh unmap erase unrea bef",
        "archive   13   2    ·    ·     ·     ·     ·     ·     1  10",
        "klaviyo   13   2    1    1     2     1     3     1     2   ·",
    ]


def test_one_is_no_plural() -> None:
    assert [counted(number, "letter") for number in (0, 1, 2, 1_042)] == [
        "0 letters",
        "1 letter",
        "2 letters",
        "1,042 letters",
    ]


def test_a_table_with_nothing_in_it_keeps_what_is_missed_most() -> None:
    empty = [column(name, "·", "·") for name in ("waiting", "delivered", "skipped", "expired")]
    assert drawn(empty, 30)[0] == "pipeline waiting delivered"
