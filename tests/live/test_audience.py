"""A warehouse table becomes a list, in a real Airflow: twice, and with the worker killed in the middle."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from airflow_provider_klaviyo.sandbox.served import Timing
from harness.local_airflow import LocalAirflow

DAG_ID = "klaviyo_audience_from_warehouse"
EXAMPLE = Path(__file__).parents[2] / "example_dags" / f"{DAG_ID}.py"
ROWS = 25_000


@pytest.fixture(scope="module")
def klaviyo() -> Iterator[Sandbox]:
    with Sandbox(limits=True, timing=Timing(queued=1, working=3)) as running:
        yield running


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("warehouse") / "warehouse.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE newsletter_customers (email, first_name, country, orders)")
        rows = [(f"c{number:06}@example.com", f"C{number}", "DE", number % 7) for number in range(ROWS)]
        rows[3] = ("not an address", "X", "DE", 0)
        database.executemany("INSERT INTO newsletter_customers VALUES (?, ?, ?, ?)", rows)
    return path


@pytest.fixture(scope="module")
def loading(klaviyo: Sandbox, warehouse: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    dags = tmp_path_factory.mktemp("dags")
    (dags / EXAMPLE.name).write_text(EXAMPLE.read_text().replace("minutes=2", "seconds=1"))
    env = {
        "AIRFLOW_CONN_KLAVIYO_DEFAULT": json.dumps(
            {"conn_type": "klaviyo", "host": klaviyo.url, "password": "pk_live_tests"}
        ),
        "AIRFLOW_CONN_WAREHOUSE": json.dumps({"conn_type": "sqlite", "host": str(warehouse)}),
    }
    with LocalAirflow(tmp_path_factory.mktemp("home"), dags, env=env) as airflow:
        airflow.wait_ready(DAG_ID)
        yield airflow


def members(klaviyo: Sandbox) -> int:
    headers = {"Authorization": "Klaviyo-API-Key pk_observer", "revision": "2026-04-15"}
    query = {"additional-fields[list]": "profile_count"}
    answer = httpx.get(f"{klaviyo.url}/api/lists/Y6nRLr", params=query, headers=headers, timeout=60).json()
    return int(answer["data"]["attributes"]["profile_count"])


def posted(klaviyo: Sandbox) -> list[dict[str, Any]]:
    rows = httpx.get(f"{klaviyo.url}/sandbox/requests", timeout=60).json()
    return [row for row in rows if row["operation"] == "bulk_import_profiles"]


def test_the_rows_of_a_table_join_a_list_and_the_next_task_waits_for_them(
    klaviyo: Sandbox, loading: LocalAirflow, tmp_path: Path
) -> None:
    before = members(klaviyo)
    rejected = tmp_path / "rejected.jsonl"
    conf = {"minimum": ROWS - 1, "rejected_path": f"file://{rejected}"}
    run_id = loading.trigger(DAG_ID, conf)
    assert loading.wait_for(DAG_ID, run_id) == "success"
    result = loading.xcom(DAG_ID, run_id, "load")
    assert result == {
        "rows": ROWS,
        "duplicates": 0,
        "accepted": ROWS - 1,
        "rejected": 1,
        "rejected_path": f"file://{rejected}",
    }
    assert loading.xcom(DAG_ID, run_id, "ready") == members(klaviyo) == before + ROWS - 1
    [line] = map(json.loads, rejected.read_text().splitlines())
    assert (line["row"], line["field"], line["key"]) == (ROWS, "email", {"email": "not an address"})
    assert len(posted(klaviyo)) == 3


def test_a_worker_that_is_killed_in_the_middle_leaves_no_row_behind(
    klaviyo: Sandbox, loading: LocalAirflow, tmp_path: Path
) -> None:
    httpx.post(f"{klaviyo.url}/sandbox/reset").raise_for_status()
    before = members(klaviyo)
    delay = {"operation": "bulk_import_profiles", "fault": "delay", "seconds": 15, "skip": 1}
    httpx.post(f"{klaviyo.url}/sandbox/faults", json=delay).raise_for_status()
    run_id = loading.trigger(DAG_ID, {"minimum": ROWS - 1, "rejected_path": f"file://{tmp_path}/rejected.jsonl"})
    loading.wait_until(lambda: fired(klaviyo) == 1, "the second batch")
    loading.kill_task(DAG_ID, run_id, "load")
    assert loading.wait_for(DAG_ID, run_id) == "success"
    assert loading.task_instance(DAG_ID, run_id, "load")["try_number"] == 2
    assert loading.xcom(DAG_ID, run_id, "load")["accepted"] == ROWS - 1
    assert members(klaviyo) == before + ROWS - 1
    assert len(posted(klaviyo)) == 4, "only the batch that was cut off is posted a second time"


def fired(klaviyo: Sandbox) -> int:
    return sum(rule["fired"] for rule in httpx.get(f"{klaviyo.url}/sandbox/faults", timeout=60).json())
