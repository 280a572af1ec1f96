"""Reports in a real Airflow: so long after the send, and by more tasks than the quota has room for."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import httpx

from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from harness.local_airflow import LocalAirflow

DAG_ID = "reported"
WAITING = "This task waits until"


def test_campaigns_of_a_list_are_reported_and_who_finds_the_quota_spent_waits_without_a_slot(
    airflow: LocalAirflow, sandbox: Sandbox, tmp_path: Path
) -> None:
    httpx.post(f"{sandbox.url}/sandbox/reset").raise_for_status()
    path = tmp_path / "figures.jsonl"
    run_id = airflow.trigger(DAG_ID, {"path": str(path)})
    assert airflow.wait_for(DAG_ID, run_id) == "success"

    sent = {row["campaign_id"] for row in httpx.get(f"{sandbox.url}/sandbox/sends").json()}
    assert len(sent) == 3
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert airflow.xcom(DAG_ID, run_id, "together") == {"path": str(path), "count": 3}
    assert {row["campaign_id"] for row in rows} == sent
    for row in rows:
        late = datetime.fromisoformat(row["snapshot_at"]) - datetime.fromisoformat(row["send_time"])
        assert late >= timedelta(seconds=14)
    assert "without a worker slot" in airflow.task_log(DAG_ID, run_id, "together")

    logs = [airflow.task_log(DAG_ID, run_id, "each", map_index=index) for index in range(3)]
    logs += [airflow.task_log(DAG_ID, run_id, "more", map_index=index) for index in range(2)]
    assert any(WAITING in log for log in logs), "six reports within a minute or two, and Klaviyo takes two a minute"
    reported = [airflow.xcom(DAG_ID, run_id, "each", map_index=index) for index in range(3)]
    assert {row["campaign_id"] for [row] in reported} == sent
    metrics = [airflow.xcom(DAG_ID, run_id, "more", map_index=index)[0]["conversion_metric_id"] for index in range(2)]
    assert metrics == ["RESQ6t", "Wx8PdR"]
