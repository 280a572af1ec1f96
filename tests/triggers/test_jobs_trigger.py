"""The wait for jobs over profiles, as Airflow's database has it."""

from __future__ import annotations

import time
from pkgutil import resolve_name
from typing import Any

from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from tests.support.context import fire

OLDER = "airflow_provider_klaviyo.triggers.jobs.KlaviyoImportJobsTrigger"
"""The class of a row of Airflow's table of triggers, from before other jobs than imports were waited for."""


def older(job_id: str, **changed: Any) -> dict[str, Any]:
    """Its arguments."""
    return {
        "job_ids": [job_id],
        "deadline": time.time() + 60,
        "poll_interval": 0.02,
        "klaviyo_conn_id": "klaviyo_default",
        "revision": None,
        **changed,
    }


def test_a_wait_that_was_deferred_before_there_were_other_kinds_goes_on(klaviyo):
    rows = [{"type": "profile", "attributes": {"email": "ada@example.com"}}]
    body = {"data": {"type": "profile-bulk-import-job", "attributes": {"profiles": {"data": rows}}}}
    job_id = KlaviyoHook().call("bulk_import_profiles", body=body).about("profile-bulk-import-job").id
    assert fire(resolve_name(OLDER)(**older(job_id))) == {"outcome": "done", "pending": []}


def test_a_job_is_looked_at_where_its_kind_is(klaviyo):
    job_id = KlaviyoHook().suppress(["ada@example.com"]).id
    assert fire(resolve_name(OLDER)(**older(job_id, kind="suppress")))["outcome"] == "done"
    assert klaviyo.counted()["get_bulk_suppress_profiles_job"] > 0
    assert klaviyo.counted()["get_bulk_import_profiles_job"] == 0
