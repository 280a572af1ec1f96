"""Imports of profiles, as several test files run them."""

from __future__ import annotations

from typing import Any

from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.operators.audiences import KlaviyoImportProfilesOperator
from tests.support.context import Task


def people(*numbers: int, **more: Any) -> list[dict[str, Any]]:
    return [{"email": f"person{number}@example.com", "first_name": f"P{number}", **more} for number in numbers]


def importing(profiles: Any, mode: str, **arguments: Any) -> Task:
    given = {"profiles": profiles, "poll_interval": 0.05, "deferrable": False, "mode": mode, **arguments}
    return Task(lambda: KlaviyoImportProfilesOperator(task_id="import", **given))


def members(list_id: str) -> set[str]:
    found = KlaviyoHook().paginate("get_profiles_for_list", path_params={"id": list_id}, query={"page[size]": 100})
    return {one.text("email") for one in found if one.attributes.get("email")}
