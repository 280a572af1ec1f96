"""A person approves, rejects or does not answer, in a real Airflow: what is sent, and what is recorded."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from harness.local_airflow import LocalAirflow

pytest.importorskip("airflow_provider_klaviyo.operators.approval", reason="needs Airflow 3.1", exc_type=ImportError)

DAG_ID = "klaviyo_approval"
EXAMPLE = Path(__file__).parents[2] / "example_dags" / f"{DAG_ID}.py"


@pytest.fixture(scope="module")
def klaviyo() -> Iterator[Sandbox]:
    with Sandbox(limits=True) as running:
        yield running


@pytest.fixture(scope="module")
def asking(klaviyo: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    """Two DAGs: the example, and the same with ten seconds to answer."""
    dags = tmp_path_factory.mktemp("dags")
    text = EXAMPLE.read_text().replace("minutes=2", "seconds=1")
    assert "timeout=24 * 3600" in text
    (dags / EXAMPLE.name).write_text(text)
    hasty = text.replace("timeout=24 * 3600", "timeout=10").replace(f"{DAG_ID}(", f"{DAG_ID}_hasty(")
    (dags / "hasty.py").write_text(hasty)
    connection = {"conn_type": "klaviyo", "host": klaviyo.url, "password": "pk_live_tests"}
    env = {
        "AIRFLOW_CONN_KLAVIYO_DEFAULT": json.dumps(connection),
        "AIRFLOW__SCHEDULER__AWAITING_INPUT_TIMEOUT_CHECK_INTERVAL": "2",
    }
    with LocalAirflow(tmp_path_factory.mktemp("home"), dags, env=env) as airflow:
        airflow.wait_ready(DAG_ID, f"{DAG_ID}_hasty")
        yield airflow


def sends(klaviyo: Sandbox, campaign_id: str) -> int:
    rows = httpx.get(f"{klaviyo.url}/sandbox/sends", timeout=60).json()
    return sum(row["campaign_id"] == campaign_id for row in rows)


def question(airflow: LocalAirflow, dag_id: str, run_id: str) -> dict[str, Any]:
    """The question as Airflow shows it, once it is asked."""

    def asked() -> bool:
        return airflow.task_states(dag_id, run_id).get("approve") in ("awaiting_input", "deferred")

    airflow.wait_until(asked, "a question")
    path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/approve/-1/hitlDetails"
    found: dict[str, Any] = airflow.get(path)
    return found


def answer(airflow: LocalAirflow, dag_id: str, run_id: str, option: str) -> None:
    """Answer as a person does: Airflow 3.3 may lose a task that is answered while its process still ends."""
    time.sleep(3)
    path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/approve/-1/hitlDetails"
    airflow.request("PATCH", path, json={"chosen_options": [option], "params_input": {}})


def test_an_approved_campaign_is_sent_and_who_approved_it_is_recorded(klaviyo: Sandbox, asking: LocalAirflow) -> None:
    run_id = asking.trigger(DAG_ID)
    asked = question(asking, DAG_ID, run_id)
    campaign_id = asking.xcom(DAG_ID, run_id, "create")
    assert asked["subject"] == f"Send 'Monday offer {run_id}'?"
    for part in ("Ask Ada", "This week's offer", "(list Y6nRLr)".replace("(", r"\(").replace(")", r"\)"), campaign_id):
        assert part in asked["body"]
    assert sends(klaviyo, campaign_id) == 0
    answer(asking, DAG_ID, run_id, "Approve")
    assert asking.wait_for(DAG_ID, run_id) == "success"
    assert sends(klaviyo, campaign_id) == 1
    recorded = asking.xcom(DAG_ID, run_id, "approve", key="klaviyo_approval")
    assert recorded["answer"] == "Approve"
    assert recorded["by"]
    assert recorded["at"]


def test_a_rejected_campaign_is_not_sent(klaviyo: Sandbox, asking: LocalAirflow) -> None:
    run_id = asking.trigger(DAG_ID)
    question(asking, DAG_ID, run_id)
    answer(asking, DAG_ID, run_id, "Reject")
    assert asking.wait_for(DAG_ID, run_id) == "failed"
    assert asking.task_instance(DAG_ID, run_id, "approve")["try_number"] == 1, "no retry asks again"
    assert asking.xcom(DAG_ID, run_id, "approve", key="klaviyo_approval")["answer"] == "Reject"
    assert "was rejected by" in asking.task_log(DAG_ID, run_id, "approve")
    assert sends(klaviyo, asking.xcom(DAG_ID, run_id, "create")) == 0


@pytest.mark.thorough
def test_a_campaign_that_nobody_answers_for_is_not_sent(klaviyo: Sandbox, asking: LocalAirflow) -> None:
    run_id = asking.trigger(f"{DAG_ID}_hasty")
    assert asking.wait_for(f"{DAG_ID}_hasty", run_id) == "failed"
    assert "Nobody answered within 0:00:10" in asking.task_log(f"{DAG_ID}_hasty", run_id, "approve")
    assert sends(klaviyo, asking.xcom(f"{DAG_ID}_hasty", run_id, "create")) == 0


@pytest.mark.thorough
def test_a_campaign_that_was_changed_while_it_was_open_is_not_sent(klaviyo: Sandbox, asking: LocalAirflow) -> None:
    run_id = asking.trigger(DAG_ID)
    question(asking, DAG_ID, run_id)
    campaign_id = asking.xcom(DAG_ID, run_id, "create")
    change = {"data": {"type": "campaign", "id": campaign_id, "attributes": {"audiences": {"included": ["WEmgye"]}}}}
    headers = {"Authorization": "Klaviyo-API-Key pk_person", "revision": "2026-04-15"}
    httpx.patch(f"{klaviyo.url}/api/campaigns/{campaign_id}", json=change, headers=headers).raise_for_status()
    answer(asking, DAG_ID, run_id, "Approve")
    assert asking.wait_for(DAG_ID, run_id) == "failed"
    assert "was changed while it was open for approval: audiences.included" in asking.task_log(
        DAG_ID, run_id, "approve"
    )
    assert sends(klaviyo, campaign_id) == 0
