"""Changes of a draft, and the refusal of changes to anything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_klaviyo.api.campaigns import CHANNELS, Channel
from airflow_provider_klaviyo.api.document import Resource
from airflow_provider_klaviyo.api.errors import KlaviyoApiError, KlaviyoValidationError
from airflow_provider_klaviyo.campaigns.status import CampaignStatus, is_final
from airflow_provider_klaviyo.exceptions import KlaviyoRefusedError
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook


def require_draft(hook: KlaviyoHook, campaign_id: str) -> Resource:
    """The campaign, which may be changed.

    :raises KlaviyoRefusedError: it is no draft; the message says what to do instead.
    :raises KlaviyoNotFoundError: there is no such campaign.
    """
    campaign = hook.get_campaign(campaign_id)
    status = str(campaign.attributes.get("status"))
    if status != CampaignStatus.DRAFT:
        raise KlaviyoRefusedError(
            f"Campaign {campaign_id} is {status!r}; only a draft can be changed. Nothing was changed. {_remedy(status)}"
        )
    return campaign


def message_in(hook: KlaviyoHook, *, campaign_id: str | None, message_id: str | None) -> tuple[str, Resource]:
    """The campaign and its message, from the id of either.

    :raises KlaviyoValidationError: the campaign has several messages, or none.
    """
    if message_id is not None:
        message = hook.get_message(message_id)
        return (message.related("campaign") or [hook.get_campaign_id_of_message(message_id)])[0], message
    messages = hook.get_messages(str(campaign_id))
    if not messages:
        raise KlaviyoValidationError(
            f"Campaign {campaign_id} has no message in Klaviyo. Look at it there: a campaign is made with its message.",
            pointer="campaign_id",
        )
    if len(messages) != 1:
        ids = ", ".join(message.id for message in messages)
        raise KlaviyoValidationError(
            f"Campaign {campaign_id} has {len(messages)} messages ({ids}); say which one with message_id.",
            pointer="message_id",
        )
    return str(campaign_id), messages[0]


def channel_of(message: Resource) -> Channel:
    """``email``, ``sms`` or ``mobile_push``.

    :raises KlaviyoApiError: Klaviyo's answer has another channel, or none.
    """
    definition: Any = message.attributes.get("definition")
    told = definition.get("channel") if isinstance(definition, Mapping) else None
    for channel in CHANNELS:
        if told == channel:
            return channel
    raise KlaviyoApiError(
        f"The channel of message {message.id} is {told!r} in Klaviyo's answer; known here are {', '.join(CHANNELS)}."
    )


def _remedy(status: str) -> str:
    if is_final(status):
        return "To send it again with changes, clone it (KlaviyoCloneCampaignOperator) and change the clone."
    return (
        "Revert it first (KlaviyoCancelCampaignSendOperator(action='revert')), which works while it is scheduled; it "
        "then goes out only if it is sent anew."
    )
