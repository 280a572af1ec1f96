"""An Airflow whose processes are this one's children: started, signalled, waited for and ended."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from harness.processes import Processes
from harness.rest import HUNG, POLL_SECONDS, TIMEOUT, AirflowRest, LocalAirflowError

HEALTH_KEYS = ["metadatabase", "scheduler", "triggerer", "dag_processor"]
IMPORT_ERROR_SECONDS = 5


class ManagedAirflow(AirflowRest):
    """Components of one Airflow. Used as a context manager it is started on entry and has no process left after exit.

    :param home: directory for configuration and logs; created if need be.
    :param port: of its API server.
    :param execution_port: of the API server that tasks call.
    :param components: the arguments of ``airflow`` for each, by name.
    :param env: environment variables for all of them.
    """

    def __init__(
        self,
        home: Path,
        port: int,
        execution_port: int,
        components: Mapping[str, Sequence[str]],
        env: dict[str, str],
    ) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home = home
        super().__init__(f"http://127.0.0.1:{port}")
        self._execution_port = execution_port
        self._components = components
        self._env = env
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
        """Start one component by name, or create the database and start all of them."""
        if name is not None:
            self._start_component(name)
            return
        self._processes.start("db-migrate", [sys.executable, "-m", "airflow", "db", "migrate"], self._env)
        if self._processes.collect("db-migrate") != 0:
            raise LocalAirflowError(self._blame("db-migrate", "could not create the database"))
        for component in self._components:
            self._start_component(component)

    def _start_component(self, name: str) -> None:
        self._processes.start(name, [sys.executable, "-m", "airflow", *self._components[name]], self._env_of(name))

    def _env_of(self, name: str) -> Mapping[str, str]:
        """The environment of a component."""
        return self._env

    def kill(self, name: str, sig: signal.Signals = signal.SIGKILL) -> None:
        """Signal a component: SIGKILL takes all its descendants with it, as when its host dies."""
        self._processes.kill(name, sig)

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

    def wait_ready(self, *dag_ids: str, healthy: Collection[str] = HEALTH_KEYS, timeout: float = HUNG) -> float:
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
                    + "\n".join(self._blame(name, "so far") for name in self._components)
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


def free_port() -> int:
    """Return a port of loopback that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
