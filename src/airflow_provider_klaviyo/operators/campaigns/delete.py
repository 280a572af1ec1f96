"""Delete a campaign."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_klaviyo.api.errors import KlaviyoNotFoundError
from airflow_provider_klaviyo.campaigns.status import CampaignStatus, is_cancelled
from airflow_provider_klaviyo.campaigns.values import Output, check_id
from airflow_provider_klaviyo.tasks import CONNECTION, KlaviyoCampaignOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class KlaviyoDeleteCampaignOperator(KlaviyoCampaignOperator):
    """Delete a draft or a cancelled campaign, for good.

    One that is scheduled, being sent or sent is never deleted.

    *Retry, kill, lost answer, clear*: a campaign that is gone by then counts as deleted. On the first try, one that is
    not there is an error: the id is likely wrong. *Rate limit*: 2 requests; 10/s and 150/min per account.

    :param campaign_id: the campaign. Templated.
    :returns: the id of the campaign that is gone.
    :raises KlaviyoRefusedError: its status forbids it; nothing was deleted.
    :raises KlaviyoNotFoundError: there is no such campaign, on the first try.
    """

    template_fields = ("campaign_id", *CONNECTION)

    def __init__(self, *, campaign_id: str | Output, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.campaign_id = campaign_id
        check_id("campaign_id", campaign_id)

    def execute(self, context: Context) -> str:
        self.check_rendered()
        check_id("campaign_id", self.campaign_id, rendered=True)
        self._delete(is_first_try=context["ti"].try_number == 1)
        self.log.info("Campaign %s is deleted.", self.campaign_id)
        return self.campaign_id

    def _delete(self, *, is_first_try: bool) -> None:
        """When this returns, the campaign is gone."""
        from airflow_provider_klaviyo.exceptions import KlaviyoRefusedError, RefusalReason

        try:
            status = str(self.hook.get_campaign(self.campaign_id).attributes["status"])
        except KlaviyoNotFoundError as error:
            if is_first_try:
                error.message += " There is nothing to delete: check the id."
                raise
            self.log.info("Campaign %s is gone already.", self.campaign_id)
            return
        if status == CampaignStatus.SENT:
            raise KlaviyoRefusedError(
                f"Campaign {self.campaign_id} is {status!r} and was not deleted: its figures would go with it. "
                f"Archive it in Klaviyo to have it out of the way.",
                reason=RefusalReason.ALREADY_SENT,
                campaign_id=self.campaign_id,
            )
        if status != CampaignStatus.DRAFT and not is_cancelled(status):
            raise KlaviyoRefusedError(
                f"Campaign {self.campaign_id} is {status!r} and was not deleted: it is on its way to people. Stop it "
                f"first (KlaviyoCancelCampaignSendOperator).",
                reason=RefusalReason.NOT_A_DRAFT,
                campaign_id=self.campaign_id,
            )
        try:
            self.hook.delete_campaign(self.campaign_id)
        except KlaviyoNotFoundError:
            self.log.info(
                "Campaign %s is gone: the first of two deletes was carried out, and its answer lost.", self.campaign_id
            )
