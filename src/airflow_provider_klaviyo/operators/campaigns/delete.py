"""Delete a campaign."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_klaviyo.hooks.arguments import check_id
from airflow_provider_klaviyo.hooks.tasks import CONNECTION
from airflow_provider_klaviyo.operators.base import KlaviyoCampaignOperator

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

    def __init__(self, *, campaign_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.campaign_id = campaign_id
        check_id("campaign_id", campaign_id)

    def execute(self, context: Context) -> str:
        from airflow_provider_klaviyo.resume.delete import delete
        from airflow_provider_klaviyo.resume.state import TaskState

        self.check_rendered()
        check_id("campaign_id", self.campaign_id, rendered=True)
        delete(self.hook, TaskState(context), self.campaign_id)
        self.log.info("Campaign %s is deleted.", self.campaign_id)
        return self.campaign_id
