"""Drafts that somebody edits between the tasks of a real Airflow: what its XComs carry to the send."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from harness.local_airflow import LocalAirflow


@pytest.fixture(autouse=True)
def _empty_sandbox(sandbox: Sandbox) -> None:
    httpx.post(f"{sandbox.url}/sandbox/reset").raise_for_status()


def posted(sandbox: Sandbox) -> list[dict[str, Any]]:
    """The requests to send a campaign."""
    requests = httpx.get(f"{sandbox.url}/sandbox/requests").raise_for_status().json()
    return [request for request in requests if request["operation"] == "send_campaign"]


def test_an_edited_draft_is_refused_and_the_other_one_is_sent(airflow: LocalAirflow, sandbox: Sandbox) -> None:
    """Both tasks are mapped: a send finds the note about its campaign, whichever map index wrote it."""
    run_id = airflow.trigger("edited_drafts")
    assert airflow.wait_for("edited_drafts", run_id) == "failed"
    states = [airflow.task_instance("edited_drafts", run_id, "send", map_index=index)["state"] for index in (0, 1)]
    assert states == ["success", "failed"]
    edited = airflow.xcom("edited_drafts", run_id, "create", map_index=1)
    log = airflow.task_log("edited_drafts", run_id, "send", map_index=1)
    assert f"Campaign {edited} was changed since this run's tasks wrote it" in log
    assert "content.body of message" in log
    assert "It was not sent." in log
    assert len(posted(sandbox)) == 1


@pytest.mark.thorough
def test_an_edited_template_is_named_in_the_log_of_the_send(airflow: LocalAirflow, sandbox: Sandbox) -> None:
    run_id = airflow.trigger("edited_template")
    assert airflow.wait_for("edited_template", run_id) == "success"
    log = airflow.task_log("edited_template", run_id, "send")
    assert "content of the template of message" in log
    assert "It is sent as it is now" in log
    assert len(posted(sandbox)) == 1
