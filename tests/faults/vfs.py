"""A file layer under SQLite that tells a test of each call, and may let one fail; in the library that the product uses.

SQLite is asked for its default layer; a copy of it becomes the default, and each file that it opens gets a copy of its
table of methods, in which those that matter go through here first. Everything else runs as it did.
"""

import _sqlite3
import ctypes
import sqlite3
from collections.abc import Callable
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int64, c_void_p
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

# What SQLite's result codes mean; https://sqlite.org/rescode.html
BUSY, NOMEM, FULL, CANTOPEN, IOERR = 5, 7, 13, 14, 10
IOERR_NOMEM = IOERR | 12 << 8
EIO = {
    "read": IOERR | 1 << 8,
    "write": IOERR | 3 << 8,
    "sync": IOERR | 4 << 8,
    "truncate": IOERR | 6 << 8,
    "size": IOERR | 7 << 8,
    "delete": IOERR | 10 << 8,
    "lock": IOERR | 15 << 8,
    "shm lock": IOERR | 20 << 8,
    "shm map": IOERR | 21 << 8,
    "open": CANTOPEN,
}
OPEN_CREATE, OPEN_JOURNALS = 0x00000004, 0x00000800 | 0x00080000  # SQLITE_OPEN_MAIN_JOURNAL, SQLITE_OPEN_WAL
SYNC_DIRECTORY = 1
LOCKS = 2  # SQLITE_SHM_LOCK

_OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)
_DELETE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int)
_TRANSFER = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_TRUNCATE = CFUNCTYPE(c_int, c_void_p, c_int64)
_WITH_INT = CFUNCTYPE(c_int, c_void_p, c_int)
_SIZE = CFUNCTYPE(c_int, c_void_p, c_void_p)
_SHM_MAP = CFUNCTYPE(c_int, c_void_p, c_int, c_int, c_int, c_void_p)
_SHM_LOCK = CFUNCTYPE(c_int, c_void_p, c_int, c_int, c_int)


class _Vfs(Structure):
    """`sqlite3_vfs`, version 3; https://sqlite.org/c3ref/vfs.html."""

    _fields_ = (
        ("iVersion", c_int),
        ("szOsFile", c_int),
        ("mxPathname", c_int),
        ("pNext", c_void_p),
        ("zName", c_char_p),
        ("pAppData", c_void_p),
        ("xOpen", _OPEN),
        ("xDelete", _DELETE),
        ("others", c_void_p * 14),
    )


class _Methods(Structure):
    """`sqlite3_io_methods`, version 3; https://sqlite.org/c3ref/io_methods.html."""

    _fields_ = (
        ("iVersion", c_int),
        ("xClose", c_void_p),
        ("xRead", _TRANSFER),
        ("xWrite", _TRANSFER),
        ("xTruncate", _TRUNCATE),
        ("xSync", _WITH_INT),
        ("xFileSize", _SIZE),
        ("xLock", _WITH_INT),
        ("others", c_void_p * 5),
        ("xShmMap", _SHM_MAP),
        ("xShmLock", _SHM_LOCK),
        ("more", c_void_p * 4),
    )


class Watcher(Protocol):
    """Who is told, by absolute paths.

    `fails` is asked before each call and gives the code (of SQLite's calls) or the error number (of ours) to fail
    with, 0 to let it pass.
    """

    def fails(self, call: str, path: str) -> int: ...
    def wrote(self, path: str, offset: int, data: bytes) -> None: ...
    def truncated(self, path: str, size: int) -> None: ...
    def synced(self, path: str) -> None: ...
    def created(self, path: str) -> None: ...
    def removed(self, path: str) -> None: ...
    def renamed(self, old: str, new: str) -> None: ...
    def directory_synced(self, path: str) -> None: ...


@dataclass(slots=True)
class _Handle:
    """An open file; the first sync of a new journal syncs its directory too."""

    path: str
    syncs_directory: bool


class WatchedFiles:
    """The layer; installed for the life of this process, for the files under one folder."""

    def __init__(self, folder: Path, watcher: Watcher) -> None:
        self._folder, self._watcher = f"{folder}/", watcher
        self._library = ctypes.CDLL(_sqlite3.__file__)  # what the interpreter's module is linked with, or holds
        self._library.sqlite3_vfs_find.restype = POINTER(_Vfs)
        self._tables: dict[int, tuple[_Methods, _Methods]] = {}
        self._open: dict[int, _Handle] = {}
        self._base = self._library.sqlite3_vfs_find(None)
        self._vfs = _Vfs()
        ctypes.memmove(ctypes.byref(self._vfs), self._base, ctypes.sizeof(_Vfs))
        self._vfs.zName, self._vfs.pNext = b"watched", None
        self._vfs.xOpen, self._vfs.xDelete = _OPEN(self._on_open), _DELETE(self._on_delete)

    def install(self) -> None:
        """Become SQLite's default, and make sure that the `sqlite3` module asks us.

        Raises:
            AssertionError: this interpreter's SQLite cannot be reached.
        """
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self))  # SQLite calls us for as long as the process lives
        assert self._library.sqlite3_vfs_register(ctypes.byref(self._vfs), 1) == 0
        library_version = ctypes.cast(self._library.sqlite3_libversion, CFUNCTYPE(c_char_p))().decode()
        assert library_version == sqlite3.sqlite_version, "the sqlite3 module has another library"

    def _on_open(self, vfs: int, name: int | None, file: int, flags: int, out_flags: int | None) -> int:
        """Open as the default does. The name is handed on as it lies: SQLite keeps parameters behind its end."""
        path, methods = _text(name), ctypes.cast(file, POINTER(c_void_p))
        is_ours = path.startswith(self._folder)
        if is_ours and (code := self._watcher.fails("open", path)):
            methods[0] = None
            return code
        is_new = not Path(path).exists()
        base = ctypes.addressof(self._base.contents)
        code = self._base.contents.xOpen(base, name, file, flags, out_flags)
        if is_ours and code == 0 and methods[0]:
            self._open[file] = _Handle(path, bool(flags & OPEN_CREATE and flags & OPEN_JOURNALS))
            methods[0] = ctypes.addressof(self._table(methods[0]))
            if is_new:
                self._watcher.created(path)
        return code

    def _on_delete(self, vfs: int, name: int | None, flags: int) -> int:
        path = _text(name)
        is_ours, is_there = path.startswith(self._folder), Path(path).exists()
        if is_ours and (code := self._watcher.fails("delete", path)):
            return code
        code: int = self._base.contents.xDelete(ctypes.addressof(self._base.contents), name, flags)
        if is_ours and code == 0 and is_there:
            self._watcher.removed(path)
            if flags & SYNC_DIRECTORY:
                self._watcher.directory_synced(str(Path(path).parent))
        return code

    def _table(self, address: int) -> _Methods:
        """Give the copy of a table of methods that goes through here, one for each that SQLite has."""
        if address not in self._tables:
            base, ours = _Methods.from_address(address), _Methods()
            ctypes.memmove(ctypes.byref(ours), address, ctypes.sizeof(_Methods))
            ours.xWrite, ours.xTruncate, ours.xSync = self._writing(base), self._truncating(base), self._syncing(base)
            ours.xRead = _TRANSFER(self._failing("read", base.xRead))
            ours.xFileSize = _SIZE(self._failing("size", base.xFileSize))
            ours.xLock = _WITH_INT(self._failing("lock", base.xLock))
            ours.xShmMap = _SHM_MAP(self._failing("shm map", base.xShmMap))
            ours.xShmLock = self._shm_locking(base)
            self._tables[address] = ours
        return self._tables[address]

    def _failing(self, call: str, method: Callable[..., int]) -> Callable[..., int]:
        def failing(file: int, *given: int) -> int:
            return self._watcher.fails(call, self._open[file].path) or method(file, *given)

        return failing

    def _shm_locking(self, base: _Methods) -> Callable[..., int]:
        failing = self._failing("shm lock", base.xShmLock)

        @_SHM_LOCK
        def locking(file: int, offset: int, number: int, flags: int) -> int:
            return failing(file, offset, number, flags) if flags & LOCKS else base.xShmLock(file, offset, number, flags)

        return locking

    def _writing(self, base: _Methods) -> Callable[..., int]:
        failing = self._failing("write", base.xWrite)

        @_TRANSFER
        def writing(file: int, data: int, size: int, offset: int) -> int:
            code = failing(file, data, size, offset)
            if code == 0:
                self._watcher.wrote(self._open[file].path, offset, ctypes.string_at(data, size))
            return code

        return writing

    def _truncating(self, base: _Methods) -> Callable[..., int]:
        failing = self._failing("truncate", base.xTruncate)

        @_TRUNCATE
        def truncating(file: int, size: int) -> int:
            code = failing(file, size)
            if code == 0:
                self._watcher.truncated(self._open[file].path, size)
            return code

        return truncating

    def _syncing(self, base: _Methods) -> Callable[..., int]:
        failing = self._failing("sync", base.xSync)

        @_WITH_INT
        def syncing(file: int, flags: int) -> int:
            handle, code = self._open[file], failing(file, flags)
            if code == 0:
                self._watcher.synced(handle.path)
                if handle.syncs_directory:  # a new journal's name is made durable with its first bytes
                    handle.syncs_directory = False
                    self._watcher.directory_synced(str(Path(handle.path).parent))
            return code

        return syncing


def _text(name: int | None) -> str:
    return ctypes.string_at(name).decode() if name else ""
