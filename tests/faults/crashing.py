"""What a disk may hold after the power failed at a moment: rebuilt from all that was written, synced and named before.

A file's bytes are safe once it was synced; a name's making, moving and removal once its directory was. Of everything
else a disk may have kept nothing, all, the first part, any of it, and of a single write any of its sectors. Names are
kept in their order, as file systems with a journal do.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SECTOR_BYTES = 512
KINDS = ("nothing", "all", "first part", "any", "torn")
GARBAGE_BYTES = 32_768


@dataclass(frozen=True, slots=True)
class Call:
    """One thing that was done to the folder; `name` is relative to it. A mark is what the test itself noted."""

    what: str
    name: str = ""
    offset: int = 0
    data: bytes = b""
    mark: Any = None


class Recorder:
    """A watcher that keeps every call; see `vfs.py`. The index of shared memory is no file's content."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.calls: list[Call] = []

    def fails(self, call: str, path: str) -> int:
        return 0

    def wrote(self, path: str, offset: int, data: bytes) -> None:
        self._keep("write", path, offset, data)

    def truncated(self, path: str, size: int) -> None:
        self._keep("truncate", path, size)

    def synced(self, path: str) -> None:
        self._keep("sync", path)

    def created(self, path: str) -> None:
        self._keep("create", path)

    def removed(self, path: str) -> None:
        self._keep("remove", path)

    def renamed(self, old: str, new: str) -> None:
        self._keep("rename", old, data=self._relative(new).encode())

    def directory_synced(self, path: str) -> None:
        self._keep("sync folder", path)

    def note(self, mark: Any) -> None:
        """Keep what is known at this moment."""
        self.calls.append(Call("mark", mark=mark))

    def _keep(self, what: str, path: str, offset: int = 0, data: bytes = b"") -> None:
        name = self._relative(path)
        if not name.endswith("-shm"):
            self.calls.append(Call(what, name, offset, data))

    def _relative(self, path: str) -> str:
        return str(Path(path).relative_to(self._folder))


@dataclass(slots=True)
class _Content:
    """A file's bytes that are safe, and what was done since, with when."""

    safe: bytearray = field(default_factory=bytearray)
    since: list[tuple[int, Call]] = field(default_factory=list)

    def sync(self) -> None:
        for _, call in self.since:
            _apply(self.safe, call)
        self.since.clear()

    def after(self, survivors: "Survivors") -> bytearray:
        content = bytearray(self.safe)
        for moment, call in self.since:
            for part in survivors.parts(moment, call):
                _apply(content, part)
        return content


class Disk:
    """Follows a recording; at any moment it can tell what a power failure may leave."""

    def __init__(self) -> None:
        self._moment = 0
        self._now: dict[str, _Content] = {}
        self._safe: dict[str, _Content] = {}
        self._unsafe: list[tuple[int, Call, _Content | None]] = []
        self.marks: list[Any] = []

    def follow(self, call: Call) -> None:
        """Take the next call."""
        self._moment += 1
        match call.what:
            case "mark":
                self.marks.append(call.mark)
            case "write" | "truncate" if call.name in self._now:
                self._now[call.name].since.append((self._moment, call))
            case "sync" if call.name in self._now:
                self._now[call.name].sync()
            case "create" | "remove" | "rename":
                self._rename(call)
            case "sync folder":
                self._sync_names(call.name)

    def _rename(self, call: Call) -> None:
        content = _Content() if call.what == "create" else self._now.get(call.name)
        _move(self._now, call, content)
        self._unsafe.append((self._moment, call, content))

    def _sync_names(self, folder: str) -> None:
        """Make every name before this safe: a journal keeps the order, so others' earlier ones go along."""
        last = max((at for at, (_, call, _) in enumerate(self._unsafe) if _folder_of(call) == folder), default=-1)
        for _, call, content in self._unsafe[: last + 1]:
            _move(self._safe, call, content)
        del self._unsafe[: last + 1]

    def after_crash(self, kind: str, rng: random.Random) -> dict[str, bytes]:
        """Give what every file may hold, by its name."""
        moments = [moment for moment, *_ in self._unsafe]
        moments += [moment for content in self._now.values() for moment, _ in content.since]
        survivors = Survivors(kind, rng, sorted(moments))
        names = dict(self._safe)
        for moment, call, content in self._unsafe:
            if not survivors.keeps_name(moment):
                break
            _move(names, call, content)
        return {name: bytes(content.after(survivors)) for name, content in names.items()}


class Survivors:
    """Chooses what was not safe and is there all the same."""

    def __init__(self, kind: str, rng: random.Random, moments: Sequence[int]) -> None:
        self._kind, self._rng = kind, rng
        self._share = {"nothing": 0.0, "all": 1.0}.get(kind, rng.random())
        at = int(self._share * (len(moments) + 1))
        self._last = moments[at - 1] if 0 < at <= len(moments) else (moments[-1] if at and moments else 0)

    def keeps_name(self, moment: int) -> bool:
        """Tell whether a name's change survived; none does after one that did not."""
        return moment <= self._last

    def parts(self, moment: int, call: Call) -> Iterable[Call]:
        """Give what survived of a call on a file's bytes."""
        if self._kind not in ("any", "torn"):
            return (call,) if moment <= self._last else ()
        if self._kind == "torn" and call.what == "write":
            return [part for part in _sectors(call) if self._rng.random() < self._share]
        return (call,) if self._rng.random() < self._share else ()


def _sectors(call: Call) -> Iterable[Call]:
    start, end = call.offset, call.offset + len(call.data)
    while start < end:
        following = min(end, (start // SECTOR_BYTES + 1) * SECTOR_BYTES)
        yield Call("write", call.name, start, call.data[start - call.offset : following - call.offset])
        start = following


def _apply(content: bytearray, call: Call) -> None:
    if call.what == "truncate":
        del content[call.offset :]
        content.extend(bytes(call.offset - len(content)))
        return
    content.extend(bytes(max(0, call.offset - len(content))))
    content[call.offset : call.offset + len(call.data)] = call.data


def _move(names: dict[str, _Content], call: Call, content: _Content | None) -> None:
    if call.what in ("remove", "rename"):
        names.pop(call.name, None)
    if content is not None and call.what in ("create", "rename"):
        names[call.data.decode() if call.what == "rename" else call.name] = content


def _folder_of(call: Call) -> str:
    return str(Path(call.name).parent)


def write_state(folder: Path, files: dict[str, bytes], rng: random.Random) -> None:
    """Lay a state out; beside some files lies an index of shared memory, as it was or not."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        if name.endswith("-wal") and rng.random() < 0.3:
            path.with_name(f"{path.name.removesuffix('-wal')}-shm").write_bytes(rng.randbytes(GARBAGE_BYTES))
