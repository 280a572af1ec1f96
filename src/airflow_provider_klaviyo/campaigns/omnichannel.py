"""Omnichannel campaigns, which API revision 2026-10-15 has, read into rows like those of the revisions before.

Such a campaign has a name, settings and messages. It has no status, audiences, send strategy or send time of its own:
each message has a status and a send time, and one variation or more, which have the content. The messages come with
their campaigns in one answer, so that a look costs what it costs in other revisions: a request for 100 campaigns.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from airflow_provider_klaviyo.api import filters
from airflow_provider_klaviyo.api.calls import MAX_PAGES, Call, pages
from airflow_provider_klaviyo.api.campaigns import CHANNELS, ROW_KEYS, Channel, Related, only
from airflow_provider_klaviyo.api.document import Resource
from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.api.filters import Filter
from airflow_provider_klaviyo.api.operations import NEWEST_OF_CAMPAIGNS, OMNICHANNEL
from airflow_provider_klaviyo.api.request import build
from airflow_provider_klaviyo.api.text import epoch, is_text
from airflow_provider_klaviyo.campaigns.status import CampaignStatus, is_cancelled, of_message, of_messages
from airflow_provider_klaviyo.campaigns.values import is_template

PAGE = 100
"""Campaigns, or messages, on a page, at most."""

OF_MESSAGES = ("status", "send_time")
"""The fields of a row that are made of the messages."""

FIELDS = (
    *("name", "builder", "archived", "color", "description", "send_settings", "created_at", "updated_at"),
    *OF_MESSAGES,
)

GONE: Mapping[str, str] = {
    name: f"API revision {OMNICHANNEL} does not filter campaigns by it: {instead}, or set "
    f"revision={NEWEST_OF_CAMPAIGNS!r} on the task"
    for name, instead in (
        ("messages.channel", "leave it out"),
        ("status", "choose among the rows by their 'status', which is made of the messages"),
        ("scheduled_at", "leave it out"),
    )
}
"""What a filter had in the revisions before, and what to do instead."""

ADDED = "builder"
"""What a filter has only here."""

STATE = ("definition.status", "definition.send_options")


def list_campaigns(
    *,
    channels: Sequence[Channel] = CHANNELS,
    filter: Filter | None = None,
    fields: Sequence[str] = (),
    include: Sequence[Related] = (),
    sort: str | None = None,
    max_pages: int = MAX_PAGES,
) -> Call[list[dict[str, Any]]]:
    """Campaigns as flat rows: see :class:`~airflow_provider_klaviyo.operators.campaigns.KlaviyoListCampaignsOperator`.

    The parameters are those of :func:`airflow_provider_klaviyo.api.campaigns.list_campaigns`.

    :raises KlaviyoValidationError: before the first request, for what this revision does not list by.
    """
    check_listing(channels=channels, sort=sort)
    check_fields(fields)
    with_messages = "campaign-messages" in include
    needs_state = not fields or any(field in OF_MESSAGES for field in fields)
    related = [*include, *(["campaign-messages"] if needs_state and not with_messages else [])]
    query = {
        "filter": None if filter is None else str(filter),
        "include": related or None,
        "fields[campaign-message]": None if with_messages or not needs_state else STATE,
        "sort": sort,
        "page[size]": PAGE,
    }
    rows = []
    for page in (yield from pages("get_campaigns", query=query, max_pages=max_pages)):
        included = page.included
        for campaign in page.resources:
            row = _row(campaign, included)
            shown = {"id": campaign.id} | (only(row, fields) if fields else row)
            for name in include:
                of_campaign = campaign.related(name)
                shown[ROW_KEYS[name]] = [{"id": one.id, **one.attributes} for one in included if one.id in of_campaign]
            rows.append(shown)
    return rows


def get_campaign(campaign_id: str) -> Call[dict[str, Any]]:
    """One campaign as a row. One request.

    :raises KlaviyoNotFoundError: there is none with this id.
    """
    query = {"include": ["campaign-messages"], "fields[campaign-message]": STATE}
    document = yield build("get_campaign", path_params={"id": campaign_id}, query=query)
    return _row(document.about("campaign", campaign_id), document.included)


def get_contents(message_ids: Sequence[str]) -> Call[dict[str, dict[str, Mapping[str, Any]]]]:
    """The contents of messages: by the message's id, then by the variation's. One request for 100 messages."""
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for start in range(0, len(message_ids), PAGE):
        query = {
            "filter": str(filters.any_of("id", message_ids[start : start + PAGE])),
            "include": ["campaign-variations"],
            "page[size]": PAGE,
        }
        for page in (yield from pages("list_campaign_messages", query=query)):
            variations = {one.id: one for one in page.included if one.type == "campaign-variation"}
            for message in page.resources:
                ids = [id_ for id_ in message.related("campaign-variations") if id_ in variations]
                found[message.id] = {
                    id_: _part(_part(variations[id_].attributes, "definition"), "details") for id_ in ids
                }
    return found


def campaigns_of_messages(wanted: Filter) -> Call[list[str]]:
    """The ids of the campaigns that have a message such as is wanted. One request for 100 messages.

    :param wanted: by ``status``, ``updated`` or another field of messages that Klaviyo filters by.
    """
    query = {
        "filter": str(wanted),
        "include": ["campaign"],
        "fields[campaign-message]": STATE[:1],
        "fields[campaign]": ["updated_at"],
        "page[size]": PAGE,
    }
    found = yield from pages("list_campaign_messages", query=query)
    return list(dict.fromkeys(one.id for page in found for one in page.included if one.type == "campaign"))


def last_sent() -> Call[list[str]]:
    """The ids of the campaigns whose messages were sent last, the latest first. One request.

    They are those of the 100 sent messages that were updated last.
    """
    query = {
        "filter": str(filters.equals("status", "sent")),
        "include": ["campaign"],
        "fields[campaign]": ["updated_at"],
        "sort": "-updated",
        "page[size]": PAGE,
    }
    sent = (yield build("list_campaign_messages", query=query)).resources
    latest = sorted(sent, key=lambda message: epoch(send_time(message.attributes)) or 0.0, reverse=True)
    return list(dict.fromkeys(id_ for message in latest for id_ in message.related("campaign")))


def send_time(message: Mapping[str, Any]) -> Any:
    """When a message was sent, or is to be, by its attributes; ``None``: it is not known."""
    return _part(_part(message, "definition"), "send_options").get("send_time")


def message_status(message: Mapping[str, Any]) -> str:
    """Klaviyo's word for the status of a message, by its attributes; ``Unknown`` if there is none."""
    status = _part(message, "definition").get("status")
    return status if is_text(status) and status else str(CampaignStatus.UNKNOWN)


def check_listing(*, channels: Collection[str] = CHANNELS, sort: str | None = None) -> None:
    """Refuse what this revision does not list by.

    :raises KlaviyoValidationError: the message names it, and what to do.
    """
    if set(channels) != set(CHANNELS):
        raise _not_there("channels", f"is {list(channels)!r}", "does not list campaigns by channel. Leave it out")
    if sort is not None and sort.lstrip("-") == "scheduled_at":
        raise _not_there("sort", f"is {sort!r}", "has no such time. Give 'created_at' or 'updated_at'")


def check_fields(fields: Any) -> None:
    """Refuse a field that a row does not have in this revision.

    :raises KlaviyoValidationError: the message names it, and those that there are.
    """
    if isinstance(fields, str) or not isinstance(fields, Sequence):
        raise KlaviyoValidationError(f"fields is {fields!r}; give a list.", pointer="fields")
    for field in fields:
        if not is_template(field) and str(field).partition(".")[0] not in FIELDS:
            raise _not_there("fields", f"has {field!r}", f"has no such field. Give some of {', '.join(FIELDS)}")


def _not_there(name: str, what: str, why: str) -> KlaviyoValidationError:
    return KlaviyoValidationError(
        f"{name} {what}; API revision {OMNICHANNEL} {why}, or set revision={NEWEST_OF_CAMPAIGNS!r} on the task.",
        pointer=name,
    )


def _row(campaign: Resource, included: Sequence[Resource]) -> dict[str, Any]:
    """A campaign with its definition's fields beside the others. What did not come is of unknown status: a message, or
    the campaign if the answer does not have which are its messages."""
    came = {one.id: one.attributes for one in included if one.type == "campaign-message"}
    messages = {id_: came.get(id_, {}) for id_ in campaign.related("campaign-messages")}
    others = {name: value for name, value in campaign.attributes.items() if name != "definition"}
    row = {"id": campaign.id} | dict(campaign.mapping("definition")) | others | {"id": campaign.id}
    statuses = {id_: message_status(message) for id_, message in messages.items()}
    status = of_messages(statuses) if campaign.has_related("campaign-messages") else CampaignStatus.UNKNOWN
    return row | {"status": str(status), "send_time": _last_of(messages, statuses)}


def _last_of(messages: Mapping[str, Mapping[str, Any]], statuses: Mapping[str, str]) -> str | None:
    """The last send time of the messages that are not cancelled; of all of them, if all are."""
    left = [message for id_, message in messages.items() if not is_cancelled(of_message(statuses[id_]))]
    moments = [send_time(message) for message in left or messages.values()]
    times = [(at, moment) for moment in moments if (at := epoch(moment)) is not None]
    return max(times, default=(0.0, None))[1]


def _part(whole: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A part that is an object; an empty one for anything else."""
    part = whole.get(name)
    return part if isinstance(part, Mapping) else {}
