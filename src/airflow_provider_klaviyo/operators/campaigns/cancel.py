"""Stop a send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_klaviyo.campaigns import CampaignStatus
from airflow_provider_klaviyo.hooks.arguments import check_choice, check_id
from airflow_provider_klaviyo.hooks.tasks import CONNECTION
from airflow_provider_klaviyo.operators.base import KlaviyoWaitingOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

TARGETS = {"cancel": CampaignStatus.CANCELLED, "revert": CampaignStatus.DRAFT}


class KlaviyoCancelCampaignSendOperator(KlaviyoWaitingOperator):
    """Stop a campaign that is scheduled or being sent, and wait until it is stopped.

    ``"cancel"`` is final: a cancelled campaign cannot be sent again (clone it instead); during sending it stops the
    rest. ``"revert"`` takes a scheduled campaign back to a draft; it goes out only if it is sent anew.

    *Retry, clear, kill*: a campaign that is already stopped as asked is left as it is.
    *Rate limit*: 2 requests, and 1 for each look.

    :param campaign_id: the campaign. Templated.
    :param action: ``"cancel"`` or ``"revert"``.
    :param deferrable: wait in the triggerer; default: ``[operators] default_deferrable``.
    :param poll_interval: seconds between looks; default 5.
    :param timeout: seconds after which the wait ends; default 600.
    :returns: the campaign's id.
    :raises KlaviyoCampaignFailed: it is too late: the campaign is sent, or (for a revert) cancelled.
    :raises KlaviyoRefusedError: there is nothing to cancel: it is a draft.
    """

    template_fields = ("campaign_id", *CONNECTION)
    default_poll_interval = 5.0
    default_timeout = 600.0

    def __init__(self, *, campaign_id: str, action: Literal["cancel", "revert"] = "cancel", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.campaign_id = campaign_id
        self.action = action
        check_id("campaign_id", campaign_id)
        check_choice("action", action, tuple(TARGETS))

    def execute(self, context: Context) -> str:
        from airflow_provider_klaviyo.resume.stop import stop
        from airflow_provider_klaviyo.triggers.campaigns import KlaviyoCampaignStatusTrigger

        self.check_rendered()
        check_id("campaign_id", self.campaign_id, rendered=True)
        self.show_link(context, self.campaign_id)
        stop(self.hook, self.campaign_id, self.action)
        trigger = KlaviyoCampaignStatusTrigger(
            campaign_id=self.campaign_id,
            target_statuses=[TARGETS[self.action]],
            deadline=self.deadline(context),
            poll_interval=self.poll_interval,
            klaviyo_conn_id=self.klaviyo_conn_id,
            revision=self.revision,
        )
        return str(self.wait_for(context, trigger))
