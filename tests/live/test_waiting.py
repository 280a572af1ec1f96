"""Waits in a real triggerer: begun without a worker, sharing their requests, and surviving what kills a triggerer."""

from __future__ import annotations

import json
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from harness.local_airflow import LocalAirflow
from harness.rest import HUNG
from tests.support.airflow_versions import since_airflow

pytestmark = since_airflow("3.3", "start_from_trigger")

DAGS = Path(__file__).parent / "waiting_dags"
SOURCE = "01H5QQV9F57XJHJDMD86RX4QM5"


class Account:
    """Somebody who uses Klaviyo beside Airflow."""

    def __init__(self, url: str) -> None:
        headers = {"Authorization": "Klaviyo-API-Key pk_person", "revision": "2026-04-15"}
        self.http = httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False)
        self.seen: list[dict[str, Any]] = []

    def clones(self, count: int) -> list[str]:
        body = {"data": {"type": "campaign", "id": SOURCE, "attributes": {"new_name": "a clone"}}}
        return [self.http.post("/api/campaign-clone", json=body).json()["data"]["id"] for _ in range(count)]

    def send(self, *campaign_ids: str) -> None:
        for campaign_id in campaign_ids:
            body = {"data": {"type": "campaign-send-job", "id": campaign_id}}
            self.http.post("/api/campaign-send-jobs", json=body).raise_for_status()

    def requests(self) -> list[dict[str, Any]]:
        """All requests to now; those that were read before are not read again."""
        after = self.seen[-1]["number"] if self.seen else 0
        self.seen += self.http.get("/sandbox/requests", params={"after": after}).json()
        return self.seen


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    """A sandbox of its own: here watchers look at it all the time."""
    with Sandbox(port=0, limits=False) as sandbox:
        yield Account(sandbox.url)


@pytest.fixture(scope="module")
def waiting(account: Account, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    connection = {"conn_type": "klaviyo", "host": str(account.http.base_url).rstrip("/"), "password": "pk_waiting"}
    env = {
        "AIRFLOW_CONN_KLAVIYO_DEFAULT": json.dumps(connection),
        "AIRFLOW__TRIGGERER__CAPACITY": "2000",
    }
    with LocalAirflow(tmp_path_factory.mktemp("waiting"), DAGS, env=env) as airflow:
        airflow.wait_ready("waiting_from_trigger", "waiting_for_any_campaign")
        yield airflow


def test_tasks_begin_and_wait_without_a_worker(waiting: LocalAirflow, account: Account) -> None:
    soon, never = account.clones(2)
    run_id = waiting.trigger("waiting_from_trigger", conf={"ids": [soon, never]})
    waiting.wait_for_task("waiting_from_trigger", run_id, "sent", ["deferred"])
    assert waiting.task_instance("waiting_from_trigger", run_id, "sent")["pid"] is None
    account.send(soon)
    assert waiting.wait_for("waiting_from_trigger", run_id) == "failed"
    states = waiting.task_states("waiting_from_trigger", run_id)
    assert states == {
        "sent": "success",
        "too_late": "failed",
        "clone": "success",
        "cloned": "success",
        "job": "success",
    }
    assert waiting.xcom("waiting_from_trigger", run_id, "sent") == soon
    clone = waiting.xcom("waiting_from_trigger", run_id, "clone")
    assert waiting.xcom("waiting_from_trigger", run_id, "cloned") == clone
    log = waiting.task_log("waiting_from_trigger", run_id, "sent")
    assert f"Campaign {soon}: Sent." in log
    assert never not in log
    assert "pk_waiting" not in log
    assert f"{never} was not done in time" in waiting.task_log("waiting_from_trigger", run_id, "too_late")


def test_an_audience_is_waited_for_rescheduled_and_deferred(waiting: LocalAirflow) -> None:
    run_id = waiting.trigger("waiting_audience")
    assert waiting.wait_for("waiting_audience", run_id) == "failed"
    assert waiting.task_states("waiting_audience", run_id) == {
        "rescheduled": "success",
        "deferred": "success",
        "deferred_too": "success",
        "too_late": "failed",
    }
    for task_id in ("rescheduled", "deferred", "deferred_too"):
        assert waiting.xcom("waiting_audience", run_id, task_id) == 12
        log = waiting.task_log("waiting_audience", run_id, task_id)
        assert log.count("The list Y6nRLr has 12 profiles (not seen before).") == 1
    late = waiting.task_log("waiting_audience", run_id, "too_late")
    assert "The list Y6nRLr has 12 profiles, since " in late


@pytest.mark.thorough
def test_the_deadline_stays_where_it_was_when_the_triggerer_dies(waiting: LocalAirflow, account: Account) -> None:
    ids = account.clones(2)
    run_id = waiting.trigger("waiting_deadline", conf={"ids": ids})
    waiting.wait_for_task("waiting_deadline", run_id, "wait", ["deferred"])
    wait_until(lambda: len(ends(waiting, run_id)) == 1)
    waiting.kill("triggerer", signal.SIGKILL)
    waiting.start("triggerer")
    assert waiting.wait_for("waiting_deadline", run_id) == "failed"
    before, after = ends(waiting, run_id)
    assert after == before
    assert "was not done in time" in waiting.task_log("waiting_deadline", run_id, "wait")


def ends(airflow: LocalAirflow, run_id: str) -> list[str]:
    """When the wait ends at last, as each triggerer has logged it at its first look."""
    log = airflow.task_log("waiting_deadline", run_id, "wait")
    return re.findall(r"until ([\d-]+ [\d:]+) UTC at most", log)


@pytest.mark.thorough
def test_a_campaign_that_ends_updates_assets_also_while_the_triggerer_is_down(
    waiting: LocalAirflow, account: Account
) -> None:
    def events(name: str) -> list[str]:
        rows = waiting.get("/assets/events", limit=100)["asset_events"]
        return [row["extra"]["payload"]["event_id"] for row in rows if row["name"] == name]

    assets = ("klaviyo_campaigns_ended", "klaviyo_campaigns_sent", "klaviyo_campaigns_ended_by_messages")
    first, second = account.clones(2)
    time.sleep(5)
    account.send(first)
    for name in assets:
        wait_until(lambda name=name: f"{first}:Sent" in events(name))  # type: ignore[misc]
    time.sleep(5)  # the next look notes what was fired
    waiting.kill("triggerer", signal.SIGKILL)
    account.send(second)
    time.sleep(8)
    waiting.start("triggerer")
    for name in assets:
        wait_until(lambda name=name: f"{second}:Sent" in events(name))  # type: ignore[misc]
        fired = Counter(events(name))
        assert fired[f"{first}:Sent"] == 1
        assert fired[f"{second}:Sent"] >= 1
        assert "01GMRWDSA0ARTAKE1SFX8JGXAY:Sent" not in fired


@pytest.mark.thorough
@pytest.mark.timeout(2400)
def test_a_thousand_waits_cost_ten_requests_a_round(waiting: LocalAirflow, account: Account) -> None:
    ids = account.clones(1000)
    waiting.wait_ready(*(f"waiting_part_{part}" for part in range(50)))
    for part in range(50):
        waiting.trigger(f"waiting_part_{part}", conf={"ids": ids[20 * part : 20 * part + 20]})
    wait_until(lambda: deferred(waiting) == 1000, seconds=900)
    wait_until(lambda: looked_at(account) >= set(ids))
    time.sleep(30)
    before, held_up = len(lists(account)), blocks(waiting)
    time.sleep(60)
    rounds = (len(lists(account)) - before) / 2
    account.send(*ids)
    sent, asked = time.monotonic(), len(lists(account))
    wait_until(lambda: deferred(waiting) == 0, seconds=900)
    took, rounds_to_end = time.monotonic() - sent, (len(lists(account)) - asked) / 12
    held_up = blocks(waiting)[len(held_up) :]
    print(f"{rounds} requests a round; the last event {took:.1f} s after the last send; loop held up (s): {held_up}")
    assert rounds <= 12
    assert rounds_to_end <= 3


def lists(account: Account) -> list[dict[str, Any]]:
    """Requests of the waits: the watchers filter by time."""
    return [row for row in account.requests() if "any(id" in row["query"].get("filter", "")]


def looked_at(account: Account) -> set[str]:
    return {campaign_id for row in lists(account) for campaign_id in re.findall(r"\w{26}", row["query"]["filter"])}


def blocks(waiting: LocalAirflow) -> list[float]:
    """For how long Airflow found its triggerer's event loop held up: by triggers, or by other load on the machine."""
    log = waiting.log_tail("triggerer", lines=1_000_000)
    return [float(seconds) for seconds in re.findall(r"async thread was blocked for ([\d.]+) seconds", log)]


def deferred(waiting: LocalAirflow) -> int:
    answer = waiting.get("/dags/~/dagRuns/~/taskInstances", state="deferred", limit=1)
    return int(answer["total_entries"])


def wait_until(holds: Any, seconds: float = HUNG) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.5)
