"""The calls that the product makes of files beside SQLite's, told to a watcher, which may let one fail.

For a process of a test's own: what is swapped are functions of the `os` module, before anything begins. `pathlib` uses
them too. Only files under one folder are told of; reading is not.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.faults.vfs import Watcher


class WatchedCalls:
    """What `os` does to a folder's files; a failing call raises OSError with the number that the watcher gives."""

    def __init__(self, folder: Path, watcher: Watcher) -> None:
        self._folder, self._watcher = str(folder), watcher
        self._descriptors: dict[int, str] = {}
        self._offsets: dict[int, int] = {}

    def install(self) -> None:
        """Stand in front of `os` for the life of this process."""
        one_name = {
            "unlink": lambda path: self._watcher.removed(path),
            "mkdir": lambda path: None,
            "statvfs": lambda path: None,
        }
        for name, tell in one_name.items():
            setattr(os, name, self._of_one(name, getattr(os, name), tell))
        for name in ("rename", "replace"):
            setattr(os, name, self._moving(getattr(os, name)))
        os.open, os.write = self._opening(os.open), self._writing(os.write)
        os.fsync, os.close = self._syncing(os.fsync), self._closing(os.close)

    def _of_one(self, name: str, call: Callable[..., Any], tell: Callable[[str], None]) -> Callable[..., Any]:
        def calling(path: Any, *given: Any, **named: Any) -> Any:
            ours = self._ours(path)
            if ours:
                self._may_fail(name, ours)
            result = call(path, *given, **named)
            if ours:
                tell(ours)
            return result

        return calling

    def _moving(self, call: Callable[..., None]) -> Callable[..., None]:
        def moving(old: Any, new: Any, **named: Any) -> None:
            if self._ours(old):
                self._may_fail("rename", str(old))
            call(old, new, **named)
            if self._ours(old):
                self._watcher.renamed(str(old), str(new))

        return moving

    def _opening(self, call: Callable[..., int]) -> Callable[..., int]:
        def opening(path: Any, flags: int, *given: Any, **named: Any) -> int:
            ours = self._ours(path)
            if ours:
                self._may_fail("open of ours", ours)
            is_new = bool(ours) and not Path(ours).exists()
            descriptor = call(path, flags, *given, **named)
            if ours:
                self._descriptors[descriptor], self._offsets[descriptor] = ours, 0
                if is_new:
                    self._watcher.created(ours)
                elif flags & os.O_TRUNC:
                    self._watcher.truncated(ours, 0)
            return descriptor

        return opening

    def _writing(self, call: Callable[..., int]) -> Callable[..., int]:
        def writing(descriptor: int, data: bytes) -> int:
            path = self._descriptors.get(descriptor)
            if path:
                self._may_fail("write of ours", path)
            size = call(descriptor, data)
            if path:
                self._watcher.wrote(path, self._offsets[descriptor], bytes(data[:size]))
                self._offsets[descriptor] += size
            return size

        return writing

    def _syncing(self, call: Callable[[int], None]) -> Callable[[int], None]:
        def syncing(descriptor: int) -> None:
            path = self._descriptors.get(descriptor)
            if path:
                self._may_fail("sync of ours", path)
            call(descriptor)
            if path and Path(path).is_dir():
                self._watcher.directory_synced(path)
            elif path:
                self._watcher.synced(path)

        return syncing

    def _closing(self, call: Callable[[int], None]) -> Callable[[int], None]:
        def closing(descriptor: int) -> None:
            self._descriptors.pop(descriptor, None)
            call(descriptor)

        return closing

    def _ours(self, path: Any) -> str:
        text = str(path) if isinstance(path, str | os.PathLike) else ""
        return text if text.startswith(f"{self._folder}/") or text == self._folder else ""

    def _may_fail(self, call: str, path: str) -> None:
        if number := self._watcher.fails(call, path):
            raise OSError(number, os.strerror(number), path)
