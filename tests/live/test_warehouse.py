"""The whole pipeline in a real Airflow: a table is refreshed, its people get a mail, once, and its figures are rows."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from airflow_provider_klaviyo.sandbox.served import Timing
from harness.local_airflow import LocalAirflow
from tests.support.clocks import within_one_day
from tests.support.postgres import postgres

DAG_ID = "klaviyo_after_warehouse_refresh"
EXAMPLE = Path(__file__).parents[2] / "example_dags" / f"{DAG_ID}.py"
SHORTER = {"minutes=2": "seconds=1", "hours=1": "seconds=5", "0 9 * * MON": "* * * * *"}
ROWS = 40
DAY = timedelta(days=1)
HEADERS = {"Authorization": "Klaviyo-API-Key pk_observer", "revision": "2026-04-15"}
TABLE = "CREATE TABLE lapsed_customers (email text, first_name text, last_order text)"
EMAILS = [f"c{number}@example.com" for number in range(ROWS)]
NO_MAIL = {"email": {"marketing": {"consent": "UNSUBSCRIBED"}}}
KEY = "pk_scopes_" + "+".join(
    [f"{name}:{what}" for name in ("lists", "profiles", "campaigns") for what in ("read", "write")]
    + ["templates:read", "metrics:read", "accounts:read"]
)
"""A key with the scopes that ``docs/after-a-refresh.md`` asks for, and no other."""
ROW = "INSERT INTO lapsed_customers VALUES ('{0}', 'C', '2026-01-31')"


class Pipeline:
    """The example in an Airflow of its own, and a sandbox."""

    def __init__(self, airflow: LocalAirflow, url: str, folder: Path) -> None:
        self.airflow = airflow
        self._http = httpx.Client(base_url=url, headers=HEADERS)
        self._conf = {"state_path": f"file://{folder}/state", "rejected_path": f"file://{folder}/rejected.jsonl"}

    def run(self, state: str, *, days_ago: int = 0, **conf: Any) -> str:
        """A run by hand, of an earlier day, that has ended so; its id."""
        body = {
            "conf": {**self._conf, **conf},
            "logical_date": None,
            "run_after": (datetime.now(UTC) - days_ago * DAY).isoformat(),
        }
        run_id: str = self.airflow.request("POST", f"/dags/{DAG_ID}/dagRuns", json=body)["dag_run_id"]
        assert self.airflow.wait_for(DAG_ID, run_id) == state
        return run_id

    def refresh(self) -> str:
        """The table's asset has an event; the run that it starts, by its id."""
        before = set(self.airflow.runs(DAG_ID))
        [asset] = self.airflow.get("/assets", name_pattern="warehouse_lapsed_customers")["assets"]
        self.airflow.request("POST", "/assets/events", json={"asset_id": asset["id"], "extra": {"rows": ROWS}})
        self.airflow.wait_until(lambda: len(self.airflow.runs(DAG_ID)) > len(before), f"a run of {DAG_ID}")
        [run_id] = set(self.airflow.runs(DAG_ID)) - before
        return run_id

    def a_day_passes(self) -> None:
        self._http.post("/sandbox/clock", json={"advance": DAY.total_seconds()}).raise_for_status()

    def unsubscribe(self, emails: list[str]) -> None:
        """They unsubscribe from everything by themselves, and stay members of the list."""
        found = [{"type": "profile", "attributes": {"email": email, "subscriptions": NO_MAIL}} for email in emails]
        data = {"type": "profile-subscription-bulk-delete-job", "attributes": {"profiles": {"data": found}}}
        self._http.post("/api/profile-subscription-bulk-delete-jobs", json={"data": data}).raise_for_status()

    def campaigns(self) -> list[str]:
        query = {"filter": "and(equals(messages.channel,'email'),contains(name,'We miss you'))", "sort": "created_at"}
        return [one["id"] for one in self._http.get("/api/campaigns", params=query).raise_for_status().json()["data"]]

    def sends(self) -> list[tuple[str, int]]:
        """Each send: which campaign, to how many."""
        rows = self._http.get("/sandbox/sends").raise_for_status().json()
        return [(row["campaign_id"], row["recipients"]) for row in rows]


@contextmanager
def pipeline(folder: Path, warehouse: dict[str, str]) -> Iterator[Pipeline]:
    """The example, with shorter pauses, and an asset schedule that starts runs."""
    text = EXAMPLE.read_text()
    for what, shorter in SHORTER.items():
        assert what in text
        text = text.replace(what, shorter)
    dags = folder / "dags"
    dags.mkdir()
    (dags / EXAMPLE.name).write_text(text)
    with Sandbox(limits=True, timing=Timing(queued=1, working=1)) as sandbox:
        klaviyo = {"conn_type": "klaviyo", "host": sandbox.url, "password": KEY}
        env = {
            "AIRFLOW_CONN_KLAVIYO_DEFAULT": json.dumps(klaviyo),
            "AIRFLOW_CONN_WAREHOUSE": json.dumps(warehouse),
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "True",
        }
        with LocalAirflow(folder / "home", dags, env=env) as airflow:
            airflow.wait_ready(DAG_ID)
            yield Pipeline(airflow, sandbox.url, folder)


@pytest.mark.timeout(2400)
def test_a_refreshed_table_is_mailed_once_and_a_wrong_one_is_not(tmp_path: Path) -> None:
    within_one_day(minutes=8)
    path = tmp_path / "warehouse.db"

    def warehouse(*statements: str) -> list[Any]:
        with closing(sqlite3.connect(path)) as database, database:
            return [row for statement in statements for row in database.execute(statement)]

    warehouse(TABLE, *(ROW.format(email) for email in EMAILS))
    with pipeline(tmp_path, {"conn_type": "sqlite", "host": str(path)}) as example:
        airflow = example.airflow
        run_id = example.run("failed", days_ago=2)
        assert "for the first one, give minimum" in airflow.task_log(DAG_ID, run_id, "estimate")
        assert example.sends() == []

        run_id = example.run("success", days_ago=1, minimum="10")
        [(first, recipients)] = example.sends()
        assert (first, recipients) == (airflow.xcom(DAG_ID, run_id, "clone"), ROWS)
        example.a_day_passes()

        warehouse(f"DELETE FROM lapsed_customers WHERE email = '{EMAILS[0]}'", ROW.format("new@example.com"))
        run_id = example.refresh()
        again = example.refresh()
        assert airflow.wait_for(DAG_ID, run_id) == "success"
        day = airflow.get(f"/dags/{DAG_ID}/dagRuns/{run_id}")["run_after"][:10]
        second = airflow.xcom(DAG_ID, run_id, "clone")
        assert example.sends() == [(first, ROWS), (second, ROWS)]
        assert airflow.wait_for(DAG_ID, again) == "success"
        assert airflow.task_states(DAG_ID, again)["clone"] == "skipped"
        assert airflow.task_states(DAG_ID, again)["send"] == "skipped"
        assert f"{second} (Sent)" in airflow.task_log(DAG_ID, again, "clone")
        rows = warehouse("SELECT campaign_id, campaign_name, recipients FROM campaign_figures ORDER BY send_time")
        assert [(row[0], row[2]) for row in rows] == [(first, ROWS), (second, ROWS)]
        assert rows[1][1] == f"We miss you {day}"

        warehouse("DELETE FROM lapsed_customers WHERE email < 'c25'")
        run_id = example.run("failed", days_ago=3)
        assert airflow.task_instance(DAG_ID, run_id, "load")["try_number"] == 1
        assert "members of list" in airflow.task_log(DAG_ID, run_id, "load")
        warehouse("DELETE FROM lapsed_customers", *(ROW.format(email) for email in EMAILS))

        example.unsubscribe(EMAILS[:24])
        example.a_day_passes()
        run_id = example.run("failed", days_ago=3)
        assert airflow.task_instance(DAG_ID, run_id, "estimate")["try_number"] == 1
        said = f"16 recipients, 60% fewer than its last sends had ({ROWS}, the median)"
        assert said in airflow.task_log(DAG_ID, run_id, "estimate")
        assert example.sends() == [(first, ROWS), (second, ROWS)]


@pytest.mark.thorough
@pytest.mark.timeout(2400)
def test_the_table_and_the_figures_may_be_in_postgres(tmp_path: Path) -> None:
    within_one_day(minutes=5)
    psycopg = pytest.importorskip("psycopg")
    with postgres() as warehouse:
        address = {"host": warehouse["host"], "user": warehouse["login"], "dbname": warehouse["schema"]}
        with closing(psycopg.connect(**address)) as database, database:
            for statement in (TABLE, *(ROW.format(email) for email in EMAILS)):
                database.execute(statement)
        with pipeline(tmp_path, warehouse) as example:
            for _ in range(2):
                example.run("success", minimum="10")
            [(sent, recipients)] = example.sends()
            assert example.campaigns() == [sent]
            with closing(psycopg.connect(**address)) as database:
                rows = database.execute("SELECT campaign_id, recipients FROM campaign_figures").fetchall()
            assert rows == [(sent, recipients)] == [(sent, ROWS)]
