"""The archive's files: JSON Lines in gzip members, one append a member, on disk before anybody says so.

A file is called `….jsonl.gz.open` while it is written and `….jsonl.gz` when its day is over; both are ordinary gzip.
Each member says its own length in an extra field, so that after a death the end of the last whole member is found by
hopping from header to header, and a torn one behind it is cut off before the next is written.

One thread of one process calls all of this: whoever holds the drainer's lock.

Source: RFC 1952 (gzip: members, extra fields, CRC and length behind the data).
"""

import os
import re
import struct
import zlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import orjson

OPEN, CLOSED, REWRITING = ".open", ".jsonl.gz", ".rewriting"
MAX_MEMBER_BYTES = 4_000_000
MEMBER_LINE_BYTES = 1_000_000  # of lines, where a file is written anew
READ_BYTES = 65_536

_HEADER = struct.Struct(
    "<4sIBBHccHI"
)  # magic with flags, time, hints, system, length of extra, its two letters, 4, size
_TRAILER = struct.Struct("<II")
_MAGIC, _NO_SYSTEM = b"\x1f\x8b\x08\x04", 255
# The day that the lines are of, and of a late file the day it is written on.
_NAME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:\.late-([0-9]{4}-[0-9]{2}-[0-9]{2}))?(?:\.[0-9]+)?\.jsonl\.gz.*")

# How every line of ours begins; one that begins otherwise is read in full.
_ID = re.compile(rb'\{"id":"([^"\\]*)"')


class ForeignFile(Exception):
    """Raised inside this file when what stands in an open file was not written here; it is set aside, never cut."""


class Finds(Protocol):
    """Knows whose lines are to go."""

    def finder(self) -> Callable[[bytes], bool]:
        """Give what tells whether a line is one of them; made once, because most of many lines speak of others."""
        ...


@dataclass(frozen=True, slots=True)
class Sought:
    """Whose lines are to go: those with one of these event ids, with one of these values anywhere as a whole, or with
    one of these texts (an e-mail address, a phone number) anywhere at all, in any case.
    """

    event_ids: frozenset[str] = frozenset()
    values: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset()

    def finder(self) -> Callable[[bytes], bool]:
        """Give what tells whether a line speaks of it; made once, because most of many lines speak of others.

        A line that is no JSON is searched for every word as a text.
        """
        words = self.texts | self.values
        forms = {form.casefold() for word in words for form in (word, orjson.dumps(word).decode()[1:-1])}
        needles, is_ascii = [form.encode() for form in forms], all(map(str.isascii, words))

        def is_in(line: bytes) -> bool:
            own = _ID.match(line)
            if own is None or own[1].decode("utf-8", "replace") in self.event_ids:
                return own is not None or self._is_in(line)
            lowered = line.lower() if is_ascii else line.decode("utf-8", "replace").casefold().encode()
            return any(needle in lowered for needle in needles) and self._is_in(line)

        return is_in

    def _is_in(self, line: bytes) -> bool:
        lowered = line.decode("utf-8", "replace").casefold()
        escaped = {orjson.dumps(text).decode()[1:-1] for text in self.texts}
        if any(text.casefold() in lowered for text in escaped | self.texts):
            return True
        try:
            tree: Any = orjson.loads(line)
        except orjson.JSONDecodeError:
            return any(word.casefold() in lowered for word in self.event_ids | self.values)
        return (isinstance(tree, dict) and tree.get("id") in self.event_ids) or _holds(tree, self.values)


class ArchiveFiles:
    """All archive files below one directory.

    Args:
        root: what relative paths are relative to.
        write, sync: `os.write` and `os.fsync`.
    """

    def __init__(
        self,
        root: Path,
        *,
        write: Callable[[int, bytes], int] = os.write,
        sync: Callable[[int], None] = os.fsync,
    ) -> None:
        self._root, self._write, self._sync = root, write, sync
        self._whole_bytes: dict[Path, int] = {}  # of open files, as this process left them

    def append(self, path: str, lines: bytes) -> None:
        """Put lines behind a file's others, on disk when this returns.

        A repeat after a death appends again: lines are told apart by their ids.

        Raises:
            OSError: nothing of the lines is there, or they will be cut off before the next ones.
        """
        file = self._open_file(path)
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        length = self._whole(file)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            try:
                self._put(descriptor, member(lines))
            except OSError:
                os.ftruncate(descriptor, length)
                raise
            self._whole_bytes[file] = os.fstat(descriptor).st_size
        except OSError:
            self._whole_bytes.pop(file, None)
            raise
        finally:
            os.close(descriptor)
        if length == 0:
            for directory in (file.parent, file.parent.parent):
                _sync_directory(directory, self._sync)

    def tidy(self, directory: str, *, open_day: str, kept_from: str) -> None:
        """Close the files that nothing is written to any more, and remove those of days that are kept no longer.

        Args:
            directory: of one archive.
            open_day: "2026-11-22": files written on days before it are closed.
            kept_from: files with lines of days before it are removed.
        """
        folder = self._root / directory
        for file in sorted(folder.glob("*.jsonl.gz*")):
            named = _NAME.fullmatch(file.name)
            if named is None:
                continue
            if named[1] < kept_from or file.name.endswith(REWRITING):
                file.unlink()
            elif file.name.endswith(OPEN) and (named[2] or named[1]) < open_day:
                self._close(file)
        self._whole_bytes = {file: size for file, size in self._whole_bytes.items() if file.exists()}

    def forget(self, directory: str, sought: Finds) -> int:
        """Write every file anew that has lines of somebody, without them; give how many lines went.

        Each file is replaced whole or not at all; at a death some are and some are not: call it again.
        """
        gone, folder = 0, self._root / directory
        for left in folder.glob(f"*{REWRITING}"):
            left.unlink()
        for file in sorted(folder.glob("*.jsonl.gz*")):
            if file.name.endswith(OPEN):
                self._whole(file)
            gone += rewrite_without(file, sought, sync=self._sync)
            self._whole_bytes.pop(file, None)
        return gone

    def _open_file(self, path: str) -> Path:
        file = self._root / path
        return file.with_name(file.name + OPEN)

    def _put(self, descriptor: int, data: bytes) -> None:
        while data:
            data = data[self._write(descriptor, data) :]
        self._sync(descriptor)

    def _whole(self, file: Path) -> int:
        """Give the length of an open file, after cutting off what a death left of its last member."""
        try:
            size = file.stat().st_size
        except FileNotFoundError:
            return 0
        if self._whole_bytes.get(file) == size:
            return size
        try:
            length = whole_length(file)
        except ForeignFile:
            file.rename(_free(file.with_name(file.name.removesuffix(OPEN) + ".damaged")))
            return 0
        if length < size:
            os.truncate(file, length)
        self._whole_bytes[file] = length
        return length

    def _close(self, file: Path) -> None:
        if self._whole(file) == 0:
            file.unlink(missing_ok=True)
            return
        file.rename(_free(file.with_name(file.name.removesuffix(OPEN))))
        _sync_directory(file.parent, self._sync)


def member(lines: bytes) -> bytes:
    """Give a gzip member with these lines that tells its own length; the same lines always give the same bytes."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    data = packer.compress(lines) + packer.flush()
    size = _HEADER.size + len(data) + _TRAILER.size
    header = _HEADER.pack(_MAGIC, 0, 0, _NO_SYSTEM, 8, b"D", b"F", 4, size)
    return header + data + _TRAILER.pack(zlib.crc32(lines), len(lines) & 0xFFFF_FFFF)


def whole_length(file: Path) -> int:
    """Give where the last whole member ends.

    Only the last can be torn, because each was on disk before the next was begun: members before it are passed by.

    Raises:
        ForeignFile: more than one member's bytes cannot be read.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        last = end = 0
        while (length := _member_length(stream, end)) and end + length <= size:
            last, end = end, end + length
        if end and not _is_sound(stream, last, end):
            end = last
    if size - end > MAX_MEMBER_BYTES:
        raise ForeignFile(file.name)
    return end


def lines_of(file: Path) -> Iterator[bytes]:
    """Give a file's lines one by one, without their line ends, as far as it can be read; a torn line is none."""
    rest = b""
    with file.open("rb") as stream:
        for part in _unpacked(stream):
            *whole, rest = (rest + part).split(b"\n")
            yield from whole


def rewrite_without(file: Path, sought: Finds, *, sync: Callable[[int], None] = os.fsync) -> int:
    """Replace a file by one without the lines sought; give how many went, and touch nothing where none does.

    Bounded memory; whole or not at all. What cannot be read of a damaged file is not taken over.
    """
    is_sought = sought.finder()
    gone = sum(map(is_sought, lines_of(file)))
    if not gone:
        return 0
    beside = file.with_name(file.name + REWRITING)
    beside.touch(mode=0o600)
    with beside.open("wb") as stream:
        for lines in _grouped(line for line in lines_of(file) if not is_sought(line)):
            stream.write(member(lines))
        stream.flush()
        sync(stream.fileno())
    beside.replace(file)
    _sync_directory(file.parent, sync)
    return gone


def _sync_directory(directory: Path, sync: Callable[[int], None]) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def _grouped(lines: Iterator[bytes]) -> Iterator[bytes]:
    held, size = list[bytes](), 0
    for line in lines:
        held.append(line + b"\n")
        size += len(line) + 1
        if size >= MEMBER_LINE_BYTES:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def _member_length(stream: BinaryIO, start: int) -> int:
    """Give the length that the member at a place says it has; 0 where none of ours begins."""
    stream.seek(start)
    header = stream.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return 0
    *frame, size = _HEADER.unpack(header)
    is_ours = frame == [_MAGIC, 0, 0, _NO_SYSTEM, 8, b"D", b"F", 4]
    return size if is_ours and _HEADER.size + _TRAILER.size < size <= MAX_MEMBER_BYTES else 0


def _is_sound(stream: BinaryIO, start: int, end: int) -> bool:
    stream.seek(start)
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        unpacker.decompress(stream.read(end - start))
    except zlib.error:
        return False
    return unpacker.eof and not unpacker.unused_data


def _unpacked(stream: BinaryIO) -> Iterator[bytes]:
    """Unpack member after member in small parts, up to the end or to what is no gzip."""
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
    data = stream.read(READ_BYTES)
    while data:
        try:
            part = unpacker.decompress(data, READ_BYTES)
        except zlib.error:
            return
        if part:
            yield part
        if unpacker.eof:
            data = unpacker.unused_data or stream.read(READ_BYTES)
            unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
        else:
            data = unpacker.unconsumed_tail or stream.read(READ_BYTES)


def _free(file: Path) -> Path:
    """Give a name that no file has: 2026-11-22.jsonl.gz, else 2026-11-22.2.jsonl.gz …; nothing is ever overwritten."""
    stem, _, after = file.name.partition(CLOSED)
    names = (file.with_name(f"{stem}.{number}{CLOSED}{after}") for number in range(2, 1_000_000))
    return file if not file.exists() else next(one for one in names if not one.exists())


def _holds(tree: Any, values: Collection[str]) -> bool:
    if isinstance(tree, dict):
        return any(_holds(one, values) for one in tree.values())
    if isinstance(tree, list):
        return any(_holds(one, values) for one in tree)
    return isinstance(tree, str | int | float) and str(tree) in values
