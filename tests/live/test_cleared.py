"""Runs that were sent and are cleared in a real Airflow, be its notes kept by a clear or not."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from harness.local_airflow import LocalAirflow

LIFECYCLE = "klaviyo_campaign_lifecycle"
TASKS = ["create", "assign_template", "estimate", "send"]


@pytest.fixture(autouse=True)
def _empty_sandbox(sandbox: Sandbox) -> None:
    httpx.post(f"{sandbox.url}/sandbox/reset").raise_for_status()


def sends(sandbox: Sandbox) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = httpx.get(f"{sandbox.url}/sandbox/sends").raise_for_status().json()
    return answer


def calls(sandbox: Sandbox, operation: str) -> int:
    requests = httpx.get(f"{sandbox.url}/sandbox/requests").raise_for_status().json()
    return sum(request["operation"] == operation for request in requests)


def clear_and_wait(airflow: LocalAirflow, dag_id: str, run_id: str, *task_ids: str) -> dict[str, str | None]:
    """Clear tasks of a run that has ended, and return the states in which its tasks end then."""
    airflow.clear(dag_id, run_id, *task_ids)
    airflow.wait_for(dag_id, run_id)
    return airflow.task_states(dag_id, run_id)


@pytest.mark.thorough
def test_each_task_of_a_sent_run_ends_well_when_it_alone_is_cleared(airflow: LocalAirflow, sandbox: Sandbox) -> None:
    run_id = airflow.trigger(LIFECYCLE)
    assert airflow.wait_for(LIFECYCLE, run_id) == "success"
    campaign_id = airflow.xcom(LIFECYCLE, run_id, "create")
    ended = {task_id: clear_and_wait(airflow, LIFECYCLE, run_id, task_id)[task_id] for task_id in TASKS}
    tries = {row["task_id"]: row["try_number"] for row in airflow.task_instances(LIFECYCLE, run_id)}
    assert tries == dict.fromkeys(TASKS, 2)
    assert ended == dict.fromkeys(TASKS, "success")
    assert airflow.xcom(LIFECYCLE, run_id, "create") == airflow.xcom(LIFECYCLE, run_id, "send") == campaign_id
    assert [sent["campaign_id"] for sent in sends(sandbox)] == [campaign_id]
    assert calls(sandbox, "create_campaign") == calls(sandbox, "send_campaign") == 1


@pytest.mark.parametrize(
    ("dag_id", "prefix"),
    [("mapped_brands", ""), pytest.param("mapped_brand_groups", "brand.", marks=pytest.mark.thorough)],
    ids=["tasks", "groups"],
)
def test_a_mapped_list_that_a_clear_reorders_sends_each_campaign_once(
    airflow: LocalAirflow, sandbox: Sandbox, dag_id: str, prefix: str
) -> None:
    """A and B were sent; then X, A and B are asked for: index 0 was A's, index 1 B's, and index 2 is new."""

    def made(indexes: int) -> dict[str, tuple[int, str]]:
        return {
            name: (
                airflow.xcom(dag_id, run_id, f"{prefix}estimate", map_index=index),
                airflow.xcom(dag_id, run_id, f"{prefix}send", map_index=index),
            )
            for index, name in enumerate("AB" if indexes == 2 else "XAB")
        }

    def mailed() -> dict[str, tuple[int, str]]:
        return {sent["name"].split()[0]: (sent["recipients"], sent["campaign_id"]) for sent in sends(sandbox)}

    run_id = airflow.trigger(dag_id)
    assert airflow.wait_for(dag_id, run_id) == "success"
    before = made(2)
    assert len(sends(sandbox)) == 2
    assert mailed() == before
    states = clear_and_wait(airflow, dag_id, run_id)
    assert set(states.values()) == {"success"}
    assert f"{prefix}send[2]" in states
    assert sorted(sent["name"].split()[0] for sent in sends(sandbox)) == ["A", "B", "X"]
    after = made(3)
    assert {name: after[name] for name in "AB"} == before
    assert mailed() == after
    assert len({recipients for recipients, _ in after.values()}) == 3
    assert calls(sandbox, "create_campaign") == calls(sandbox, "send_campaign") == 3
