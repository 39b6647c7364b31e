"""Rows of a segment that SQLite cannot lead to any more, found by their own checksums. Reads only.

A row never changes, and its checksum starts from its number: whatever page still holds one whole gives it back, also
where the way to that page is destroyed, or where the log's chain of checksums breaks off in front of it.

Source:
    SQLite's file format (https://sqlite.org/fileformat2.html): table leaf pages, records, overflow, frames of the log.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from edge.spool.segment import PAGE_BYTES, checksum

FILE_HEADER_BYTES, LOG_HEADER_BYTES, FRAME_HEADER_BYTES = 100, 32, 24
SALTS_AT, SALT_BYTES = 16, 8
LEAF, LEAF_HEADER_BYTES = 0x0D, 8
MAX_PAYLOAD_BYTES = 4_000_000
# Of a larger payload a page keeps so much of its own, the rest is on pages chained behind it.
MAX_LOCAL, MIN_LOCAL = PAGE_BYTES - 35, (PAGE_BYTES - 12) * 32 // 255 - 23
CHAINED_BYTES = PAGE_BYTES - 4
INTEGER_BYTES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 8: 0, 9: 0}

_Place: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Cell:
    """Where a row begins: its page, by file and offset, and the cell's offset in it."""

    page: _Place
    at: int


class Salvage:
    """What a segment's file and the log beside it hold; rows are read again when they are asked for.

    Blocks while it looks through them: make it in a thread.

    Args:
        after: only rows with higher numbers are looked for.
        only_log: the file itself is not looked through.
    Raises:
        OSError: the disk failed.
    """

    def __init__(self, path: Path, *, after: int = 0, only_log: bool = False) -> None:
        self._paths = (path, path.with_name(f"{path.name}-wal"))
        self._frames: dict[int, _Place] = {}
        self._cells: dict[int, _Cell] = {}
        self._commits: list[int] = []
        files = self._open()
        try:
            pages = [(number, page) for number, page in self._pages(files) if page[0] == 1 or not only_log]
            for number, page in pages:
                if page[0] == 1:
                    self._frames.setdefault(number, page)
            self._commits = self._find_commits(files[1])
            for number, page in pages:
                self._note_cells(files, number, page, after)
        finally:
            _close(files)

    @property
    def last(self) -> int:
        """The highest number that was found; 0 when there is none."""
        return max(self._cells, default=0)

    def read(self, seq: int) -> bytes | None:
        """Give a row's body; None where nothing matches its checksum."""
        cell = self._cells.get(seq)
        if cell is None:
            return None
        files = self._open()
        try:
            return self._body(files, cell, seq)
        finally:
            _close(files)

    def is_certain(self, seq: int) -> bool:
        """Tell whether a number that is not found was stored for good: another commit came after one that follows it.

        Nothing of a later commit is written before the disk has all of the one before.
        """
        following = min((one for one in self._cells if one > seq), default=None)
        if following is None:
            return False
        file, at = self._cells[following].page
        return file == 0 or sum(commit >= at for commit in self._commits) > 1

    def _find_commits(self, log: int) -> list[int]:
        """Give where the last pages of commits lie in the log, as far as they are of the log's present life."""
        step, last = FRAME_HEADER_BYTES + PAGE_BYTES, _size(log) - FRAME_HEADER_BYTES - PAGE_BYTES
        salts = os.pread(log, SALT_BYTES, SALTS_AT) if log >= 0 else b""
        found = []
        for at in range(LOG_HEADER_BYTES, last + 1, step):
            header = os.pread(log, FRAME_HEADER_BYTES, at)
            if any(header[4:8]) and header[8 : 8 + SALT_BYTES] == salts:
                found.append(at + FRAME_HEADER_BYTES)
        return found

    def _open(self) -> list[int]:
        return [os.open(path, os.O_RDONLY) if path.exists() else -1 for path in self._paths]

    def _pages(self, files: list[int]) -> Iterator[tuple[int, _Place]]:
        """Give each page's number and place: the file's, which are committed, then the log's from its beginning."""
        for at in range(0, _size(files[0]), PAGE_BYTES):
            yield at // PAGE_BYTES + 1, (0, at)
        step = FRAME_HEADER_BYTES + PAGE_BYTES
        for at in range(LOG_HEADER_BYTES, _size(files[1]) - step + 1, step):
            yield int.from_bytes(os.pread(files[1], 4, at), "big"), (1, at + FRAME_HEADER_BYTES)

    def _note_cells(self, files: list[int], number: int, place: _Place, after: int) -> None:
        page = os.pread(files[place[0]], PAGE_BYTES, place[1])
        head = FILE_HEADER_BYTES if number == 1 else 0
        if len(page) < PAGE_BYTES or page[head] != LEAF:
            return
        cells = int.from_bytes(page[head + 3 : head + 5], "big")
        for index in range(min(cells, PAGE_BYTES // 4)):
            pointer = head + LEAF_HEADER_BYTES + 2 * index
            at = int.from_bytes(page[pointer : pointer + 2], "big")
            _, following = _varint(page, at)
            seq, _ = _varint(page, following)
            if seq > after and seq not in self._cells and self._body(files, _Cell(place, at), seq) is not None:
                self._cells[seq] = _Cell(place, at)

    def _body(self, files: list[int], cell: _Cell, seq: int) -> bytes | None:
        """Read a cell, its chain by the file's pages, else by the log's."""
        for chain in (0, 1):
            body = _body_of(self._payload(files, cell, chain), seq)
            if body is not None:
                return body
        return None

    def _payload(self, files: list[int], cell: _Cell, chain: int) -> bytes:
        page = os.pread(files[cell.page[0]], PAGE_BYTES, cell.page[1])
        size, at = _varint(page, cell.at)
        _, at = _varint(page, at)
        local = _local_bytes(size)
        payload = page[at : at + local]
        following = int.from_bytes(page[at + local : at + local + 4], "big") if local < size else 0
        while following > 0 and len(payload) < size <= MAX_PAYLOAD_BYTES:
            place = (0, (following - 1) * PAGE_BYTES)
            if following in self._frames and (chain or place[1] >= _size(files[0])):
                place = self._frames[following]
            page = os.pread(files[place[0]], PAGE_BYTES, place[1])
            if len(page) < PAGE_BYTES:
                break
            payload += page[4 : 4 + min(CHAINED_BYTES, size - len(payload))]
            following = int.from_bytes(page[:4], "big")
        return payload


def _body_of(payload: bytes, seq: int) -> bytes | None:
    """Give the body in a record of a number, which is the row's own, a checksum and bytes; None unless they match."""
    _, at = _varint(payload, 0)
    types = []
    for _ in range(3):
        one, at = _varint(payload, at)
        types.append(one)
    is_row = types[0] == 0 and types[1] in INTEGER_BYTES and types[2] >= 12 and types[2] % 2 == 0
    if not is_row:
        return None
    width, size = INTEGER_BYTES[types[1]], (types[2] - 12) // 2
    check = int.from_bytes(payload[at : at + width], "big", signed=True) if width else types[1] - 8
    body = payload[at + width : at + width + size]
    return body if len(body) == size and check == checksum(seq, body) else None


def _local_bytes(size: int) -> int:
    if size <= MAX_LOCAL:
        return size
    kept = MIN_LOCAL + (size - MIN_LOCAL) % CHAINED_BYTES
    return kept if kept <= MAX_LOCAL else MIN_LOCAL


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Read a number of up to nine bytes; give it and where it ends. Beyond the data there are zeros."""
    value = 0
    for index in range(9):
        byte = data[at + index] if at + index < len(data) else 0
        if index == 8:
            return value << 8 | byte, at + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + index + 1
    raise AssertionError("nine bytes are the most")


def _size(descriptor: int) -> int:
    return os.fstat(descriptor).st_size if descriptor >= 0 else 0


def _close(files: list[int]) -> None:
    for descriptor in files:
        if descriptor >= 0:
            os.close(descriptor)
