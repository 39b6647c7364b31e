"""Randomness in stock: asking the system for sixteen bytes costs as much as for thousands."""

from collections.abc import Callable

_STOCK_BYTES = 4_096


class RandomPool:
    """Gives random bytes, each once; it lives in one process, which never forks."""

    def __init__(self, source: Callable[[int], bytes]) -> None:
        self._source, self._stock, self._at = source, b"", 0

    def take(self, size: int) -> bytes:
        """Give so many bytes that nobody was given before."""
        end = self._at + size
        if end > len(self._stock):
            self._stock, self._at, end = self._source(max(_STOCK_BYTES, size)), 0, size
        taken, self._at = self._stock[self._at : end], end
        return taken
