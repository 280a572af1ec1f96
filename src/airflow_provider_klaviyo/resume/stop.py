"""Cancel or revert a send, unless it is done already or too late."""

from __future__ import annotations

import logging
import time
from typing import Literal

from airflow_provider_klaviyo.api.errors import KlaviyoConflictError
from airflow_provider_klaviyo.campaigns.status import CampaignStatus, is_cancelled
from airflow_provider_klaviyo.exceptions import KlaviyoCampaignFailed, KlaviyoRefusedError
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.resume.looking import look_until, settled_after

TOO_LATE = "It cannot be stopped any more."

log = logging.getLogger(__name__)


def stop(hook: KlaviyoHook, campaign_id: str, action: Literal["cancel", "revert"]) -> None:
    """Ask Klaviyo to stop a send. When this returns, it was asked, or there is nothing left to ask for.

    :raises KlaviyoCampaignFailed: the campaign is sent, or (for a revert) cancelled.
    :raises KlaviyoRefusedError: a draft is to be cancelled.
    """
    if _is_stopped(hook, campaign_id, action):
        return
    try:
        hook.cancel_send(campaign_id, action)
    except KlaviyoConflictError as error:
        log.warning("%s Looking whether campaign %s is being stopped already.", error, campaign_id)
        shows_by = settled_after(time.time())
        if not look_until(
            lambda: _is_stopped(hook, campaign_id, action),
            lambda stopped: stopped or time.time() >= shows_by,
            what=f"campaign {campaign_id} is stopped",
        ):
            error.message += f" Campaign {campaign_id} goes on."
            raise


def _is_stopped(hook: KlaviyoHook, campaign_id: str, action: Literal["cancel", "revert"]) -> bool:
    status = str(hook.get_campaign(campaign_id).attributes["status"])
    if status == CampaignStatus.SENT or (is_cancelled(status) and action == "revert"):
        raise KlaviyoCampaignFailed(campaign_id, status, TOO_LATE)
    if status == CampaignStatus.DRAFT and action == "cancel":
        raise KlaviyoRefusedError(
            f"Campaign {campaign_id} is a draft: there is no send to cancel, and it goes out only if it is sent. "
            f"To get rid of it, delete it."
        )
    if status == CampaignStatus.DRAFT or is_cancelled(status):
        log.info("Campaign %s is %r already.", campaign_id, status)
        return True
    return False
