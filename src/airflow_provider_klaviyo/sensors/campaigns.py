"""Sensors that wait for campaigns, send jobs and recipient estimations."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue
from airflow.sdk.definitions.xcom_arg import PlainXComArg

from airflow_provider_klaviyo.api.errors import KlaviyoRateLimitError, KlaviyoTransientError, KlaviyoValidationError
from airflow_provider_klaviyo.campaigns.status import CampaignStatus, check_statuses
from airflow_provider_klaviyo.campaigns.values import Output, check_id
from airflow_provider_klaviyo.compat import AIRFLOW_V_3_3_PLUS, AirflowSensorTimeout
from airflow_provider_klaviyo.tasks import CONNECTION, KlaviyoTask, in_seconds, is_deferrable, raise_or_return

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.definitions.mappedoperator import OperatorPartial

    from airflow_provider_klaviyo.triggers.base import KlaviyoWaitTrigger


IN_TRIGGER = ("campaign_id", *CONNECTION)
"""What Airflow renders in the triggerer for a task that begins there."""


class KlaviyoCampaignSensor(KlaviyoTask, BaseSensorOperator):
    """Base of the sensors: look at a campaign until it is as wanted, in a worker or in the triggerer.

    Both ways end alike, by the same judgement of each look. A look that fails for a passing reason never ends the wait;
    a wrong key or an unknown campaign ends it at once. Only reads: retry, clear and kill do no harm.

    :param campaign_id: the campaign. Templated.
    :param klaviyo_conn_id: connection of type ``klaviyo``. Templated.
    :param revision: Klaviyo API revision; default: the connection's. Templated.
    :param deferrable: wait in the triggerer; default: ``[operators] default_deferrable``.
    :param start_from_trigger: begin in the triggerer, so that no worker is needed before the wait is over. Airflow 3.3
        or later, and not for mapped tasks or task groups. What is templated is then plain text, Jinja without the
        DAG's own macros and filters, or the output of another task.
    :returns: the campaign's id.
    :raises KlaviyoCampaignFailed: it ended another way (skips instead with ``soft_fail=True``).
    :raises AirflowSensorTimeout: not in time.

    ``poke_interval`` and ``timeout`` are Airflow's own.
    """

    template_fields = IN_TRIGGER
    ui_color = "#f6f1eb"

    def __init__(
        self,
        *,
        campaign_id: str | Output,
        deferrable: bool | None = None,
        start_from_trigger: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_id("campaign_id", campaign_id)
        self.campaign_id = campaign_id
        self.deferrable = start_from_trigger or is_deferrable(deferrable)
        if start_from_trigger:
            self._begin_in_triggerer(deferrable)

    @classmethod
    def partial(cls, **kwargs: Any) -> OperatorPartial:
        """As for every operator; ``start_from_trigger`` is refused."""
        if kwargs.get("start_from_trigger"):
            raise _no_start_from_trigger("A mapped task begins in a worker.")
        return super().partial(**kwargs)

    @abstractmethod
    def trigger(self, **common: Any) -> KlaviyoWaitTrigger:
        """The trigger that says what to look at; it is used in the worker, too."""

    def _trigger(self, **settings: Any) -> KlaviyoWaitTrigger:
        arguments = {name: getattr(self, name) for name in IN_TRIGGER}
        return self.trigger(**{**arguments, "poll_interval": in_seconds(self.poke_interval), **settings})

    def _begin_in_triggerer(self, deferrable: bool | None) -> None:
        """Tell Airflow how to begin without a worker.

        The trigger cannot know beforehand when the task starts. It takes its deadline from the deferral's end, which
        Airflow fixes at the start and keeps through restarts. An ``execution_timeout`` ends such a deferral too.
        """
        from airflow.triggers.base import StartTriggerArgs

        if not AIRFLOW_V_3_3_PLUS:
            raise _no_start_from_trigger("This needs Airflow 3.3 or later.")
        if deferrable is False:
            raise _no_start_from_trigger("It contradicts deferrable=False.")
        if self.get_closest_mapped_task_group() is not None:
            raise _no_start_from_trigger("A task of a mapped task group begins in a worker.")
        timeout, reserve = in_seconds(self.timeout), self._reserve
        longest = in_seconds(self.execution_timeout) if self.execution_timeout else float("inf")
        head_start = min(timeout + reserve, longest) - min(timeout, longest)
        later = {name: _as_jinja(name, getattr(self, name)) for name in IN_TRIGGER}
        path, arguments = self._trigger(**later, head_start=head_start).serialize()
        self.start_trigger_args = StartTriggerArgs(
            trigger_cls=path,
            trigger_kwargs=arguments,
            next_method="execute_complete",
            timeout=timedelta(seconds=timeout + reserve),
        )
        self.start_from_trigger = True

    @property
    def _reserve(self) -> float:
        """Seconds after the wait's own deadline until Airflow ends the deferral, should the trigger not."""
        return 2 * in_seconds(self.poke_interval) + 60

    def execute(self, context: Context) -> Any:
        if not self.deferrable:
            return super().execute(context)
        self.check_rendered()
        check_id("campaign_id", self.campaign_id, rendered=True)
        started = context["ti"].start_date
        deadline = (started.timestamp() if started else time.time()) + in_seconds(self.timeout)
        left = max(0.0, deadline - time.time())
        return self.defer(
            trigger=self._trigger(deadline=deadline),
            method_name="execute_complete",
            timeout=timedelta(seconds=left + self._reserve),
        )

    def poke(self, context: Context) -> PokeReturnValue:
        self.check_rendered()
        check_id("campaign_id", self.campaign_id, rendered=True)
        trigger = self._trigger(deadline=float("inf"))
        wait = trigger.wait()
        try:
            event = wait.after(self.hook.run(trigger.look(self.hook.api_revision)), time.time())
        except (KlaviyoTransientError, KlaviyoRateLimitError) as error:
            self.log.warning("Looking at campaign %s failed: %s", self.campaign_id, error)
            return PokeReturnValue(is_done=False)
        self.log.info("Campaign %s: %s.", self.campaign_id, wait.status)
        if event is None:
            return PokeReturnValue(is_done=False)
        return PokeReturnValue(is_done=True, xcom_value=raise_or_return(event)["campaign_id"])

    def execute_complete(self, context: Context, event: Any) -> str:
        """Go on after the triggerer's wait.

        :raises KlaviyoError: of the type that ended the wait.
        """
        from airflow_provider_klaviyo.campaigns.wait import parse
        from airflow_provider_klaviyo.exceptions import KlaviyoWaitTimeoutError

        try:
            ended = raise_or_return(parse(event))
        except KlaviyoWaitTimeoutError as error:
            raise AirflowSensorTimeout(str(error)) from error
        self.log.info("Campaign %s: %s.", ended["campaign_id"], ended["status"])
        return ended["campaign_id"]


class KlaviyoCampaignStatusSensor(KlaviyoCampaignSensor):
    """Wait until a campaign has one of some statuses: sent, say, by a person in Klaviyo.

    A draft is waited for; a campaign that is sent or cancelled, and was to be something else, fails the task. One
    request a look.

    *With* ``revision="2026-10-15"`` a campaign has messages, and each of them a status. The campaign is as far as the
    message that is least far: ``Sent`` once all of them are, and cancelled once none is left that may still go; if
    others were sent by then, the error names the messages that were cancelled. One without messages is waited for.
    Statuses that are not known here are waited out. These are choices of this package: Klaviyo has no word for it.

    :param target_statuses: statuses to wait for; ``Cancelled`` stands for every status that begins so.

    The other parameters are those of :class:`KlaviyoCampaignSensor`.
    """

    reads_omnichannel = True

    def __init__(self, *, target_statuses: Sequence[str] = (CampaignStatus.SENT,), **kwargs: Any) -> None:
        check_statuses("target_statuses", target_statuses)
        self.target_statuses = target_statuses
        super().__init__(**kwargs)

    def trigger(self, **common: Any) -> KlaviyoWaitTrigger:
        from airflow_provider_klaviyo.triggers.campaigns import KlaviyoCampaignStatusTrigger

        return KlaviyoCampaignStatusTrigger(target_statuses=self.target_statuses, **common)


class KlaviyoCampaignSendJobSensor(KlaviyoCampaignSensor):
    """Wait until a campaign's send job is complete.

    The job's end says that Klaviyo has taken the campaign over, not that mail went out: for that, wait for the
    campaign's status. One request a look.
    """

    def trigger(self, **common: Any) -> KlaviyoWaitTrigger:
        from airflow_provider_klaviyo.triggers.campaigns import KlaviyoCampaignSendJobTrigger

        return KlaviyoCampaignSendJobTrigger(**common)


class KlaviyoRecipientEstimationJobSensor(KlaviyoCampaignSensor):
    """Wait until a campaign's recipients are counted. One or two requests a look."""

    def trigger(self, **common: Any) -> KlaviyoWaitTrigger:
        from airflow_provider_klaviyo.triggers.campaigns import KlaviyoRecipientEstimationJobTrigger

        return KlaviyoRecipientEstimationJobTrigger(**common)


def _no_start_from_trigger(why: str) -> KlaviyoValidationError:
    return KlaviyoValidationError(
        f"start_from_trigger is True. {why} Leave it out: the task then begins in a worker, and waits in the triggerer "
        f"with deferrable=True.",
        pointer="start_from_trigger",
    )


def _as_jinja(name: str, value: Any) -> str | None:
    """An argument as it can be stored beforehand, and rendered in the triggerer.

    Airflow's triggerer can pull an XCom only by its map index; without one it waits for ever.
    """
    if isinstance(value, PlainXComArg) and not _is_mapped(value.operator):
        task_id, key = value.operator.task_id, value.key
        return f"{{{{ ti.xcom_pull(task_ids={task_id!r}, key={key!r}, map_indexes=-1) }}}}"
    if value is None or (isinstance(value, str) and ("xcom_pull" not in value or "map_indexes" in value)):
        return value
    if isinstance(value, str):
        raise _no_start_from_trigger(
            f"{name} is {value!r}; the triggerer pulls an XCom only with map_indexes=-1 in the arguments."
        )
    raise _no_start_from_trigger(f"{name} is {value!r}, which only a worker can work out.")


def _is_mapped(operator: Any) -> bool:
    """True if the operator, or a task group around it, is mapped, so that its XComs have map indexes."""
    return operator.is_mapped or operator.get_closest_mapped_task_group() is not None
