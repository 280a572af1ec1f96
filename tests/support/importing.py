"""Imports of profiles, as several test files run them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.operators.audiences import KlaviyoImportProfilesOperator
from tests.support.context import Task


def people(*numbers: int, **more: Any) -> list[dict[str, Any]]:
    return [{"email": f"person{number}@example.com", "first_name": f"P{number}", **more} for number in numbers]


def importing(profiles: Any = None, mode: str | None = None, *, deferrable: bool = False, **arguments: Any) -> Task:
    given = {"profiles": profiles, "poll_interval": 0.05, "deferrable": deferrable, **arguments}
    if mode is not None:
        given["mode"] = mode
    return Task(lambda: KlaviyoImportProfilesOperator(task_id="import", **given))


def properties_of(values: Mapping[str, tuple[str, Any]], importing: Callable[..., Task]) -> dict[str, Any]:
    """The properties of a profile that one row of a query makes.

    :param values: SQL of each, and what it is to become.
    """
    selected = ", ".join(f"{sql} AS {name}" for name, (sql, _) in values.items())
    columns = {name: f"properties.{name}" for name in values}
    task = importing(f"SELECT 'a@example.com' AS email, {selected}", columns=columns, timezone="Europe/Berlin")
    assert task.run()["accepted"] == 1
    found = profile("a@example.com")
    assert found is not None
    properties: dict[str, Any] = found["properties"]
    return properties


def members(list_id: str) -> set[str]:
    found = KlaviyoHook().paginate("get_profiles_for_list", path_params={"id": list_id}, query={"page[size]": 100})
    return {one.text("email") for one in found if one.attributes.get("email")}


def profile(email: str) -> dict[str, Any] | None:
    """Its attributes; ``None``: there is no such profile."""
    found = KlaviyoHook().paginate("get_profiles", query={"filter": f'equals(email,"{email}")'})
    return dict(found[0].attributes) if found else None
