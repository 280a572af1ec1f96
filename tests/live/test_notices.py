"""Callbacks of a real Airflow: a task's in its own process, a DAG's in the DAG processor."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from harness.local_airflow import LocalAirflow


@pytest.mark.thorough
def test_a_failed_task_and_its_dag_are_one_event_each(
    airflow: LocalAirflow, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = {"conn_type": "klaviyo", "host": sandbox.url, "password": "pk_test"}
    monkeypatch.setenv("AIRFLOW_CONN_KLAVIYO_TEST", json.dumps(connection))
    hook = KlaviyoHook("klaviyo_test")

    def events(metric: str) -> list[dict[str, Any]]:
        ids = [one.id for one in hook.paginate("get_metrics") if one.name == metric]
        found = [hook.paginate("get_events", query={"filter": f'equals(metric_id,"{one}")'}) for one in ids]
        return [dict(event.attributes["event_properties"]) for some in found for event in some]

    run_id = airflow.trigger("notified")
    assert airflow.wait_for("notified", run_id) == "failed"
    airflow.wait_until(lambda: bool(events(f"DAG failed {run_id}")), "the DAG's event")
    [of_dag] = events(f"DAG failed {run_id}")
    assert (of_dag["dag_id"], of_dag["run_id"]) == ("notified", run_id)
    assert "task_id" not in of_dag
    tries = [events(f"Task {what} {run_id}") for what in ("tried", "failed")]
    assert [[event["try_number"] for event in some] for some in tries] == [[1], [2]]
    assert tries[1][0]["task_id"] == "fail"
    assert "log_url" in tries[1][0]
