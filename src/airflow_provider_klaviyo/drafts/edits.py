"""What the tasks of a run wrote of a draft, and in what the draft differs from it when it is to be sent.

No answer of Klaviyo has the author of a change, and ``updated_at`` may be moved by Klaviyo itself. So content is
compared. Each task that writes records what Klaviyo answered to its write: as a digest for each field, so that an XCom
stays small and has no content in it. A field that the answer lacks is not recorded, and one that was not written
keeps the record of the task that wrote it: a change that a person made in between stays to be seen.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2s
from typing import TYPE_CHECKING, Any

from airflow_provider_klaviyo.api import campaigns
from airflow_provider_klaviyo.api.document import Resource
from airflow_provider_klaviyo.api.errors import KlaviyoError, KlaviyoNotFoundError
from airflow_provider_klaviyo.campaigns.status import CampaignStatus
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.never_twice.notes import iso, moment

if TYPE_CHECKING:
    from airflow.sdk import Context

Fields = dict[str, str]
"""Path of a field to a digest of its value."""

COMPARED = ("name", "send_strategy", "send_options", "tracking_options")
GROUPS = ("content", "render_options", "options")
"""Parts of a message's definition whose fields are compared one by one."""

log = logging.getLogger(__name__)


# --- what was written -------------------------------------------------------------------------------------------------


def of_campaign(campaign: Resource, wrote: Mapping[str, Any] | None = None) -> Fields:
    """The attributes of a campaign.

    :param wrote: the attributes that were written; default: all.
    """
    shown = _compared(campaign.attributes)
    written = shown if wrote is None else _compared(wrote)
    return {name: _digest(value) for name, value in shown.items() if name in written}


def of_message(message: Resource, wrote: Mapping[str, Any] | None = None) -> Fields:
    """The content of a message.

    :param wrote: the definition that was written, and an ``image_id`` beside it; default: all of the definition.
    """
    shown = dict(_leaves(message.attributes.get("definition") or {}))
    written = shown if wrote is None else dict(_leaves(wrote))
    fields = {_path(message.id, name): _digest(value) for name, value in shown.items() if name in written}
    image_id = (wrote or {}).get("image_id")
    return fields | (of_image(message.id, image_id) if image_id else {})


def of_image(message_id: str, image_id: str | None) -> Fields:
    """The image of a push or SMS message."""
    return {_path(message_id, "image"): _digest(image_id)}


def of_template(message_id: str, template: Resource | None) -> Fields:
    """The template of an email message: which one, when it was changed, and its content, as far as the answer has them.

    :param template: the message's own copy; ``None``: it has none.
    """
    shown = template.attributes if template else {}
    updated = shown.get("updated")
    parts = (
        _digest(template and template.id),
        _digest(datetime.fromisoformat(updated).timestamp()) if updated else "",
        _digest([shown.get(part) or "" for part in ("html", "text", "amp")]) if "html" in shown else "",
    )
    return {_path(message_id, "template"): "/".join(parts)}


def of_new(hook: KlaviyoHook, campaign: Resource, image_id: str | None = None) -> Fields:
    """All of a campaign that was made just now.

    Klaviyo's answer does not have the messages, so they are read. A new campaign's messages are either not there yet,
    and then not recorded, or as they were made.

    :param campaign: the answer to the call that made it.
    :param image_id: the image that its message was made with.
    """
    fields = of_campaign(campaign)
    try:
        draft = Draft.read(hook, campaign)
    except KlaviyoError as error:
        log.info(
            "The messages of campaign %s could not be read, so a later change of them is not seen: %s",
            campaign.id,
            error,
        )
        return fields
    for message in draft.messages if image_id else ():
        fields |= of_image(message.id, image_id)
    return fields | of_draft(hook, draft)


def of_draft(hook: KlaviyoHook, draft: Draft) -> Fields:
    """All of a draft that was read, but for the images of its messages."""
    fields = of_campaign(draft.campaign)
    for message in draft.messages:
        fields |= of_message(message)
        if message.has_related("template"):
            template = draft.template_of(message)
            fields |= of_template(message.id, template and with_attributes(hook, template))
    return fields


def keep(context: Context, campaign_id: str, fields: Fields) -> None:
    """Record what the task has written, for the send of this run: one record a campaign, the last call counts."""
    if fields:
        context["ti"].xcom_push(key=_key(campaign_id), value={"at": iso(time.time()), "fields": fields})


# --- what became of it ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Draft:
    """A campaign with its messages, as read.

    :param templates: those that came with the messages.
    """

    campaign: Resource
    messages: Sequence[Resource]
    templates: Sequence[Resource]

    @classmethod
    def read(cls, hook: KlaviyoHook, campaign: Resource) -> Draft:
        """The campaign, with its messages as they are now."""
        return cls(campaign, *hook.run(campaigns.get_messages_and_templates(campaign.id)))

    @property
    def is_draft(self) -> bool:
        return bool(self.campaign.attributes["status"] == CampaignStatus.DRAFT)

    def template_of(self, message: Resource) -> Resource | None:
        """The template of a message, with its attributes if they came along."""
        template = next((Resource("template", related) for related in message.related("template")), None)
        return next((one for one in self.templates if template and one.id == template.id), template)


@dataclass(frozen=True, slots=True)
class Written:
    """What the tasks of a run have written of one campaign.

    :param digests: the last record of each field.
    :param tasks: which task wrote it.
    :param last: when the last of them was made; seconds since the epoch.
    """

    digests: Mapping[str, str]
    tasks: Mapping[str, str]
    last: float

    @classmethod
    def pull(cls, context: Context, campaign_id: str, writers: Sequence[str]) -> Written:
        """The records of some tasks, and of each of their map indexes: one request to Airflow for each task."""
        found: list[tuple[float, str, Mapping[str, str]]] = []
        for task_id in writers:
            records = context["ti"].xcom_pull(task_ids=[task_id], key=_key(campaign_id))
            found += [(moment(one["at"]) or 0.0, task_id, one["fields"]) for one in records if one]
        digests: dict[str, str] = {}
        tasks: dict[str, str] = {}
        for _, task_id, fields in sorted(found, key=lambda one: one[0]):
            digests |= fields
            tasks |= dict.fromkeys(fields, task_id)
        return cls(digests, tasks, last=max((at for at, _, _ in found), default=0.0))

    def differing(self, hook: KlaviyoHook, draft: Draft) -> list[str]:
        """The fields that no longer are as they were written, each in words and with the task that wrote it."""
        shown = of_campaign(draft.campaign)
        for message in draft.messages:
            shown |= of_message(message) | self._template(hook, draft, message) | self._image(hook, message)
        found = ((path, _difference(path, recorded, shown.get(path))) for path, recorded in self.digests.items())
        return [f"{words} ({self.tasks[path]})" for path, words in found if words]

    def _template(self, hook: KlaviyoHook, draft: Draft, message: Resource) -> Fields:
        """A message's template, where a task has recorded one; nothing if it is not known."""
        if _path(message.id, "template") not in self.digests or not message.has_related("template"):
            return {}
        template = draft.template_of(message)
        return of_template(message.id, template and with_attributes(hook, template))

    def _image(self, hook: KlaviyoHook, message: Resource) -> Fields:
        """A message's image, where a task has given it one; nothing if it is not known."""
        if _path(message.id, "image") not in self.digests:
            return {}
        try:
            return of_image(message.id, hook.get_image_id_of_message(message.id))
        except KlaviyoNotFoundError:
            return of_image(message.id, None)
        except KlaviyoError as error:
            log.info("It is not known if message %s has another image now: %s", message.id, error)
            return {}


def with_attributes(hook: KlaviyoHook, template: Resource) -> Resource:
    """The template with its attributes; as given if it cannot be read (the key may lack ``templates:read``)."""
    if template.attributes:
        return template
    try:
        return hook.run(campaigns.get_template(template.id))
    except KlaviyoError as error:
        log.info("A later change of the content of template %s will not be seen: %s", template.id, error)
        return template


def _difference(path: str, recorded: str, shown: str | None) -> str:
    """What is another than it was, in words; empty if nothing is, or if that is not known."""
    if not path.startswith("message."):
        return path if recorded != (shown or _digest(None)) else ""
    _, message_id, name = path.split(".", 2)
    if name in ("template", "image") and shown is None:
        return ""
    if name == "template" and shown is not None:
        then, seen = recorded.split("/"), shown.split("/")
        if then[0] == seen[0]:
            pairs = [(one, other) for one, other in zip(then[1:], seen[1:], strict=True) if one and other]
            is_edited = bool(pairs) and all(one != other for one, other in pairs)
            return f"content of the template of message {message_id}" if is_edited else ""
    return f"{name} of message {message_id}" if recorded != (shown or _digest(None)) else ""


def _key(campaign_id: str) -> str:
    return f"klaviyo_draft_{campaign_id}"


def _path(message_id: str, name: str) -> str:
    return f"message.{message_id}.{name}"


def _compared(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Those attributes of a campaign that are compared; of its audiences, each list by itself."""
    audiences = attributes.get("audiences") or {}
    lists = {f"audiences.{name}": sorted(ids or ()) for name, ids in audiences.items()}
    return {name: attributes[name] for name in COMPARED if name in attributes} | lists


def _leaves(definition: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The fields of a message's definition, by their dotted names."""
    for name, value in definition.items():
        if name in GROUPS and isinstance(value, Mapping):
            yield from ((f"{name}.{inner}", part) for inner, part in value.items())
        elif name not in ("channel", "image_id"):
            yield name, value


def _digest(value: Any) -> str:
    """Eight characters that stand for a JSON value. Nothing, empty and null are the same."""
    plain = None if value in ("", [], {}) else value
    return blake2s(json.dumps(plain, sort_keys=True).encode(), digest_size=4).hexdigest()
