"""Every DAG parse and every task start imports the provider again, so what it imports is counted.

Each measurement runs in a fresh interpreter and is what the provider adds to the names that every DAG file takes from
``airflow.sdk``. Its time is a share of what those names cost in the same interpreter, so that neither a slow machine
nor an Airflow that imports them lazily counts; it is processor time, so that a busy machine does not count.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

LIMIT_SHARE = 0.15
ATTEMPTS = 5
MEASURE = """
import json, sys, time
started = time.process_time()
from airflow.sdk import DAG, Asset, BaseOperator, BaseSensorOperator, Param, task, task_group
airflow_seconds = time.process_time() - started
before = set(sys.modules)
started = time.process_time()
import {module}
seconds = time.process_time() - started
added = set(sys.modules) - before
models = []
if pydantic := sys.modules.get("pydantic"):
    models = [
        f"{{name}}.{{attribute}}"
        for name in added if name.startswith("airflow_provider_klaviyo")
        for attribute, value in vars(sys.modules[name]).items()
        if isinstance(value, type) and issubclass(value, pydantic.BaseModel) and value.__module__ == name
    ]
print(json.dumps({{"share": seconds / airflow_seconds, "added": sorted(added), "models": models}}))
"""
MODULES = [
    "airflow_provider_klaviyo.notifications.klaviyo",
    "airflow_provider_klaviyo.operators.audiences",
    "airflow_provider_klaviyo.operators.campaigns",
    "airflow_provider_klaviyo.operators.templates",
    "airflow_provider_klaviyo.sensors.audiences",
    "airflow_provider_klaviyo.sensors.campaigns",
    "airflow_provider_klaviyo.task_groups",
    "airflow_provider_klaviyo.triggers.audiences",
    "airflow_provider_klaviyo.transfers.klaviyo_to_storage",
    "airflow_provider_klaviyo.transfers.sql_to_klaviyo",
    "airflow_provider_klaviyo.triggers.campaigns",
]


@pytest.mark.parametrize("module", MODULES)
def test_importing_adds_little_time(module: str, run_python: Callable[[str], Any]) -> None:
    measured: list[float] = []
    while len(measured) < ATTEMPTS and min(measured, default=LIMIT_SHARE) >= LIMIT_SHARE:
        measured.append(run_python(MEASURE.format(module=module))["share"])
    assert min(measured) < LIMIT_SHARE, f"best of {measured}"


@pytest.mark.parametrize("module", MODULES)
def test_importing_loads_no_http_stack_no_sandbox_and_no_pydantic_model(
    module: str, run_python: Callable[[str], Any]
) -> None:
    found = run_python(MEASURE.format(module=module))
    roots = {name.split(".")[0] for name in found["added"]}
    assert module in found["added"]
    assert not roots & {"requests", "urllib3", "aiohttp", "jsonschema", "klaviyo_api"}
    assert not [name for name in found["added"] if name.startswith("airflow_provider_klaviyo.sandbox")]
    assert found["models"] == []


def test_a_call_loads_no_dataclass(run_python: Callable[[str], Any]) -> None:
    code = (
        "import dataclasses, json, sys\n"
        "import airflow_provider_klaviyo.api.client, airflow_provider_klaviyo.hooks.klaviyo\n"
        "ours = [module for name, module in sys.modules.items() if name.startswith('airflow_provider_klaviyo')]\n"
        "kinds = {value for module in ours for value in vars(module).values() if isinstance(value, type)}\n"
        "print(json.dumps([sorted(kind.__name__ for kind in kinds if dataclasses.is_dataclass(kind)), len(kinds)]))"
    )
    found, looked_at = run_python(code)
    assert looked_at > 50
    assert found == []  # half a millisecond each; a Struct of msgspec takes a fortieth of that


def test_the_discovery_entry_point_imports_nothing_but_itself(run_python: Callable[[str], Any]) -> None:
    code = (
        "import json, sys\n"
        "before = set(sys.modules)\n"
        "import airflow_provider_klaviyo.get_provider_info\n"
        "added = set(sys.modules) - before\n"
        "print(json.dumps(sorted(name for name in added if name.split('.')[0] not in sys.stdlib_module_names)))"
    )
    assert run_python(code) == [
        "airflow_provider_klaviyo",
        "airflow_provider_klaviyo.get_provider_info",
    ]
