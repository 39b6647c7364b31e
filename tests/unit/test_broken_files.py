"""Forty and more ways to break a file, and the complete list of what is said of each."""

import re
from pathlib import Path

import pytest

from tests.broken_files import CASES, SAYS, SECRETS, checked, expected, is_placed, told


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_broken_file_is_told_as_it_says_itself(case: Path) -> None:
    assert told(case) == expected(case)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_broken_file_ends_with_the_sum_and_exit_code_two(case: Path) -> None:
    result, _ = checked(case)
    messages = [line for line in expected(case) if re.match(r"[a-z0-9]", line) and line != "variables to set:"]
    warnings = sum(": warning: " in line for line in messages)
    total = result.stderr.splitlines()[-1]
    found = re.fullmatch(r"(\d+) problems?( and (\d+) warnings?)? in (\d+) files?", total)
    assert found is not None, total
    assert (int(found[1]), int(found[3] or 0)) == (len(messages) - warnings, warnings)
    assert (result.exit_code, result.stdout) == (2, "")


def test_there_are_more_than_forty_and_every_one_breaks() -> None:
    assert len(CASES) > 40
    assert [case.name for case in CASES if not expected(case)] == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_every_message_has_line_and_column(case: Path) -> None:
    assert [line for line in expected(case) if not is_placed(line)] == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_no_message_shows_a_credential_of_the_file_or_the_environment(case: Path) -> None:
    """Neither whole nor in good part."""
    said = "\n".join(expected(case))
    assert [secret for secret in SECRETS if secret[3:15] in said] == []


def test_the_credentials_that_may_not_be_shown_do_stand_in_files() -> None:
    bodies = "\n".join(case.read_text("utf-8") for case in CASES if case.is_file())
    assert [secret in bodies for secret in SECRETS[:2]] == [True, True]


def test_the_gate_can_fail(tmp_path: Path) -> None:
    """Another message, one too few, and a place without a column are noticed."""
    body = "\nsite: {nmae: shop}\n"
    right = "#   4:8: site.nmae: unknown key (did you mean name?); "
    right += "accepted here: name, origins, phone_region, asset_hosts, order_id\n"
    for says, is_right in ((right, True), (right.replace("4:8", "4:9"), False), ("", False), (right + right, False)):
        case = tmp_path / "config-a.yaml"
        case.write_text(f"{SAYS}\n{says}{body}" if says else f"{SAYS}\n#   1:1: x\n{body}")
        assert (told(case) == expected(case)) is is_right
    assert [is_placed(line) for line in ("4: site: a", "4:8: site: a", "p/a.yaml:4: x", "p/a.yaml:4:1: x", "x")] == [
        *[False, True, False, True, False]
    ]
