"""Give a draft the settings that its task says, whatever it had before."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from airflow_provider_klaviyo.api.errors import KlaviyoApiError, KlaviyoValidationError
from airflow_provider_klaviyo.campaigns.status import CampaignStatus
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.resume.edits import Fields, of_campaign, of_message

log = logging.getLogger(__name__)


def write_settings(
    hook: KlaviyoHook, campaign_id: str, settings: Mapping[str, Any], message: Mapping[str, Any] | None = None
) -> Fields:
    """Write a draft's settings, and its message's content if given. Writing them again does no harm.

    A clone has other settings than its source, and a campaign adopted from before a clear may have been made by an
    older version of the DAG: neither may go out as it is. A campaign that is no draft any more is left as it is.

    :returns: what was written, as Klaviyo answered it.
    :raises KlaviyoApiError: the message names the draft that is left with other settings.
    """
    if hook.get_campaign(campaign_id).attributes.get("status") != CampaignStatus.DRAFT:
        log.info("Campaign %s is no longer a draft: its settings are left as they are.", campaign_id)
        return {}
    try:
        written = of_campaign(hook.update_campaign(campaign_id, settings), wrote=settings)
        if message is not None:
            found = hook.get_messages(campaign_id)
            if not found:
                raise KlaviyoApiError(f"Campaign {campaign_id} has no message in Klaviyo's answer.")
            written |= of_message(hook.update_message(found[0].id, message), wrote=message)
        return written
    except KlaviyoApiError as error:
        refused = isinstance(error, KlaviyoValidationError)
        first = "Give this task another value for what is refused, and run it again" if refused else "Run it again"
        error.message += (
            f" Campaign {campaign_id} is there as a draft, with other settings than this task's: do not send it as it "
            f"is. {first}: it goes on with that draft. Or delete the draft."
        )
        raise
