"""Which addresses are public: nothing else is connected to where a file may not say so."""

import pytest

from edge.public_address import is_public, is_public_host

PUBLIC = [
    *("1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "169.253.255.255", "172.15.255.255", "172.32.0.0"),
    *(
        "192.0.1.0",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "168.63.129.15",
        "126.255.255.255",
    ),
    *("2606:4700::1111", "2a00:1450:4001::5e", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"),
]
NOT_PUBLIC = [
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254"),
    *("168.63.129.16", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1"),
    *("192.168.1.1", "198.18.0.1", "198.51.100.9", "203.0.113.7", "224.0.0.1", "239.255.255.255", "240.0.0.1"),
    *("255.255.255.255", "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe"),
    *("::ffff:0:127.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::8.8.8.8", "100::1", "2001::1"),
    *("2001:db8::1", "2001:10::1", "2002:7f00:1::", "2002:808:808::", "3fff::1", "5f00::1", "fc00::1"),
    *("fd00:ec2::254", "fe80::1", "fe80::1%eth0", "2606:4700::1111%eth0", "fec0::1", "ff02::1", "4000::1"),
    *("", "localhost", "127.1", "0177.0.0.1", "2130706433", "0x7f000001", "127.0.0.1.", " 8.8.8.8", "8.8.8.8/32"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_address_is_known(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_address_that_is_not_public_is_known(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "host", ["hooks.example", "hooks.example.", "8.8.8.8", "[2606:4700::1111]", "a-1", "1a.example"]
)
def test_host_may_be_public_by_its_form(host: str) -> None:
    assert is_public_host(host)


@pytest.mark.parametrize(
    "host",
    [
        *("", ".", "127.0.0.1", "127.0.0.1.", "127.1", "0", "2130706433", "0x7f000001", "0x7F.1", "0177.0.0.1"),
        *("[::1]", "[::ffff:127.0.0.1]", "[]", "[fe80::1%25lo]", "localhost", "LOCALHOST.", "shop.localhost"),
        *("printer.local", "metadata.google.internal", "nas.home.arpa", "a.0x1", "8.8.8.8.", "1.2.3.4.5"),
    ],
)
def test_host_that_cannot_be_public_is_known_by_its_form(host: str) -> None:
    assert not is_public_host(host)
