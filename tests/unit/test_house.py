"""The house: every import points down."""

import ast
from pathlib import Path

import pytest

EDGE = Path(__file__).parents[2] / "edge"

# From the ground up. Modules of one inner tuple may not import each other; "·" floors are single, ordered modules.
FLOORS: tuple[tuple[str, ...], ...] = (
    # words, each may use those before it
    ("errors",),
    ("secret", "clock", "consent", "person", "jsontree", "units", "moments", "shipped"),
    ("yamlfile", "shapes"),
    ("places",),
    ("settings",),
    ("event",),
    ("delivery",),
    ("metrics",),
    # rules: pure, none knows another
    (
        "mapping",
        "complete",
        "identity",
        "consent_platforms",
        "vendor_ids",
        "consent_rules",
        "consent_now",
        "foreign_links",
        "cookie",
        "budget",
        "wire",
        "ecommerce",
        "public_address",
        "webhook_signature",
    ),
    # rules over those
    ("server_wire", "alerting"),
    # a door that another one opens
    ("archive_files",),
    # doors to the world
    ("spool", "ledger", "destinations", "transport", "sandbox"),
    # plans
    ("pipeline",),
    # workers
    ("collector", "resolver", "drainer"),
    # front door
    ("log",),
    ("config",),
    ("schema",),
    ("app", "demo"),
    ("cli",),
    ("__main__",),
)
FLOOR_OF = {name: number for number, floor in enumerate(FLOORS) for name in floor}
PURE = (
    *FLOORS[8],
    *FLOORS[9],
    "jsontree",
    "consent",
    "person",
    "event",
    "delivery",
    "settings",
    "yamlfile",
    "shapes",
)
WORLDLY = {"aiohttp", "aiosqlite", "asyncio", "os", "time", "random", "socket", "sqlite3"}


def room_of(path: Path) -> str:
    return path.relative_to(EDGE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            assert isinstance(node, ast.Import) or node.level == 0, f"{path}: relative import"
            names |= imports_in(node)
    return names


def imports_in(node: ast.Import | ast.ImportFrom) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    of_edge = {f"edge.{alias.name}" for alias in node.names} if node.module == "edge" else set()
    return {node.module or ""} | of_edge


def complaints(path: Path, room: str, imported: set[str]) -> list[str]:
    """Say which imports of a file do not point down."""
    found = []
    for name in sorted(imported):
        parts = name.split(".")
        if parts[0] != "edge" or len(parts) == 1 or parts[1] in (room, "__version__"):
            continue
        if FLOOR_OF[parts[1]] >= FLOOR_OF[room]:
            found.append(f"{path.name}: {room} imports {parts[1]}")
    return found


FILES = sorted(path for path in EDGE.rglob("*.py") if path != EDGE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(EDGE)))
def test_imports_point_down(path):
    room = room_of(path)
    assert room in FLOOR_OF, f"{room} has no floor: add it to the house"
    assert complaints(path, room, imports_of(path)) == []


@pytest.mark.parametrize("path", [path for path in FILES if room_of(path) in PURE], ids=lambda path: path.name)
def test_rules_do_not_touch_the_world(path):
    assert {name.split(".")[0] for name in imports_of(path)} & WORLDLY == set()


# Libraries that few need, and whose reading costs every verb a tenth of a second.
SELDOM = {"phonenumbers", "google.auth"}


def test_imports_are_at_the_top_of_their_file():
    """A deferred import hides a definition on the wrong floor; only libraries that few need are read when they do."""
    for path in FILES:
        tree = ast.parse(path.read_text("utf-8"))
        nested = [n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom) and n not in tree.body]
        nested = [n for n in nested if imports_in(n) - SELDOM]
        assert nested == [], f"{path}: line {nested[0].lineno if nested else 0}"


def test_the_gate_can_fail():
    assert complaints(EDGE / "mapping.py", "mapping", {"edge.transport"}) == ["mapping.py: mapping imports transport"]
    assert complaints(EDGE / "resolver.py", "resolver", {"edge.drainer"}) == ["resolver.py: resolver imports drainer"]
    assert complaints(EDGE / "mapping.py", "mapping", {"edge.errors", "orjson"}) == []
