"""Killed sends, and tries that cannot help, in a real Airflow."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from harness.local_airflow import LocalAirflow
from harness.rest import HUNG
from tests.support.airflow_versions import since_airflow

pytestmark = since_airflow("3.3", "triggers' on_kill and retry policies, which the DAGs here have")

DEFERRED = "send_that_is_killed"
RUNNING = "send_that_is_killed_in_its_worker"


class Account:
    """Klaviyo, seen by the person who looks at it."""

    def __init__(self, url: str) -> None:
        headers = {"Authorization": "Klaviyo-API-Key pk_person", "revision": "2026-04-15"}
        self.http = httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False)
        self.http.post("/sandbox/reset").raise_for_status()

    def status(self, campaign_id: str) -> str:
        answer = self.http.get(f"/api/campaigns/{campaign_id}")
        assert answer.status_code == 200, answer.text
        return str(answer.json()["data"]["attributes"]["status"])

    def wait_until(self, campaign_id: str, status: str) -> None:
        until = time.monotonic() + HUNG
        while (seen := self.status(campaign_id)) != status:
            assert time.monotonic() < until, seen
            time.sleep(0.2)

    def let_hours_pass(self) -> None:
        self.http.post("/sandbox/clock", json={"advance": 7200}).raise_for_status()

    def sends(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.http.get("/sandbox/sends").json()
        return rows

    def calls(self, operation: str) -> int:
        return sum(row["operation"] == operation for row in self.http.get("/sandbox/requests").json())


@pytest.fixture
def account(sandbox: Sandbox) -> Account:
    return Account(sandbox.url)


def deferred(airflow: LocalAirflow, account: Account) -> tuple[str, str]:
    """A run whose send is on Klaviyo's schedule and waited for in the triggerer; its id, and the campaign's."""
    at = datetime.now(UTC) + timedelta(hours=1)
    run_id = airflow.trigger(DEFERRED, conf={"at": at.isoformat()})
    airflow.wait_for_task(DEFERRED, run_id, "deferred", ["deferred"])
    campaign_id = airflow.xcom(DEFERRED, run_id, "create")
    account.wait_until(campaign_id, "Scheduled")
    wait_for_log(airflow, DEFERRED, run_id, "deferred", "Looking seldom until then")
    return run_id, campaign_id


def test_marked_failed_while_deferred_the_send_is_taken_back(airflow: LocalAirflow, account: Account) -> None:
    run_id, campaign_id = deferred(airflow, account)
    airflow.mark(DEFERRED, run_id, "deferred", "failed")
    account.wait_until(campaign_id, "Draft")
    assert account.calls("cancel_campaign_send") == 1
    wait_for_log(airflow, DEFERRED, run_id, "deferred", f"asked Klaviyo to revert campaign {campaign_id}")
    account.let_hours_pass()
    assert airflow.wait_for(DEFERRED, run_id) == "failed"
    assert account.sends() == []


@pytest.mark.thorough
def test_cleared_while_deferred_the_send_goes_on_and_happens_once(airflow: LocalAirflow, account: Account) -> None:
    run_id, campaign_id = deferred(airflow, account)
    airflow.clear(DEFERRED, run_id, "deferred")
    airflow.wait_for_task(DEFERRED, run_id, "deferred", ["deferred"], try_number=2)
    wait_for_log(airflow, DEFERRED, run_id, "deferred", "the task was not marked as failed")
    assert account.status(campaign_id) == "Scheduled"
    assert account.calls("cancel_campaign_send") == 0
    account.let_hours_pass()
    airflow.kill("triggerer")  # A campaign whose time is far off is looked at rarely; a new triggerer looks at once.
    airflow.start("triggerer")
    assert airflow.wait_for(DEFERRED, run_id) == "success"
    assert len(account.sends()) == 1
    assert account.calls("send_campaign") == 1


@pytest.mark.thorough
def test_marked_success_while_deferred_the_send_goes_on(airflow: LocalAirflow, account: Account) -> None:
    run_id, campaign_id = deferred(airflow, account)
    airflow.mark(DEFERRED, run_id, "deferred", "success")
    wait_for_log(airflow, DEFERRED, run_id, "deferred", "its state is success")
    assert account.status(campaign_id) == "Scheduled"
    account.let_hours_pass()
    account.wait_until(campaign_id, "Sent")
    assert len(account.sends()) == 1


@pytest.mark.thorough
def test_marked_failed_in_its_worker_the_send_is_taken_back(airflow: LocalAirflow, account: Account) -> None:
    run_id = airflow.trigger(RUNNING)
    airflow.wait_for_task(RUNNING, run_id, "running", ["running"])
    campaign_id = airflow.xcom(RUNNING, run_id, "create")
    account.wait_until(campaign_id, "Scheduled")
    airflow.mark(RUNNING, run_id, "running", "failed")
    account.wait_until(campaign_id, "Draft")
    assert account.calls("cancel_campaign_send") == 1
    assert airflow.wait_for(RUNNING, run_id) == "failed"
    account.let_hours_pass()
    assert account.sends() == []


@pytest.mark.thorough
def test_cleared_in_its_worker_the_send_goes_on_and_happens_once(airflow: LocalAirflow, account: Account) -> None:
    run_id = airflow.trigger(RUNNING)
    airflow.wait_for_task(RUNNING, run_id, "running", ["running"])
    campaign_id = airflow.xcom(RUNNING, run_id, "create")
    account.wait_until(campaign_id, "Scheduled")
    airflow.clear(RUNNING, run_id, "running")
    airflow.wait_for_task(RUNNING, run_id, "running", ["running"], try_number=2)
    wait_for_log(airflow, RUNNING, run_id, "running", "Looking seldom until then", try_number=2)
    account.let_hours_pass()
    assert airflow.wait_for(RUNNING, run_id) == "success"
    assert len(account.sends()) == 1
    assert account.calls("send_campaign") == 1
    assert account.calls("cancel_campaign_send") == 0


def test_a_template_that_is_not_there_fails_at_the_first_of_four_tries(airflow: LocalAirflow, account: Account) -> None:
    dag_id = "template_that_is_not_there"
    run_id = airflow.trigger(dag_id)
    assert airflow.wait_for(dag_id, run_id) == "failed"
    assert airflow.task_instance(dag_id, run_id, "assign")["try_number"] == 1
    assert account.calls("assign_template_to_campaign_message") == 1
    assert "KlaviyoNotFoundError" in airflow.task_log(dag_id, run_id, "assign")


def wait_for_log(airflow: LocalAirflow, dag_id: str, run_id: str, task_id: str, text: str, try_number: int = 1) -> None:
    """Wait longer than the triggerer gives a killed trigger, which is 30 s."""
    until = time.monotonic() + HUNG
    while text not in (log := airflow.task_log(dag_id, run_id, task_id, try_number)):
        assert time.monotonic() < until, log
        time.sleep(0.2)
