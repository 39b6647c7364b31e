"""What a destination consists of, counted: its own files, a line in a registry, a pipeline, a page, cases, a fake."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from edge.destinations import BUILTIN
from edge.errors import ConfigErrors
from edge.event import OTHER_NAMES
from edge.pipeline import compile_pipeline
from edge.sandbox import builtin_vendors
from tests.golden_cases import ENVIRON, GOLDEN, ROOT, load_case
from tests.unit.test_schema_docs import PAGES

EDGE = ROOT / "edge"
OWN = EDGE / "destinations"
EVENTS = ("view_item", "add_to_cart", "started_checkout", "purchase", "search", "sign_up")
KINDS = ("anonymous", "known", "minimal", "hostile")
# On the shop's own disk, so that there is nobody to stand in for.
WITHOUT_A_FAKE = {"archive"}
# What opens the files that one destination writes.
DOORS = {"archive": {"app/archives.py"}}
VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)[:}]")
PIPELINES = sorted(ROOT.glob("pipelines/*.yaml"))
every_destination = pytest.mark.parametrize("integration", BUILTIN)


def declared(text: str) -> Iterator[str]:
    """Give the word of each class that declares an `integration`."""
    for made in ast.walk(ast.parse(text)):
        for line in made.body if isinstance(made, ast.ClassDef) else []:
            is_named = isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
            if is_named and line.target.id == "integration" and isinstance(line.value, ast.Constant):  # type: ignore[union-attr]
                yield str(line.value.value)  # type: ignore[union-attr]


@cache
def files_of(integration: str) -> tuple[Path, ...]:
    """Give a destination's own files: the one that declares it, or its folder, and those named after it."""
    module = BUILTIN[integration].__module__.split(".")[2]
    found = [file for file in OWN.rglob("*.py") if file.relative_to(OWN).parts[0].removesuffix(".py") == module]
    return (*found, *OWN.glob(f"{module}_*.py"))


def pipelines_of(integration: str) -> list[Path]:
    return [file for file in PIPELINES if f"\nintegration: {integration}\n" in file.read_text("utf-8")]


def test_every_destination_that_is_declared_is_registered() -> None:
    found = [word for file in OWN.rglob("*.py") for word in declared(file.read_text("utf-8"))]
    assert sorted(found) == sorted(BUILTIN)


def test_destination_that_is_not_registered_is_found() -> None:
    assert list(declared('class A:\n    integration: ClassVar[str] = "a-new-one"\n')) == ["a-new-one"]
    assert "a-new-one" not in BUILTIN


@every_destination
def test_nothing_but_its_own_files_and_the_registries_names_it(integration: str) -> None:
    module = BUILTIN[integration].__module__.split(".")[2]
    imported = rf"\bedge\.destinations(\.| import ){module}\b"
    names = re.compile(imported if integration == module else rf'"{re.escape(integration)}"|{imported}')
    own = {file.relative_to(EDGE).as_posix() for file in files_of(integration)}
    found = {
        file.relative_to(EDGE).as_posix()
        for file in EDGE.rglob("*.py")
        if names.search(file.read_text("utf-8")) and file.relative_to(EDGE).parts[0] not in ("demo", "sandbox")
    }
    assert found - own == {"destinations/__init__.py"} | DOORS.get(integration, set())


def imported_by(file: Path) -> set[str]:
    """Give what a file imports of edge/destinations: the names behind it, up to the next dot."""
    text = file.read_text("utf-8")
    from_room = re.findall(r"(?m)^from edge\.destinations import (.+)$", text)
    named = {name.strip() for line in from_room for name in line.split(",")}
    return named | set(re.findall(r"(?m)^from edge\.destinations\.(\w+)", text))


def room_of(file: Path) -> str:
    return file.relative_to(OWN).parts[0].removesuffix(".py")


def test_file_beside_the_destinations_is_shared_by_several_and_knows_none_of_them() -> None:
    own = {integration: {room_of(file) for file in files_of(integration)} for integration in BUILTIN}
    shared = {room_of(file) for file in OWN.rglob("*.py")} - set().union(*own.values()) - {"__init__"}
    uses = {name: {one for one, rooms in own.items() for room in rooms if name in reached(room)} for name in shared}
    assert {name: sorted(users) for name, users in uses.items() if len(users) < 2} == {}
    for integration, rooms in own.items():
        others = set().union(*(own[other] for other in BUILTIN if other != integration))
        assert set().union(*map(reached, rooms)) & others == set(), integration


def reached(room: str) -> set[str]:
    """Give every module of the room that one imports, also by way of another."""
    files = OWN.glob(f"{room}/*.py") if (OWN / room).is_dir() else [OWN / f"{room}.py"]
    direct = set().union(*map(imported_by, files)) - {room}
    return direct.union(*map(reached, direct))


@every_destination
def test_destination_is_one_line_of_the_registry(integration: str) -> None:
    text = (OWN / "__init__.py").read_text("utf-8")
    assert text.count(f"\n    {BUILTIN[integration].__name__},\n") == 1


@every_destination
def test_destination_has_one_shipped_pipeline_of_all_six_events(integration: str) -> None:
    [file] = pipelines_of(integration)
    pipeline = compile_pipeline(file.read_text("utf-8"), file.name, ENVIRON)
    assert [event for event in EVENTS if pipeline.event_plan(event) is None] == []


@every_destination
def test_destination_has_a_page_that_the_overview_names(integration: str) -> None:
    page = f"destinations/{PAGES[integration]}.md"
    assert (ROOT / "docs" / page).is_file()
    assert f"]({page})" in (ROOT / "docs/pipelines.md").read_text("utf-8")


@every_destination
def test_destination_has_golden_cases_of_six_events_and_four_kinds_of_visitor(integration: str) -> None:
    folder = PAGES[integration].replace("-", "_")
    [pipeline] = pipelines_of(integration)
    for event in EVENTS:
        for kind in KINDS:
            case = load_case(GOLDEN / folder / f"{folder}_{event}_{kind}.yaml")
            name = case["event"]["name"]
            assert (OTHER_NAMES.get(name, name), case["pipeline"]) == (event, pipeline.relative_to(ROOT).as_posix())


def test_every_vendor_has_a_fake() -> None:
    fakes = {vendor.name for vendor in builtin_vendors()}
    assert {PAGES[integration] for integration in BUILTIN.keys() - WITHOUT_A_FAKE} - fakes == set()


@pytest.mark.parametrize("file", PIPELINES, ids=lambda file: file.stem)
def test_shipped_pipeline_is_good_switched_on_and_switched_off(file: Path) -> None:
    text = file.read_text("utf-8")
    assert compile_pipeline(text, file.name, ENVIRON).is_enabled
    if "_ENABLED:-false}" in text:
        assert not compile_pipeline(text, file.name, {}).is_enabled
    else:
        assert file.name == "klaviyo-events.yaml"
        with pytest.raises(ConfigErrors):
            compile_pipeline(text, file.name, {})


def test_every_variable_of_a_shipped_pipeline_is_in_the_example_environment() -> None:
    told = set(re.findall(r"(?m)^#?([A-Z0-9_]+)=", (ROOT / "config/edge.env.example").read_text("utf-8")))
    said = [re.sub(r"(?m)(^|\s)#.*$", "", file.read_text("utf-8")) for file in PIPELINES]
    named = {name for text in said for name in VARIABLE.findall(text)}
    assert named - told == set()
