"""Normal forms and hashes: the vendors' own check values, and what is in no form."""

import pytest

from edge.destinations import matching
from edge.destinations.matching import Form, hashed, hashes


@pytest.mark.parametrize(
    ("form", "given", "digest"),
    [  # Meta, "Customer information parameters", 2026-09
        (
            matching.email,
            " John_Smith@gmail.com ",
            "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f",
        ),
        (
            matching.phone_digits,
            "+1 (650) 555-1212",
            "e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176",
        ),
        (matching.name, "Mary", "6915771be1c5aa0c886870b6951b03d7eafc121fea0e80a5ea83beb7c449f4ec"),
        (matching.name, "Valéry", "08e1996b5dd49e62a4b4c010d44e4345592a863bb9f8e3976219bac29417149c"),
        (matching.birthday, "1997-02-16", "01acdbf6ec7b4f478a225f1a246e5d6767eeab1a7ffa17f025265b5b94f40f0c"),
        (matching.country, "US", "79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621"),
    ],
)
def test_clear_value_gives_the_digest_that_meta_publishes(form: Form, given: str, digest: str) -> None:
    assert hashes(given, form) == [digest]


@pytest.mark.parametrize(
    ("form", "given", "normal"),
    [
        (matching.email, "Visitor@Shop.Example", "visitor@shop.example"),
        (matching.email, "no address", None),
        (matching.email, "a@b", None),
        (matching.phone_digits, "0049 151 1234-5678", "4915112345678"),
        (matching.phone_digits, "+49 (151) 12345678", "4915112345678"),
        (matching.phone_digits, "0151 2345678", None),
        (matching.phone_digits, "6505551212", None),
        (matching.phone_digits, "+0151", None),
        (matching.e164, "+1 650.555.1212", "+16505551212"),
        (matching.e164, "+1650555121234567", None),
        (matching.name, " Anna-Maria  O'Neil ", "annamaria oneil"),
        (matching.name, "李", "李"),
        (matching.name, "Vale\u0301ry", "val\u00e9ry"),
        (matching.name, "?!", ""),
        (matching.gender, "Female", "f"),
        (matching.gender, "M", "m"),
        (matching.gender, "x", None),
        (matching.birthday, "19970216", "19970216"),
        (matching.birthday, "1997-02-16T00:00:00Z", "19970216"),
        (matching.birthday, "1997-02-30", None),
        (matching.birthday, "16.02.1997", None),
        (matching.place, "New York 2 (NY)", "newyorkny"),
        (matching.place, "Saint-Étienne", "saintétienne"),
        (matching.postcode, "M1 1AE", "m11ae"),
        (matching.postcode, "94043-1234", "94043"),
        (matching.postcode, "00-950", "00950"),
        (matching.country, "de", "de"),
        (matching.country, "Germany", None),
        (matching.address, " 2001:DB8::7 ", "2001:db8::7"),
        (matching.address, "203.0.113.9", "203.0.113.9"),
        (matching.address, "203.0.113.999", None),
    ],
)
def test_value_is_brought_into_form_or_left_out(form: Form, given: str, normal: str | None) -> None:
    assert form(given) == normal


def test_list_is_hashed_one_by_one_without_repeats_and_blanks() -> None:
    given = ["a@shop.example", " A@shop.example", "", None, True, {"a": 1}, "nobody", 5, "b@shop.example"]
    assert hashes(given, matching.email) == [hashed("a@shop.example"), hashed("b@shop.example")]


def test_what_is_hashed_already_is_not_hashed_again() -> None:
    digest = hashed("a@shop.example")
    assert hashes(digest.upper(), matching.email) == [digest]


def test_nothing_gives_no_hash_of_nothing() -> None:
    assert [hashes(given, matching.name) for given in (None, "", "  ", "?!", [], {})] == [[]] * 6
