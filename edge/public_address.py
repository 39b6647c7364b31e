"""Which addresses are public: those that a request may be sent to when its address was not chosen by the operator.

Pure: names are resolved elsewhere; an address that is judged here is the one that is connected to.

Source: IANA IPv4 and IPv6 Special-Purpose Address Registries, as of 2025-05; RFC 6052 and RFC 8215 (NAT64), RFC 4291
(mapped and compatible addresses), RFC 3056 (6to4); Azure's wire server is documented at 168.63.129.16.
"""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

_NOT_PUBLIC_4: Final = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this host
            "10.0.0.0/8",
            "100.64.0.0/10",  # between a provider and its customers; Alibaba's metadata
            "127.0.0.0/8",
            "168.63.129.16/32",  # public in form only: Azure answers it on every machine
            "169.254.0.0/16",  # link-local; the metadata of most clouds
            "172.16.0.0/12",
            "192.0.0.0/24",  # protocol assignments; Oracle's metadata
            "192.0.2.0/24",  # documentation
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
        ),
    )
)
# Everything public lies in here, but for what follows.
_PUBLIC_6: Final = IPv6Network("2000::/3")
_NOT_PUBLIC_6: Final = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments, Teredo among them
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4, an IPv4 address in disguise
            "3fff::/20",  # documentation
        ),
    )
)
_NAT64: Final = IPv6Network("64:ff9b::/96")
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]*|[0-9]+")
_LOCAL_NAMES: Final = ("localhost", "local", "internal", "localdomain", "home.arpa")


def is_public(address: str) -> bool:
    """Tell whether a numeric address (IPv4, or IPv6 without brackets) is reachable by everybody; False for no address.

    An IPv4 address inside an IPv6 one (mapped, or behind NAT64's well-known prefix) is judged as what it leads to.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address):
        if parsed.scope_id is not None:
            return False
        inner = parsed.ipv4_mapped or (IPv4Address(int(parsed) & 0xFFFF_FFFF) if parsed in _NAT64 else None)
        if inner is None:
            return parsed in _PUBLIC_6 and not any(parsed in network for network in _NOT_PUBLIC_6)
        parsed = inner
    return not any(parsed in network for network in _NOT_PUBLIC_4)


def is_public_host(host: str) -> bool:
    """Tell whether the host of a URL may be public by its form alone: a name still has to be resolved and judged.

    A last label that is a number makes a host an address, in ways that resolvers read differently ("127.1",
    "0x7f000001"): only the four decimal numbers are taken for one.
    """
    if host.startswith("["):
        return is_public(host[1:-1])
    name = host.lower().rstrip(".")
    if _NUMBER.fullmatch(name.rpartition(".")[2]):
        return is_public(host)
    return name != "" and not any(name == local or name.endswith("." + local) for local in _LOCAL_NAMES)
