"""The campaign lifecycle in a real Airflow: what is sent, who waits where, and what a kill does."""

from __future__ import annotations

import json
import signal
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from packaging.version import Version

from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from harness.local_airflow import LocalAirflow
from harness.rest import HUNG, LocalAirflowError
from tests.support.airflow_versions import AIRFLOW

LIFECYCLE = "klaviyo_campaign_lifecycle"


@pytest.fixture(autouse=True)
def _empty_sandbox(sandbox: Sandbox) -> None:
    httpx.post(f"{sandbox.url}/sandbox/reset").raise_for_status()


@pytest.fixture
def hook(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> KlaviyoHook:
    connection = {"conn_type": "klaviyo", "host": sandbox.url, "password": "pk_test"}
    monkeypatch.setenv("AIRFLOW_CONN_KLAVIYO_TEST", json.dumps(connection))
    return KlaviyoHook("klaviyo_test")


def sends(sandbox: Sandbox) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = httpx.get(f"{sandbox.url}/sandbox/sends").raise_for_status().json()
    return answer


def calls(sandbox: Sandbox, operation: str) -> list[dict[str, Any]]:
    requests = httpx.get(f"{sandbox.url}/sandbox/requests").raise_for_status().json()
    return [request for request in requests if request["operation"] == operation]


def backfill_again(airflow: LocalAirflow, dag_id: str, first: datetime, last: datetime) -> None:
    """Airflow marks a backfill as done only a while after its last run, and allows one at a time."""
    deadline = time.monotonic() + HUNG
    while not all(backfill["completed_at"] for backfill in airflow.get("/backfills", dag_id=dag_id)["backfills"]):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    airflow.backfill(dag_id, first, last, reprocess="completed")


def test_the_lifecycle_ends_in_one_send_by_the_campaign_that_xcom_names(
    airflow: LocalAirflow, sandbox: Sandbox
) -> None:
    run_id = airflow.trigger(LIFECYCLE)
    assert airflow.wait_for(LIFECYCLE, run_id) == "success"
    [sent] = sends(sandbox)
    campaign_id = airflow.xcom(LIFECYCLE, run_id, "send")
    assert sent["campaign_id"] == campaign_id == airflow.xcom(LIFECYCLE, run_id, "create")
    assert sent["recipients"] == airflow.xcom(LIFECYCLE, run_id, "estimate") > 0
    template = airflow.xcom(LIFECYCLE, run_id, "assign_template", key="template")
    assert template["template_id"] == "RipRmi" != template["assigned_template_id"]
    link = airflow.xcom(LIFECYCLE, run_id, "send", key="klaviyo_campaign_link")
    assert link == f"{sandbox.url}/#{campaign_id}"
    note = airflow.get(f"/dags/{LIFECYCLE}/dagRuns/{run_id}")["note"]
    assert note == (f"[Klaviyo campaign]({link})" if Version("3.4") <= AIRFLOW else None)
    (event,) = airflow.get("/assets/events", source_run_id=run_id)["asset_events"]
    assert event["name"] == "holiday_sale_sent"
    facts = {"campaign_id": campaign_id, "name": sent["name"], "status": "Sent", "channel": "email"}
    assert {name: event["extra"].get(name) for name in facts} == facts
    assert event["extra"]["send_time"]
    assert event["extra"]["recipients"] == sent["recipients"]


def test_clearing_a_whole_run_that_was_sent_sends_nothing_again(airflow: LocalAirflow, sandbox: Sandbox) -> None:
    run_id = airflow.trigger(LIFECYCLE)
    assert airflow.wait_for(LIFECYCLE, run_id) == "success"
    campaign_id = airflow.xcom(LIFECYCLE, run_id, "create")
    airflow.clear(LIFECYCLE, run_id)
    airflow.wait_for_task(LIFECYCLE, run_id, "send", ["success", "failed"], try_number=2)
    assert airflow.wait_for(LIFECYCLE, run_id) == "success"
    assert airflow.xcom(LIFECYCLE, run_id, "create") == campaign_id
    assert len(sends(sandbox)) == 1
    assert len(calls(sandbox, "create_campaign")) == 1
    assert len(calls(sandbox, "send_campaign")) == 1


def test_a_wait_is_deferred_and_survives_kill_9_of_the_triggerer(airflow: LocalAirflow, sandbox: Sandbox) -> None:
    at = datetime.now(UTC) + timedelta(hours=1)
    run_id = airflow.trigger("scheduled_send", conf={"at": at.isoformat()})
    airflow.wait_for_task("scheduled_send", run_id, "send", ["deferred"])
    link = airflow.xcom("scheduled_send", run_id, "send", key="klaviyo_campaign_link")
    assert link.startswith(f"{sandbox.url}/#")
    airflow.kill("triggerer", signal.SIGKILL)
    httpx.post(f"{sandbox.url}/sandbox/clock", json={"advance": 3700}).raise_for_status()
    assert airflow.task_states("scheduled_send", run_id)["send"] == "deferred"
    airflow.start("triggerer")
    assert airflow.wait_for("scheduled_send", run_id) == "success"
    assert len(sends(sandbox)) == 1
    assert len(calls(sandbox, "send_campaign")) == 1


@pytest.mark.thorough
def test_a_send_whose_answer_was_lost_is_found_and_not_repeated(airflow: LocalAirflow, sandbox: Sandbox) -> None:
    fault = {"operation": "send_campaign", "fault": "drop_after_commit", "times": 1}
    httpx.post(f"{sandbox.url}/sandbox/faults", json=fault).raise_for_status()
    run_id = airflow.trigger(LIFECYCLE)
    assert airflow.wait_for(LIFECYCLE, run_id) == "success"
    [rule] = httpx.get(f"{sandbox.url}/sandbox/faults").json()
    assert rule["fired"] == 1
    assert len(sends(sandbox)) == 1
    assert "did not answer" in airflow.task_log(LIFECYCLE, run_id, "send")


@pytest.mark.thorough
def test_every_operator_and_sensor_also_works_in_the_worker(airflow: LocalAirflow, sandbox: Sandbox) -> None:
    run_id = airflow.trigger("in_the_worker")
    assert airflow.wait_for("in_the_worker", run_id) == "success"
    assert len(sends(sandbox)) == 1
    campaign_id = airflow.xcom("in_the_worker", run_id, "create")
    for sensor in ("counted", "job", "sent"):
        assert airflow.xcom("in_the_worker", run_id, sensor) == campaign_id


def test_too_few_recipients_stop_the_run_before_the_send(airflow: LocalAirflow, sandbox: Sandbox) -> None:
    run_id = airflow.trigger("in_the_worker", conf={"minimum": 1_000_000})
    assert airflow.wait_for("in_the_worker", run_id) == "failed"
    assert sends(sandbox) == []
    assert calls(sandbox, "send_campaign") == []
    assert "this task allows at least 1,000,000" in airflow.task_log("in_the_worker", run_id, "estimate")


@pytest.mark.thorough
def test_a_scheduled_send_is_reverted_to_a_draft(airflow: LocalAirflow, sandbox: Sandbox, hook: KlaviyoHook) -> None:
    run_id = airflow.trigger("scheduled_then_cancelled")
    assert airflow.wait_for("scheduled_then_cancelled", run_id) == "success"
    campaign = hook.get_campaign(airflow.xcom("scheduled_then_cancelled", run_id, "create"))
    assert campaign.attributes["status"] == "Draft"
    httpx.post(f"{sandbox.url}/sandbox/clock", json={"advance": 7200}).raise_for_status()
    assert sends(sandbox) == []


def test_a_backfill_clones_and_resends_each_day_once(
    airflow: LocalAirflow, sandbox: Sandbox, hook: KlaviyoHook
) -> None:
    dag_id = "klaviyo_backfill_clone_and_resend"
    airflow.wait_ready(dag_id)
    for day in (1, 2):
        hook.clone_campaign("01HP76BB2M2R3MSXY1HPGN0ZBS", f"Daily deals 2026-10-0{day}")
    first, last = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 10, 2, tzinfo=UTC)
    airflow.unpause(dag_id)
    airflow.backfill(dag_id, first, last)
    runs = [run_id for run_id in airflow.runs(dag_id) if run_id.startswith("backfill__2026-10-0")]
    assert len(runs) == 2
    assert {airflow.wait_for(dag_id, run_id) for run_id in runs} == {"success"}
    assert sorted(sent["name"] for sent in sends(sandbox)) == [
        "Daily deals 2026-10-01 (resent)",
        "Daily deals 2026-10-02 (resent)",
    ]
    backfill_again(airflow, dag_id, first, last)
    for run_id in runs:
        airflow.wait_for_task(dag_id, run_id, "send", ["success", "failed"], try_number=2)
        assert airflow.wait_for(dag_id, run_id) == "success"
    assert len(sends(sandbox)) == 2


def test_the_connection_test_names_the_account(airflow: LocalAirflow, sandbox: Sandbox) -> None:
    ok, text = airflow.connection_test("klaviyo_default", "klaviyo", host=sandbox.url, password="pk_test")
    assert ok
    assert "a test account" in text
    ok, text = airflow.connection_test("klaviyo_default", "klaviyo", host=sandbox.url, password="pk_invalid")
    assert not ok
    assert "not accepted" in text


def test_zz_the_key_is_nowhere_in_airflows_home(airflow: LocalAirflow) -> None:
    """Runs last: database, task logs and the components' own logs of all the runs above."""
    with pytest.raises(LocalAirflowError):
        airflow.cli("connections", "get", "no_such_connection")
    files = [path for path in airflow.home.rglob("*") if path.is_file()]
    assert any(path.name == "airflow.db" for path in files)
    assert any(path.suffix == ".log" for path in files)
    for path in files:
        with suppress(FileNotFoundError):  # SQLite's write-ahead log comes and goes
            assert b"pk_live_tests" not in path.read_bytes(), path
