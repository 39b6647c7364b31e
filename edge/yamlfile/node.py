"""One value of a file a person wrote, with its place, and what was found wrong so far."""

from dataclasses import dataclass
from typing import NoReturn, TypeAlias

from edge.errors import ConfigErrors, Problem

MAX_PROBLEMS = 100

Plain: TypeAlias = bool | int | float | str | list["Plain"] | dict[str, "Plain"] | None
Value: TypeAlias = bool | int | float | str | list["Node"] | dict[str, "Node"] | None


@dataclass(frozen=True, slots=True)
class Node:
    """One value of a file and the place it was written.

    `key_line` and `key_column` are the place of the key that names it (its own in a list); `written` is a scalar's
    text as it stands in the file, before `${NAME}` was replaced; `is_from_environ` says that a variable gave (part
    of) it. Of a value or a key that `is_refused` or `is_key_refused` it has been said already what is wrong.
    """

    value: Value
    line: int
    column: int
    file: str
    key_line: int = 0
    key_column: int = 0
    is_key_refused: bool = False
    written: str | None = None
    is_from_environ: bool = False
    is_refused: bool = False

    def plain(self) -> Plain:
        """Give the value without its places: None, bool, int, float, str, list or dict."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


class Problems:
    """What was found wrong so far; `file` names the file where no node does."""

    def __init__(self, file: str = "") -> None:
        self._file, self._found = file, list[Problem]()

    def add(self, node: Node | None, path: str, what: str, *, variable: str = "") -> Problem | None:
        """Note one problem at a node's value, unless it was refused already: what follows from that is no news."""
        if node is not None and node.is_refused:
            return None
        file, line, column = (node.file, node.line, node.column) if node is not None else (self._file, 0, 0)
        problem = Problem(file, line, path, what, column, variable)
        self.note(problem)
        return problem

    def add_to_key(self, node: Node, path: str, what: str) -> None:
        """Note one problem at the key that names a node, unless the key was refused already."""
        if not node.is_key_refused:
            self.note(Problem(node.file, node.key_line, path, what, node.key_column))

    def note(self, problem: Problem) -> None:
        """Take one problem over; a file that has too many is read no further."""
        self._found.append(problem)
        if len(self._found) >= MAX_PROBLEMS:
            what = f"has more problems than the {MAX_PROBLEMS} told here"
            self.stop(Problem(self._file or problem.file, problem.line, "", what, problem.column))

    def withdraw(self, problem: Problem) -> None:
        """Take back what another problem says better."""
        self._found.remove(problem)

    def withdraw_unset(self, below: str) -> None:
        """Take back what was said of variables that are not set in values below a path."""
        self._found = [one for one in self._found if not (one.variable and one.path.startswith(f"{below}."))]

    def extend(self, errors: ConfigErrors) -> None:
        """Take over what another reading found."""
        self._found.extend(errors.problems)

    def stop(self, problem: Problem) -> NoReturn:
        """Take over what makes reading on senseless, and raise ConfigErrors with everything found."""
        raise ConfigErrors([*self.in_order(), problem])

    def in_order(self) -> list[Problem]:
        """Give what was found in the order of the places."""
        return sorted(self._found, key=lambda problem: problem.order)

    def __len__(self) -> int:
        return len(self._found)

    def raise_if_any(self) -> None:
        """Raise ConfigErrors with everything found, in the order of the places."""
        if self._found:
            raise ConfigErrors(self.in_order())
