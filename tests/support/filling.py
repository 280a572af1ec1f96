"""Lists of the sandbox that fill: profiles put on them at once, or by a job that takes its time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from airflow_provider_klaviyo.sandbox.served import Timing
from tests.support.sandbox import LIST, NOBODY, Klaviyo

JOB = 600.0
"""Seconds that a job of :func:`patient_sandbox` takes."""


@contextmanager
def patient_sandbox() -> Iterator[Klaviyo]:
    """A sandbox whose jobs take as long as its clock is moved."""
    with Sandbox(limits=False, timing=Timing(queued=JOB / 2, working=JOB / 2), strict=True) as running:
        klaviyo = Klaviyo(running.url)
        yield klaviyo
        klaviyo.close()


def members(klaviyo: Klaviyo) -> list[str]:
    """Ids of the profiles of the list that has some."""
    return [item["id"] for item in klaviyo.get(f"/api/lists/{LIST}/relationships/profiles")["data"]]


def put_on(klaviyo: Klaviyo, profile_ids: list[str], list_id: str = NOBODY) -> None:
    _write(klaviyo, "POST", f"/api/lists/{list_id}/relationships/profiles", _ids(profile_ids))


def take_off(klaviyo: Klaviyo, profile_ids: list[str], list_id: str = NOBODY) -> None:
    _write(klaviyo, "DELETE", f"/api/lists/{list_id}/relationships/profiles", _ids(profile_ids))


def new_list(klaviyo: Klaviyo, name: str) -> str:
    body = {"data": {"type": "list", "attributes": {"name": name}}}
    return str(_write(klaviyo, "POST", "/api/lists", body).json()["data"]["id"])


def import_into(klaviyo: Klaviyo, count: int, list_id: str = NOBODY) -> None:
    """Begin the import of so many new profiles."""
    rows = [{"type": "profile", "attributes": {"email": f"p{number}@example.com"}} for number in range(count)]
    data = {
        "type": "profile-bulk-import-job",
        "attributes": {"profiles": {"data": rows}},
        "relationships": {"lists": {"data": [{"type": "list", "id": list_id}]}},
    }
    _write(klaviyo, "POST", "/api/profile-bulk-import-jobs", {"data": data})


def _ids(profile_ids: list[str]) -> dict[str, Any]:
    return {"data": [{"type": "profile", "id": id_} for id_ in profile_ids]}


def _write(klaviyo: Klaviyo, method: str, path: str, body: dict[str, Any]) -> httpx.Response:
    headers = {"Authorization": "Klaviyo-API-Key pk_other", "revision": "2026-04-15"}
    answer = httpx.request(method, klaviyo.url + path, json=body, headers=headers, trust_env=False)
    answer.raise_for_status()
    return answer
