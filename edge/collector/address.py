"""The client's address: the rightmost hop that is not a proxy of ours, and only from a proxy of ours."""

from collections.abc import Sequence
from functools import lru_cache

from edge.collector.settings import Network
from edge.places import MAX_ADDRESS_CHARS, find_address

MAX_HOPS = 16
_REMEMBERED = 4_096


class Addresses:
    """Finds a client's address; parsed hops are remembered, as parsing costs more than all the rest."""

    def __init__(self, trusted_proxies: tuple[Network, ...]) -> None:
        self._trusted = trusted_proxies
        self._hop = lru_cache(_REMEMBERED)(self._read_hop)

    def find(self, peer: str | None, forwarded_for: Sequence[str]) -> str | None:
        """Give the client's address in its normal form.

        Args:
            peer: the connection's other end, "" when it is gone; None on a unix socket, which only the proxy can reach.
            forwarded_for: the values of every X-Forwarded-For header, in their order.
        Returns:
            None when nobody trusted named one. What stands left of an unreadable hop is never looked at.
        """
        address = None
        if peer is not None:
            address, is_trusted = self._hop(peer)
            if not is_trusted:
                return address
        hops = ",".join(forwarded_for).rsplit(",", MAX_HOPS)[-MAX_HOPS:] if forwarded_for else ()
        for text in reversed(hops):
            hop, is_trusted = self._hop(text.strip()[: MAX_ADDRESS_CHARS + 1])
            if hop is None:
                return address
            address = hop
            if not is_trusted:
                return address
        return address

    def _read_hop(self, text: str) -> tuple[str | None, bool]:
        address = find_address(text)
        if address is None:
            return None, False
        return str(address), any(address in network for network in self._trusted)
