"""What all operators of this package share: the connection, the link, and waiting."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow_provider_klaviyo.hooks.arguments import is_deferrable, positive
from airflow_provider_klaviyo.hooks.tasks import KlaviyoTask
from airflow_provider_klaviyo.operators.links import KlaviyoCampaignLink, campaign_url
from airflow_provider_klaviyo.triggers.events import parse, settle

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_klaviyo.campaigns.wait import WaitEvent
    from airflow_provider_klaviyo.triggers.base import KlaviyoWaitTrigger

OnClear = Literal["adopt", "new"]


class KlaviyoCampaignOperator(KlaviyoTask):
    """Base of the operators that have a campaign as their subject.

    :param klaviyo_conn_id: connection of type ``klaviyo``. Templated.
    :param revision: Klaviyo API revision; default: the connection's. Templated.
    """

    ui_color = "#f6f1eb"
    operator_extra_links = (KlaviyoCampaignLink(),)

    def writers(self) -> list[str]:
        """Ids of the tasks before this one that may have noted what they wrote of a campaign: those of this package."""

        def is_ours(task: Any) -> bool:
            return issubclass(getattr(task, "operator_class", type(task)), KlaviyoCampaignOperator)

        return sorted(task.task_id for task in self.get_flat_relatives(upstream=True) if is_ours(task))

    def show_link(self, context: Context, campaign_id: str) -> None:
        """Push the link to the campaign now, not only when the task ends."""
        self.campaign_url = campaign_url(self.hook.base_url, campaign_id)
        context["ti"].xcom_push(key=KlaviyoCampaignLink().xcom_key, value=self.campaign_url)


class KlaviyoWaitingOperator(KlaviyoCampaignOperator):
    """Base of the operators that wait for Klaviyo.

    :param deferrable: wait in the triggerer, without a worker slot; default: ``[operators] default_deferrable``.
    :param poll_interval: seconds between looks.
    :param timeout: seconds from the start of the try after which the wait ends with ``KlaviyoWaitTimeoutError``. A
        restart of the triggerer does not extend it.
    """

    default_poll_interval: ClassVar[float]
    default_timeout: ClassVar[float]

    def __init__(
        self,
        *,
        deferrable: bool | None = None,
        poll_interval: float | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.deferrable = is_deferrable(deferrable)
        self.poll_interval = positive(
            "poll_interval", self.default_poll_interval if poll_interval is None else poll_interval
        )
        self.timeout = positive("timeout", self.default_timeout if timeout is None else timeout)

    def deadline(self, context: Context) -> float:
        """When this try gives up waiting, seconds since the epoch."""
        started = context["ti"].start_date
        return (started.timestamp() if started else time.time()) + self.timeout

    def wait_for(self, context: Context, trigger: KlaviyoWaitTrigger) -> Any:
        """Wait here, or in the triggerer; either way the task ends in :meth:`execute_complete`."""
        if self.deferrable:
            left = max(0.0, trigger.deadline - time.time())
            self.defer(
                trigger=trigger,
                method_name="execute_complete",
                timeout=timedelta(seconds=left + 2 * self.poll_interval + 60),
            )
        return self.finish(context, settle(trigger.wait_here(self.hook)))

    def execute_complete(self, context: Context, event: Any) -> Any:
        """Go on after the triggerer's wait.

        :raises KlaviyoError: of the type that ended the wait.
        """
        ended = parse(event)
        self.show_link(context, ended["campaign_id"])
        return self.finish(context, settle(ended))

    def finish(self, context: Context, event: WaitEvent) -> Any:
        """What the task returns after a wait that ended well."""
        self.log.info("Campaign %s: %s.", event["campaign_id"], event["status"])
        return event["campaign_id"]


JSON_RENDERERS = dict.fromkeys(("audiences", "messages", "send_strategy", "send_options", "tracking_options"), "json")
