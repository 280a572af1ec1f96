"""A real Airflow on this machine, for tests and the demo: its own home, database, ports and processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from harness import settings
from harness.managed import ManagedAirflow, free_port


class LocalAirflow(ManagedAirflow):
    """Airflow with SQLite, LocalExecutor and no login; scheduler, DAG processor, triggerer and API servers are real.

    Tasks have an API server of their own. With one for all, a call that writes (trigger, clear, cancel) waits for
    SQLite's one writer on the event loop which that writer, a task's call, needs in order to end: both hang until
    SQLite gives up.

    Only runs that are asked for run: cron and asset schedules are off (``AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE``).
    Its components are ``api-server``, ``execution-api``, ``scheduler``, ``dag-processor`` and ``triggerer``. Killing
    the scheduler kills the running tasks too: LocalExecutor runs them.

    :param home: directory for configuration, database and logs; created if need be.
    :param dags_folders: one or more folders with DAG files.
    :param env: environment variables for all components, such as ``AIRFLOW_CONN_…``; they win over the settings of
        :func:`harness.settings.local`.
    """

    def __init__(self, home: Path, *dags_folders: Path, env: Mapping[str, str] | None = None) -> None:
        port, execution_port = free_port(), free_port()
        components = {
            "api-server": ["api-server", "--apps", "core"],
            "execution-api": ["api-server", "--apps", "execution", "--port", str(execution_port)],
            "scheduler": ["scheduler", "--skip-serve-logs"],
            "dag-processor": ["dag-processor"],
            "triggerer": ["triggerer", "--skip-serve-logs"],
        }
        local = settings.local(home, port, execution_port, dags_folders)
        super().__init__(home, port, execution_port, components, settings.inherited() | local | dict(env or {}))

    def kill_task(
        self, dag_id: str, run_id: str, task_id: str, map_index: int = -1, sig: signal.Signals = signal.SIGKILL
    ) -> None:
        """Signal the process that executes a running task, leaving its supervisor alive."""
        os.kill(self.task_instance(dag_id, run_id, task_id, map_index)["pid"], sig)

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
