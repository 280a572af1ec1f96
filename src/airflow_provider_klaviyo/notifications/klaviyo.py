"""A task or a DAG that ends becomes an event in Klaviyo, on which a flow there can act."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier

from airflow_provider_klaviyo.campaigns.values import Field, check_connection, mapping
from airflow_provider_klaviyo.operators.audiences.events import OF_EVENT

if TYPE_CHECKING:
    from airflow.sdk import Context

OF_RUN = ("dag_id", "run_id", "clear_number")
OF_TASK = ("dag_id", "run_id", "task_id", "map_index", "try_number")
"""What an event is told apart by."""

GIVEN = ("metric", "profile", "properties", "unique_id")


class KlaviyoEventNotifier(BaseNotifier):
    """Record an event of a profile in Klaviyo: for ``on_failure_callback``, ``on_success_callback`` and the like.

    The event's properties have ``dag_id`` and ``run_id``; of a task also ``task_id``, ``map_index``, ``try_number`` and
    ``log_url``; of a DAG ``reason``; and what ``properties`` adds. Neither the error's text nor any argument of a task.

    *Twice*: Klaviyo keeps one event of each ``unique_id``, profile and metric. By default that is the try of the task;
    of a DAG the run, up to a clear. So a callback that Airflow repeats, or whose answer is lost, counts once, and a
    failure after a clear counts again. *If it fails*, Airflow logs why; the task's or run's state stays as it is.
    *Rate limit*: 1 request; 350/s and 3,500/min per account. Callbacks of DAGs run in the DAG processor, within its
    ``dag_file_processor_timeout``.

    :param metric: the event's name, such as ``"Campaign run failed"``. Templated.
    :param profile: whose event it is: a dict with ``email``, ``phone_number``, ``external_id``, ``id`` or
        ``anonymous_id``, and attributes that are to change. A profile that Klaviyo does not have is made. Templated.
    :param properties: more properties of the event. Templated.
    :param unique_id: of several events with the same, Klaviyo keeps one. Templated.
    :param klaviyo_conn_id: connection of type ``klaviyo``. Templated.
    :param revision: Klaviyo API revision; default: the connection's. Templated.
    :param context: given by Airflow, where it awaits the notifier.
    :raises KlaviyoValidationError: an argument that cannot be right; known ones when the DAG is imported.
    """

    template_fields = (*GIVEN, "klaviyo_conn_id", "revision")

    def __init__(
        self,
        *,
        metric: str,
        profile: Mapping[str, Any],
        properties: Mapping[str, Any] | None = None,
        unique_id: str | None = None,
        klaviyo_conn_id: str = "klaviyo_default",
        revision: str | None = None,
        context: Context | None = None,
    ) -> None:
        super().__init__()
        self.context: Any = {} if context is None else context
        self.metric = metric
        self.profile = profile
        self.properties = properties
        self.unique_id = unique_id
        self.klaviyo_conn_id = klaviyo_conn_id
        self.revision = revision
        check_connection(klaviyo_conn_id, revision)
        self._checked()

    def __call__(self, *args: Any) -> None:
        """Notify. Rendering writes into the notifier, which may be that of many tasks, so a copy does it."""
        BaseNotifier.__call__(copy.copy(self), *args)

    def notify(self, context: Context) -> None:
        """Record the event, and again if that is not answered."""
        from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
        from airflow_provider_klaviyo.never_twice.repeat import repeat

        profile, event = self._event(context)
        hook = KlaviyoHook(self.klaviyo_conn_id, revision=self.revision)
        repeat(self.log, hook.create_event, profile, event)

    async def async_notify(self, context: Context) -> None:
        """The same in the triggerer: for deadlines."""
        from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoAsyncHook

        profile, event = self._event(context)
        async with KlaviyoAsyncHook(self.klaviyo_conn_id, revision=self.revision) as hook:
            await hook.create_event(profile, event)

    def _checked(self, *, rendered: bool = False) -> dict[str, Any]:
        given = {name: value for name in GIVEN if (value := getattr(self, name)) is not None}
        readers = {name: OF_EVENT[name] for name in GIVEN}
        return mapping(given, Field("", rendered=rendered), readers, required=("metric", "profile"))

    def _event(self, context: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """The profile, and its event."""
        from airflow_provider_klaviyo.never_twice.notes import digest

        check_connection(self.klaviyo_conn_id, self.revision, rendered=True)
        given = self._checked(rendered=True)
        known = _facts(context)
        own = {name: known[name] for name in (OF_TASK if "task_id" in known else OF_RUN) if name in known}
        if "run_id" not in own and "unique_id" not in given:
            raise Field("/unique_id").error(
                "is missing, and Airflow does not say which run this is", "Give a unique_id: it tells events apart."
            )
        properties = {name: value for name, value in known.items() if name != "clear_number"}
        return given["profile"], {
            "metric": given["metric"],
            "unique_id": given.get("unique_id") or digest(own),
            "properties": {**properties, **given.get("properties", {})},
        }


def _facts(context: Mapping[str, Any]) -> dict[str, Any]:
    """What Airflow says of the task or the run. A DAG's callback has a reason; it may have the run's last task, too."""
    run, task = context.get("dag_run"), context.get("ti")
    dag_id = _fact(context.get("dag"), "dag_id") or _fact(run, "dag_id") or _fact(task, "dag_id")
    found = {"dag_id": dag_id, "run_id": context.get("run_id") or _fact(run, "run_id") or _fact(task, "run_id")}
    if task is not None and "reason" not in context:
        names = ("task_id", "map_index", "try_number", "log_url")
        found |= {name: _fact(task, name) for name in names}
    else:
        found |= {"reason": context.get("reason"), "clear_number": _fact(run, "clear_number")}
    return {name: value for name, value in found.items() if isinstance(value, int | str) and value != ""}


def _fact(thing: Any, name: str) -> Any:
    return thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)
