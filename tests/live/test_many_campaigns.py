"""Campaigns out of a table, in a real Airflow: one fails its check, the others are sent, and nothing is sent twice."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from harness.local_airflow import LocalAirflow
from tests.support.clocks import within_one_day

DAG_ID = "klaviyo_many_campaigns"
EXAMPLE = Path(__file__).parents[2] / "example_dags" / f"{DAG_ID}.py"


def reported(warehouse: Path) -> list[int]:
    """How many campaigns each report has, in their order."""
    with closing(sqlite3.connect(warehouse)) as database:
        return [
            count
            for (count,) in database.execute(
                "SELECT count(DISTINCT campaign_id) FROM campaign_figures GROUP BY snapshot_at ORDER BY snapshot_at"
            )
        ]


def sends(sandbox: Sandbox) -> Counter[str]:
    """How often the campaign of each name was sent."""
    return Counter(row["name"] for row in httpx.get(f"{sandbox.url}/sandbox/sends", timeout=60).json())


@pytest.mark.timeout(2400)
@pytest.mark.parametrize("count", [4, pytest.param(12, marks=pytest.mark.thorough)])
def test_each_row_of_a_table_is_sent_once_whatever_is_cleared(tmp_path: Path, count: int) -> None:
    within_one_day(minutes=20)
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / EXAMPLE.name).write_text(
        EXAMPLE.read_text().replace("minutes=2", "seconds=1").replace("hours=1", "seconds=5")
    )
    warehouse = tmp_path / "warehouse.db"
    brands = [f"Brand {number:02}" for number in range(count)]
    with sqlite3.connect(warehouse) as database:
        database.execute("CREATE TABLE campaigns (brand, list_id, subject, minimum, priority)")
        rows = [(brand, "Y6nRLr", f"From {brand}", 1, number) for number, brand in enumerate(brands)]
        rows[2] = (*rows[2][:3], 1_000_000, 2)
        database.executemany("INSERT INTO campaigns VALUES (?, ?, ?, ?, ?)", rows)
    with Sandbox(limits=True) as sandbox:
        env = {
            "AIRFLOW_CONN_KLAVIYO_DEFAULT": json.dumps(
                {"conn_type": "klaviyo", "host": sandbox.url, "password": "pk_live_tests"}
            ),
            "AIRFLOW_CONN_WAREHOUSE": json.dumps({"conn_type": "sqlite", "host": str(warehouse)}),
        }
        with LocalAirflow(tmp_path / "home", dags, env=env) as airflow:
            airflow.wait_ready(DAG_ID)
            run_id = airflow.trigger(DAG_ID)
            assert airflow.wait_for(DAG_ID, run_id) == "failed"
            day = airflow.get(f"/dags/{DAG_ID}/dagRuns/{run_id}")["run_after"][:10]
            right = {f"{brand} {day}": 1 for brand in brands if brand != brands[2]}
            assert sends(sandbox) == right
            states = airflow.task_states(DAG_ID, run_id)
            assert states["one.campaign.estimate[2]"] == "failed"
            assert states["one.campaign.send[2]"] == "upstream_failed"
            shown = airflow.task_instance(DAG_ID, run_id, "one.campaign.send", 3)
            assert shown["rendered_map_index"] == f"{brands[3]} {day}"
            assert states["all_sent"] == "upstream_failed"
            assert reported(warehouse) == [count - 1]

            with sqlite3.connect(warehouse) as database:
                database.execute("UPDATE campaigns SET priority = -priority, minimum = 1")
            airflow.clear(DAG_ID, run_id)
            assert airflow.wait_for(DAG_ID, run_id) == "success"
            assert sends(sandbox) == right | {f"{brands[2]} {day}": 1}, "in another order, and nothing twice"
            assert reported(warehouse) == [count - 1, count]

            run_id = airflow.trigger(DAG_ID)
            assert airflow.wait_for(DAG_ID, run_id) == "success"
            assert airflow.task_states(DAG_ID, run_id)["report"] == "skipped", "another run of the day sends nothing"
            assert sum(sends(sandbox).values()) == count
