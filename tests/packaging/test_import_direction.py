"""Which room may know which: imports point one way, whether at the top of a module or inside a function."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import airflow_provider_klaviyo

PACKAGE = "airflow_provider_klaviyo"
SOURCE = Path(next(iter(airflow_provider_klaviyo.__path__)))
MODULES = sorted(SOURCE.rglob("*.py"))

MAY_IMPORT = {
    "__init__": set(),
    "compat": set(),
    "storage": {"api"},
    "get_provider_info": set(),
    "api": set(),
    "campaigns": {"api"},
    "audiences": {"api", "campaigns"},
    "exceptions": {"compat", "api"},
    "assets": set(),
    "retry_policy": {"never_twice", "api"},
    "hooks": {"compat", "exceptions", "api", "campaigns"},
    "never_twice": {"hooks", "compat", "exceptions", "api", "campaigns"},
    "drafts": {"never_twice", "hooks", "compat", "exceptions", "api", "campaigns"},
    "triggers": {"never_twice", "hooks", "compat", "exceptions", "api", "campaigns", "audiences"},
    "tasks": {"triggers", "hooks", "compat", "exceptions", "api", "campaigns", "audiences"},
    "sensors": {"tasks", "triggers", "hooks", "compat", "exceptions", "api", "campaigns", "audiences"},
    "operators": {
        "storage",
        "assets",
        "imports",
        "audiences",
        "tasks",
        "drafts",
        "never_twice",
        "triggers",
        "hooks",
        "compat",
        "exceptions",
        "api",
        "campaigns",
    },
    "imports": {
        "storage",
        "tasks",
        "never_twice",
        "triggers",
        "hooks",
        "compat",
        "exceptions",
        "api",
        "campaigns",
        "audiences",
    },
    "task_groups": {"operators", "tasks", "api", "campaigns"},
    "notifications": {"operators", "never_twice", "hooks", "api", "campaigns"},
    "transfers": {"imports", "storage", "tasks", "compat", "api", "campaigns", "audiences"},
    "sandbox": {"api", "campaigns"},
}
WITHOUT_AIRFLOW = {"__init__", "get_provider_info", "api", "campaigns", "audiences", "sandbox"}


def room(path: Path) -> str:
    """Return the package, or the top-level module, that a source file belongs to."""
    return path.relative_to(SOURCE).with_suffix("").parts[0]


def imported_names(path: Path) -> Iterator[str]:
    """Yield the dotted name of everything that a source file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ids(path: Path) -> str:
    return str(path.relative_to(SOURCE))


def test_every_room_has_a_rule() -> None:
    assert {room(path) for path in MODULES} <= set(MAY_IMPORT)


def test_no_rule_allows_two_rooms_to_import_each_other() -> None:
    assert not [(one, other) for one, allowed in MAY_IMPORT.items() for other in allowed if one in MAY_IMPORT[other]]


@pytest.mark.parametrize("path", MODULES, ids=ids)
def test_a_module_imports_only_the_rooms_it_may(path: Path) -> None:
    imported = {name.split(".")[1] for name in imported_names(path) if name.startswith(f"{PACKAGE}.")}
    assert imported - {room(path)} <= MAY_IMPORT[room(path)]


@pytest.mark.parametrize("path", [path for path in MODULES if room(path) in WITHOUT_AIRFLOW], ids=ids)
def test_what_talks_to_klaviyo_knows_nothing_of_airflow(path: Path) -> None:
    assert not [name for name in imported_names(path) if name.split(".")[0] == "airflow"]
