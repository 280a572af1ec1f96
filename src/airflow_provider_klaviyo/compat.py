"""Names of Airflow that have moved between 3.0 and now, each looked for where it is and then where it was.

``apache-airflow-providers-common-compat`` has the same, but only in versions later than those that Airflow 3.0 and 3.1
are installed with under their official constraints.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow import __version__

if TYPE_CHECKING:
    from airflow.sdk import BaseHook, Connection
    from airflow.sdk.configuration import conf
    from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout, AirflowSkipException, TaskDeferred
    from airflow.sdk.observability.stats import Stats

__all__ = [
    "AIRFLOW_V_3_3_PLUS",
    "AirflowFailException",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "BaseHook",
    "Stats",
    "TaskDeferred",
    "conf",
    "get_async_connection",
    "mask_extra",
    "mask_extra_async",
]

AIRFLOW_V_3_3_PLUS = tuple(int(part) for part in __version__.split(".")[:2]) >= (3, 3)

_EXCEPTIONS = ("airflow.sdk.exceptions", "airflow.exceptions")
_MODULES = {
    "AirflowFailException": _EXCEPTIONS,
    "AirflowSensorTimeout": _EXCEPTIONS,
    "AirflowSkipException": _EXCEPTIONS,
    "BaseHook": ("airflow.sdk", "airflow.hooks.base"),
    "Stats": ("airflow.sdk.observability.stats", "airflow.observability.stats", "airflow.stats"),
    "TaskDeferred": _EXCEPTIONS,
    "conf": ("airflow.sdk.configuration", "airflow.configuration"),
}


def __getattr__(name: str) -> Any:
    for module in _MODULES.get(name, ()):
        try:
            found = getattr(import_module(module), name)
        except (ImportError, AttributeError):
            continue
        globals()[name] = found
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


async def get_async_connection(hook: BaseHook, conn_id: str) -> Connection:
    """A connection, asked for from an event loop.

    Before Airflow 3.3.2, ``aget_connection`` masks secrets with a call that blocks the loop it is on, and may stop it
    for good; there, and where it does not exist, the connection is asked for in a thread.
    """
    from airflow.sdk import Connection

    if hasattr(Connection, "aextra_dejson"):
        return await hook.aget_connection(conn_id)
    from asgiref.sync import sync_to_async

    return await sync_to_async(hook.get_connection)(conn_id)


def mask_extra(connection: Connection) -> None:
    """Have Airflow hide the secrets of an extra in logs from now on, as it does when it reads one itself."""
    _ = connection.extra_dejson


async def mask_extra_async(connection: Connection) -> None:
    """As :func:`mask_extra`, for event loops."""
    if hasattr(connection, "aextra_dejson"):
        await connection.aextra_dejson()
        return
    from asgiref.sync import sync_to_async

    await sync_to_async(mask_extra)(connection)
