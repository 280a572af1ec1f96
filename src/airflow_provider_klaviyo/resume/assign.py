"""Assign a template, and find out after a lost answer whether it was."""

from __future__ import annotations

import logging
import time

from airflow_provider_klaviyo.api import campaigns
from airflow_provider_klaviyo.api.document import Resource
from airflow_provider_klaviyo.api.errors import KlaviyoAmbiguousWriteError, KlaviyoApiError, KlaviyoValidationError
from airflow_provider_klaviyo.campaigns.status import CampaignStatus
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.resume.drafts import channel_of, require_draft
from airflow_provider_klaviyo.resume.edits import with_attributes
from airflow_provider_klaviyo.resume.looking import look_until, settled_after
from airflow_provider_klaviyo.resume.notes import TemplateNote
from airflow_provider_klaviyo.resume.state import TaskState

log = logging.getLogger(__name__)


def assign_once(hook: KlaviyoHook, state: TaskState, campaign_id: str, message: Resource, template_id: str) -> Resource:
    """Give a message a copy of a template, and return the copy, with its attributes if Klaviyo told them.

    :raises KlaviyoValidationError: the message is no email.
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
        log.warning("%s Looking whether message %s has its template.", error, message.id)
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
