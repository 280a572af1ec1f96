"""The Campaigns API, one function per thing it does; each is a :data:`~airflow_provider_klaviyo.api.calls.Call`.

Arguments called ``attributes`` are Klaviyo's own attribute names with plain JSON values. What a function writes is not
repeated when its answer is lost (see :mod:`airflow_provider_klaviyo.api.retry`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from msgspec.structs import replace

from airflow_provider_klaviyo.api import filters
from airflow_provider_klaviyo.api.calls import MAX_PAGES, Call, pages, paginate
from airflow_provider_klaviyo.api.document import Document, Resource, unanswered
from airflow_provider_klaviyo.api.errors import KlaviyoApiError
from airflow_provider_klaviyo.api.filters import Filter
from airflow_provider_klaviyo.api.request import build

Channel = Literal["email", "sms", "mobile_push"]
Related = Literal["campaign-messages", "tags"]

CHANNELS: tuple[Channel, ...] = ("email", "sms", "mobile_push")

ROW_KEYS: Mapping[str, str] = {"campaign-messages": "messages", "tags": "tags"}
"""Under which key of a row the included resources of a relationship stand."""


def get_campaign(campaign_id: str) -> Call[Resource]:
    """One campaign.

    :raises KlaviyoNotFoundError: there is none with this id.
    """
    return (yield build("get_campaign", path_params={"id": campaign_id})).about("campaign", campaign_id)


def find_campaigns(*, channel: Channel, name: str, created_since: datetime | None = None) -> Call[list[Resource]]:
    """Campaigns of exactly this name, oldest first.

    Klaviyo matches names only by a part of them, and how a quote within a filter is to be escaped is not documented:
    the longest part of the name without one is searched for, and the whole name compared here.

    :param channel: ``email``, ``sms`` or ``mobile_push``.
    :param created_since: leave out those made before this moment; an aware datetime.
    """
    part = max(re.split(r"[\"'\\]", name), key=len)
    wanted = filters.equals("messages.channel", channel)
    if created_since is not None:
        wanted &= filters.greater_or_equal("created_at", created_since)
    if part.strip():
        wanted &= filters.contains("name", part)
    found = yield from paginate("get_campaigns", query={"filter": str(wanted), "sort": "created_at"})
    return [campaign for campaign in found if campaign.name == name]


def list_campaigns(
    *,
    channels: Sequence[Channel] = CHANNELS,
    filter: Filter | None = None,
    fields: Sequence[str] = (),
    include: Sequence[Related] = (),
    sort: str | None = None,
    max_pages: int = MAX_PAGES,
) -> Call[list[dict[str, Any]]]:
    """Campaigns as flat rows: ``id``, ``channel``, the attributes, and ``messages`` and ``tags`` where included.

    Klaviyo lists one channel at a time: the channels are asked for one after the other, and sorted each by itself.

    :param channels: the channels to look at: ``email``, ``sms``, ``mobile_push``.
    :param filter: which campaigns; without the channel.
    :param fields: attributes to return, as ``name`` or ``send_strategy.method``; empty: all. Klaviyo leaves out
        relationships from such an answer, so together with ``include`` the fields are chosen here.
    :param include: related resources to return with each campaign.
    :param sort: ``created_at``, ``id``, ``name``, ``scheduled_at`` or ``updated_at``; with ``-`` in front: descending.
    :param max_pages: ceiling for each channel; a page has 100 campaigns.
    """
    rows: list[dict[str, Any]] = []
    for channel in channels:
        wanted = filters.equals("messages.channel", channel)
        query = {
            "filter": str(wanted & filter if filter else wanted),
            "fields[campaign]": fields if fields and not include else None,
            "include": include or None,
            "sort": sort,
        }
        for page in (yield from pages("get_campaigns", query=query, max_pages=max_pages)):
            included = page.included
            rows += [_row(campaign, channel, fields, include, included) for campaign in page.resources]
    return rows


def create_campaign(attributes: Mapping[str, Any], messages: Sequence[Mapping[str, Any]]) -> Call[Resource]:
    """A new draft. It is not sent before :func:`send_campaign`.

    :param attributes: ``name``, ``audiences`` and, optionally, ``send_strategy``, ``send_options`` and
        ``tracking_options``.
    :param messages: message definitions, as :func:`airflow_provider_klaviyo.campaigns.email` makes them; an
        ``image_id`` beside the definition becomes the message's image.
    """
    data = [_new_message(message) for message in messages]
    body = _data("campaign", {**attributes, "campaign-messages": {"data": data}})
    return (yield build("create_campaign", body=body)).about("campaign")


def clone_campaign(campaign_id: str, new_name: str) -> Call[Resource]:
    """A new draft with the content of another campaign.

    Klaviyo gives the clone another send strategy (``static``, now) and switches click tracking on: write both again.

    :param new_name: the clone's name.
    """
    body = _data("campaign", {"new_name": new_name}, campaign_id)
    return (yield build("create_campaign_clone", body=body)).about("campaign")


def update_campaign(campaign_id: str, attributes: Mapping[str, Any]) -> Call[Resource]:
    """Change a draft; lists (audiences) are replaced, not merged.

    :param attributes: those that are to change, under Klaviyo's names.
    :raises KlaviyoConflictError: it is not a draft.
    """
    body = _data("campaign", dict(attributes), campaign_id)
    document = yield build("update_campaign", path_params={"id": campaign_id}, body=body)
    return document.about("campaign", campaign_id)


def delete_campaign(campaign_id: str) -> Call[None]:
    """Delete a campaign for good.

    :raises KlaviyoNotFoundError: there is none with this id (any more: a repeated delete may meet its own work).
    :raises KlaviyoConflictError: it is not a draft.
    """
    yield build("delete_campaign", path_params={"id": campaign_id})


def get_campaign_tags(campaign_id: str) -> Call[list[Resource]]:
    """The tags of a campaign."""
    return (yield build("get_tags_for_campaign", path_params={"id": campaign_id})).resources


def get_campaign_tag_ids(campaign_id: str) -> Call[list[str]]:
    """The ids of a campaign's tags."""
    document = yield build("get_tag_ids_for_campaign", path_params={"id": campaign_id})
    return [tag.id for tag in document.resources]


def get_messages(campaign_id: str) -> Call[list[Resource]]:
    """The messages of a campaign, each with the id of its template."""
    messages, _ = yield from get_messages_and_templates(campaign_id)
    return messages


def get_messages_and_templates(campaign_id: str) -> Call[tuple[list[Resource], list[Resource]]]:
    """The messages of a campaign, and the templates (their own copies) that came with them."""
    query = {"include": ["template"]}
    document = yield build("get_messages_for_campaign", path_params={"id": campaign_id}, query=query)
    return document.resources, document.included


def get_message_ids(campaign_id: str) -> Call[list[str]]:
    """The ids of a campaign's messages."""
    document = yield build("get_message_ids_for_campaign", path_params={"id": campaign_id})
    return [message.id for message in document.resources]


def get_message(message_id: str) -> Call[Resource]:
    """One message, with the id of its template."""
    document = yield build("get_campaign_message", path_params={"id": message_id}, query={"include": ["template"]})
    return document.about("campaign-message", message_id)


def get_campaign_of_message(message_id: str) -> Call[Resource]:
    """The campaign that a message belongs to."""
    return (yield build("get_campaign_for_campaign_message", path_params={"id": message_id})).about("campaign")


def get_campaign_id_of_message(message_id: str) -> Call[str]:
    """The id of the campaign that a message belongs to."""
    return (yield build("get_campaign_id_for_campaign_message", path_params={"id": message_id})).about("campaign").id


def update_message(message_id: str, message: Mapping[str, Any]) -> Call[Resource]:
    """Change the content of a draft's message.

    :param message: the message definition, as for :func:`create_campaign`.
    :raises KlaviyoConflictError: the campaign is not a draft.
    """
    changes = _new_message(message)
    body = _data("campaign-message", changes["attributes"], message_id, changes.get("relationships"))
    document = yield build("update_campaign_message", path_params={"id": message_id}, body=body)
    return document.about("campaign-message", message_id)


def set_image(message_id: str, image_id: str) -> Call[None]:
    """Give a push or SMS message of a draft an image, in place of the one it had.

    :raises KlaviyoConflictError: the campaign is not a draft.
    """
    body = _data("image", None, image_id)
    yield build("update_image_for_campaign_message", path_params={"id": message_id}, body=body)


def get_image_of_message(message_id: str) -> Call[Resource]:
    """The image of a push or SMS message.

    :raises KlaviyoNotFoundError: no such message, or it has no image.
    :raises KlaviyoValidationError: the message is an email; Klaviyo has no images of one.
    """
    return (yield build("get_image_for_campaign_message", path_params={"id": message_id})).about("image")


def get_image_id_of_message(message_id: str) -> Call[str | None]:
    """The id of a push or SMS message's image, if it has one.

    :raises KlaviyoValidationError: the message is an email; Klaviyo has no images of one.
    """
    return _id_in((yield build("get_image_id_for_campaign_message", path_params={"id": message_id})))


def get_template_of_message(message_id: str) -> Call[Resource | None]:
    """The template of an email message (its own copy), if it has one."""
    return (yield build("get_template_for_campaign_message", path_params={"id": message_id})).resource_or_none


def get_template_id_of_message(message_id: str) -> Call[str | None]:
    """The id of an email message's template (its own copy), if it has one."""
    return _id_in((yield build("get_template_id_for_campaign_message", path_params={"id": message_id})))


def assign_template(message_id: str, template_id: str) -> Call[str]:
    """Give an email message a copy of a template.

    :returns: the id of the copy, which is not the id given: later changes of the template do not reach the message.
    """
    return (yield from assign_copy(message_id, template_id)).id


def assign_copy(message_id: str, template_id: str) -> Call[Resource]:
    """As :func:`assign_template`; the copy itself, with its attributes if Klaviyo returned them."""
    template = {"template": {"data": {"type": "template", "id": template_id}}}
    body = _data("campaign-message", None, message_id, relationships=template)
    document = yield build("assign_template_to_campaign_message", body=body)
    message = document.about("campaign-message", message_id)
    if not message.related("template"):
        message = yield from get_message(message_id)
    copies = message.related("template")
    if not copies:
        raise unanswered(document.request, f"answered {document.status}, but shows the message without a template")
    return next((item for item in document.included if item.id == copies[0]), Resource("template", copies[0]))


def get_template(template_id: str) -> Call[Resource]:
    """A template, or a message's own copy of one: its content and when it was changed last.

    :raises KlaviyoNotFoundError: there is none with this id.
    """
    fields = {"fields[template]": ["html", "text", "amp", "updated"]}
    return (yield build("get_template", path_params={"id": template_id}, query=fields)).about("template", template_id)


def start_estimation(campaign_id: str) -> Call[None]:
    """Have the recipients counted again. Posting it twice only counts twice."""
    body = _data("campaign-recipient-estimation-job", None, campaign_id)
    document = yield build("refresh_campaign_recipient_estimation", body=body)
    document.about("campaign-recipient-estimation-job", campaign_id)


def get_estimation_job(campaign_id: str) -> Call[str]:
    """Status of the running or last count.

    :raises KlaviyoNotFoundError: no such campaign, or no current count (Klaviyo's words name which).
    """
    job = yield build("get_campaign_recipient_estimation_job", path_params={"id": campaign_id})
    return job.about("campaign-recipient-estimation-job", campaign_id).text("status")


def get_estimation(campaign_id: str, *, patience: float | None = None) -> Call[int]:
    """The number of recipients last counted.

    :param patience: seconds that it waits for the rate limit at most; 10/s and 150/min per account.
    :raises KlaviyoNotFoundError: no such campaign, or no current count.
    """
    request = build("get_campaign_recipient_estimation", path_params={"id": campaign_id})
    document = yield replace(request, patience=patience)
    return document.about("campaign-recipient-estimation").number("estimated_recipient_count")


def send_campaign(campaign_id: str) -> Call[None]:
    """Put a draft on its way: at once, or onto the schedule, as its send strategy says.

    The id of the send job is the campaign's id: an answer without it proves nothing.
    """
    document = yield build("send_campaign", body=_data("campaign-send-job", None, campaign_id))
    document.about("campaign-send-job", campaign_id)


def get_send_job(campaign_id: str) -> Call[str]:
    """Status of a campaign's send job.

    :raises KlaviyoNotFoundError: there is no such campaign, or it was never sent.
    """
    document = yield build("get_campaign_send_job", path_params={"id": campaign_id})
    return document.about("campaign-send-job", campaign_id).text("status")


def cancel_send(campaign_id: str, action: Literal["cancel", "revert"]) -> Call[None]:
    """Stop a send for good (``cancel``), or take a scheduled one back to a draft (``revert``). Both take a while.

    :param action: ``cancel`` or ``revert``.
    """
    body = _data("campaign-send-job", {"action": action}, campaign_id)
    yield build("cancel_campaign_send", path_params={"id": campaign_id}, body=body)


def get_account() -> Call[Resource]:
    """The account that the key belongs to.

    :raises KlaviyoAuthError: the key is wrong (401) or lacks ``accounts:read`` (403).
    """
    accounts = (yield build("get_accounts")).resources
    if len(accounts) != 1:
        raise KlaviyoApiError(f"get_accounts: Klaviyo returned {len(accounts)} accounts; a key belongs to exactly one.")
    return accounts[0]


def _row(
    campaign: Resource, channel: str, fields: Sequence[str], include: Sequence[str], included: Sequence[Resource]
) -> dict[str, Any]:
    own = {"id": campaign.id, "channel": channel}
    row = own | (only(campaign.attributes, fields) if fields and include else dict(campaign.attributes)) | own
    for name in include:
        ids = campaign.related(name)
        row[ROW_KEYS[name]] = [{"id": item.id, **item.attributes} for item in included if item.id in ids]
    return row


def only(attributes: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    """The attributes named; ``send_strategy.method`` names a part of one."""
    parts: dict[str, list[str]] = {}
    for field in fields:
        name, _, rest = field.partition(".")
        parts.setdefault(name, []).append(rest)
    return {
        name: only(attributes[name], rests)
        if all(rests) and isinstance(attributes[name], Mapping)
        else attributes[name]
        for name, rests in parts.items()
        if name in attributes
    }


def _id_in(document: Document) -> str | None:
    found = document.resource_or_none
    return found.id if found else None


def _new_message(message: Mapping[str, Any]) -> dict[str, Any]:
    definition = {name: value for name, value in message.items() if name != "image_id"}
    data: dict[str, Any] = {"type": "campaign-message", "attributes": {"definition": definition}}
    if "image_id" in message:
        data["relationships"] = {"image": {"data": {"type": "image", "id": message["image_id"]}}}
    return data


def _data(
    kind: str,
    attributes: dict[str, Any] | None,
    resource_id: str | None = None,
    relationships: dict[str, Any] | None = None,
) -> dict[str, Any]:
    data: dict[str, Any] = {"type": kind}
    if resource_id is not None:
        data["id"] = resource_id
    if attributes is not None:
        data["attributes"] = attributes
    if relationships is not None:
        data["relationships"] = relationships
    return {"data": data}
