"""A trigger for ``AssetWatcher``: a campaign that is sent or cancelled, by anyone, becomes an asset event."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Hashable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_klaviyo.api import filters
from airflow_provider_klaviyo.api.calls import Call
from airflow_provider_klaviyo.api.campaigns import CHANNELS, Channel, list_campaigns
from airflow_provider_klaviyo.api.document import is_text
from airflow_provider_klaviyo.api.errors import (
    KlaviyoRateLimitError,
    KlaviyoTransientError,
    KlaviyoValidationError,
)
from airflow_provider_klaviyo.campaigns.status import UNDER_WAY, CampaignStatus, check_statuses, is_final, matches
from airflow_provider_klaviyo.campaigns.wait import JITTER, LIST_SIZE
from airflow_provider_klaviyo.hooks.klaviyo import opened

LATELY = timedelta(days=7)
"""How long a campaign that ended is remembered, and how long the triggerer may be down without missing one."""

OVERLAP = timedelta(minutes=5)
"""By how much a look reaches back behind the last one, for clocks that differ and for late readings."""

FIELDS = ("name", "status", "send_time", "updated_at")

log = logging.getLogger(__name__)


FIRED = "klaviyo_told"
"""Key in the asset state store: the ids of the events fired, each with its time in seconds since the epoch."""


class RecentCampaigns:
    """Campaigns that left ``Draft``: those on their way, and those that ended within :data:`LATELY`.

    It is not documented if Klaviyo moves ``updated_at`` when a campaign's status changes by itself. So a campaign
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


class KlaviyoCampaignStatusEventTrigger(BaseEventTrigger):
    """Fires when a campaign reaches one of some statuses, whoever brought it there: a task, Klaviyo's UI, the clock.

    ``Asset("campaigns_sent", watchers=[AssetWatcher(name="klaviyo", trigger=KlaviyoCampaignStatusEventTrigger())])``

    The asset event's ``extra["payload"]`` has ``event_id`` (``<campaign id>:<status>``), ``campaign_id``, ``name``,
    ``status``, ``channel`` and ``send_time``. Each campaign and status fires at least once: after a crash of the
    triggerer perhaps again, with the same ``event_id``. What had its status before the watching began does not fire.

    *Airflow 3.3 and later*: what was fired is kept in the asset state store, so that nothing is missed while the
    triggerer is down (up to 7 days), and watchers that differ only in what they let through share their requests.
    Two assets with the same trigger share one row in Airflow's database and cannot have that memory: let their triggers
    differ. *Before 3.3*, and for such assets, watching begins again with the triggerer.

    *Rate limit*: each interval, one request a channel, and one for every 100 campaigns on their way.

    :param statuses: statuses to fire for; ``Cancelled`` stands for every status that begins so.
    :param channel: ``email``, ``sms`` or ``mobile_push``; default: all of them.
    :param name_contains: only campaigns with this in their name, in upper or lower case; default: all.
    :param klaviyo_conn_id: connection of type ``klaviyo``.
    :param revision: Klaviyo API revision; default: the connection's.
    :param poll_interval: seconds between looks.
    """

    def __init__(
        self,
        *,
        statuses: Sequence[str] = (CampaignStatus.SENT, CampaignStatus.CANCELLED),
        channel: Channel | None = None,
        name_contains: str | None = None,
        klaviyo_conn_id: str = "klaviyo_default",
        revision: str | None = None,
        poll_interval: float = 60.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        check_statuses("statuses", statuses)
        if channel is not None and channel not in CHANNELS:
            raise KlaviyoValidationError(
                f"channel is {channel!r}; allowed: {', '.join(map(repr, CHANNELS))}, or None for all of them.",
                pointer="channel",
            )
        if not poll_interval > 0:
            raise KlaviyoValidationError(
                f"poll_interval is {poll_interval!r}; give seconds, more than 0.", pointer="poll_interval"
            )
        self.statuses = [str(status) for status in statuses]
        self.channel = channel
        self.name_contains = name_contains
        self.klaviyo_conn_id = klaviyo_conn_id
        self.revision = revision
        self.poll_interval = poll_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments, as Airflow stores them."""
        return f"{__name__}.{type(self).__name__}", {
            "statuses": self.statuses,
            "channel": self.channel,
            "name_contains": self.name_contains,
            "klaviyo_conn_id": self.klaviyo_conn_id,
            "revision": self.revision,
            "poll_interval": self.poll_interval,
        }

    def shared_stream_key(self) -> Hashable:
        """Watchers of the same channels over the same connection, at the same pace, share their requests."""
        return (__name__, self.klaviyo_conn_id, self.revision, self.channel, self.poll_interval)

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncGenerator[list[dict[str, Any]], None]:
        """At each interval, all campaigns on their way and those that ended lately.

        :raises KlaviyoError: Klaviyo refuses to answer, and asking again cannot help.
        """
        channel, interval = kwargs["channel"], kwargs["poll_interval"]
        recent = RecentCampaigns([channel] if channel else CHANNELS)
        async with opened(kwargs["klaviyo_conn_id"], kwargs["revision"]) as hook:
            while True:
                try:
                    clock = (await hook.aget_conn()).clock
                    yield await hook.run(recent.look(clock.now))
                except (KlaviyoTransientError, KlaviyoRateLimitError) as error:
                    log.warning("Looking for campaigns failed; trying again in about %g s: %s", interval, error)
                await asyncio.sleep(interval * random.uniform(1 - JITTER, 1 + JITTER))

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncIterator[TriggerEvent]:
        """Fire for what is new.

        A fired event reaches Airflow's database a moment later. So it is noted as fired only at the next look: a crash
        in between repeats it rather than losing it.
        """
        memory = _Memory(getattr(self, "asset_state_store", None))
        await memory.load()
        async for campaigns in shared_stream:
            wanted = {_event_id(campaign): campaign for campaign in campaigns if self._wants(campaign)}
            if memory.fired is None:
                memory.fired = dict.fromkeys(wanted, time.time())
                await memory.save()
                continue
            await memory.save()
            for event_id in wanted.keys() - memory.fired.keys():
                memory.add(event_id)
                yield TriggerEvent(_payload(event_id, wanted[event_id]))

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """The same without a shared stream, for Airflow before 3.3."""
        async for event in self.filter_shared_stream(self.open_shared_stream(self.serialize()[1])):
            yield event

    def _wants(self, campaign: Mapping[str, Any]) -> bool:
        part = (self.name_contains or "").casefold()
        return matches(campaign["status"], self.statuses) and part in campaign["name"].casefold()


class _Memory:
    """Which events were fired, kept in the asset state store where there is one.

    ``fired`` is ``None`` until watching has begun.
    """

    def __init__(self, store: Any) -> None:
        self.fired: dict[str, float] | None = None
        self._store = store
        self._saved: dict[str, float] | None = None

    async def load(self) -> None:
        if self._store is None:
            return
        try:
            self.fired = await self._store.aget(FIRED)
        except ValueError:
            log.warning(
                "Several assets are watched with the same KlaviyoCampaignStatusEventTrigger: what was fired is not "
                "remembered when the triggerer starts again. Give the triggers different arguments."
            )
            self._store = None
        self._saved = self.fired and dict(self.fired)

    def add(self, event_id: str) -> None:
        now = time.time()
        forgotten = now - 2 * LATELY.total_seconds()
        self.fired = {id_: at for id_, at in (self.fired or {}).items() if at > forgotten} | {event_id: now}

    async def save(self) -> None:
        if self._store is not None and self.fired != self._saved:
            await self._store.aset(FIRED, self.fired)
            self._saved = self.fired and dict(self.fired)


def _event_id(campaign: Mapping[str, Any]) -> str:
    return f"{campaign['id']}:{campaign['status']}"


def _payload(event_id: str, campaign: Mapping[str, Any]) -> dict[str, Any]:
    facts = {name: campaign[name] for name in ("name", "status", "channel", "send_time")}
    return {"event_id": event_id, "campaign_id": campaign["id"], **facts}
