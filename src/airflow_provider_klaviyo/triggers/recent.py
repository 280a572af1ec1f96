"""Which campaigns are on their way, and which have ended lately: kept up to date with few requests."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_klaviyo.api import filters
from airflow_provider_klaviyo.api.calls import Call
from airflow_provider_klaviyo.api.campaigns import Channel, list_campaigns
from airflow_provider_klaviyo.api.document import is_text
from airflow_provider_klaviyo.campaigns.status import CampaignStatus, is_final
from airflow_provider_klaviyo.campaigns.watch import LIST_SIZE

LATELY = timedelta(days=7)
"""How long a campaign that ended is remembered, and how long the triggerer may be down without missing one."""

OVERLAP = timedelta(minutes=5)
"""By how much a look reaches back behind the last one, for clocks that differ and for late readings."""

FIELDS = ("name", "status", "send_time", "updated_at")

log = logging.getLogger(__name__)

UNDER_WAY = [status for status in CampaignStatus if status != CampaignStatus.DRAFT and not is_final(status)]


class RecentCampaigns:
    """Campaigns that left ``Draft``: those on their way, and those that ended within :data:`LATELY`.

    Whether Klaviyo moves ``updated_at`` when a campaign's status changes by itself is not documented. So a campaign
    that was seen on its way is asked for by its id until it has ended.

    :param channels: channels to look at.
    """

    def __init__(self, channels: Sequence[Channel]) -> None:
        self._channels = channels
        self._known: dict[str, dict[str, Any]] = {}
        self._since: datetime | None = None

    def look(self, clock: Callable[[], float]) -> Call[list[dict[str, Any]]]:
        """One look: all that are known now. One request for each channel, and one for every 100 on their way.

        :param clock: returns the time by Klaviyo's clock, known from its first answer on: Klaviyo refuses to look from
            a moment that is yet to come.
        :returns: flat rows: ``id``, ``channel``, ``name``, ``status``, ``send_time``, ``updated_at``.
        """
        found, began = [], time.monotonic()
        if self._since is None:
            found += yield from self._list(self._channels, filters.any_of("status", UNDER_WAY))
        since = self._since or datetime.fromtimestamp(clock(), UTC) - LATELY
        found += yield from self._list(self._channels, filters.greater_or_equal("updated_at", since))
        seen = {row["id"] for row in found}
        on_their_way = [row for row in self._known.values() if not is_final(row["status"]) and row["id"] not in seen]
        for channel in self._channels:
            ids = [row["id"] for row in on_their_way if row["channel"] == channel]
            for start in range(0, len(ids), LIST_SIZE):
                found += yield from self._list([channel], filters.any_of("id", ids[start : start + LIST_SIZE]))
        now = datetime.fromtimestamp(clock(), UTC) - timedelta(seconds=time.monotonic() - began)
        self._take_in(found, now, gone={row["id"] for row in on_their_way} - {row["id"] for row in found})
        self._since = now - OVERLAP
        return list(self._known.values())

    def _list(self, channels: Sequence[Channel], wanted: filters.Filter) -> Call[list[dict[str, Any]]]:
        """Rows whose name, status and send time can be relied on to be texts. One without a status is on its way."""
        rows = yield from list_campaigns(channels=channels, filter=wanted, fields=FIELDS)
        for row in rows:
            for name in ("name", "status"):
                if not is_text(row.get(name)):
                    log.warning("Campaign %s: Klaviyo answered without a %s.", row["id"], name)
                    row[name] = ""
            if not is_text(row.get("send_time")):
                row["send_time"] = None
        return rows

    def _take_in(self, found: list[dict[str, Any]], now: datetime, gone: Collection[str]) -> None:
        for row in found:
            was_known = self._known.pop(row["id"], None)
            is_old_news = was_known is None and is_final(row["status"]) and _before(row["send_time"], now - LATELY)
            if row["status"] != CampaignStatus.DRAFT and not is_old_news:
                self._known[row["id"]] = {**row, "seen_at": now}
        for campaign_id in gone:
            del self._known[campaign_id]
        forgotten = [
            id_ for id_, row in self._known.items() if is_final(row["status"]) and row["seen_at"] < now - LATELY
        ]
        for campaign_id in forgotten:
            del self._known[campaign_id]


def _before(moment: str | None, other: datetime) -> bool:
    """True for a moment before the other; not for what is not a moment."""
    try:
        return moment is not None and datetime.fromisoformat(moment).astimezone(UTC) < other
    except (ValueError, OverflowError):
        return False
