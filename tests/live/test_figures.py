"""The figures of the week in a table and on a page, in a real Airflow."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from harness.local_airflow import LocalAirflow
from tests.support.sandbox import DRAFT_EMAIL, DRAFT_SMS, Klaviyo

DAG_ID = "klaviyo_campaign_figures"
EXAMPLE = Path(__file__).parents[2] / "example_dags" / f"{DAG_ID}.py"


@pytest.mark.thorough
def test_each_run_adds_a_snapshot_of_the_campaigns_that_were_sent(tmp_path: Path) -> None:
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / EXAMPLE.name).write_text(EXAMPLE.read_text())
    warehouse, page = tmp_path / "warehouse.db", tmp_path / "page.html"

    def ask(sql: str) -> list[Any]:
        with sqlite3.connect(warehouse) as database:
            return database.execute(sql).fetchall()

    with Sandbox() as sandbox:
        connection = {"conn_type": "klaviyo", "host": sandbox.url, "password": "pk_live_tests"}
        env = {
            "AIRFLOW_CONN_KLAVIYO_DEFAULT": json.dumps(connection),
            "AIRFLOW_CONN_WAREHOUSE": json.dumps({"conn_type": "sqlite", "host": str(warehouse)}),
        }
        with LocalAirflow(tmp_path / "home", dags, env=env) as airflow:
            airflow.wait_ready(DAG_ID)
            nothing = airflow.trigger(DAG_ID, {"page_path": str(page)})
            assert airflow.wait_for(DAG_ID, nothing) == "success"
            assert airflow.task_states(DAG_ID, nothing)["report"] == "skipped"

            klaviyo = Klaviyo(sandbox.url)
            for campaign_id in (DRAFT_EMAIL, DRAFT_SMS):
                klaviyo.send(campaign_id)
            klaviyo.advance(3600)
            first = airflow.trigger(DAG_ID, {"page_path": str(page)})
            assert airflow.wait_for(DAG_ID, first) == "success"
            assert airflow.xcom(DAG_ID, first, "report") == {"table": "campaign_figures", "count": 2}
            assert page.read_text().count("<svg") == 2
            klaviyo.advance(86_400)
            second = airflow.trigger(DAG_ID, {"page_path": str(page)})
            assert airflow.wait_for(DAG_ID, second) == "success"

            rows = ask("SELECT campaign_id, opens_unique FROM campaign_figures ORDER BY snapshot_at")
            assert {campaign_id for campaign_id, _ in rows} == {DRAFT_EMAIL, DRAFT_SMS}
            opens = [count for campaign_id, count in rows if campaign_id == DRAFT_EMAIL]
            assert len(opens) == 2
            assert opens[0] < opens[1]
            assert len(ask("SELECT DISTINCT snapshot_at FROM campaign_figures")) == 2
            log = httpx.get(f"{sandbox.url}/sandbox/requests").json()
            assert [row["status"] for row in log if row["operation"] == "query_campaign_values"] == [200, 200]
            klaviyo.close()
