"""``docs/reference`` is what the docstrings say, and says all that they have to."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest
from packaging.version import Version

from airflow_provider_klaviyo.get_provider_info import get_provider_info
from airflow_provider_klaviyo.sandbox.faults import Rule
from airflow_provider_klaviyo.sandbox.journal import Entry
from airflow_provider_klaviyo.sandbox.settings import Settings
from tests.docs.pages import REFERENCE
from tests.support.airflow_versions import AIRFLOW
from tests.support.sandbox import DRAFT_EMAIL, Klaviyo

if Version("3.1") > AIRFLOW:
    pytest.skip("the reference has the operator of approvals: since Airflow 3.1", allow_module_level=True)

from scripts.reference import registry
from scripts.reference.docstrings import parse
from scripts.reference.pages import FOLDER, PAGES, is_shown
from scripts.reference.render import rendered
from scripts.reference.signatures import PACKAGE, members, parameters, public
from scripts.reference.tables import CAMPAIGNS, CLOCK, SENDS, documented

NOT_DISCOVERED = ("campaigns", "task_groups", "exceptions", "retry_policy", "assets", "sandbox.testing")
"""Public modules that Airflow does not find in the provider's metadata."""

ON_PAGES = [
    pytest.param(page.file, name, thing, id=f"{page.file} {name}")
    for page in PAGES
    for name, thing in page.things.items()
    if not inspect.isclass(thing) or thing.__name__ == name  # and not another name of something
]


def modules() -> Iterator[str]:
    """The public modules."""
    yield from NOT_DISCOVERED
    info = get_provider_info()
    for kind in ("hooks", "operators", "sensors", "triggers"):
        for group in info[kind]:
            yield from (module.removeprefix(f"{PACKAGE}.") for module in group["python-modules"])
    yield from (transfer["python-module"].removeprefix(f"{PACKAGE}.") for transfer in info["transfers"])
    yield from (path.removeprefix(f"{PACKAGE}.").rpartition(".")[0] for path in info["notifications"])


def section(file: str, name: str) -> str:
    """What a page has below the heading of a name."""
    text = (FOLDER / file).read_text(encoding="utf-8")
    found = re.search(rf"^(##+) {re.escape(name)}\n(.*?)(?=^##+ [A-Za-z]|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"{file} has no heading {name}"
    return found[2]


def test_the_pages_are_as_the_docstrings_have_it() -> None:
    written = {page.name: page.read_text(encoding="utf-8") for page in REFERENCE}
    assert written == rendered(), "run: python -m scripts.reference"


def test_the_registry_of_providers_reads_the_same() -> None:
    assert registry.FILE.read_text(encoding="utf-8") == registry.registry(), "run: python -m scripts.reference"


@pytest.mark.parametrize("module", sorted(set(modules())))
def test_every_public_name_is_on_a_page(module: str) -> None:
    names = public(import_module(f"{PACKAGE}.{module}"))
    assert names
    assert [name for name in names if not is_shown(module, name)] == []


@pytest.mark.parametrize(("file", "name", "thing"), ON_PAGES)
def test_each_name_says_what_it_is_for_and_what_each_parameter_means(file: str, name: str, thing: Any) -> None:
    text = section(file, name)
    assert parse(thing).paragraphs, f"{name} has no docstring"
    assert [one.name for one in parameters(thing) if not one.meaning] == []
    for function in functions(thing):
        named = [one for one in inspect.signature(function).parameters if one not in ("self", "args", "kwargs")]
        assert [one for one in named if f"`{one}`" not in text and one != "context"] == []


def functions(thing: Any) -> list[Any]:
    """What takes the parameters of a thing: a constructor for each base of this package, or itself."""
    if not inspect.isclass(thing):
        return [thing]
    if issubclass(thing, Enum):
        return []
    return [base.__init__ for base in thing.__mro__ if base.__module__.startswith(PACKAGE) and "__init__" in vars(base)]


def test_each_method_says_what_it_does() -> None:
    """Or the method of Airflow's, or of a base, whose place it takes does."""
    classes = {
        base
        for page in PAGES
        for thing in page.things.values()
        if inspect.isclass(thing)
        for base in thing.__mro__
        if base.__module__.startswith(PACKAGE)
    }
    found = {f"{one.__name__}.{name}": getattr(one, name) for one in classes for name in members(one)}
    assert len(found) > 100
    assert [name for name, member in found.items() if not inspect.getdoc(member)] == []


def test_each_parameter_of_a_method_has_a_meaning() -> None:
    missing = [
        f"{name}.{member}: {one.name}"
        for page in PAGES
        for section in page.sections
        if section.members
        for name, thing in section.things.items()
        for member, function in members(thing).items()
        if inspect.isfunction(function)
        for one in parameters(function)
        if not one.meaning
    ]
    assert missing == []


@pytest.mark.parametrize(("file", "name", "thing"), ON_PAGES)
def test_what_airflow_renders_is_marked(file: str, name: str, thing: Any) -> None:
    if inspect.isclass(thing) and hasattr(thing, "template_fields") and "Hook" not in name:
        marked = {one.name for one in parameters(thing) if "Templated" in one.meaning}
        assert marked == {one.name for one in parameters(thing) if one.name in thing.template_fields}


@pytest.mark.parametrize("page", REFERENCE, ids=lambda page: page.name)
def test_a_page_reads_on_github(page: Path) -> None:
    """No directive or role of Sphinx is left, and each row of a table has as many cells as its head."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert re.findall(r":\w+:`|``|::$|^=+ ", text, re.MULTILINE) == []
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        counts = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(counts) == 1, table


# --- the JSON of the sandbox ------------------------------------------------------------------------------------------


def test_the_fields_of_the_sandboxs_json_are_those_that_it_answers(klaviyo: Klaviyo) -> None:
    klaviyo.send(DRAFT_EMAIL)
    klaviyo.advance(3600)
    klaviyo.fail("get_lists", "throttle")

    def answered(name: str) -> set[str]:
        found = httpx.get(f"{klaviyo.url}/sandbox/{name}").json()
        return set(found[0] if isinstance(found, list) else found)

    assert answered("sends") == set(SENDS)
    assert answered("campaigns") == set(CAMPAIGNS)
    assert answered("clock") == set(CLOCK)
    for name, row in (("requests", Entry), ("faults", Rule), ("settings", Settings)):
        assert answered(name) == set(documented(row))
        assert [field for field, (_, meaning) in documented(row).items() if not meaning] == []
    klaviyo.reset()
