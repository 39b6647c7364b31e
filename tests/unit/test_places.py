"""Addresses, networks, origins, names and paths as people write them."""

from pathlib import Path

import pytest

from edge.places import (
    parse_domain,
    parse_host,
    parse_listen,
    parse_name,
    parse_network,
    parse_origin,
    parse_path,
    parse_prefix,
    parse_region,
    parse_tcp,
)


@pytest.mark.parametrize(
    "text",
    ["https://shop.example", "http://localhost", "https://a-b.c.example:8443", "http://[::1]:8044", "http://127.0.0.1"],
)
def test_origin_is_taken_as_browsers_send_it(text: str) -> None:
    assert parse_origin(text) == text


@pytest.mark.parametrize(
    "text",
    [
        *[
            "",
            "*",
            "null",
            "shop.example",
            "//shop.example",
            "https://",
            "https://shop.example/",
            "https://shop.example/a",
        ],
        *[
            "https://Shop.example",
            "HTTPS://shop.example",
            "https://a@shop.example",
            "https://shop.example?a",
            "ftp://a",
        ],
        *["https://*.shop.example", "https://shop_x.example", "https://-a.example", "https://shop.example:"],
        *[
            "https://a:0443",
            "https://a:08443",
            "http://[::0001]",
            "http://[::FFFF:1]",
            "http://127.1",
            "http://127.0.0.01",
        ],
        *[
            "https://[shop.example]",
            "https://[127.0.0.1]",
            "https://a:65536",
            "https://[::x]",
            "https://käse.example",
            "https://shop.example\n",
            "https://a..b",
        ],
    ],
)
def test_anything_else_is_no_origin(text: str) -> None:
    with pytest.raises(ValueError, match="is not an origin as browsers send it; accepted is scheme://host"):
        parse_origin(text)


@pytest.mark.parametrize("text", ["https://shop.example:443", "http://shop.example:80"])
def test_the_schemes_own_port_is_refused_for_browsers_leave_it_out(text: str) -> None:
    with pytest.raises(ValueError, match=f"accepted is {text.rpartition(':')[0]}$"):
        parse_origin(text)


@pytest.mark.parametrize(
    "text", ["", "127.0.0.1", ":8080", "127.0.0.1:", "127.0.0.1:65536", "a b:1", "::1:80", "[x]:1"]
)
def test_address_needs_host_and_port(text: str) -> None:
    with pytest.raises(ValueError, match=r"accepted is host:port, such as 127.0.0.1:8080 or \[::1\]:8080$"):
        parse_tcp(text)
    with pytest.raises(ValueError, match=r"or unix:/path/of/a.sock$"):
        parse_listen(text, Path())


def test_socket_path_may_be_as_long_as_systems_allow() -> None:
    assert parse_listen("unix:/" + "x" * 102, Path("/")) == ("unix", "/" + "x" * 102)
    with pytest.raises(ValueError, match="is too long for a socket; accepted are at most 103 bytes"):
        parse_listen("unix:/" + "x" * 103, Path("/"))
    with pytest.raises(ValueError, match="is not a path"):
        parse_listen("unix:", Path("/"))


@pytest.mark.parametrize(
    "text", ["/", "", "t", "/t/", "//t", "/t?a", "/t#a", "/..", "/a/../b", "/.", "/a b", "/t%2e", "/ä"]
)
def test_prefix_that_no_browser_would_send_as_it_stands_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a prefix; accepted is a path such as /t"):
        parse_prefix(text)


@pytest.mark.parametrize("text", ["", ".", "..", ".e", "a/b", "e?x", "e#x", "e e", "v1", "hooks", "e\n"])
def test_name_in_a_url_is_plain_and_not_one_of_ours(text: str) -> None:
    with pytest.raises(ValueError, match="is not a plain name; accepted are letters"):
        parse_name(text)


@pytest.mark.parametrize(("text", "said"), [("x", "is not a network"), ("10.0.0.0/33", "is not a network")])
def test_network_is_an_address_range(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_network(text)


@pytest.mark.parametrize("text", ["0.0.0.0/0", "::/0"])
def test_trusting_every_address_is_refused(text: str) -> None:
    """Anybody could then choose the address that limits and consent proofs see."""
    with pytest.raises(ValueError, match="is every address there is"):
        parse_network(text)


def test_hosts_domains_and_regions() -> None:
    assert (parse_host("localhost"), parse_domain("shop.example"), parse_region("GB")) == (
        "localhost",
        "shop.example",
        "GB",
    )
    for text in ("https://cdn", "cdn/", "CDN", "a b", "", "x" * 64, ".".join(["x" * 60] * 5), "a\n"):
        with pytest.raises(ValueError, match="is not a host"):
            parse_host(text)
    for text in (".shop.example", "shop", "127.0.0.1", "shop.example."):
        with pytest.raises(ValueError, match="is not a domain"):
            parse_domain(text)
    for text in ("gb", "GBR", "G1", "GB\n"):
        with pytest.raises(ValueError, match="is not a region"):
            parse_region(text)


def test_path_with_a_control_character_is_refused() -> None:
    with pytest.raises(ValueError, match="is not a path"):
        parse_path("a\0b", Path("/"))
