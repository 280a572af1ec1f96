"""Campaigns that left ``Draft`` lately, found by one look after another."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_klaviyo.api import filters
from airflow_provider_klaviyo.api.calls import Call
from airflow_provider_klaviyo.api.campaigns import Channel, list_campaigns
from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.api.text import is_text
from airflow_provider_klaviyo.campaigns import omnichannel
from airflow_provider_klaviyo.campaigns.status import DRAFTS, UNDER_WAY, is_final, of_message
from airflow_provider_klaviyo.campaigns.wait import LIST_SIZE

LATELY = timedelta(days=7)
"""How long a campaign that ended is remembered, and how long the triggerer may be down without missing one."""

OVERLAP = timedelta(minutes=5)
"""By how much a look reaches back behind the last one, for clocks that differ and for late readings."""

FIELDS = ("name", "status", "send_time", "updated_at")

MESSAGES = "messages"
"""Of an omnichannel campaign's row: Klaviyo's word for the status of each message, by its id."""

MESSAGES_UNDER_WAY = ("scheduled", "sending")

Row = dict[str, Any]

log = logging.getLogger(__name__)


class RecentCampaigns(ABC):
    """Campaigns that left ``Draft``: those on their way, and those that ended within :data:`LATELY`.

    It is not documented if Klaviyo moves ``updated_at`` when a campaign's status changes by itself. So a campaign
    that was seen on its way is asked for by its id until it has ended.
    """

    def __init__(self) -> None:
        self._known: dict[str, Row] = {}
        self._since: datetime | None = None

    def look(self, clock: Callable[[], float]) -> Call[list[Row]]:
        """One look: all that are known now.

        :param clock: returns the time by Klaviyo's clock, known from its first answer on: Klaviyo refuses to look from
            a moment that is yet to come.
        :returns: flat rows: ``id``, ``channel``, ``name``, ``status``, ``send_time``, ``updated_at``; of an omnichannel
            campaign :data:`MESSAGES`, too.
        """
        began = time.monotonic()
        found = [] if self._since else (yield from self._under_way())
        found += yield from self._updated(self._since or datetime.fromtimestamp(clock(), UTC) - LATELY)
        seen = {row["id"] for row in found}
        on_their_way = [row for row in self._known.values() if not is_final(row["status"]) and row["id"] not in seen]
        found += yield from self._again(on_their_way)
        now = datetime.fromtimestamp(clock(), UTC) - timedelta(seconds=time.monotonic() - began)
        self._take_in(found, now, gone={row["id"] for row in on_their_way} - {row["id"] for row in found})
        self._since = now - OVERLAP
        return [row for row in self._known.values() if row["status"] not in DRAFTS]

    @abstractmethod
    def _under_way(self) -> Call[list[Row]]:
        """All campaigns that are on their way."""

    @abstractmethod
    def _updated(self, since: datetime) -> Call[list[Row]]:
        """All campaigns that were updated since a moment."""

    @abstractmethod
    def _again(self, rows: Sequence[Row]) -> Call[list[Row]]:
        """The campaigns of some rows, as they are now."""

    def _take_in(self, found: list[Row], now: datetime, gone: Collection[str]) -> None:
        for row in found:
            was_known = self._known.pop(row["id"], None)
            is_old_news = was_known is None and is_final(row["status"]) and _before(row["send_time"], now - LATELY)
            if not _is_draft(row) and not is_old_news:
                self._known[row["id"]] = {**row, "seen_at": now}
        for campaign_id in gone:
            del self._known[campaign_id]
        forgotten = [
            id_ for id_, row in self._known.items() if is_final(row["status"]) and row["seen_at"] < now - LATELY
        ]
        for campaign_id in forgotten:
            del self._known[campaign_id]


class RecentCampaignsOfChannels(RecentCampaigns):
    """Campaigns that have a status of their own. A look is one request a channel, and one for every 100 on their way.

    :param channels: channels to look at.
    """

    def __init__(self, channels: Sequence[Channel]) -> None:
        super().__init__()
        self._channels = channels

    def _under_way(self) -> Call[list[Row]]:
        return self._list(self._channels, filters.any_of("status", UNDER_WAY))

    def _updated(self, since: datetime) -> Call[list[Row]]:
        return self._list(self._channels, filters.greater_or_equal("updated_at", since))

    def _again(self, rows: Sequence[Row]) -> Call[list[Row]]:
        found = []
        for channel in self._channels:
            for some in _portions(row["id"] for row in rows if row["channel"] == channel):
                found += yield from self._list([channel], filters.any_of("id", some))
        return found

    def _list(self, channels: Sequence[Channel], wanted: filters.Filter) -> Call[list[Row]]:
        rows = yield from list_campaigns(channels=channels, filter=wanted, fields=FIELDS)
        return [_with_texts(row) for row in rows]


class RecentOmnichannelCampaigns(RecentCampaigns):
    """Omnichannel campaigns. A look is two requests, and one for every 100 on their way or with a changed message.

    A campaign cannot be found by the status of its messages, and it is not documented if a change of a message moves
    the campaign's own time. So the messages are looked for, too, and lead to their campaigns. What Klaviyo lists
    messages by is not published either: where it refuses, the campaigns' own times have to do, which is logged once.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lists_messages = True

    def _under_way(self) -> Call[list[Row]]:
        ids: dict[str, None] = {}
        for status in MESSAGES_UNDER_WAY:
            ids |= dict.fromkeys((yield from self._of_messages(filters.equals("status", status))))
        return (yield from self._by_id(ids))

    def _of_messages(self, wanted: filters.Filter) -> Call[list[str]]:
        if not self._lists_messages:
            return []
        try:
            return (yield from omnichannel.campaigns_of_messages(wanted))
        except KlaviyoValidationError as error:
            log.warning(
                "Klaviyo refuses to list messages: a message's change is seen only if it moves its campaign's time. %s",
                error,
            )
            self._lists_messages = False
            return []

    def _updated(self, since: datetime) -> Call[list[Row]]:
        found = yield from self._list(filters.greater_or_equal("updated_at", since))
        ids = yield from self._of_messages(filters.greater_or_equal("updated", since))
        seen = {row["id"] for row in found}
        return found + (yield from self._by_id(id_ for id_ in ids if id_ not in seen))

    def _again(self, rows: Sequence[Row]) -> Call[list[Row]]:
        return self._by_id(row["id"] for row in rows)

    def _by_id(self, ids: Iterable[str]) -> Call[list[Row]]:
        found = []
        for some in _portions(ids):
            found += yield from self._list(filters.any_of("id", some))
        return found

    def _list(self, wanted: filters.Filter) -> Call[list[Row]]:
        rows = yield from omnichannel.list_campaigns(filter=wanted, fields=FIELDS, include=["campaign-messages"])
        statuses = omnichannel.message_status
        return [
            {**_with_texts(row), "channel": None, MESSAGES: {one["id"]: statuses(one) for one in row[MESSAGES]}}
            for row in rows
        ]


def _portions(ids: Iterable[str]) -> list[list[str]]:
    """The ids, as many together as a list is asked for by."""
    every = list(ids)
    return [every[start : start + LIST_SIZE] for start in range(0, len(every), LIST_SIZE)]


def _with_texts(row: Row) -> Row:
    """The row, whose name, status and send time can be relied on to be texts. One without a status is on its way."""
    for name in ("name", "status"):
        if not is_text(row.get(name)):
            log.warning("Campaign %s: Klaviyo answered without a %s.", row["id"], name)
            row[name] = ""
    if not is_text(row.get("send_time")):
        row["send_time"] = None
    return row


def _is_draft(row: Row) -> bool:
    """True for a campaign of which nothing is on its way, and not all has ended."""
    messages = {of_message(status) for status in row.get(MESSAGES, {}).values()}
    return row["status"] in DRAFTS and all(status in DRAFTS or is_final(status) for status in messages)


def _before(moment: str | None, other: datetime) -> bool:
    """True for a moment before the other; not for what is not a moment."""
    try:
        return moment is not None and datetime.fromisoformat(moment).astimezone(UTC) < other
    except (ValueError, OverflowError):
        return False
