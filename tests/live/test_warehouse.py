"""A DAG that an asset starts: it has no logical date, and its send is made all the same, once."""

from __future__ import annotations

import json
from pathlib import Path

import httpx

from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from harness.local_airflow import LocalAirflow

DAG_ID = "klaviyo_after_warehouse_refresh"
EXAMPLE = Path(__file__).parents[2] / "example_dags" / f"{DAG_ID}.py"


def test_a_refresh_of_the_warehouse_sends_one_campaign(tmp_path: Path) -> None:
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / EXAMPLE.name).write_text(EXAMPLE.read_text())
    with Sandbox(limits=True) as sandbox:
        connection = {"conn_type": "klaviyo", "host": sandbox.url, "password": "pk_live_tests"}
        env = {
            "AIRFLOW_CONN_KLAVIYO_DEFAULT": json.dumps(connection),
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "True",
        }
        with LocalAirflow(tmp_path / "home", dags, env=env) as airflow:
            airflow.wait_ready(DAG_ID)
            assets = airflow.get("/assets", name_pattern="warehouse_lapsed_customers")["assets"]
            airflow.request("POST", "/assets/events", json={"asset_id": assets[0]["id"], "extra": {"rows": 1234}})
            airflow.wait_until(lambda: bool(airflow.runs(DAG_ID)), f"a run of {DAG_ID}")
            [run_id] = airflow.runs(DAG_ID)
            assert airflow.wait_for(DAG_ID, run_id) == "success"
            assert airflow.get(f"/dags/{DAG_ID}/dagRuns/{run_id}")["logical_date"] is None
            [sent] = httpx.get(f"{sandbox.url}/sandbox/sends").json()
            assert sent["campaign_id"] == airflow.xcom(DAG_ID, run_id, "clone")
            assert sent["name"] == f"We miss you {run_id}"
