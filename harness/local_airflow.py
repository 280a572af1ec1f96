"""A real Airflow on this machine, for tests and the demo: its own home, database, ports and processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from harness import settings
from harness.processes import Processes
from harness.rest import POLL_SECONDS, TIMEOUT, AirflowRest, LocalAirflowError

COMPONENTS = {
    "api-server": ["api-server", "--apps", "core"],
    "execution-api": ["api-server", "--apps", "execution", "--port", "{execution_port}"],
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}
HEALTH_KEYS = ["metadatabase", "scheduler", "triggerer", "dag_processor"]
IMPORT_ERROR_SECONDS = 5


class LocalAirflow(AirflowRest):
    """Airflow with SQLite, LocalExecutor and no login; scheduler, DAG processor, triggerer and API servers are real.

    Tasks have an API server of their own. With one for all, a call that writes (trigger, clear, cancel) waits for
    SQLite's one writer on the event loop which that writer, a task's call, needs in order to end: both hang until
    SQLite gives up.

    Only runs that are asked for run: cron and asset schedules are off (``AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE``).
    Used as a context manager it is started on entry and has no process left after exit.

    :param home: directory for configuration, database and logs; created if need be.
    :param dags_folders: one or more folders with DAG files.
    :param env: environment variables for all components, such as ``AIRFLOW_CONN_…``; they win over the settings of
        :func:`harness.settings.local`.
    """

    def __init__(self, home: Path, *dags_folders: Path, env: Mapping[str, str] | None = None) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home = home
        port, self._execution_port = _free_port(), _free_port()
        super().__init__(f"http://127.0.0.1:{port}")
        local = settings.local(home, port, self._execution_port, dags_folders)
        self._env = settings.inherited() | local | dict(env or {})
        self._processes = Processes(home)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # Processes

    def start(self, name: str | None = None) -> None:
        """Start one component by name, or create the database and start all of them.

        :param name: ``api-server``, ``execution-api``, ``scheduler``, ``dag-processor`` or ``triggerer``.
        """
        if name is not None:
            self._start_component(name)
            return
        self._processes.start("db-migrate", [sys.executable, "-m", "airflow", "db", "migrate"], self._env)
        if self._processes.collect("db-migrate") != 0:
            raise LocalAirflowError(self._blame("db-migrate", "could not create the database"))
        for component in COMPONENTS:
            self._start_component(component)

    def _start_component(self, name: str) -> None:
        arguments = [argument.format(execution_port=self._execution_port) for argument in COMPONENTS[name]]
        self._processes.start(name, [sys.executable, "-m", "airflow", *arguments], self._env)

    def kill(self, name: str, sig: signal.Signals = signal.SIGKILL) -> None:
        """Signal a component: SIGKILL takes all its descendants with it, as when its host dies.

        Killing the scheduler therefore kills the running tasks too: LocalExecutor runs them.
        """
        self._processes.kill(name, sig)

    def kill_task(
        self, dag_id: str, run_id: str, task_id: str, map_index: int = -1, sig: signal.Signals = signal.SIGKILL
    ) -> None:
        """Signal the process that executes a running task, leaving its supervisor alive."""
        os.kill(self.task_instance(dag_id, run_id, task_id, map_index)["pid"], sig)

    def pid(self, name: str) -> int:
        """Return the process id of a component; its descendants are in the session of the same id."""
        return self._processes.pid(name)

    def stop(self) -> None:
        """End all components at once. May be called twice."""
        self._processes.stop()
        self._http.close()

    def log_tail(self, name: str, lines: int = 30) -> str:
        """Return the last lines of a component's output."""
        return self._processes.log_tail(name, lines)

    # Readiness

    def wait_ready(self, *dag_ids: str, healthy: Collection[str] = HEALTH_KEYS, timeout: float = 120) -> float:
        """Wait until the API servers answer, all components are healthy and the DAGs are known.

        :param healthy: the components that have to be, if not all, by their names in ``/monitor/health``.
        :return: the seconds waited.
        :raises LocalAirflowError: a component ended, a DAG file does not import, or the time is over.
        """
        started = time.monotonic()
        broken_since: float | None = None
        while not (self._healthy(healthy) and self._knows(dag_ids)):
            waited = time.monotonic() - started
            if ended := self._processes.ended():
                name, exit_code = next(iter(ended.items()))
                raise LocalAirflowError(self._blame(name, f"ended with exit code {exit_code}"))
            if broken := self._import_errors():
                broken_since = broken_since or waited
                if waited - broken_since > IMPORT_ERROR_SECONDS:
                    raise LocalAirflowError(f"no DAG {' or '.join(dag_ids)}; files that do not import:\n{broken}")
            if waited > timeout:
                raise LocalAirflowError(
                    f"Airflow is not ready after {timeout:.0f} s\n"
                    + "\n".join(self._blame(name, "so far") for name in COMPONENTS)
                )
            time.sleep(POLL_SECONDS)
        return time.monotonic() - started

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None, logical_date: datetime | None = None) -> str:
        """Trigger a run, by hand as in the UI, and return its run id. A DAG not parsed yet is waited for."""
        if not self._knows([dag_id]):
            self.wait_ready(dag_id)
        body = {"conf": dict(conf or {}), "logical_date": logical_date.isoformat() if logical_date else None}
        run_id: str = self.request("POST", f"/dags/{dag_id}/dagRuns", json=body)["dag_run_id"]
        return run_id

    def backfill(self, dag_id: str, from_date: datetime, to_date: datetime, *, reprocess: str = "none") -> None:
        """The same, while the scheduler is down, whose running tasks end with it.

        A backfill writes while its request reads on. If SQLite's one writer is taken in between, its runs are rolled
        back, and a scheduler that has seen them already ends, or hangs at its end.
        """
        self.kill("scheduler")
        try:
            super().backfill(dag_id, from_date, to_date, reprocess=reprocess)
        finally:
            self.start("scheduler")

    def _cancel_backfills(self, dag_id: str) -> None:
        """The same, by a new API server: SQLite refuses each write of a connection that an interrupted request left in
        the server's pool, as long as the server lives."""
        self.kill("api-server")
        self.start("api-server")
        self.wait_ready(healthy=["metadatabase"])
        super()._cancel_backfills(dag_id)

    def _healthy(self, components: Collection[str] = HEALTH_KEYS) -> bool:
        try:
            health = self._http.get("/api/v2/monitor/health").json()
            url = f"http://127.0.0.1:{self._execution_port}/execution/health"
            without_token = httpx.Request("GET", url, extensions={"timeout": TIMEOUT.as_dict()})
            self._http.send(without_token).raise_for_status()
        except httpx.HTTPError:
            return False
        return all(health[key]["status"] == "healthy" for key in components)

    def _knows(self, dag_ids: Collection[str]) -> bool:
        known = {dag["dag_id"] for dag in self.get("/dags", limit=10_000)["dags"]}
        return known.issuperset(dag_ids)

    def _import_errors(self) -> str:
        if not self._healthy():
            return ""
        errors = self.get("/importErrors")["import_errors"]
        return "\n".join(f"{error['filename']}\n{error['stack_trace']}" for error in errors)

    def _blame(self, name: str, what: str) -> str:
        return f"{name} {what}; the end of {self._processes.log_path(name)}:\n{self.log_tail(name)}"

    # Command line

    def cli(self, *arguments: str) -> str:
        """Run ``airflow <arguments>`` against this Airflow and return what it prints.

        :raises LocalAirflowError: the command failed; the message holds its output.
        """
        command = [sys.executable, "-m", "airflow", *arguments]
        done = subprocess.run(command, env=self._env, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise LocalAirflowError(f"airflow {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
        return done.stdout


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
