"""Tags: found and made by name, put on campaigns and taken off again.

Each function is a :data:`~airflow_provider_klaviyo.api.calls.Call`.
"""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_klaviyo.api import filters
from airflow_provider_klaviyo.api.calls import Call, paginate
from airflow_provider_klaviyo.api.document import Resource
from airflow_provider_klaviyo.api.request import build


def get_tags() -> Call[list[Resource]]:
    """All tags of the account: 500 at most, 50 a page."""
    return (yield from paginate("get_tags"))


def find_tags(name: str) -> Call[list[Resource]]:
    """The tags of exactly this name."""
    found = yield from paginate("get_tags", query={"filter": str(filters.equals("name", name))})
    return [tag for tag in found if tag.name == name]


def create_tag(name: str) -> Call[Resource]:
    """A new tag, in the account's default group.

    :raises KlaviyoConflictError: there is one of this name.
    """
    body = {"data": {"type": "tag", "attributes": {"name": name}}}
    return (yield build("create_tag", body=body)).about("tag")


def tag_campaigns(tag_id: str, campaign_ids: Sequence[str]) -> Call[None]:
    """Put a tag on campaigns; one that has it already keeps it.

    :raises KlaviyoNotFoundError: no such tag or campaign.
    """
    yield build("tag_campaigns", path_params={"id": tag_id}, body=_campaigns(campaign_ids))


def untag_campaigns(tag_id: str, campaign_ids: Sequence[str]) -> Call[None]:
    """Take a tag off campaigns.

    :raises KlaviyoNotFoundError: no such tag or campaign.
    """
    yield build("remove_tag_from_campaigns", path_params={"id": tag_id}, body=_campaigns(campaign_ids))


def _campaigns(ids: Sequence[str]) -> dict[str, list[dict[str, str]]]:
    return {"data": [{"type": "campaign", "id": campaign_id} for campaign_id in ids]}
