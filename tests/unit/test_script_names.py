"""What the script understands, what its types offer and what its page says are the same words."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = "\n".join(file.read_text("utf-8") for file in sorted((ROOT / "static" / "src").glob("*.js")))
TYPES = (ROOT / "static" / "datafly.d.ts").read_text("utf-8")
PAGE = (ROOT / "docs" / "script.md").read_text("utf-8")
# Collected where there is room for it; the page says that the build leaves them out.
OPTIONAL = {"ENGAGEMENT": "engagement", "OUTBOUND": "outbound"}
LEFT_OUT = {name for switch, name in OPTIONAL.items() if f"{switch} && isOn('{name}')" in SOURCE}


def part(text: str, begin: str, end: str) -> str:
    """Give what stands between two texts, both of which must be there."""
    _, found, rest = text.partition(begin)
    inside, closed, _ = rest.partition(end)
    assert found, begin
    assert closed, end
    return inside


def commands(source: str) -> set[str]:
    return set(re.findall(r"^  (\w+): \(", part(source, "const commands = {", "\n};"), re.MULTILINE))


def settings(source: str) -> set[str]:
    return set(re.findall(r"(?<!/)settings\.(\w+)|isOn\('(\w+)'\)|'(\w+)' in settings", source))


def names(found: set[tuple[str, ...]]) -> set[str]:
    return {"".join(one) for one in found}


def attributes(table: str) -> set[str]:
    return set(re.findall(r"^\| `data-(\w+)", table, re.MULTILINE))


SETTINGS_TABLE = part(PAGE, "## Settings", "\n## ")
CALLS_TABLE = part(PAGE, "## Calls", "\n## ")


def test_every_command_is_in_the_types_in_both_forms_and_on_the_page():
    called = part(TYPES, "interface Datafly {", "\n}")
    typed = {word for line in re.findall(r"\(command: ([^,)]+)", called) for word in re.findall(r"'(\w+)'", line)}
    methods = set(re.findall(r"^  (\w+)\(", called, re.MULTILINE))
    told = set(re.findall(r"^\| `datafly\('(\w+)'", CALLS_TABLE, re.MULTILINE))
    assert commands(SOURCE) == typed == methods == told


def test_every_setting_is_in_the_types_and_on_the_page():
    typed = set(re.findall(r"^  (\w+)\?:", part(TYPES, "interface DataflySettings {", "\n}"), re.MULTILINE))
    understood = names(settings(SOURCE))
    assert understood == typed == attributes(SETTINGS_TABLE)
    assert understood >= LEFT_OUT == set(OPTIONAL.values())


def test_every_purpose_is_in_the_types_and_on_the_page():
    understood = set(re.findall(r"'(\w+)'", part(SOURCE, "for (const purpose of [", "]")))
    typed = set(re.findall(r"^  (\w+)\?:", part(TYPES, "interface DataflyConsent {", "\n}"), re.MULTILINE))
    (row,) = [line for line in CALLS_TABLE.splitlines() if line.startswith("| `datafly('consent'")]
    assert understood == typed
    assert understood <= set(re.findall(r"`(\w+)`", row))


def test_every_entry_in_the_browsers_storage_is_on_the_page():
    kept = set(re.findall(r"'(_df_\w+)'", SOURCE))
    assert kept == set(re.findall(r"^\| `(_df_\w+)", part(PAGE, "## Stored in the browser", "\n## "), re.MULTILINE))


@pytest.mark.parametrize(
    ("changed", "seen"),
    [
        ("const commands = {\n  track: (a) => a,\n  alias: (a) => a,\n};", {"track", "alias"}),
        ("const commands = {\n  __proto__: null,\n  page: () => 1,\n};", {"page"}),
    ],
)
def test_a_new_command_would_be_noticed(changed, seen):
    """The gate itself."""
    assert commands(changed) == seen


def test_a_new_setting_would_be_noticed():
    """The gate itself."""
    assert names(settings("isOn('a') || settings.b || 'c' in settings")) == {"a", "b", "c"}
    assert attributes('| `data-a` | x |\n| `data-b="off"` | on |') == {"a", "b"}
