"""Once across runs: no second campaign to the same audience within a time, by Klaviyo's own record."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_klaviyo.api import filters
from airflow_provider_klaviyo.api.campaigns import Channel
from airflow_provider_klaviyo.api.document import Resource
from airflow_provider_klaviyo.campaigns.status import UNDER_WAY, CampaignStatus, is_cancelled
from airflow_provider_klaviyo.campaigns.strategies import window
from airflow_provider_klaviyo.exceptions import KlaviyoRefusedError, RefusalReason, skip
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.never_twice import look
from airflow_provider_klaviyo.never_twice.notes import moment

FIELDS = ("name", "status", "audiences", "send_time")

SLACK = timedelta(hours=1)
"""How much earlier than it went out a campaign may have been updated last: clocks differ."""


def check_recent(hook: KlaviyoHook, draft: Resource, channel: Channel, within: timedelta, if_recent: str) -> None:
    """Look if a campaign of the same channel and the same included audiences goes out at about the same time.

    :param draft: the campaign that is to be sent.
    :param within: how far apart the two have to be, either way.
    :param if_recent: ``refuse`` or ``skip``.
    :raises KlaviyoRefusedError: there is one, and ``refuse`` is asked for; nothing was sent.
    :raises AirflowSkipException: there is one, and ``skip`` is asked for; nothing was sent.
    """
    now = datetime.fromtimestamp(look.now(hook), UTC)
    planned = window(draft.attributes.get("send_strategy"))
    first, last = (planned.first, planned.last) if planned else (now, now)
    wanted = [
        filters.greater_or_equal("updated_at", now - within - SLACK),
        filters.any_of("status", UNDER_WAY),
    ]
    for row in (row for one in wanted for row in hook.list_campaigns(channels=[channel], filter=one, fields=FIELDS)):
        at = moment(row.get("send_time"))
        is_near = at is None or (first - within).timestamp() < at < (last + within).timestamp()
        if (
            row["id"] != draft.id
            and is_near
            and _goes_out(row["status"])
            and _included(row) == _included(draft.attributes)
        ):
            _stop(draft, row, within, if_recent)


def _goes_out(status: str) -> bool:
    return status != CampaignStatus.DRAFT and not is_cancelled(status)


def _included(campaign: Mapping[str, Any]) -> frozenset[str]:
    audiences = campaign.get("audiences")
    included = audiences.get("included") if isinstance(audiences, Mapping) else None
    return frozenset(map(str, included or ()))


def _stop(draft: Resource, other: Mapping[str, Any], within: timedelta, if_recent: str) -> None:
    what = (
        f"Campaign {other['id']} ({other.get('name')!r}) to the same audience is {other['status']!r}, at "
        f"{other.get('send_time') or 'a time that is not known'}, and not_within is {within}: campaign {draft.id} was "
        f"not sent, and is a draft."
    )
    if if_recent == "skip":
        skip(f"{what} if_recent='skip' asks for that.")
    raise KlaviyoRefusedError(
        f"{what} If it is to go out all the same, set not_within=None for this run.",
        reason=RefusalReason.RECENT,
        campaign_id=draft.id,
    )
