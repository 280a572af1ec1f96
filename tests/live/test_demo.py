"""What ``make demo`` shows, and what it calls a success."""

from __future__ import annotations

import io

import httpx
import pytest

from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from demo.run import DAG_ID, read, run_and_report
from demo.show import TaskTable, console, task_order, waiting
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


ROW = {"map_index": -1, "start_date": None, "end_date": None}
BEFORE = [{**ROW, "task_id": "send", "state": None}, {**ROW, "task_id": "create", "state": "running"}]
AFTER = [{**ROW, "task_id": "send", "state": "queued"}, {**ROW, "task_id": "create", "state": "success"}]


def shown(monkeypatch: pytest.MonkeyPatch, *, terminal: bool, ci: bool = False) -> tuple[str, str]:
    """What the first state of two tasks adds to the output, and what the rest of their run adds."""
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: terminal)
    monkeypatch.setattr("sys.stdout", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("CI", raising=False)
    if ci:
        monkeypatch.setenv("CI", "true")
    with waiting(console(), "Airflow is starting", "Airflow is up"):
        pass
    with TaskTable(["create", "send"], console()) as table:
        table.show(BEFORE, 1.0)
        before = stream.getvalue()
        for elapsed in (2.0, 3.0, 4.0):
            table.show(AFTER, elapsed)
    return before, stream.getvalue().removeprefix(before)


def test_a_terminal_is_redrawn_in_place_with_one_line_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    first, later = shown(monkeypatch, terminal=True)
    assert first.index("create") < first.index("running") < first.rindex("send")
    assert "\x1b[1A" in later, "the cursor goes up to draw over what was there"
    assert later.index("success") < later.index("queued")


@pytest.mark.parametrize(("terminal", "ci"), [(False, False), (False, True), (True, True)])
def test_elsewhere_each_change_is_one_plain_line(monkeypatch: pytest.MonkeyPatch, terminal: bool, ci: bool) -> None:
    first, later = shown(monkeypatch, terminal=terminal, ci=ci)
    assert first.splitlines() == ["Airflow is starting …", "Airflow is up after 0 s", "     1.0 s  create    running"]
    assert later.splitlines() == ["     2.0 s  create    success", "     2.0 s  send      queued"]
