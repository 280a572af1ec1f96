"""What Airflow learns about the provider when it discovers it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import distribution, distributions
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from packaging.version import Version

import airflow_provider_klaviyo
from airflow_provider_klaviyo.get_provider_info import get_provider_info
from tests.support.airflow_versions import AIRFLOW

NEEDS = {"airflow_provider_klaviyo.operators.approval": Version("3.1")}
"""Modules that say so, and do not import, on an older Airflow."""

SOURCE = Path(next(iter(airflow_provider_klaviyo.__path__)))
DISTRIBUTION = "airflow-provider-klaviyo"
GROUP = "apache_airflow_provider"


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def airflow_schema(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(files("airflow").joinpath(name).read_text())
    return schema


def class_of(path: str) -> type:
    module, _, name = path.rpartition(".")
    found: type = getattr(import_module(module), name)
    return found


def test_the_info_fits_the_schema_airflow_checks_at_discovery() -> None:
    jsonschema.validate(get_provider_info(), airflow_schema("provider_info.schema.json"))


def test_the_info_fits_the_full_grammar_of_airflows_own_providers() -> None:
    grammar = airflow_schema("provider.yaml.schema.json")
    only_in_airflows_repository = {"state", "source-date-epoch", "versions"}
    grammar["required"] = [key for key in grammar["required"] if key not in only_in_airflows_repository]
    jsonschema.validate(get_provider_info(), grammar)


def test_the_package_name_is_the_canonical_name_of_the_distribution() -> None:
    installed = distribution(DISTRIBUTION)
    assert get_provider_info()["package-name"] == canonical(installed.metadata["Name"])
    [entry_point] = installed.entry_points.select(group=GROUP)
    assert entry_point.load() is get_provider_info


@pytest.mark.parametrize("section", ["operators", "sensors", "hooks", "triggers"])
def test_every_listed_module_imports_and_every_one_with_a_public_class_is_listed(section: str) -> None:
    listed = {module for group in get_provider_info()[section] for module in group["python-modules"]}
    for module in listed:
        if NEEDS.get(module, AIRFLOW) <= AIRFLOW:
            import_module(module)
    defined = re.compile(rf"^class Klaviyo\w+{section[:-1].capitalize()}\b", re.MULTILINE)
    for path in SOURCE.joinpath(section).rglob("*.py"):
        module = ".".join([SOURCE.name, *path.relative_to(SOURCE).with_suffix("").parts])
        if path.stem != "base" and defined.search(path.read_text()):
            assert any(f"{module}.".startswith(f"{public}.") for public in listed), f"{module} is not listed"


def test_every_class_named_in_the_info_exists() -> None:
    info = get_provider_info()
    named = [kind["hook-class-name"] for kind in info["connection-types"]] + info.get("extra-links", [])
    named += info["notifications"]
    assert all(isinstance(class_of(path), type) for path in named)


def test_the_hook_and_the_info_agree_on_the_connection_type() -> None:
    for kind in get_provider_info()["connection-types"]:
        hook: Any = class_of(kind["hook-class-name"])
        assert (hook.conn_type, hook.hook_name) == (kind["connection-type"], kind["hook-name"])


def test_secret_fields_of_the_form_are_password_fields() -> None:
    for kind in get_provider_info()["connection-types"]:
        for name, field in kind.get("conn-fields", {}).items():
            if re.search("secret|token|key|password", name):
                assert field["schema"].get("format") == "password", name


def test_airflow_discovers_it_together_with_every_other_provider(run_python: Callable[[str], Any]) -> None:
    found = run_python(
        "import json\n"
        "from airflow.providers_manager import ProvidersManager\n"
        "manager = ProvidersManager()\n"
        "hook = manager.hooks['klaviyo']\n"
        "print(json.dumps([sorted(manager.providers), hook.package_name, hook.hook_class_name]))"
    )
    with_entry_point = {canonical(d.name) for d in distributions() if d.entry_points.select(group=GROUP)}
    [kind] = get_provider_info()["connection-types"]
    assert with_entry_point > {DISTRIBUTION}
    assert found == [sorted(with_entry_point), DISTRIBUTION, kind["hook-class-name"]]
