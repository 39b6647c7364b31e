"""Google's normal forms and hashes."""

import hashlib

import pytest

from edge.destinations.google_identifiers import hashed_email, hashed_name, hashed_phone


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_hash_is_the_known_one() -> None:
    """The digest of test@example.com is printed in many a vendor's page."""
    assert hashed_email("test@example.com") == "973dfe463ec85785f5f95af5ba3906eedb2d931c24e69824a89ea65dba4e813b"


@pytest.mark.parametrize(
    ("email", "normal"),
    [
        (" Visitor@Shop.Example ", "visitor@shop.example"),
        ("first.last+tag@gmail.com", "firstlast@gmail.com"),
        ("First.Last@GoogleMail.com", "firstlast@googlemail.com"),
        ("first.last+tag@shop.example", "first.last+tag@shop.example"),
        ("first.last@mail.gmail.com", "first.last@mail.gmail.com"),
    ],
)
def test_address_is_hashed_in_its_normal_form(email: str, normal: str) -> None:
    assert hashed_email(email) == sha256(normal)


@pytest.mark.parametrize(
    "email", ["", "a b@shop.example", "a@b@shop.example", "@shop.example", "a@", "+x@gmail.com", "a" * 250 + "@b.cd"]
)
def test_what_is_no_address_is_not_hashed(email: str) -> None:
    assert hashed_email(email) is None


def test_phone_keeps_its_plus_and_names_their_spaces() -> None:
    assert hashed_phone(" +4915112345678 ") == sha256("+4915112345678")
    assert [hashed_phone(phone) for phone in ("015112345678", "+0", "", "+49 151 12345678")] == [None] * 4
    assert hashed_name(" Moon Teapot ") == sha256("moon teapot")
    assert hashed_name("  ") is None
