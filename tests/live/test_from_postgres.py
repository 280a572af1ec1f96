"""The example of a warehouse table that becomes a list, on a real PostgreSQL and in a real Airflow."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from airflow_provider_klaviyo.sandbox.served import Timing
from harness.local_airflow import LocalAirflow
from tests.support.postgres import postgres

DAG_ID = "klaviyo_audience_from_warehouse"
EXAMPLE = Path(__file__).parents[2] / "example_dags" / f"{DAG_ID}.py"
ROWS = 25_000


@pytest.mark.thorough
def test_a_list_becomes_what_a_postgres_table_is(tmp_path: Path) -> None:
    psycopg = pytest.importorskip("psycopg")
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / EXAMPLE.name).write_text(EXAMPLE.read_text())
    with postgres() as warehouse, Sandbox(limits=True, timing=Timing(queued=1, working=3)) as klaviyo:
        address = {"host": warehouse["host"], "user": warehouse["login"], "dbname": warehouse["schema"]}
        with closing(psycopg.connect(**address)) as database, database:
            database.execute(
                "CREATE TABLE newsletter_customers AS SELECT 'c' || n || '@example.com' AS email, "
                f"'C' || n AS first_name, 'DE' AS country, n::numeric AS orders FROM generate_series(1, {ROWS}) n"
            )
        connection = {"conn_type": "klaviyo", "host": klaviyo.url, "password": "pk_live_tests"}
        env = {
            "AIRFLOW_CONN_KLAVIYO_DEFAULT": json.dumps(connection),
            "AIRFLOW_CONN_WAREHOUSE": json.dumps(warehouse),
        }
        with LocalAirflow(tmp_path / "home", dags, env=env) as airflow:
            airflow.wait_ready(DAG_ID)
            paths = {name: f"file://{tmp_path}/{name}" for name in ("state_path", "rejected_path")}
            run_id = airflow.trigger(DAG_ID, {"minimum": ROWS, **paths})
            assert airflow.wait_for(DAG_ID, run_id) == "success"
            result = airflow.xcom(DAG_ID, run_id, "load")
            assert (result["rows"], result["accepted"], result["rejected"]) == (ROWS, ROWS, 0)
            assert airflow.xcom(DAG_ID, run_id, "ready") == ROWS
