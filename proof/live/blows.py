"""Deal blows to the processes and tasks of a real Airflow, and see that they hit."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from typing import Any

import psutil

from harness.local_airflow import LocalAirflow
from proof.live.plan import Blow, Planned

COMPONENTS: Mapping[Blow, str] = {Blow.TRIGGERER: "triggerer", Blow.SCHEDULER: "scheduler"}
DEATH = 5.0
"""Seconds within which a process that got SIGKILL is gone."""


class Striker:
    """Deals blows, and starts again what was killed.

    :ivar ended: components that ended by themselves. On SQLite, which locks no rows, two transactions may both record
        the try of a task that is cleared in the instant it dies; the scheduler ends at that. It is started again too,
        as a service manager would.
    """

    def __init__(self, airflow: LocalAirflow) -> None:
        self.ended: list[str] = []
        self._airflow = airflow
        self._down: dict[str, float] = {}

    def restart(self, *, all_of_them: bool = False) -> None:
        """Start the components whose time to be away is over."""
        for name in COMPONENTS.values():
            if name not in self._down and _is_dead(psutil.Process(self._airflow.pid(name))):
                self.ended.append(name)
                self._kill_component(name, down=0.0)
        for name, until in list(self._down.items()):
            if all_of_them or time.monotonic() >= until:
                self._airflow.start(name)
                del self._down[name]

    def strike(self, planned: Planned, task: Mapping[str, Any] | None) -> bool:
        """Deal a blow; True if there was somebody to hit.

        :param task: the run's task instance that is running or deferred, as the REST API tells it.
        """
        if planned.blow in COMPONENTS:
            return self._kill_component(COMPONENTS[planned.blow], planned.down)
        if task is None:
            return False
        match planned.blow:
            case Blow.CLEAR_TASK:
                return bool(self._airflow.clear(task["dag_id"], task["dag_run_id"], task["task_id"]))
            case Blow.CLEAR_RUN:
                return bool(self._airflow.clear(task["dag_id"], task["dag_run_id"]))
        return self._kill_process(task, supervisor=planned.blow is Blow.SUPERVISOR)

    def _kill_component(self, name: str, down: float) -> bool:
        if name in self._down:
            return False
        self._airflow.kill(name, signal.SIGKILL)
        self._down[name] = time.monotonic() + down
        return True

    def _kill_process(self, task: Mapping[str, Any], *, supervisor: bool) -> bool:
        """Kill the process of a task or the one that supervises it, if it is what Airflow takes it for."""
        if "scheduler" in self._down or task["state"] != "running" or task["pid"] is None:
            return False
        scheduler = self._airflow.pid("scheduler")
        try:
            process = psutil.Process(task["pid"])
            if os.getsid(process.pid) != scheduler:
                return False
            if supervisor:
                process = psutil.Process(process.ppid())
                if process.pid in (1, scheduler):
                    return False
            if _is_dead(process):
                return False
            process.kill()
        except (psutil.NoSuchProcess, ProcessLookupError):
            return False
        _see_dead(process)
        return True


def _see_dead(process: psutil.Process) -> None:
    until = time.monotonic() + DEATH
    while not _is_dead(process):
        if time.monotonic() > until:
            raise TimeoutError(f"process {process.pid} lives on, {DEATH:g} s after SIGKILL")
        time.sleep(0.01)


def _is_dead(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
