"""A terminal as far as our verbs use one: what stands where on it, and in which colours."""

import re
from dataclasses import dataclass, field

_TOKEN = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)")
Cell = tuple[str, str]


@dataclass
class Screen:
    """`width` columns; `pictures` are what stood on the alternate screen each time before it was drawn anew or left."""

    width: int
    rows: list[list[Cell]] = field(default_factory=lambda: [[]])
    pictures: list[list[str]] = field(default_factory=list)
    wraps: int = 0
    _row: int = 0
    _column: int = 0
    _style: str = ""
    _main: list[list[Cell]] | None = None

    @property
    def lines(self) -> list[str]:
        """What stands there, without the spaces behind it."""
        return ["".join(char for char, _ in row).rstrip() for row in self.rows]

    def feed(self, output: str) -> "Screen":
        """Take what a program wrote."""
        end = 0
        for token in _TOKEN.finditer(output):
            assert token.start() == end, f"unknown control: {output[end : end + 20]!r}"
            end = token.end()
            numbers, letter, control, text = token.groups()
            if text:
                self._write(text)
            elif control:
                self._row, self._column = (self._row + 1 if control == "\n" else self._row), 0
            else:
                self._obey(numbers, letter)
        return self

    def styles(self, word: str) -> set[str]:
        """Give the styles in which a word stands anywhere, e.g. {"1;31"}; "" is no style."""
        found = set()
        for line, row in zip(self.lines, self.rows, strict=True):
            for match in re.finditer(rf"(?<![\w-]){re.escape(word)}(?![\w-])", line):
                found |= {style for _, style in row[match.start() : match.end()]}
        return found

    def _write(self, text: str) -> None:
        for char in text:
            if self._column == self.width:
                self.wraps += 1
                self._row, self._column = self._row + 1, 0
            while len(self.rows) <= self._row:
                self.rows.append([])
            row = self.rows[self._row]
            row += [(" ", "")] * (self._column + 1 - len(row))
            row[self._column] = (char, self._style)
            self._column += 1

    def _obey(self, numbers: str, letter: str) -> None:
        match letter, numbers:
            case "m", _:
                self._style = "" if numbers in ("", "0") else numbers
            case "h", "?1049":
                self._main, self.rows, self._row, self._column = self.rows, [[]], 0, 0
            case "l", "?1049":
                self.pictures.append(self.lines)
                self.rows, self._main = self._main or [[]], None
            case "H", "":
                if any(self.rows):
                    self.pictures.append(self.lines)
                self.rows, self._row, self._column = [[]], 0, 0
            case (("h" | "l"), "?25"):
                pass
            case _:
                raise AssertionError(f"unknown control: {numbers}{letter}")
