"""The local Airflow that the other live tests and the demo stand on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from harness.local_airflow import LocalAirflow
from harness.processes import Processes
from harness.reaper import session_members
from harness.rest import HUNG, LocalAirflowError
from tests.support.airflow_versions import since_airflow


def in_seconds(seconds: float) -> dict[str, str]:
    return {"until": (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()}


def test_a_run_ends_and_shows_states_xcoms_and_logs(airflow: LocalAirflow) -> None:
    run_id = airflow.trigger("harness_defer")
    assert airflow.wait_for("harness_defer", run_id) == "success"
    states = airflow.task_states("harness_defer", run_id)
    assert states == dict.fromkeys(["wait", "give", "double[0]", "double[1]"], "success")
    assert airflow.xcom("harness_defer", run_id, "give") == [1, 2]
    assert airflow.xcom("harness_defer", run_id, "double", map_index=1) == 4
    assert "Returned value was: 4" in airflow.task_log("harness_defer", run_id, "double", map_index=1)


@pytest.mark.thorough
def test_a_deferred_task_survives_kill_9_of_the_triggerer(airflow: LocalAirflow) -> None:
    run_id = airflow.trigger("harness_defer", conf=in_seconds(4))
    airflow.wait_for_task("harness_defer", run_id, "wait", ["deferred"])
    killed = airflow.pid("triggerer")
    airflow.kill("triggerer", signal.SIGKILL)
    assert session_members([killed]) == []
    time.sleep(4)
    assert airflow.task_states("harness_defer", run_id)["wait"] == "deferred"
    airflow.start("triggerer")
    assert airflow.wait_for("harness_defer", run_id) == "success"


@since_airflow("3.1", "another try after SIGKILL")
def test_a_killed_task_process_is_retried(airflow: LocalAirflow) -> None:
    run_id = airflow.trigger("harness_hang_once")
    airflow.wait_for_task("harness_hang_once", run_id, "hang_once", ["running"])
    airflow.kill_task("harness_hang_once", run_id, "hang_once")
    assert airflow.wait_for("harness_hang_once", run_id) == "success"
    assert airflow.xcom("harness_hang_once", run_id, "hang_once") == 2


@pytest.mark.thorough
def test_a_task_whose_scheduler_and_worker_died_is_retried(airflow: LocalAirflow) -> None:
    run_id = airflow.trigger("harness_hang_once")
    airflow.wait_for_task("harness_hang_once", run_id, "hang_once", ["running"])
    airflow.kill("scheduler", signal.SIGKILL)
    airflow.start("scheduler")
    assert airflow.wait_for("harness_hang_once", run_id) == "success"
    assert airflow.xcom("harness_hang_once", run_id, "hang_once") == 2


def test_clearing_starts_a_second_try_and_marking_ends_a_deferral(airflow: LocalAirflow) -> None:
    run_id = airflow.trigger("harness_defer", conf=in_seconds(600))
    airflow.wait_for_task("harness_defer", run_id, "wait", ["deferred"])
    assert [instance["task_id"] for instance in airflow.clear("harness_defer", run_id, "wait")] == ["wait"]
    airflow.wait_for_task("harness_defer", run_id, "wait", ["deferred"], try_number=2)
    airflow.mark("harness_defer", run_id, "wait", "failed")
    assert airflow.wait_for("harness_defer", run_id) == "failed"
    assert airflow.task_states("harness_defer", run_id)["give"] == "upstream_failed"


def test_a_backfill_makes_one_run_a_day(airflow: LocalAirflow) -> None:
    airflow.backfill("harness_defer", datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 2, 3, tzinfo=UTC))
    run_ids = [run_id for run_id in airflow.runs("harness_defer") if run_id.startswith("backfill__2026-02-0")]
    assert len(run_ids) == 3
    assert {airflow.wait_for("harness_defer", run_id) for run_id in run_ids} == {"success"}


@pytest.mark.thorough
def test_a_backfill_whose_request_was_cut_off_half_way_is_taken_up(
    airflow: LocalAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when SQLite's one writer is taken in mid-request: the backfill is there, and lacks its last days."""
    whole, cut = airflow.request, []

    def cut_once(method: str, path: str, **options: Any) -> Any:
        if cut or (method, path) != ("POST", "/backfills"):
            return whole(method, path, **options)
        cut.append(options)
        whole(method, path, json={**options["json"], "to_date": options["json"]["from_date"]})
        raise LocalAirflowError("POST /backfills answered 500: database is locked")

    monkeypatch.setattr(airflow, "request", cut_once)
    airflow.backfill("harness_daily", datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 3, tzinfo=UTC))
    assert len(cut) == 1
    run_ids = [run_id for run_id in airflow.runs("harness_daily") if run_id.startswith("backfill__")]
    assert len(run_ids) == 3
    assert {airflow.wait_for("harness_daily", run_id) for run_id in run_ids} == {"success"}


def test_only_triggered_runs_run(airflow: LocalAirflow) -> None:
    assert not [run_id for run_id in airflow.runs("harness_defer") if run_id.startswith("scheduled")]


def test_a_failed_start_shows_the_log_of_the_component(tmp_path: Path) -> None:
    env = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "sqlite:////nowhere/airflow.db"}
    with pytest.raises(LocalAirflowError, match=r"(?s)db-migrate.*unable to open database file"):
        LocalAirflow(tmp_path / "home", tmp_path, env=env).__enter__()


def test_a_dag_file_that_does_not_import_is_named(airflow: LocalAirflow) -> None:
    broken = Path(__file__).parent / "dags" / "broken_for_this_test.py"
    broken.write_text("import airflow\nraise ValueError('broken on purpose')  # DAG\n")
    try:
        with pytest.raises(LocalAirflowError, match="broken on purpose"):
            airflow.wait_ready("broken")
    finally:
        broken.unlink()


PARENT = """
import sys, time
from pathlib import Path
from harness.processes import Processes

children = Processes(Path(sys.argv[1]))
children.start("sleeper", ["sh", "-c", "sleep 600 & sleep 600"], {"PATH": "/usr/bin:/bin"})
print(children.pid("sleeper"), flush=True)
time.sleep(600)
"""


def test_no_component_outlives_a_killed_parent(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=env
    ) as parent:
        assert parent.stdout is not None
        session = int(parent.stdout.readline())
        while len(session_members([session])) < 3:
            time.sleep(0.05)
        parent.kill()
    deadline = time.monotonic() + HUNG
    while session_members([session]):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_component_that_ended_by_itself_is_reported(tmp_path: Path) -> None:
    children = Processes(tmp_path)
    try:
        children.start("short", ["sh", "-c", "echo last words; exit 3"], {"PATH": "/usr/bin:/bin"})
        deadline = time.monotonic() + HUNG
        while not children.ended():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert children.ended() == {"short": 3}
        assert children.log_tail("short") == "last words"
    finally:
        children.stop()
