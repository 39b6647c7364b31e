"""Credentials: where they may come from, and that no message shows one."""

from collections.abc import Callable

import pytest

from edge.errors import ConfigErrors
from edge.secret import Secret, looks_like_key, masked
from edge.settings import Problems, Reader
from edge.yamlfile import load_yaml

KEY = "pk_0123456789abcdef0123456789"
ENVIRON = {"KEY": KEY, "EMPTY": "", "SPACED": f"{KEY}\n"}


def reader_of(text: str) -> Reader:
    problems = Problems("f.yaml")
    return Reader(load_yaml(text, "f.yaml", ENVIRON, problems), "", problems)


def said(reader: Reader) -> list[str]:
    """Give what was found wrong; nothing is an empty list."""
    try:
        reader.problems.raise_if_any()
    except ConfigErrors as errors:
        return str(errors).split("\n")
    return []


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (KEY, "this value stands in the file itself; accepted is a reference to an environment variable, ${NAME}"),
        ("pk_1", "this value stands in the file itself; accepted is a reference to an environment variable, ${NAME}"),
        (
            f"${{NONE:-{KEY}}}",
            "this value stands in the file itself; accepted is a reference to an environment variable, ${NAME}",
        ),
        (
            "${EMPTY}",
            "this value is empty; accepted is a reference to an environment variable, ${NAME}, that is set",
        ),
        (
            "${NONE:-}",
            "this value is empty; accepted is a reference to an environment variable, ${NAME}, that is set",
        ),
        (
            "''",
            "this value is empty; accepted is a reference to an environment variable, ${NAME}, that is set",
        ),
        ("", "an empty value is not accepted; accepted is a reference to an environment variable, ${NAME}"),
        (
            "${SPACED}",
            "this value has a space or line end around it or a control character in it; accepted is the bare key",
        ),
    ],
)
def test_bad_secret_is_refused_without_showing_it(value: str, what: str) -> None:
    reader = reader_of(f"k: {value}")
    reader.secret("k")
    assert said(reader) == [f"f.yaml:1:{4 if value else 3}: k: {what}"]


@pytest.mark.parametrize("name", [*ENVIRON, "NOT_SET"])
def test_credential_written_as_a_default_stands_in_the_file_whether_it_is_used_or_not(name: str) -> None:
    reader = reader_of(f"k: ${{{name}:-{KEY}}}")
    reader.secret("k")
    accepted = "accepted is a reference to an environment variable, ${NAME}"
    assert said(reader) == [f"f.yaml:1:4: k: this value stands in the file itself; {accepted}"]


def test_reference_as_a_shell_writes_it_is_no_key() -> None:
    reader = reader_of("k: $SHOP_KEY")
    reader.secret("k")
    assert said(reader) == [
        "f.yaml:1:4: k: this value is no reference without its braces; accepted is a reference to an environment "
        "variable, ${NAME}"
    ]


def test_literal_secret_is_taken_where_it_is_allowed() -> None:
    reader = reader_of(f"k: {KEY}\nnumber: '0123'\nnone: null")
    assert reader.secret("k", allow_literal=True) == Secret(KEY)
    assert (reader.secret("number"), reader.optional_secret("none")) == (Secret("0123"), None)
    assert said(reader) == []


def test_optional_secret_that_is_there_but_empty_is_refused() -> None:
    reader = reader_of("k: ${EMPTY}")
    reader.optional_secret("k")
    assert len(reader.problems) == 1


@pytest.mark.parametrize("text", [KEY, "sk_live", "x" * 20, "whsec_x", "shpat_1"])
def test_credentials_are_recognised(text: str) -> None:
    assert looks_like_key(text)


@pytest.mark.parametrize("text", ["x" * 19, "a text of more than twenty characters", "park_avenue", ""])
def test_ordinary_texts_are_not_taken_for_credentials(text: str) -> None:
    assert not looks_like_key(text)


@pytest.mark.parametrize("value", [KEY, "${KEY}", "[" + KEY + "]", "{x: " + KEY + "}"])
def test_no_message_shows_a_credential_put_in_the_wrong_place(value: str) -> None:
    getters: list[Callable[[Reader], object]] = [
        lambda reader: reader.boolean("k"),
        lambda reader: reader.choice("k", ("a",)),
        lambda reader: reader.integer("k"),
        lambda reader: reader.duration_s("k"),
        lambda reader: reader.section("k"),
        lambda reader: reader.texts("k"),
        lambda reader: reader.secret("k"),
        lambda reader: reader.sections("k"),
    ]
    told: list[str] = []
    for get in getters:
        reader = reader_of(f"k: {value}")
        get(reader)
        told += said(reader)
    assert len(told) >= 5
    assert KEY[3:] not in "\n".join(told)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (KEY, "pk_…"),
        (f"private_api_key:{KEY}", "private_api_key:pk_…"),
        ("Bearer 9f8e7d6c5b4a39281706", "Bearer …"),
        ("aB3dE5fG7hI9jK1lM2nO+/==", "…"),
        ("https://shop.example/Moon-Teapot", "https://shop.example/Moon-Teapot"),
        ("properties.items.0.item_name", "properties.items.0.item_name"),
        ("a_rather_long_name_of_a_property", "a_rather_long_name_of_a_property"),
        ("2026-11-21T18:00:00Z", "2026-11-21T18:00:00Z"),
        ("disk_usage or pk_", "disk_usage or pk_…"),
        ("x y " * 20, "x y " * 15 + "…"),
    ],
)
def test_texts_in_messages_are_shown_but_for_what_seems_to_be_a_credential(text: str, shown: str) -> None:
    assert masked(text) == shown
