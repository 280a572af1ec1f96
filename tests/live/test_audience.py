"""A list is what a warehouse table is, in a real Airflow: run after run, and with the worker killed in the middle."""

from __future__ import annotations

import json
import sqlite3
import time
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
    fill(path)
    return path


def fill(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("DROP TABLE IF EXISTS newsletter_customers")
        database.execute("CREATE TABLE newsletter_customers (email, first_name, country, orders)")
        rows = [(f"c{number:06}@example.com", f"C{number}", "DE", number % 7) for number in range(ROWS)]
        rows[3] = ("not an address", "X", "DE", 0)
        database.executemany("INSERT INTO newsletter_customers VALUES (?, ?, ?, ?)", rows)


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


def members(klaviyo: Sandbox, list_id: str) -> int:
    headers = {"Authorization": "Klaviyo-API-Key pk_observer", "revision": "2026-04-15"}
    query = {"additional-fields[list]": "profile_count"}
    address = f"{klaviyo.url}/api/lists/{list_id}"
    while (answer := httpx.get(address, params=query, headers=headers, timeout=60)).status_code == 429:
        time.sleep(float(answer.headers["retry-after"]))  # the DAG's tasks may have used up the account's limit
    return int(answer.raise_for_status().json()["data"]["attributes"]["profile_count"])


def posted(klaviyo: Sandbox) -> list[dict[str, Any]]:
    rows = httpx.get(f"{klaviyo.url}/sandbox/requests", timeout=60).json()
    return [row for row in rows if row["operation"] == "bulk_import_profiles"]


def conf(folder: Path, **more: Any) -> dict[str, Any]:
    paths = {"state_path": f"file://{folder}/state", "rejected_path": f"file://{folder}/rejected.jsonl"}
    return {"minimum": ROWS - 1, **paths, **more}


def test_a_list_becomes_what_a_table_is_and_stays_so(
    klaviyo: Sandbox, loading: LocalAirflow, warehouse: Path, tmp_path: Path
) -> None:
    run_id = loading.trigger(DAG_ID, conf(tmp_path))
    assert loading.wait_for(DAG_ID, run_id) == "success"
    result = loading.xcom(DAG_ID, run_id, "load")
    counts = {"rows": ROWS, "duplicates": 0, "rejected": 1, "rejected_path": f"file://{tmp_path}/rejected.jsonl"}
    assert result == {**counts, "accepted": ROWS - 1, "unchanged": 0, "added": ROWS - 1, "removed": 0}
    list_id = loading.xcom(DAG_ID, run_id, "customers")
    assert loading.xcom(DAG_ID, run_id, "ready") == members(klaviyo, list_id) == ROWS - 1
    [line] = map(json.loads, (tmp_path / "rejected.jsonl").read_text().splitlines())
    assert (line["row"], line["field"], line["key"]) == (ROWS, "email", {"email": "not an address"})
    assert len(posted(klaviyo)) == 3

    with sqlite3.connect(warehouse) as database:
        database.execute("UPDATE newsletter_customers SET orders = 99 WHERE email < 'c000010'")
        database.execute("DELETE FROM newsletter_customers WHERE email >= 'c024990' AND email < 'd'")
        database.execute("INSERT INTO newsletter_customers VALUES ('new@example.com', 'New', 'DE', 0)")
    run_id = loading.trigger(DAG_ID, conf(tmp_path, minimum=ROWS - 10))
    assert loading.wait_for(DAG_ID, run_id) == "success"
    result = loading.xcom(DAG_ID, run_id, "load")
    changed = {"rows": ROWS - 9, "accepted": 10, "unchanged": ROWS - 20, "added": 1, "removed": 10}
    assert result == {**counts, **changed}
    assert loading.xcom(DAG_ID, run_id, "ready") == members(klaviyo, list_id) == ROWS - 10
    assert len(posted(klaviyo)) == 4

    run_id = loading.trigger(DAG_ID, conf(tmp_path, minimum=ROWS - 10))
    assert loading.wait_for(DAG_ID, run_id) == "success"
    result = loading.xcom(DAG_ID, run_id, "load")
    assert (result["accepted"], result["unchanged"]) == (0, ROWS - 10)
    assert len(posted(klaviyo)) == 4, "nothing has changed, so nothing is imported"

    with sqlite3.connect(warehouse) as database:
        database.execute("DELETE FROM newsletter_customers WHERE email < 'c012500'")
    run_id = loading.trigger(DAG_ID, conf(tmp_path))
    assert loading.wait_for(DAG_ID, run_id) == "failed"
    assert loading.task_instance(DAG_ID, run_id, "load")["try_number"] == 1, "no retry can help"
    assert "12,499 of the 24,990 members of list" in loading.task_log(DAG_ID, run_id, "load")
    assert members(klaviyo, list_id) == ROWS - 10, "nobody was removed"
    assert len(posted(klaviyo)) == 4


@pytest.mark.thorough
def test_a_worker_that_is_killed_in_the_middle_leaves_no_row_behind(
    klaviyo: Sandbox, loading: LocalAirflow, warehouse: Path, tmp_path: Path
) -> None:
    httpx.post(f"{klaviyo.url}/sandbox/reset").raise_for_status()
    fill(warehouse)
    delay = {"operation": "bulk_import_profiles", "fault": "delay", "seconds": 15, "skip": 1}
    httpx.post(f"{klaviyo.url}/sandbox/faults", json=delay).raise_for_status()
    run_id = loading.trigger(DAG_ID, conf(tmp_path))
    loading.wait_until(lambda: fired(klaviyo) == 1, "the second batch")
    loading.kill_task(DAG_ID, run_id, "load")
    assert loading.wait_for(DAG_ID, run_id) == "success"
    assert loading.task_instance(DAG_ID, run_id, "load")["try_number"] == 2
    assert loading.xcom(DAG_ID, run_id, "load")["accepted"] == ROWS - 1
    assert members(klaviyo, loading.xcom(DAG_ID, run_id, "customers")) == ROWS - 1
    assert len(posted(klaviyo)) == 4, "only the batch that was cut off is posted a second time"


def fired(klaviyo: Sandbox) -> int:
    return sum(rule["fired"] for rule in httpx.get(f"{klaviyo.url}/sandbox/faults", timeout=60).json())
