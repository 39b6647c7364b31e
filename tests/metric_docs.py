"""docs/metrics.md, read: each metric with its type and labels; a label is a closed set of words, or a kind of name."""

import re
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

PAGE = Path(__file__).parents[1] / "docs/metrics.md"
_ROW = re.compile(r"^\| `(?P<name>edge_[a-z_]+)` \| (?P<type>counter|gauge) \| (?P<labels>[^|]*) \| [^|]+ \| [^|]+ \|$")
_LABEL = re.compile(r"`(?P<name>[a-z]+)`: (?P<values>.+)")
# What a name may hold that an operator gave; nothing else is bounded only by the configuration.
_NAME = re.compile(r"[\w .:/-]{0,200}")


@dataclass(frozen=True)
class Documented:
    """One row; `labels` has for each label its closed set, None for a name from the configuration."""

    name: str
    type: str
    labels: dict[str, frozenset[str] | None]


def documented(text: str | None = None) -> dict[str, Documented]:
    """Give the rows of the page by the names that are scraped."""
    rows = map(_ROW.match, (PAGE.read_text("utf-8") if text is None else text).splitlines())
    return {row["name"]: Documented(row["name"], row["type"], _labels(row["labels"])) for row in rows if row}


def _labels(cell: str) -> dict[str, frozenset[str] | None]:
    parts = [_LABEL.fullmatch(part.strip()) for part in cell.split(";") if part.strip() not in ("", "none")]
    assert all(parts), f"not a list of labels: {cell}"
    return {part["name"]: _values(part["values"]) for part in parts if part}


def _values(text: str) -> frozenset[str] | None:
    return None if text.startswith("*") else frozenset(text.split(", "))


def undocumented(exposition: str, page: dict[str, Documented] | None = None) -> list[str]:
    """Give what a scrape shows and the page does not say: names, types, labels, and values outside a closed set."""
    known, found = documented() if page is None else page, dict[str, None]()
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            row = known.get(sample.name)
            if row is None or row.type != family.type:
                found[f"{sample.name} ({family.type})"] = None
            elif row.labels.keys() != sample.labels.keys():
                found[f"{sample.name}: labels {sorted(sample.labels)}"] = None
            else:
                found |= {
                    f"{sample.name}: {label} {value}": None
                    for label, value in sample.labels.items()
                    if not _fits(value, row.labels[label])
                }
    return list(found)


def _fits(value: str, words: frozenset[str] | None) -> bool:
    return _NAME.fullmatch(value) is not None if words is None else value in words
