"""What is asked of a running Airflow over its REST API: runs, tasks, logs, clears, backfills."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

import httpx

FINAL_RUN_STATES = ("success", "failed")
FINAL_TASK_STATES = (*FINAL_RUN_STATES, "skipped", "upstream_failed", "removed")
POLL_SECONDS = 0.2

HUNG = 500.0
"""Seconds after which what is waited for is taken as never to come: far more than a busy machine needs."""

TIMEOUT = httpx.Timeout(120)
BACKFILL_ATTEMPTS = 5


class LocalAirflowError(Exception):
    """Airflow did not start, or one of its components ended; the message holds the end of the guilty log."""


class AirflowRest:
    """The public REST API of an Airflow without login.

    :param url: of its API server.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, timeout=TIMEOUT, trust_env=False)

    def request(self, method: str, path: str, **options: Any) -> Any:
        """Call Airflow's public REST API and return the decoded answer.

        :param path: below ``/api/v2``.
        :param options: as for ``httpx.request``.
        :raises LocalAirflowError: the answer is an error; the message holds its body.
        """
        if "Authorization" not in self._http.headers:
            token = self._http.get("/auth/token").raise_for_status().json()["access_token"]
            self._http.headers["Authorization"] = f"Bearer {token}"
        answer = self._http.request(method, f"/api/v2{path}", **options)
        if answer.is_error:
            raise LocalAirflowError(f"{method} {path} answered {answer.status_code}: {answer.text}")
        return answer.json() if answer.content else None

    def get(self, path: str, **params: Any) -> Any:
        """Read from Airflow's REST API; keyword arguments are query parameters."""
        return self.request("GET", path, params=params)

    def unpause(self, dag_id: str) -> None:
        """Unpause a DAG."""
        self.request("PATCH", f"/dags/{dag_id}", json={"is_paused": False})

    def runs(self, dag_id: str) -> dict[str, str]:
        """Return the state of every run of the DAG by run id."""
        answer = self.get(f"/dags/{dag_id}/dagRuns", limit=10_000)
        return {run["dag_run_id"]: run["state"] for run in answer["dag_runs"]}

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return the state of a run: ``queued``, ``running``, ``success`` or ``failed``."""
        state: str = self.get(f"/dags/{dag_id}/dagRuns/{run_id}")["state"]
        return state

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the task instances of a run as the REST API describes them."""
        answer = self.get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", limit=10_000)
        instances: list[dict[str, Any]] = answer["task_instances"]
        return instances

    def task_instance(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> dict[str, Any]:
        """Return one task instance as the REST API describes it."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
        instance: dict[str, Any] = self.get(path if map_index < 0 else f"{path}/{map_index}")
        return instance

    def task_states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        """Return the state by task id; mapped instances appear as ``task_id[map_index]``."""
        return {label(instance): instance["state"] for instance in self.task_instances(dag_id, run_id)}

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """Return the value of an XCom."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        return self.get(path, map_index=map_index)["value"]

    def task_log(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1) -> str:
        """Return the log of one try, one line an event, with error details appended."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}"
        events = self.get(path, map_index=map_index, full_content=True)["content"]
        return "\n".join(event if isinstance(event, str) else _log_line(event) for event in events)

    def clear(
        self, dag_id: str, run_id: str, *task_ids: str | tuple[str, int], downstream: bool = False
    ) -> list[dict[str, Any]]:
        """Clear tasks of a run as the UI does, whatever their state; the run goes on.

        :param task_ids: task ids, or pairs of task id and map index; none means all tasks.
        :return: the task instances that were cleared.
        """
        body = {
            "dry_run": False,
            "only_failed": False,
            "reset_dag_runs": True,
            "dag_run_id": run_id,
            "include_downstream": downstream,
        }
        if task_ids:
            body["task_ids"] = list(task_ids)
        answer = self.request("POST", f"/dags/{dag_id}/clearTaskInstances", json=body)
        cleared: list[dict[str, Any]] = answer["task_instances"]
        return cleared

    def mark(self, dag_id: str, run_id: str, task_id: str, state: str, map_index: int = -1) -> None:
        """Mark a task ``success``, ``failed`` or ``skipped`` by hand."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
        self.request("PATCH", path if map_index < 0 else f"{path}/{map_index}", json={"new_state": state})

    def mark_run(self, dag_id: str, run_id: str, state: str) -> None:
        """Mark a whole run ``success``, ``failed`` or ``queued`` by hand."""
        self.request("PATCH", f"/dags/{dag_id}/dagRuns/{run_id}", json={"state": state})

    def connection_test(self, conn_id: str, conn_type: str, **fields: str) -> tuple[bool, str]:
        """Press the connection form's Test button; the hook runs inside the API server.

        :param fields: ``host``, ``login``, ``password``, ``extra`` (JSON) and so on.
        :return: True if it worked, and the message shown.
        """
        body = {"connection_id": conn_id, "conn_type": conn_type, **fields}
        answer = self.request("POST", "/connections/test", json=body)
        return answer["status"], answer["message"]

    # Waiting

    def wait_for(
        self, dag_id: str, run_id: str, states: Collection[str] = FINAL_RUN_STATES, timeout: float = HUNG
    ) -> str:
        """Wait until the run is in one of the states and return that state.

        :raises TimeoutError: it is not; the message holds the state of each task.
        """
        return self._wait(lambda: self.run_state(dag_id, run_id), states, timeout, dag_id, run_id)

    def wait_for_task(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        states: Collection[str],
        *,
        map_index: int = -1,
        try_number: int | None = None,
        timeout: float = HUNG,
    ) -> str:
        """Wait until a task is in one of the states, in the given try or a later one, and return that state.

        :raises TimeoutError: it is not; the message holds the state of each task.
        """

        def state() -> str | None:
            instance = self.task_instance(dag_id, run_id, task_id, map_index)
            return instance["state"] if instance["try_number"] >= (try_number or 0) else None

        return self._wait(state, states, timeout, dag_id, run_id)

    def wait_until(self, holds: Callable[[], bool], what: str, timeout: float = HUNG) -> None:
        """Wait until something holds.

        :param what: what is waited for, for the message.
        :raises TimeoutError: it does not come to hold.
        """
        deadline = time.monotonic() + timeout
        while not holds():
            if time.monotonic() > deadline:
                raise TimeoutError(f"still waiting for {what} after {timeout:.0f} s")
            time.sleep(POLL_SECONDS)

    def _wait(
        self, read: Callable[[], str | None], wanted: Collection[str], timeout: float, dag_id: str, run_id: str
    ) -> str:
        deadline = time.monotonic() + timeout
        while (state := read()) is None or state not in wanted:
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"{dag_id} {run_id}: still {state} after {timeout:.0f} s, not {' or '.join(wanted)}; "
                    f"tasks: {self.task_states(dag_id, run_id)}{self._unfinished(dag_id, run_id)}"
                )
            time.sleep(POLL_SECONDS)
        return state

    def _unfinished(self, dag_id: str, run_id: str) -> str:
        """The end of the log of each task that has begun and not ended."""
        logs = [
            f"\n--- {label(task)}, try {task['try_number']}, {task['state']}:\n"
            + self.task_log(dag_id, run_id, task["task_id"], task["try_number"], task["map_index"])[-1500:]
            for task in self.task_instances(dag_id, run_id)
            if task["try_number"] and task["state"] not in FINAL_TASK_STATES
        ]
        return "".join(logs)

    # Backfills

    def backfill(self, dag_id: str, from_date: datetime, to_date: datetime, *, reprocess: str = "none") -> None:
        """Run a backfill as the UI does, which needs less of SQLite than the command. Both dates are included.

        The command, a new process, takes seconds from its first read to its first write; if any other process writes
        in between, SQLite refuses its write.

        :param reprocess: what happens to a date that has a run already: ``none``, ``failed`` or ``completed``.
        """
        body = {
            "dag_id": dag_id,
            "from_date": from_date.isoformat(),
            "to_date": to_date.isoformat(),
            "reprocess_behavior": reprocess,
        }
        for attempt in range(BACKFILL_ATTEMPTS):
            try:
                self.request("POST", "/backfills", json=body)
                return
            except LocalAirflowError as error:
                is_half_done = attempt > 0 and "answered 409" in str(error)
                if "answered 5" not in str(error) and not is_half_done:
                    raise
            self._cancel_backfills(dag_id)
            if reprocess == "none":
                body["reprocess_behavior"] = "failed"
        raise LocalAirflowError(f"a backfill of {dag_id} met a locked database {BACKFILL_ATTEMPTS} times")

    def _cancel_backfills(self, dag_id: str) -> None:
        """Give up a backfill that met SQLite's one writer half way; its runs so far fail."""
        for backfill in self.get("/backfills", dag_id=dag_id)["backfills"]:
            if not backfill["completed_at"]:
                with suppress(LocalAirflowError):
                    self.request("PUT", f"/backfills/{backfill['id']}/cancel")


def label(instance: Mapping[str, Any]) -> str:
    """Return the task id of a task instance, with ``[map_index]`` if it is mapped."""
    task_id: str = instance["task_id"]
    return task_id if instance["map_index"] < 0 else f"{task_id}[{instance['map_index']}]"


def _log_line(event: Mapping[str, Any]) -> str:
    errors = [f"{error['exc_type']}: {error['exc_value']}" for error in event.get("error_detail") or []]
    return " ".join([event["event"], *errors])
