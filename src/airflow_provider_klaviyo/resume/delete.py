"""Delete a campaign, unless people are getting it, will get it, or got it."""

from __future__ import annotations

import logging

from airflow_provider_klaviyo.api.errors import KlaviyoNotFoundError
from airflow_provider_klaviyo.campaigns.status import CampaignStatus, is_cancelled
from airflow_provider_klaviyo.exceptions import KlaviyoRefusedError
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.resume.state import TaskState

log = logging.getLogger(__name__)


def delete(hook: KlaviyoHook, state: TaskState, campaign_id: str) -> None:
    """Delete a draft or a cancelled campaign. When this returns, it is gone.

    :raises KlaviyoNotFoundError: it is not there, and no earlier try of this task can have deleted it.
    :raises KlaviyoRefusedError: its status forbids it; the message says what to do instead.
    """
    try:
        status = str(hook.get_campaign(campaign_id).attributes["status"])
    except KlaviyoNotFoundError as error:
        if not state.is_rerun:
            error.message += " There is nothing to delete: check the id."
            raise
        log.info("Campaign %s is gone already.", campaign_id)
        return
    if status == CampaignStatus.SENT:
        raise KlaviyoRefusedError(
            f"Campaign {campaign_id} is {status!r} and was not deleted: its figures would go with it. "
            f"Archive it in Klaviyo to have it out of the way."
        )
    if status != CampaignStatus.DRAFT and not is_cancelled(status):
        raise KlaviyoRefusedError(
            f"Campaign {campaign_id} is {status!r} and was not deleted: it is on its way to people. Stop it first "
            f"(KlaviyoCancelCampaignSendOperator)."
        )
    try:
        hook.delete_campaign(campaign_id)
    except KlaviyoNotFoundError:
        log.info("Campaign %s is gone: the first of two deletes was carried out, and its answer lost.", campaign_id)
