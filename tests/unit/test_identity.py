"""What an event claims: normal forms, levels of evidence, sessions."""

import pytest

from edge.identity import claim_from, level_of, session_of
from edge.person import Identifiers


@pytest.mark.parametrize(
    ("traits", "identifiers"),
    [
        ({"email": "  Visitor@Shop.EXAMPLE "}, Identifiers(email="visitor@shop.example")),
        ({"phone": "020 7946 0018"}, Identifiers(phone="+442079460018")),
        ({"phone": "+49 30 901820"}, Identifiers(phone="+4930901820")),
        ({"customer_id": 19}, Identifiers(customer_id="19")),
        ({"email": None, "phone": ""}, Identifiers()),
    ],
)
def test_identifiers_are_brought_to_normal_form(traits, identifiers):
    assert claim_from(traits, "GB") == (identifiers, [])


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("email", "undefined"),
        ("email", "test@test.com"),
        ("email", "no at sign"),
        ("email", "two@at@shop.example"),
        ("email", "a@b"),
        ("email", "<b>x</b>@shop.example"),
        ("email", ["a@shop.example"]),
        ("email", "x" * 250 + "@shop.example"),
        ("phone", "call me"),
        ("phone", "12"),
        ("phone", True),
        ("customer_id", "null"),
        ("customer_id", "0"),
        ("customer_id", "x" * 256),
        ("customer_id", {"id": 1}),
    ],
)
def test_an_unusable_identifier_is_dropped_and_said(kind, raw):
    assert claim_from({kind: raw, "first_name": "x"}, "GB") == (Identifiers(), [kind])


@pytest.mark.parametrize(
    ("source", "level"), [("browser", 0), ("server:shop", 2), ("hook:shopify", 2), ("server", 0), ("x-server:shop", 0)]
)
def test_only_a_server_with_a_key_and_a_verified_webhook_have_the_highest_level(source, level):
    assert level_of(source) == level


@pytest.mark.parametrize("context", [{}, {"session": "x"}, {"session": {"id": ""}}])
def test_a_context_of_any_shape_says_nothing_where_it_says_nothing(context):
    assert session_of(context) is None
