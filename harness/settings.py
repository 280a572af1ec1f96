"""Settings of the local Airflow: everything on loopback, no login, and intervals short enough to watch."""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

LATE = 20
"""Seconds without a heartbeat after which a scheduler counts as dead. Its tasks are then taken from it, also if it is
alive and only late, as it is on a machine with more to do than it can: with 5 s, tasks were begun fifty times."""

LOCKED = 60
"""Seconds for which a component waits while another one writes to the database; SQLite has one writer at a time."""


def bundles(dags_folders: Sequence[Path]) -> str:
    """Return the value of ``[dag_processor] dag_bundle_config_list`` for local folders."""
    return json.dumps(
        [
            {
                "name": f"{folder.parent.name}-{folder.name}",
                "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
                "kwargs": {"path": str(folder.resolve())},
            }
            for folder in dags_folders
        ]
    )


def inherited() -> dict[str, str]:
    """Return this process's environment without anything that would configure another Airflow."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "_AIRFLOW_"))}


def local(home: Path, port: int, execution_port: int, dags_folders: Sequence[Path]) -> dict[str, str]:
    """Return the environment of all components.

    Airflow's defaults suit production: a dead triggerer is noticed after 30 s, a dead worker after 300 s. Here it is
    8 s and 15 s, and a task that is killed has ended after 10 s, 5 s for each of two signals: on Airflow 3.4 it has
    60 s for each by default, and the scheduler of 3.4.0b2 ends if it takes a cleared task for dead. Cron schedules
    are off, so that only what was triggered runs.
    """
    options: dict[str, dict[str, object]] = {
        "core": {
            "executor": "LocalExecutor",
            "parallelism": 8,
            "load_examples": False,
            "dags_folder": dags_folders[0].resolve(),
            "dags_are_paused_at_creation": False,
            "min_serialized_dag_update_interval": 1,
            "simple_auth_manager_all_admins": True,
            "execution_api_server_url": f"http://127.0.0.1:{execution_port}/execution/",
            "fernet_key": base64.urlsafe_b64encode(os.urandom(32)).decode(),
            "test_connection": "Enabled",
            "killed_task_cleanup_time": 5,
        },
        "database": {"sql_alchemy_conn": f"sqlite:///{home.resolve()}/airflow.db?timeout={LOCKED}"},
        "api": {
            "host": "127.0.0.1",
            "port": port,
            "base_url": f"http://127.0.0.1:{port}",
            "workers": 1,
            "secret_key": secrets.token_urlsafe(32),
            "expose_config": False,
            "auto_refresh_interval": 1,
            "maximum_page_limit": 10_000,
        },
        "api_auth": {"jwt_secret": secrets.token_urlsafe(64)},
        "dag_processor": {
            "dag_bundle_config_list": bundles(dags_folders),
            "refresh_interval": 2,
            "bundle_refresh_check_interval": 1,
            "parsing_processes": 2,
        },
        "scheduler": {
            "use_job_schedule": False,
            "scheduler_idle_sleep_time": 0.2,
            "job_heartbeat_sec": 1,
            "scheduler_heartbeat_sec": 1,
            "scheduler_health_check_threshold": LATE,
            "orphaned_tasks_check_interval": 5,
            "task_instance_heartbeat_sec": 1,
            "task_instance_heartbeat_timeout": 15,
            "task_instance_heartbeat_timeout_detection_interval": 2,
            "trigger_timeout_check_interval": 1,
            "enable_health_check": False,
        },
        "triggerer": {"job_heartbeat_sec": 1, "triggerer_health_check_threshold": 8},
        "workers": {"min_heartbeat_interval": 1},
        "usage_data_collection": {"enabled": False},
    }
    return as_environment(options) | {
        "AIRFLOW_HOME": str(home.resolve()),
        "NO_PROXY": "127.0.0.1,localhost",
        "PYTHONUNBUFFERED": "1",
    }


def cluster(home: Path, port: int, dags_folders: Sequence[Path], database: str, broker: str) -> dict[str, str]:
    """Return the same for a cluster on Celery, PostgreSQL and Redis, which has one API server.

    What a killed worker had fetched is queued again after 45 s; by default, that takes ten minutes. So is what stands
    in a long queue, which Airflow fails for good after two such times, whatever the task's retries, unless told
    otherwise.

    :param database: the part of its URL behind ``://``.
    :param broker: URL of Celery's.
    """
    options: dict[str, dict[str, object]] = {
        "core": {"executor": "CeleryExecutor", "parallelism": 32, "max_active_tasks_per_dag": 64},
        "database": {"sql_alchemy_conn": f"postgresql+psycopg2://{database}"},
        "celery": {
            "broker_url": broker,
            "result_backend": f"db+postgresql://{database}",
            "worker_concurrency": 4,
        },
        "logging": {"base_log_folder": home.resolve() / "logs"},
        "scheduler": {
            "task_instance_heartbeat_sec": 5,
            "task_instance_heartbeat_timeout": 30,
            "task_instance_heartbeat_timeout_detection_interval": 5,
            "task_queued_timeout": 45,
            "task_queued_timeout_check_interval": 10,
            "num_stuck_in_queued_retries": 1_000,
            "orphaned_tasks_check_interval": 15,
            "trigger_timeout_check_interval": 5,
            "scheduler_health_check_threshold": 30,
        },
        "triggerer": {"job_heartbeat_sec": 5, "triggerer_health_check_threshold": 30},
        "workers": {"min_heartbeat_interval": 5},
    }
    return local(home, port, port, dags_folders) | as_environment(options)


def as_environment(options: Mapping[str, Mapping[str, object]]) -> dict[str, str]:
    """Return settings as environment variables.

    :param options: by section and name.
    """
    return {
        f"AIRFLOW__{section.upper()}__{name.upper()}": str(value)
        for section, values in options.items()
        for name, value in values.items()
    }
