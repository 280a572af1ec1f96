"""Stop a send."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_klaviyo.api.errors import KlaviyoConflictError
from airflow_provider_klaviyo.campaigns.status import CampaignStatus, is_cancelled
from airflow_provider_klaviyo.campaigns.values import Output, check_choice, check_id
from airflow_provider_klaviyo.tasks import CONNECTION, KlaviyoWaitingOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

TARGETS = {"cancel": CampaignStatus.CANCELLED, "revert": CampaignStatus.DRAFT}
TOO_LATE = "It cannot be stopped any more."


class KlaviyoCancelCampaignSendOperator(KlaviyoWaitingOperator):
    """Stop a campaign that is scheduled or being sent, and wait until it is stopped.

    ``"cancel"`` is final: a cancelled campaign cannot be sent again (clone it instead); during sending it stops the
    rest. ``"revert"`` takes a scheduled campaign back to a draft; it goes out only if it is sent again.

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

    def __init__(
        self, *, campaign_id: str | Output, action: Literal["cancel", "revert"] = "cancel", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.campaign_id = campaign_id
        self.action = action
        check_id("campaign_id", campaign_id)
        check_choice("action", action, tuple(TARGETS))

    def execute(self, context: Context) -> str:
        from airflow_provider_klaviyo.triggers.campaigns import KlaviyoCampaignStatusTrigger

        self.check_rendered()
        check_id("campaign_id", self.campaign_id, rendered=True)
        self.show_link(context, self.campaign_id)
        self._stop()
        trigger = KlaviyoCampaignStatusTrigger(
            campaign_id=self.campaign_id,
            target_statuses=[TARGETS[self.action]],
            deadline=self.deadline(context),
            poll_interval=self.poll_interval,
            klaviyo_conn_id=self.klaviyo_conn_id,
            revision=self.revision,
        )
        return str(self.wait_for(context, trigger))

    def _stop(self) -> None:
        """Ask Klaviyo to stop the send. When this returns, it was asked, or there is nothing left to ask for."""
        from airflow_provider_klaviyo.never_twice.look import look_until, settled_after

        if self._is_stopped():
            return
        try:
            self.hook.cancel_send(self.campaign_id, self.action)
        except KlaviyoConflictError as error:
            self.log.warning("%s Checking if campaign %s is being stopped already.", error, self.campaign_id)
            shows_by = settled_after(time.time())
            if not look_until(
                self._is_stopped,
                lambda stopped: stopped or time.time() >= shows_by,
                what=f"campaign {self.campaign_id} is stopped",
            ):
                error.message += f" Campaign {self.campaign_id} goes on."
                raise

    def _is_stopped(self) -> bool:
        from airflow_provider_klaviyo.exceptions import KlaviyoCampaignFailed, KlaviyoRefusedError, RefusalReason

        status = str(self.hook.get_campaign(self.campaign_id).attributes["status"])
        if status == CampaignStatus.SENT or (is_cancelled(status) and self.action == "revert"):
            raise KlaviyoCampaignFailed(self.campaign_id, status, TOO_LATE)
        if status == CampaignStatus.DRAFT and self.action == "cancel":
            raise KlaviyoRefusedError(
                f"Campaign {self.campaign_id} is a draft: there is no send to cancel, and it goes out only if it is "
                f"sent. To get rid of it, delete it.",
                reason=RefusalReason.NOTHING_TO_CANCEL,
                campaign_id=self.campaign_id,
            )
        if status == CampaignStatus.DRAFT or is_cancelled(status):
            self.log.info("Campaign %s is %r already.", self.campaign_id, status)
            return True
        return False
