"""Amounts with their units."""

import pytest

from edge.settings import parse_duration_s, parse_rate, parse_size_bytes
from edge.units import DURATION_UNITS_S, SIZE_UNITS_BYTES, shown

DURATION = "a number with its unit (ms, s, min, h or d), such as 500ms, 90s, 15min, 4h or 14d"
SIZE = "a number with its unit (B, KB, MB, GB, TB, or KiB, MiB, GiB, TiB), such as 512KB, 64MB or 20GB"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *[("500ms", 0.5), ("90s", 90.0), ("15min", 900.0), ("4h", 14_400.0), ("14d", 1_209_600.0), ("1.5h", 5_400.0)],
        *[("2 s", 2.0), ("0s", 0.0)],
    ],
)
def test_duration_is_a_number_with_a_unit(text: str, seconds: float) -> None:
    assert parse_duration_s(text) == seconds


@pytest.mark.parametrize(
    "text", ["14", "", "d", "14 days", "14m", "-1s", "1h30min", "1e3s", "14D", "٣s", "s14", "1  s"]
)
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_duration_s(text)
    assert str(caught.value) == f"is not a duration; accepted is {DURATION}"


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        *[("1B", 1), ("512KB", 512_000), ("64MB", 64_000_000), ("20GB", 20_000_000_000), ("2TB", 2_000_000_000_000)],
        *[("1KiB", 1_024), ("64MiB", 67_108_864), ("1GiB", 2**30), ("1TiB", 2**40)],
        *[("0.5MB", 500_000), ("1.1GB", 1_100_000_000)],
    ],
)
def test_size_counts_in_thousands_unless_it_says_otherwise(text: str, size_bytes: int) -> None:
    assert parse_size_bytes(text) == size_bytes


@pytest.mark.parametrize("text", ["64", "64mb", "64M", "64Mb", "-1MB", "MB", "64MB/s", "1,5GB"])
def test_anything_else_is_no_size(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_size_bytes(text)
    assert str(caught.value) == f"is not a size; accepted is {SIZE}"


@pytest.mark.parametrize(("text", "per_s"), [("50/s", 50.0), ("3000/min", 50.0), ("3600/h", 1.0), ("0.5/s", 0.5)])
def test_rate_is_events_per_second(text: str, per_s: float) -> None:
    assert parse_rate(text) == pytest.approx(per_s, abs=1e-12)


@pytest.mark.parametrize("text", ["50", "50s", "50/", "50/sec", "/s", "50/d"])
def test_anything_else_is_no_rate(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_rate(text)
    assert str(caught.value) == "is not a rate; accepted is a number for each s, min or h, such as 50/s or 3000/min"


@pytest.mark.parametrize("text", ["500ms", "90s", "5min", "1h", "14d", "3d"])
def test_duration_is_shown_as_it_is_written(text: str) -> None:
    assert shown(parse_duration_s(text), DURATION_UNITS_S) == text


@pytest.mark.parametrize("text", ["1B", "512KB", "64MB", "20GB", "64MiB", "1KiB"])
def test_size_is_shown_as_it_is_written(text: str) -> None:
    assert shown(parse_size_bytes(text), SIZE_UNITS_BYTES) == text
