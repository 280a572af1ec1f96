"""The official constraints of Airflow 3.0 and 3.1 pin an old common-compat: no more of it may be used than that has."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from airflow_provider_klaviyo import compat
from tests.packaging.test_import_direction import MODULES, imported_names

OLD_ENOUGH = {"airflow.providers.common.compat.openlineage.facet.Dataset"}
"""In common-compat 1.6.0, which Airflow 3.0.0 pins."""


def test_nothing_is_used_of_common_compat_that_airflow_3_0_does_not_pin() -> None:
    used = {name for path in MODULES for name in imported_names(path)}
    assert {name for name in used if name.startswith("airflow.providers.common.compat")} == OLD_ENOUGH


def test_the_package_asks_for_no_newer_common_compat_than_airflow_3_0_pins() -> None:
    project = tomllib.loads(Path(__file__).parents[2].joinpath("pyproject.toml").read_text(encoding="utf-8"))
    [asked] = [name for name in project["project"]["dependencies"] if "common-compat" in name]
    assert asked == "apache-airflow-providers-common-compat>=1.6.0"


@pytest.mark.parametrize("name", compat.__all__)
def test_every_name_that_has_moved_is_found(name: str) -> None:
    assert getattr(compat, name) is not None


def test_a_name_that_is_not_known_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = compat.nonsense  # type: ignore[attr-defined]
