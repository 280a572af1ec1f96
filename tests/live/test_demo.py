"""What ``make demo`` shows, and what it calls a success."""

from __future__ import annotations

import io

import httpx
import pytest

from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from demo.run import DAG_ID, read, run_and_report
from demo.table import TaskTable, task_order
from harness.local_airflow import LocalAirflow

DRAFT_IN_THE_SEED = "01HP76BB2M2R3MSXY1HPGN0ZBS"


@pytest.fixture(autouse=True)
def fresh_sandbox(sandbox: Sandbox) -> None:
    httpx.post(f"{sandbox.url}/sandbox/reset").raise_for_status()


def test_one_send_is_a_success_and_is_shown(
    sandbox: Sandbox, airflow: LocalAirflow, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_and_report(sandbox, airflow)
    shown = capsys.readouterr().out
    [send] = read(sandbox, "sends")
    assert f"{send['name']!r} by email to {send['recipients']}: {send['addresses'][0]}, " in shown
    for task_id in task_order(airflow, DAG_ID):
        assert f"{task_id} " in shown
    assert "   1  send_campaign\n" in shown


@pytest.mark.thorough
def test_a_second_send_is_a_failure(sandbox: Sandbox, airflow: LocalAirflow) -> None:
    httpx.post(
        f"{sandbox.url}/api/campaign-send-jobs",
        headers={"Authorization": "Klaviyo-API-Key pk_demo", "revision": "2026-04-15"},
        json={"data": {"type": "campaign-send-job", "id": DRAFT_IN_THE_SEED}},
    ).raise_for_status()
    assert not run_and_report(sandbox, airflow)
    assert len(read(sandbox, "sends")) == 2


def test_tasks_are_listed_after_those_they_depend_on(airflow: LocalAirflow) -> None:
    order = task_order(airflow, "harness_defer")
    assert order == ["wait", "give", "double"]


def test_a_terminal_is_redrawn_in_place_with_one_line_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    table = TaskTable(["create", "send"], terminal)
    row = {"map_index": -1, "start_date": None, "end_date": None}
    rows = [{**row, "task_id": "send", "state": None}, {**row, "task_id": "create", "state": "running"}]
    table.show(rows, 1.0)
    drawn = terminal.getvalue()
    assert drawn.count("\n") == 3
    assert drawn.index("create") < drawn.index("running") < drawn.index("send ")
    table.show(rows, 2.0)
    assert terminal.getvalue().removeprefix(drawn).startswith("\x1b[3A")
