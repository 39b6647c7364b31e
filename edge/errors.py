"""What may go wrong, as types.

EdgeError
├── ConfigErrors        configuration or a pipeline file is wrong; carries every problem found
├── RequestRefused      a whole request cannot be taken; carries the HTTP status and code
├── InvalidEvent        one event of a batch cannot be taken; the others go on
├── StorageError
│   ├── StorageFull     no room by our own limits; nothing was stored, try again later
│   ├── StorageBusy     too much work waits already; nothing was stored, try again soon
│   ├── StorageFailed   the disk or SQLite failed; the process ends and starts again
│   └── StorageTaken    another process holds the file's role
└── TransportFailed     a destination could not be reached or did not answer in full
    └── Interrupted     a conversation's next request was not sent at all
"""

from collections.abc import Sequence
from dataclasses import dataclass


class EdgeError(Exception):
    """The root of everything this package raises on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a file a person wrote.

    Line and column count from 1 and are 0 where a problem has no such place. `variable` names the environment
    variable whose setting would mend it.
    """

    file: str
    line: int
    path: str
    what: str
    column: int = 0
    variable: str = ""

    @property
    def place(self) -> str:
        """Where it is, as editors and terminals read it: "pipelines/shop.yaml:12:5"."""
        return ":".join([self.file, *[str(number) for number in (self.line, self.column) if number]])

    @property
    def order(self) -> tuple[str, int, int]:
        """What problems are sorted by, so that they are told in the order of their places."""
        return self.file, self.line, self.column

    def __str__(self) -> str:
        return f"{self.place}: {self.path}: {self.what}" if self.path else f"{self.place}: {self.what}"


class ConfigErrors(EdgeError):
    """Raised when configuration or pipelines were read and found wrong; `problems` holds all of them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class RequestRefused(EdgeError):
    """Raised when no part of a request can be taken."""

    def __init__(self, status: int, code: str, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.retry_after_s = status, code, message, retry_after_s


class InvalidEvent(EdgeError):
    """Raised when one event breaks a limit or a shape; `code` is one of a closed set and is counted."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class StorageError(EdgeError):
    """What the spool and the ledger raise; none of these leaves anything half stored."""


class StorageFull(StorageError):
    """Raised when a configured size, the free-space watermark or the disk itself leaves no room."""


class StorageBusy(StorageError):
    """Raised when more work waits for the disk than the bound allows."""


class StorageFailed(StorageError):
    """Raised after an I/O error: the connection is not to be trusted again, the process ends."""


class StorageTaken(StorageError):
    """Raised when another living process holds the lock; the message names it."""


class TransportFailed(EdgeError):
    """Raised when a request got no complete answer: refused, reset, cut or timed out.

    `may_have_arrived` is False only where it is certain that nothing of it was sent.
    """

    def __init__(self, message: str, *, may_have_arrived: bool = True) -> None:
        super().__init__(message)
        self.may_have_arrived = may_have_arrived


class Interrupted(TransportFailed):
    """Raised when a conversation may not go on: the service stops, the account rests, or somebody withdrew.

    The request at which it is raised was not sent.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message, may_have_arrived=False)
