"""Places as people write them: addresses to listen on, networks, origins, hosts, URL paths and folders.

A `parse_` function takes a text and gives its value, or raises ValueError("is not …; accepted is …").
"""

import ipaddress
import os.path
import re
from pathlib import Path
from typing import Literal, TypeAlias

Tcp: TypeAlias = tuple[Literal["tcp"], str, int]
Listen: TypeAlias = Tcp | tuple[Literal["unix"], str]
Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_UNIX_PATH_BYTES = 103  # what every system's sockets can name
MAX_PORT = 65_535
MAX_ADDRESS_CHARS = 45
RESERVED_NAMES = frozenset({"v1", "hooks"})
SOURCE = "a name of 1 to 32 small letters, digits, '_' and '-', a letter first, such as shop"
SOURCE_PATTERN = "[a-z][a-z0-9_-]{0,31}"

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_HOST_PORT = re.compile(r"(?:\[(?P<six>[^\[\]]+)\]|(?P<host>[^:\[\]]+)):(?P<port>[0-9]{1,5})")
_ORIGIN = re.compile(
    r"(?P<scheme>https?)://(?:\[(?P<six>[^\[\]]+)\]|(?P<host>[^:\[\]]+))(?::(?P<port>0|[1-9][0-9]{0,4}))?"
)
_ADDRESS = re.compile(
    r"https?://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*)(?::(?P<port>[0-9]{1,5}))?(?:[/?][!-~]*)?",
    re.IGNORECASE,
)
_NAME = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*")
_SOURCE = re.compile(SOURCE_PATTERN)
_PORTS = {"http": "80", "https": "443"}


def parse_tcp(text: str) -> Tcp:
    """Give ("tcp", host, port) of "127.0.0.1:8080" or "[::1]:8080"; port 0 takes any free one."""
    found = _HOST_PORT.fullmatch(text)
    if found is None or int(found["port"]) > MAX_PORT or not (_is_v6(found["six"]) or _is_host(found["host"])):
        raise ValueError("is not an address; accepted is host:port, such as 127.0.0.1:8080 or [::1]:8080")
    return "tcp", found["six"] or found["host"], int(found["port"])


def parse_listen(text: str, folder: Path) -> Listen:
    """Give what `parse_tcp` gives, or ("unix", absolute path) of "unix:/run/edge.sock"."""
    if not text.startswith("unix:"):
        try:
            return parse_tcp(text)
        except ValueError as error:
            raise ValueError(f"{error}, or unix:/path/of/a.sock") from None
    path = str(parse_path(text.removeprefix("unix:"), folder))
    if len(path.encode()) > MAX_UNIX_PATH_BYTES:
        raise ValueError(f"is too long for a socket; accepted are at most {MAX_UNIX_PATH_BYTES} bytes, with its folder")
    return "unix", path


def parse_path(text: str, folder: Path) -> Path:
    """Give an absolute path; a relative one is relative to `folder`."""
    if not text or not text.isprintable():
        raise ValueError("is not a path; accepted is an absolute path or one relative to this file's folder")
    return Path(os.path.normpath(folder / text))


def parse_network(text: str) -> Network:
    """Give an address range; a single address is a range of one."""
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError("is not a network; accepted is an address range, such as 10.0.0.0/8 or ::1/128") from None
    if network.prefixlen == 0:
        raise ValueError("is every address there is; accepted is the range of your own proxies, such as 10.0.0.0/8")
    if network.network_address != ipaddress.ip_interface(text).ip:
        raise ValueError(f"begins in the middle of its range; accepted is {network}")
    return network


def parse_origin(text: str) -> str:
    """Give an origin exactly as a browser sends it: lower case, no default port, no path, no slash at the end."""
    found = _ORIGIN.fullmatch(text)
    is_origin = found is not None and _is_as_sent(found["six"] or found["host"], is_v6=found["six"] is not None)
    if found is None or not is_origin or int(found["port"] or 0) > MAX_PORT:
        what = "scheme://host or scheme://host:port in lower case, nothing after it, such as https://shop.example"
        raise ValueError(f"is not an origin as browsers send it; accepted is {what}")
    if found["port"] == _PORTS[found["scheme"]]:
        raise ValueError(
            f"names the scheme's own port, which browsers leave out; accepted is {text.rpartition(':')[0]}"
        )
    return text


def parse_host(text: str) -> str:
    """Give a host name in lower case, without scheme, port or path."""
    if not _is_host(text):
        raise ValueError("is not a host; accepted is a host name alone, in lower case, such as cdn.shop.example")
    return text


def parse_domain(text: str) -> str:
    """Give a cookie's domain: a host name with a dot in it, none at its beginning."""
    if not _is_host(text) or "." not in text or text.rpartition(".")[2].isdigit():
        raise ValueError("is not a domain; accepted is a host name with a dot inside, such as shop.example")
    return text


def parse_prefix(text: str) -> str:
    """Give the path that every public URL begins with."""
    names = text.split("/")
    if names[0] or len(names) < 2 or not all(_NAME.fullmatch(name) for name in names[1:]):
        what = "a path such as /t: a slash, then letters, digits, '.', '_', '~' or '-', no slash at the end"
        raise ValueError(f"is not a prefix; accepted is {what}")
    return text


def parse_name(text: str) -> str:
    """Give the last part of a public URL."""
    if not _NAME.fullmatch(text) or text in RESERVED_NAMES:
        what = "letters, digits, '.', '_', '~' and '-', no dot at the beginning, and neither v1 nor hooks"
        raise ValueError(f"is not a plain name; accepted are {what}")
    return text


def find_address(text: str) -> Address | None:
    """Read one address; a zone ("%eth0") may hold anything, so it makes an address unreadable."""
    if len(text) > MAX_ADDRESS_CHARS or "%" in text:
        return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def is_address(text: str) -> bool:
    """Tell whether a text is the address of something on the web, without login and fragment."""
    found = _ADDRESS.fullmatch(text)
    return found is not None and "#" not in text and int(found["port"] or 0) <= MAX_PORT


def parse_source(text: str) -> str:
    """Give the name of a server that posts events, as their source and in metrics."""
    if not _SOURCE.fullmatch(text):
        raise ValueError(f"is not a server's name; accepted is {SOURCE}")
    return text


def parse_region(text: str) -> str:
    """Give a country as phone numbers know it."""
    if re.fullmatch("[A-Z]{2}", text) is None:
        raise ValueError("is not a region; accepted are two capital letters (ISO 3166), such as GB or DE")
    return text


def _is_host(text: str | None) -> bool:
    return text is not None and _HOST.fullmatch(text) is not None


def _is_as_sent(host: str, *, is_v6: bool) -> bool:
    """Tell whether a host is written as browsers write it: an address in its shortest form, or as four numbers."""
    if not (is_v6 or host.rpartition(".")[2].isdigit()):
        return _is_host(host)
    try:
        return str(ipaddress.IPv6Address(host) if is_v6 else ipaddress.IPv4Address(host)) == host
    except ValueError:
        return False


def _is_v6(text: str | None) -> bool:
    try:
        return text is not None and ipaddress.IPv6Address(text) is not None
    except ValueError:
        return False
