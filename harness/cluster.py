"""A cluster on this machine: Celery, Redis and PostgreSQL, and two each of what may be there twice."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from harness import settings
from harness.managed import ManagedAirflow, free_port
from harness.postgres import ACCOUNT, postgres
from harness.rest import HUNG, LocalAirflowError

REDIS = "redis"
TWICE = {
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
    "worker": ["celery", "worker", "--skip-serve-logs"],
}


class Cluster(ManagedAirflow):
    """Airflow with CeleryExecutor, as on several hosts: every component has an ``AIRFLOW_HOME`` of its own.

    Its components are ``api-server``, ``dag-processor``, ``scheduler-1`` and ``-2``, ``triggerer-1`` and ``-2``,
    ``worker-1`` and ``-2``, and ``redis``, which is Celery's broker (database 0) and takes the rate limits' budget
    (database 1). Each may be killed and started again; Redis keeps what it has on disk.

    :param home: directory for all homes, logs and Redis's file; created if need be.
    :param dags_folders: one or more folders with DAG files.
    :ivar budget_url: of Redis's second database.
    :ivar warehouse: an Airflow connection to the same PostgreSQL server.
    """

    def __init__(self, home: Path, *dags_folders: Path) -> None:
        port, self._redis_port, self._postgres_port = free_port(), free_port(), free_port()
        self.budget_url = f"redis://127.0.0.1:{self._redis_port}/1"
        self.warehouse: dict[str, Any] = {
            "conn_type": "postgres",
            "host": "127.0.0.1",
            "port": self._postgres_port,
            "login": ACCOUNT,
            "schema": ACCOUNT,
        }
        address = f"{ACCOUNT}@127.0.0.1:{self._postgres_port}/{ACCOUNT}"
        broker = f"redis://127.0.0.1:{self._redis_port}/0"
        components = {"api-server": ["api-server", "--apps", "all"], "dag-processor": ["dag-processor"]}
        for number in (1, 2):
            components |= {f"{name}-{number}": arguments for name, arguments in TWICE.items()}
            components[f"worker-{number}"] = [*TWICE["worker"], "--celery-hostname", f"worker-{number}@klaviyo"]
        cluster = settings.cluster(home, port, dags_folders, address, broker)
        super().__init__(home, port, port, components, settings.inherited() | cluster)
        self._servers = ExitStack()

    def set(self, name: str, value: str) -> None:
        """Set an environment variable for all components that are started from now on."""
        self._env[name] = value

    def connect(self, conn_id: str, connection: Mapping[str, Any]) -> None:
        """Set a connection, likewise."""
        self.set(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))

    def start(self, name: str | None = None) -> None:
        """Start one component by name, or both servers, the database and all of them."""
        if name is None:
            self._start_redis()
            self._servers.enter_context(postgres(port=self._postgres_port))
        super().start(name)

    def stop(self) -> None:
        """End all components and both servers at once. May be called twice."""
        super().stop()
        self._servers.close()

    def _start_component(self, name: str) -> None:
        if name == REDIS:
            self._start_redis()
        else:
            super()._start_component(name)

    def _env_of(self, name: str) -> Mapping[str, str]:
        return {**self._env, "AIRFLOW_HOME": str(self.home.resolve() / name)}

    def _start_redis(self) -> None:
        if shutil.which("redis-server") is None:
            raise LocalAirflowError("redis-server is not installed")
        where = ["--bind", "127.0.0.1", "--port", str(self._redis_port), "--dir", str(self.home.resolve())]
        self._processes.start(REDIS, ["redis-server", *where, "--appendonly", "yes", "--save", ""], self._env)
        deadline = time.monotonic() + HUNG
        ask = ["redis-cli", "-p", str(self._redis_port), "ping"]
        while b"PONG" not in subprocess.run(ask, capture_output=True, check=False).stdout:
            if time.monotonic() > deadline:
                raise LocalAirflowError(self._blame(REDIS, f"does not answer after {HUNG:.0f} s"))
            time.sleep(0.1)
