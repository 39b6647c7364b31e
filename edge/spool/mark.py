"""The mark: the highest sequence number that was certainly used, kept outside every database file.

With it a sequence number is never used twice, even when a damaged segment lost its tail.
"""

import os
import zlib
from pathlib import Path

NAME = "mark"


def read_mark(directory: Path) -> int:
    """Give the marked number; 0 when there is no mark or it does not match its checksum."""
    try:
        number, _, check = (directory / NAME).read_text("ascii").strip().partition(" ")
    except (FileNotFoundError, UnicodeDecodeError):
        return 0
    is_sound = number.isdecimal() and check == str(zlib.crc32(number.encode()))
    return int(number) if is_sound else 0


def write_mark(directory: Path, seq: int) -> None:
    """Replace the mark, whole and durable."""
    number = str(seq)
    fresh = directory / f"{NAME}.new"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, f"{number} {zlib.crc32(number.encode())}\n".encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    fresh.replace(directory / NAME)
