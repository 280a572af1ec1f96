"""Changes of a draft, and the refusal of changes to anything else."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from airflow_provider_klaviyo.api import campaigns
from airflow_provider_klaviyo.api.campaigns import CHANNELS, Channel
from airflow_provider_klaviyo.api.document import Resource
from airflow_provider_klaviyo.api.errors import KlaviyoAmbiguousWriteError, KlaviyoApiError, KlaviyoValidationError
from airflow_provider_klaviyo.campaigns.status import CampaignStatus, is_final
from airflow_provider_klaviyo.drafts.edits import Fields, of_campaign, of_message, with_attributes
from airflow_provider_klaviyo.exceptions import KlaviyoRefusedError, RefusalReason
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.never_twice.look import look_until, settled_after
from airflow_provider_klaviyo.never_twice.notes import TaskState, TemplateNote


def require_draft(hook: KlaviyoHook, campaign_id: str) -> Resource:
    """The campaign, which may be changed.

    :raises KlaviyoRefusedError: it is not a draft; the message has what to do instead.
    :raises KlaviyoNotFoundError: there is no such campaign.
    """
    campaign = hook.get_campaign(campaign_id)
    status = str(campaign.attributes.get("status"))
    if status != CampaignStatus.DRAFT:
        raise KlaviyoRefusedError(
            f"Campaign {campaign_id} is {status!r}; only a draft can be changed. Nothing was changed. "
            f"{_remedy(status)}",
            reason=RefusalReason.NOT_A_DRAFT,
            campaign_id=campaign_id,
        )
    return campaign


def message_in(hook: KlaviyoHook, *, campaign_id: str | None, message_id: str | None) -> tuple[str, Resource]:
    """The campaign and its message, from the id of either.

    :raises KlaviyoValidationError: the campaign has several messages, or none.
    """
    if message_id is not None:
        message = hook.get_message(message_id)
        return (message.related("campaign") or [hook.get_campaign_id_of_message(message_id)])[0], message
    messages = messages_of(hook, str(campaign_id))
    if len(messages) != 1:
        ids = ", ".join(message.id for message in messages)
        raise KlaviyoValidationError(
            f"Campaign {campaign_id} has {len(messages)} messages ({ids}); name one with message_id.",
            pointer="message_id",
        )
    return str(campaign_id), messages[0]


def messages_of(hook: KlaviyoHook, campaign_id: str) -> list[Resource]:
    """The messages of a campaign: one at least.

    :raises KlaviyoValidationError: it has none.
    """
    messages = hook.get_messages(campaign_id)
    if not messages:
        raise KlaviyoValidationError(
            f"Campaign {campaign_id} has no message in Klaviyo. Look at it there: a campaign is made with its message.",
            pointer="campaign_id",
        )
    return messages


def channel_of(message: Resource) -> Channel:
    """``email``, ``sms`` or ``mobile_push``.

    :raises KlaviyoApiError: Klaviyo's answer has another channel, or none.
    """
    definition: Any = message.attributes.get("definition")
    found = definition.get("channel") if isinstance(definition, Mapping) else None
    for channel in CHANNELS:
        if found == channel:
            return channel
    raise KlaviyoApiError(
        f"The channel of message {message.id} is {found!r} in Klaviyo's answer; known here are {', '.join(CHANNELS)}."
    )


def _remedy(status: str) -> str:
    if is_final(status):
        return "To send it again with changes, clone it (KlaviyoCloneCampaignOperator) and change the clone."
    return (
        "Revert it first (KlaviyoCancelCampaignSendOperator(action='revert')), which works while it is scheduled; it "
        "then goes out only if it is sent again."
    )


log = logging.getLogger(__name__)


def write_attributes(
    hook: KlaviyoHook, campaign_id: str, attributes: Mapping[str, Any], message: Mapping[str, Any] | None = None
) -> Fields:
    """Write a draft's attributes, and its message's content if given. Writing them again does no harm.

    A clone has other attributes than its source, and a campaign adopted from before a clear may have been made by an
    older version of the DAG: neither may go out as it is. A campaign that is no longer a draft is left as it is.

    :returns: what was written, as Klaviyo answered it.
    :raises KlaviyoApiError: the message names the draft that is left with other attributes.
    """
    if hook.get_campaign(campaign_id).attributes.get("status") != CampaignStatus.DRAFT:
        log.info("Campaign %s is no longer a draft: its attributes are left as they are.", campaign_id)
        return {}
    try:
        written = of_campaign(hook.update_campaign(campaign_id, attributes), wrote=attributes)
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


def assign_once(hook: KlaviyoHook, state: TaskState, campaign_id: str, message: Resource, template_id: str) -> Resource:
    """Give a message a copy of a template, and return the copy, with its attributes if Klaviyo returned them.

    :raises KlaviyoValidationError: the message is not an email.
    :raises KlaviyoApiError: the message names the draft that is left without its template.
    """
    if channel_of(message) != "email":
        raise KlaviyoValidationError(
            f"Message {message.id} of campaign {campaign_id} is of channel {channel_of(message)!r}; only email takes a "
            f"template. The text of other channels is given when the campaign is made.",
            pointer="campaign_id",
        )
    note = state.find(TemplateNote, lambda note: note.message == message.id)
    before = message.related("template")
    is_ours = note is not None and note.template == template_id and note.copy in before
    if note and is_ours and note.generation == state.generation:
        log.info("Message %s has its template from an earlier try of this task.", message.id)
        return Resource("template", before[0])
    if hook.get_campaign(campaign_id).attributes.get("status") != CampaignStatus.DRAFT:
        if is_ours or (before and note is None and state.may_have_forgotten):
            log.info("Campaign %s is no longer a draft: its message keeps the template it has.", campaign_id)
            return Resource("template", before[0])
        require_draft(hook, campaign_id)
    try:
        copy = with_attributes(hook, hook.run(campaigns.assign_copy(message.id, template_id)))
    except KlaviyoAmbiguousWriteError as error:
        log.warning("%s Checking if message %s has its template.", error, message.id)
        shows_by = settled_after(time.time())
        now = look_until(
            lambda: hook.get_message(message.id).related("template"),
            lambda seen: seen != before or time.time() >= shows_by,
            what=f"message {message.id} has a new template",
        )
        if now == before:
            error.message += f" Message {message.id} of campaign {campaign_id} shows no new template."
            raise
        copy = Resource("template", now[0])
    except KlaviyoApiError as error:
        error.message += (
            f" Template {template_id!r} was not assigned to message {message.id}; campaign {campaign_id} stays a "
            f"draft without it."
        )
        raise
    state.put(TemplateNote(message=message.id, template=template_id, copy=copy.id, at=time.time()))
    return copy
