"""The sensor that waits until a list or a segment is filled."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue

from airflow_provider_klaviyo.api.errors import KlaviyoError, KlaviyoValidationError
from airflow_provider_klaviyo.campaigns.values import Field, Output, check_id, positive, whole
from airflow_provider_klaviyo.compat import AIRFLOW_V_3_3_PLUS, AirflowSensorTimeout
from airflow_provider_klaviyo.tasks import CONNECTION, KlaviyoTask, error_of, in_seconds, is_deferrable

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_klaviyo.audiences.ready import ReadyWait
    from airflow_provider_klaviyo.triggers.audiences import KlaviyoAudienceReadyTrigger

NOTE = "klaviyo_audience"
"""Key in the task state store: what the looks of one try have seen, with ``mode="reschedule"``."""


class KlaviyoAudienceReadySensor(KlaviyoTask, BaseSensorOperator):
    """Wait until a list or a segment has enough profiles, and their number has stood still for a while.

    Members appear minutes after what puts them there: an import, or a new segment, of which Klaviyo says at once that
    it is not processing. So the number itself is watched. It counts as filled when it has reached ``minimum`` and has
    been the same at all looks for ``settled`` seconds; each change, up or down, begins that time anew, and so does
    Klaviyo saying that it is processing. What the number did is in the log.

    It looks every ``poke_interval`` (60 s unless given) until ``timeout``; both are Airflow's own. A look that fails
    for a passing reason never ends the wait; a wrong key or an unknown list or segment ends it at once. Only reads:
    retry, clear and kill do no harm. A retry, and a triggerer that starts again, begin the quiet period anew.
    ``mode="reschedule"`` needs Airflow 3.3 or later, which keeps what was seen between the looks.

    *Rate limit*: one request a look, of a kind that Klaviyo takes 15 times a minute from an account. Deferred sensors
    of a connection share 12 of them, and one look where they wait for the same list or segment. So more than 12 of
    these at a time are looked at less often than each minute.

    :param list_id: the list. Templated.
    :param segment_id: the segment, in place of a list. Templated.
    :param minimum: the number of profiles that is enough; 0 for an audience that may be empty. Templated.
    :param settled: for how long the number has to stand still: seconds, or a ``timedelta``.
    :param klaviyo_conn_id: connection of type ``klaviyo``. Templated.
    :param revision: Klaviyo API revision; default: the connection's. Templated.
    :param deferrable: wait in the triggerer; default: ``[operators] default_deferrable``.
    :returns: the number of profiles.
    :raises AirflowSensorTimeout: not in time; it has the last number, and since when that stands.
    :raises KlaviyoNotFoundError: there is no such list or segment.
    """

    template_fields = ("list_id", "segment_id", "minimum", *CONNECTION)
    ui_color = "#f6f1eb"
    any_revision = True

    _wait: ReadyWait | None = None

    def __init__(
        self,
        *,
        list_id: str | Output | None = None,
        segment_id: str | Output | None = None,
        minimum: int | str | Output = 1,
        settled: float | timedelta = 120.0,
        deferrable: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.list_id = list_id
        self.segment_id = segment_id
        self.minimum = minimum
        self.settled = positive("settled", settled)
        self.deferrable = is_deferrable(deferrable)
        self._check_values()
        if self.mode == "reschedule" and not self.deferrable and not AIRFLOW_V_3_3_PLUS:
            raise _no_reschedule()

    def execute(self, context: Context) -> Any:
        if self.deferrable:
            return self._defer(context)
        self._wait = None
        try:
            return super().execute(context)
        except AirflowSensorTimeout as error:
            seen: ReadyWait | None = self._wait
            raise AirflowSensorTimeout(seen.unmet() if seen else str(error)) from error

    def poke(self, context: Context) -> PokeReturnValue:
        from airflow_provider_klaviyo.audiences.ready import look_at_size
        from airflow_provider_klaviyo.triggers.audiences import LoggedReadyWait

        if self._wait is None:
            self._wait = self._trigger(deadline=float("inf")).wait()
            self._recall(context, self._wait)
        wait = LoggedReadyWait(self._wait, self.log)
        try:
            event = wait.after(self.hook.run(look_at_size(self._wait.audience)))
        except KlaviyoError as error:
            if wait.after_failure(error) is not None:
                raise
            return PokeReturnValue(is_done=False)
        self._keep(context, self._wait)
        return PokeReturnValue(is_done=event is not None, xcom_value=event["count"] if event else None)

    def execute_complete(self, context: Context, event: Any) -> int:
        """Go on after the triggerer's wait.

        :raises KlaviyoError: of the type that ended the wait.
        """
        from airflow_provider_klaviyo.audiences.ready import parse

        ended = parse(event)
        if ended["outcome"] == "error":
            raise error_of(ended["error"])
        if ended["outcome"] == "timeout":
            raise AirflowSensorTimeout(ended.get("reason", ""))
        self.log.info("The %s is ready: %s profiles.", ended["audience"], f"{ended['count']:,}")
        return ended["count"]

    def _defer(self, context: Context) -> None:
        started = context["ti"].start_date
        deadline = (started.timestamp() if started else time.time()) + in_seconds(self.timeout)
        left = max(0.0, deadline - time.time())
        self.defer(
            trigger=self._trigger(deadline=deadline),
            method_name="execute_complete",
            timeout=timedelta(seconds=left + 2 * in_seconds(self.poke_interval) + 60),
        )

    def _trigger(self, *, deadline: float) -> KlaviyoAudienceReadyTrigger:
        """The trigger, of what is rendered; it has the wait, which is used in the worker, too."""
        from airflow_provider_klaviyo.triggers.audiences import KlaviyoAudienceReadyTrigger

        self.check_rendered()
        return KlaviyoAudienceReadyTrigger(
            list_id=self.list_id,
            segment_id=self.segment_id,
            minimum=self._check_values(rendered=True),
            settled=self.settled,
            poll_interval=in_seconds(self.poke_interval),
            deadline=deadline,
            klaviyo_conn_id=self.klaviyo_conn_id,
            revision=self.revision,
        )

    def _check_values(self, *, rendered: bool = False) -> Any:
        """Judge the audience and the minimum; the minimum as a number, once it is rendered."""
        if (self.list_id is None) == (self.segment_id is None):
            given = "neither" if self.list_id is None else "both"
            raise KlaviyoValidationError(
                f"list_id and segment_id: {given} of them is given. Give one: what is to be filled.", pointer="list_id"
            )
        name = "segment_id" if self.list_id is None else "list_id"
        check_id(name, getattr(self, name), rendered=rendered)
        field = Field("minimum", rendered=rendered)
        minimum = whole(self.minimum, field)
        if isinstance(minimum, int) and minimum < 0:
            raise field.error(f"is {minimum}", "Give a number of profiles, 0 or more.")
        return minimum

    def _recall(self, context: Context, wait: ReadyWait) -> None:
        """Go on from what the looks of this try have seen, where each look has a process of its own."""
        if self.reschedule:
            note = _store(context).get(NOTE)
            if isinstance(note, dict) and note.get("try_number") == context["ti"].try_number:
                wait.recall(note)

    def _keep(self, context: Context, wait: ReadyWait) -> None:
        if self.reschedule:
            note = {**wait.note(), "try_number": context["ti"].try_number}
            _store(context).set(NOTE, note, retention=timedelta.max)


def _store(context: Context) -> Any:
    """Airflow's task state store.

    :raises KlaviyoValidationError: there is none.
    """
    store = context.get("task_state_store")
    if store is None:
        raise _no_reschedule()
    return store


def _no_reschedule() -> KlaviyoValidationError:
    return KlaviyoValidationError(
        "mode is 'reschedule'. Before Airflow 3.3 nothing is kept between the looks, so it would never be seen that "
        "the number stands still. Give deferrable=True, or leave 'mode' out.",
        pointer="mode",
    )
