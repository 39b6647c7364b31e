"""The archive's files stay whole: after a death at every byte, on a full disk, over days, without whom is forgotten."""

import errno
import gzip
import os
import stat
from pathlib import Path

import orjson
import pytest

from edge.archive_files import MAX_MEMBER_BYTES, ArchiveFiles, Sought, lines_of, member, rewrite_without, whole_length

DAY = "archive/2026-11-20.jsonl.gz"
FIRST, SECOND, THIRD = (orjson.dumps({"id": f"e-{number}", "text": "tea" * 9}) + b"\n" for number in (1, 2, 3))


class Died(BaseException):
    """Stands for a process that ends while it writes."""


class DyingWriter:
    """Writes so many bytes, and then dies or fails."""

    def __init__(self, left: int, end: BaseException) -> None:
        self.left, self.end = left, end

    def __call__(self, descriptor: int, data: bytes) -> int:
        if self.left <= 0:
            raise self.end
        written = os.write(descriptor, data[: self.left])
        self.left -= written
        return written


def open_file(root: Path) -> Path:
    return root / (DAY + ".open")


def unpacked(file: Path) -> bytes:
    """What any gzip makes of a file; raises when it is not whole."""
    return gzip.decompress(file.read_bytes())


def names(root: Path) -> list[str]:
    return sorted(file.name for file in (root / "archive").iterdir())


def test_appended_lines_are_ordinary_gzip(tmp_path: Path) -> None:
    files = ArchiveFiles(tmp_path)
    for lines in (FIRST, SECOND + THIRD):
        files.append(DAY, lines)
    assert unpacked(open_file(tmp_path)) == FIRST + SECOND + THIRD
    assert open_file(tmp_path).read_bytes() == member(FIRST) + member(SECOND + THIRD)
    assert list(lines_of(open_file(tmp_path))) == [one[:-1] for one in (FIRST, SECOND, THIRD)]
    assert open_file(tmp_path).stat().st_mode & 0o777 == 0o600


def test_lines_are_on_disk_before_the_append_returns(tmp_path: Path) -> None:
    seen: list[tuple[bool, int]] = []

    def sync(descriptor: int) -> None:
        found = os.fstat(descriptor)
        seen.append((stat.S_ISDIR(found.st_mode), found.st_size))

    ArchiveFiles(tmp_path, sync=sync).append(DAY, FIRST)
    size = len(member(FIRST))
    assert seen[0] == (False, size)
    assert [is_directory for is_directory, _ in seen[1:]] == [True, True]


def test_death_at_every_byte_leaves_a_file_that_is_whole_at_the_next_append(tmp_path: Path) -> None:
    """Whatever of a member reached the disk, those before it stay and the next one can be read."""
    length = len(member(SECOND))
    for cut in range(length + 1):
        root = tmp_path / str(cut)
        ArchiveFiles(root).append(DAY, FIRST)
        dying = ArchiveFiles(root, write=DyingWriter(cut, Died()), sync=lambda _: (_ for _ in ()).throw(Died()))
        with pytest.raises(Died):
            dying.append(DAY, SECOND)
        assert open_file(root).stat().st_size == len(member(FIRST)) + cut
        assert list(lines_of(open_file(root)))[:1] == [FIRST[:-1]]
        ArchiveFiles(root).append(DAY, THIRD)
        survived = SECOND if cut == length else b""
        assert unpacked(open_file(root)) == FIRST + survived + THIRD


def test_death_at_every_byte_of_the_first_member_leaves_nothing_torn(tmp_path: Path) -> None:
    for cut in range(len(member(FIRST))):
        root = tmp_path / str(cut)
        with pytest.raises(Died):
            ArchiveFiles(root, write=DyingWriter(cut, Died())).append(DAY, FIRST)
        ArchiveFiles(root).append(DAY, SECOND)
        assert unpacked(open_file(root)) == SECOND


@pytest.mark.parametrize("cut", [0, 1, 19, 20, 30])
def test_power_that_fails_leaves_zeros_which_are_cut_off(tmp_path: Path, cut: int) -> None:
    """A file's length can reach the disk before its bytes do."""
    whole, torn = member(FIRST), member(SECOND)
    file = open_file(tmp_path)
    file.parent.mkdir()
    file.write_bytes(whole + torn[:cut] + bytes(len(torn) - cut))
    ArchiveFiles(tmp_path).append(DAY, THIRD)
    assert unpacked(file) == FIRST + THIRD


@pytest.mark.parametrize("cut", [0, 7, 40])
def test_full_disk_takes_nothing_and_loses_nothing(tmp_path: Path, cut: int) -> None:
    writer = DyingWriter(10_000, OSError(errno.ENOSPC, "No space left on device"))
    files = ArchiveFiles(tmp_path, write=writer)
    files.append(DAY, FIRST)
    writer.left = cut
    with pytest.raises(OSError, match="No space left"):
        files.append(DAY, SECOND)
    assert unpacked(open_file(tmp_path)) == FIRST
    writer.left = 10_000
    files.append(DAY, SECOND)
    assert unpacked(open_file(tmp_path)) == FIRST + SECOND


def test_disk_that_fails_to_sync_has_taken_nothing(tmp_path: Path) -> None:
    def broken(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    ArchiveFiles(tmp_path).append(DAY, FIRST)
    with pytest.raises(OSError, match="Input/output"):
        ArchiveFiles(tmp_path, sync=broken).append(DAY, SECOND)
    assert unpacked(open_file(tmp_path)) == FIRST


def test_file_that_was_not_written_here_is_set_aside_and_never_cut(tmp_path: Path) -> None:
    foreign = gzip.compress(os.urandom(MAX_MEMBER_BYTES + 1))
    open_file(tmp_path).parent.mkdir()
    for name in (".damaged", ".2.damaged"):
        open_file(tmp_path).write_bytes(foreign)
        ArchiveFiles(tmp_path).append(DAY, FIRST)
        stem = "2026-11-20" + name.removesuffix("damaged").rstrip(".") + ".jsonl.gz.damaged"
        assert (tmp_path / "archive" / stem).read_bytes() == foreign
        assert unpacked(open_file(tmp_path)) == FIRST


def test_end_of_the_last_member_is_found_without_unpacking_the_others(tmp_path: Path) -> None:
    broken = bytearray(member(FIRST))
    broken[30] ^= 0xFF
    file = tmp_path / "a"
    file.write_bytes(bytes(broken) + member(SECOND))
    assert whole_length(file) == len(broken) + len(member(SECOND))
    file.write_bytes(member(SECOND) + bytes(broken))
    assert whole_length(file) == len(member(SECOND))
    file.write_bytes(b"")
    assert whole_length(file) == 0


def test_day_that_is_over_is_closed_and_never_overwritten(tmp_path: Path) -> None:
    files = ArchiveFiles(tmp_path)
    days = {"open_day": "2026-11-21", "kept_from": "2026-01-01"}
    for path in (DAY, "archive/2026-11-19.late-2026-11-21.jsonl.gz", "archive/2026-11-21.jsonl.gz"):
        files.append(path, FIRST)
    files.tidy("archive", **days)
    assert names(tmp_path) == [
        "2026-11-19.late-2026-11-21.jsonl.gz.open",
        "2026-11-20.jsonl.gz",
        "2026-11-21.jsonl.gz.open",
    ]
    files.append(DAY, SECOND)
    files.tidy("archive", **days)
    assert unpacked(tmp_path / DAY) == FIRST
    assert unpacked(tmp_path / "archive/2026-11-20.2.jsonl.gz") == SECOND


def test_torn_member_is_cut_off_before_a_day_is_closed(tmp_path: Path) -> None:
    file = open_file(tmp_path)
    file.parent.mkdir()
    file.write_bytes(member(FIRST) + member(SECOND)[:-1])
    (tmp_path / "archive/2026-11-19.jsonl.gz.open").write_bytes(member(FIRST)[:9])
    ArchiveFiles(tmp_path).tidy("archive", open_day="2026-11-21", kept_from="2026-01-01")
    assert names(tmp_path) == ["2026-11-20.jsonl.gz"]
    assert unpacked(tmp_path / DAY) == FIRST


def test_days_are_removed_when_they_are_kept_no_longer_and_strange_files_are_not(tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    folder.mkdir()
    kept = ["2026-11-20.jsonl.gz", "2026-11-20.late-2026-11-22.2.jsonl.gz", "notes.txt", "yearly.jsonl.gz"]
    gone = ["2026-11-19.jsonl.gz", "2026-11-19.late-2026-11-22.jsonl.gz", "2026-11-20.jsonl.gz.rewriting"]
    for name in (*kept, *gone, "2026-11-19.jsonl.gz.damaged"):
        (folder / name).write_bytes(member(FIRST))
    ArchiveFiles(tmp_path).tidy("archive", open_day="2026-11-22", kept_from="2026-11-20")
    assert names(tmp_path) == sorted(kept)
    ArchiveFiles(tmp_path).tidy("none", open_day="2026-11-22", kept_from="2026-11-20")


def person(number: int, email: str, customer_id: str | int) -> bytes:
    return orjson.dumps({"id": f"e-{number}", "traits": {"email": email, "customer_id": customer_id}}) + b"\n"


PEOPLE = [
    person(1, "visitor@shop.example", "c-1"),
    person(2, "other@shop.example", "c-19"),
    orjson.dumps({"id": "e-3", "context": {"page": {"url": "https://shop.example/?mail=Visitor@Shop.example"}}})
    + b"\n",
    person(4, "third@shop.example", 1),
    orjson.dumps({"id": "e-5", "traits": {"name": 'the "one" of e-1, Ärger'}}) + b"\n",
    b'{"traits":{"customer_id":"c-1"},"id":"e-6"}\n',
    b"no JSON of c-1 and e-6\n",
]


@pytest.mark.parametrize(
    ("sought", "left"),
    [
        (Sought(event_ids=frozenset({"e-1", "e-4"})), [1, 2, 4, 5, 6]),
        (Sought(event_ids=frozenset({"e-6"})), [0, 1, 2, 3, 4]),
        (Sought(values=frozenset({"c-1"})), [1, 2, 3, 4]),
        (Sought(values=frozenset({"1"})), [0, 1, 2, 4, 5]),
        (Sought(texts=frozenset({"visitor@shop.example"})), [1, 3, 4, 5, 6]),
        (Sought(texts=frozenset({'the "ONE"'})), [0, 1, 2, 3, 5, 6]),
        (Sought(texts=frozenset({"ÄRGER"})), [0, 1, 2, 3, 5, 6]),
        (Sought(frozenset({"e-2"}), frozenset({"c-1"}), frozenset({"third@"})), [2, 4]),
        (Sought(), [0, 1, 2, 3, 4, 5, 6]),
    ],
)
def test_lines_of_somebody_go_from_open_and_closed_files(tmp_path: Path, sought: Sought, left: list[int]) -> None:
    files = ArchiveFiles(tmp_path)
    for path in (DAY, "archive/2026-11-21.jsonl.gz"):
        for line in PEOPLE:
            files.append(path, line)
    files.tidy("archive", open_day="2026-11-21", kept_from="2026-01-01")
    expected = b"".join(PEOPLE[number] for number in left)
    assert files.forget("archive", sought) == 2 * (len(PEOPLE) - len(left))
    for name in ("2026-11-20.jsonl.gz", "2026-11-21.jsonl.gz.open"):
        assert unpacked(tmp_path / "archive" / name) == expected
    files.append("archive/2026-11-21.jsonl.gz", FIRST)
    assert unpacked(tmp_path / "archive/2026-11-21.jsonl.gz.open") == expected + FIRST
    assert files.forget("archive", sought) == (1 if "e-1" in sought.event_ids else 0)


def test_file_without_lines_of_anybody_is_not_touched(tmp_path: Path) -> None:
    ArchiveFiles(tmp_path).append(DAY, FIRST)
    before = open_file(tmp_path).stat()
    assert rewrite_without(open_file(tmp_path), Sought(event_ids=frozenset({"e-9"}))) == 0
    assert open_file(tmp_path).stat().st_ino == before.st_ino


def test_death_while_a_file_is_written_anew_leaves_the_old_one(tmp_path: Path) -> None:
    def sync(_: int) -> None:
        raise Died

    files, sought = ArchiveFiles(tmp_path), Sought(event_ids=frozenset({"e-1"}))
    files.append(DAY, FIRST + SECOND)
    with pytest.raises(Died):
        ArchiveFiles(tmp_path, sync=sync).forget("archive", sought)
    assert unpacked(open_file(tmp_path)) == FIRST + SECOND
    assert ArchiveFiles(tmp_path).forget("archive", sought) == 1
    assert (unpacked(open_file(tmp_path)), names(tmp_path)) == (SECOND, ["2026-11-20.jsonl.gz.open"])


def test_large_file_is_written_anew_in_several_members(tmp_path: Path) -> None:
    lines = [orjson.dumps({"id": f"e-{number}", "text": "x" * 50_000}) + b"\n" for number in range(50)]
    files = ArchiveFiles(tmp_path)
    files.append(DAY, b"".join(lines))
    assert files.forget("archive", Sought(event_ids=frozenset({"e-7"}))) == 1
    assert unpacked(open_file(tmp_path)) == b"".join(lines[:7] + lines[8:])
    assert open_file(tmp_path).read_bytes().count(b"\x1f\x8b\x08\x04") == 3
