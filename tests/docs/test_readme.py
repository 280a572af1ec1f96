"""What README.md says of versions, numbers and ids is so."""

from __future__ import annotations

import json
import re
import tomllib
from importlib.resources import files

import pytest

from airflow_provider_klaviyo.api.operations import DEFAULT_REVISION, OMNICHANNEL, later, operations, revisions
from tests.docs.pages import ROOT, blocks

README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8")


def row(name: str) -> str:
    """The row of the table of what fits."""
    found = re.search(rf"^\| {re.escape(name)} \|.*$", TEXT, re.MULTILINE)
    assert found, name
    return found[0]


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-oldest.lock"])
def test_it_names_the_airflows_that_are_tested(lock: str) -> None:
    found = re.search(r"^apache-airflow==(\S+)", (ROOT / lock).read_text(encoding="utf-8"), re.MULTILINE)
    assert found
    assert found[1] in row("Airflow")


def test_it_names_what_the_matrix_of_tests_has() -> None:
    cells = re.findall(r'\("(3\.\d+)", "(3\.[\w.]+)", "', (ROOT / "noxfile.py").read_text(encoding="utf-8"))
    assert cells
    for python, airflow in cells:
        assert python in row("Python")
        assert airflow in row("Airflow")


def test_it_names_the_pythons_and_airflows_that_the_package_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f"{project['requires-python'].removeprefix('>=')} and later" in row("Python")
    [airflow] = (need for need in project["dependencies"] if need.startswith("apache-airflow>"))
    assert f"{airflow.rpartition('=')[2]} and later" in row("Airflow")


def test_it_names_klaviyos_revisions_and_the_number_of_operations() -> None:
    assert set(re.findall(r"\d{4}-\d\d-\d\d", row("Klaviyo's API"))) == {*revisions(), OMNICHANNEL}
    assert f"{DEFAULT_REVISION} (the default)" in row("Klaviyo's API")
    assert f"[{len(operations())} operations]" in TEXT
    assert f"the {len(later())} that" in TEXT


def test_the_ids_of_the_example_are_those_of_the_sandbox_that_it_says() -> None:
    seed = json.loads((files("airflow_provider_klaviyo.sandbox") / "seed.json").read_text(encoding="utf-8"))
    said = dict(re.findall(r"`(\w{6})`\s(?:is\s)?its\s\w+\s\*([^*]+)\*", TEXT))
    assert len(said) == 3
    assert {key: name.replace("\n", " ") for key, name in said.items()} == {
        one["id"]: one["name"] for kind in ("lists", "segments", "templates") for one in seed[kind] if one["id"] in said
    }
    [example] = blocks(README, "python")
    assert all(f'"{key}"' in example.code for key in said)
