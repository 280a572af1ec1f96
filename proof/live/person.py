"""The person who clears what Airflow before 3.1 leaves behind.

Two things it does not take up again by itself: a task whose process got SIGKILL fails, whatever its ``retries``
(apache/airflow#55753), and a task that was cleared while it ran stays ``restarting`` (apache/airflow#55045).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_1_PLUS

from harness.local_airflow import LocalAirflow
from proof.live.plan import Blow

if TYPE_CHECKING:
    from proof.live.show import Lifecycle

DEAD = 12.0
"""Seconds after which the process of a task that was cleared has been ended by its supervisor."""


class Person:
    """Clears a task once for each blow that Airflow does not survive alone. From Airflow 3.1 on there is none.

    :ivar clears: how many tasks were cleared.
    """

    def __init__(self, airflow: LocalAirflow) -> None:
        self.clears = 0
        self._airflow = airflow
        self._restarting: dict[str, float] = {}

    def look(self, lifecycles: Sequence[Lifecycle]) -> None:
        """Clear again what was cleared while it ran and has hung since."""
        if AIRFLOW_V_3_1_PLUS:
            return
        answer = self._airflow.get("/dags/~/dagRuns/~/taskInstances", state=["restarting"], limit=1000)
        hanging = {task["dag_run_id"]: task["task_id"] for task in answer["task_instances"]}
        self._restarting = {name: self._restarting.get(name, time.monotonic()) for name in hanging}
        for lifecycle in lifecycles:
            since = self._restarting.get(lifecycle.name, time.monotonic())
            if time.monotonic() - since > DEAD:
                self._clear(lifecycle, hanging[lifecycle.name], "left restarting")

    def takes_up(self, lifecycle: Lifecycle) -> bool:
        """Clear the task that failed a run because its process was killed; True if it did."""
        kills = sum(blow.startswith(Blow.TASK) for blow in lifecycle.had)
        if AIRFLOW_V_3_1_PLUS or lifecycle.taken_up >= kills:
            return False
        for task in self._airflow.task_instances(lifecycle.dag_id, lifecycle.name):
            if task["state"] == "failed":
                lifecycle.taken_up += 1
                self._clear(lifecycle, task["task_id"], "failed by a kill")
                return True
        return False

    def _clear(self, lifecycle: Lifecycle, task_id: str, why: str) -> None:
        self._airflow.clear(lifecycle.dag_id, lifecycle.name, task_id, downstream=True)
        self._restarting.pop(lifecycle.name, None)
        self.clears += 1
        lifecycle.cleared = True
        lifecycle.had.append(f"{task_id} cleared by a person ({why}) at {time.monotonic() - lifecycle.began:.1f} s")
