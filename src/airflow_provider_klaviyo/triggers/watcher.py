"""A trigger for ``AssetWatcher``: a campaign that is sent or cancelled, by anyone, becomes an asset event."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Hashable, Mapping, Sequence
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_klaviyo.api.campaigns import CHANNELS, Channel
from airflow_provider_klaviyo.api.errors import (
    KlaviyoRateLimitError,
    KlaviyoTransientError,
    KlaviyoValidationError,
)
from airflow_provider_klaviyo.api.operations import (
    NEWEST_OF_CAMPAIGNS,
    OMNICHANNEL,
    check_campaigns,
    is_omnichannel,
)
from airflow_provider_klaviyo.campaigns.status import CampaignStatus, check_statuses, is_cancelled, matches
from airflow_provider_klaviyo.campaigns.wait import JITTER
from airflow_provider_klaviyo.hooks.klaviyo import opened
from airflow_provider_klaviyo.triggers.recent import (
    LATELY,
    MESSAGES,
    RecentCampaigns,
    RecentCampaignsOfChannels,
    RecentOmnichannelCampaigns,
)

log = logging.getLogger(__name__)


FIRED = "klaviyo_told"
"""Key in the asset state store: what was fired, each with its time in seconds since the epoch."""


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

    *With* ``revision="2026-10-15"`` the status is made of the messages' statuses, as in
    :class:`~airflow_provider_klaviyo.sensors.campaigns.KlaviyoCampaignStatusSensor`, and the payload has
    ``messages``, too: Klaviyo's word for the status of each, by its id; ``channel`` is ``None``. A message's change
    fires only if it changes the campaign's status. A campaign that was announced and has got another message since is
    announced again once that message has come as far: ``event_id`` then ends in its id. A connection that changes to
    or from this revision announces nothing again.

    *Rate limit*: each interval, one request a channel (with ``revision="2026-10-15"`` two for all of them), and one for
    every 100 campaigns on their way.

    :param statuses: statuses to fire for; ``Cancelled`` stands for every status that begins so.
    :param channel: ``email``, ``sms`` or ``mobile_push``; default: all of them. Not with ``revision="2026-10-15"``,
        whose campaigns are not of a channel.
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
        if revision is not None:
            _check_revision(revision, channel)
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
        async with opened(kwargs["klaviyo_conn_id"], kwargs["revision"], any_revision=True) as hook:
            revision = (await hook.aget_conn()).settings.revision
            _check_revision(revision, channel)
            recent: RecentCampaigns = (
                RecentOmnichannelCampaigns()
                if is_omnichannel(revision)
                else RecentCampaignsOfChannels([channel] if channel else CHANNELS)
            )
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
            wanted = [campaign for campaign in campaigns if self._wants(campaign)]
            if memory.fired is None:
                memory.begin(wanted)
                await memory.save()
                continue
            await memory.save()
            for campaign in wanted:
                if event_id := memory.fire(campaign, wanted):
                    yield TriggerEvent(_payload(event_id, campaign))

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """The same without a shared stream, for Airflow before 3.3."""
        async for event in self.filter_shared_stream(self.open_shared_stream(self.serialize()[1])):
            yield event

    def _wants(self, campaign: Mapping[str, Any]) -> bool:
        part = (self.name_contains or "").casefold()
        return matches(campaign["status"], self.statuses) and part in campaign["name"].casefold()


class _Memory:
    """What was fired, kept in the asset state store where there is one.

    Noted is each campaign's status (``C1:Sent``), and of an omnichannel campaign each of its messages besides
    (``C1#M1:Sent``). ``fired`` is ``None`` until watching has begun.
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

    def begin(self, campaigns: Collection[Mapping[str, Any]]) -> None:
        """Note what is there when watching begins."""
        self.fired = dict.fromkeys((note for campaign in campaigns for note in _notes(campaign)), time.time())

    def fire(self, campaign: Mapping[str, Any], seen: Collection[Mapping[str, Any]]) -> str | None:
        """Note a campaign as announced, and forget what was long ago.

        :param seen: all campaigns of this look, of which nothing is forgotten.
        :returns: the id of the event that is to be fired; ``None``: it was announced before.
        """
        fired = self.fired or {}
        new = [note for note in _notes(campaign) if note not in fired]
        if not new:
            return None
        event_id = f"{campaign['id']}:{campaign['status']}"
        was_announced = any(f"{campaign['id']}:{same}" in fired for same in _alike(campaign["status"]))
        was_by_messages = any(note.startswith(f"{campaign['id']}#") for note in fired)
        now = time.time()
        kept = {note for one in seen for note in _notes(one)}
        forgotten = now - 2 * LATELY.total_seconds()
        self.fired = {note: at for note, at in fired.items() if at > forgotten or note in kept} | dict.fromkeys(
            new, now
        )
        if not was_announced:
            return event_id
        added = sorted(id_ for id_ in campaign.get(MESSAGES, ()) if _of_message(campaign, id_) in new)
        return ":".join([event_id, *added]) if added and was_by_messages else None

    async def save(self) -> None:
        if self._store is not None and self.fired != self._saved:
            await self._store.aset(FIRED, self.fired)
            self._saved = self.fired and dict(self.fired)


def _notes(campaign: Mapping[str, Any]) -> list[str]:
    of_messages = [_of_message(campaign, message) for message in campaign.get(MESSAGES, ())]
    return [f"{campaign['id']}:{campaign['status']}", *of_messages]


def _of_message(campaign: Mapping[str, Any], message_id: str) -> str:
    return f"{campaign['id']}#{message_id}:{campaign['status']}"


def _alike(status: str) -> list[str]:
    """The statuses that one revision may have where another one has this: Klaviyo gives its reasons in some."""
    return [status, *filter(is_cancelled, CampaignStatus)] if is_cancelled(status) else [status]


def _check_revision(revision: str, channel: Channel | None) -> None:
    """:raises KlaviyoValidationError: its campaigns are not read, or not by channel."""
    check_campaigns(revision, reads=True)
    if is_omnichannel(revision) and channel is not None:
        raise KlaviyoValidationError(
            f"channel is {channel!r}; API revision {OMNICHANNEL} does not list campaigns by channel. Leave it out, or "
            f"set revision={NEWEST_OF_CAMPAIGNS!r} on the trigger.",
            pointer="channel",
        )


def _payload(event_id: str, campaign: Mapping[str, Any]) -> dict[str, Any]:
    facts = {name: campaign[name] for name in ("name", "status", "channel", "send_time")}
    messages = {name: campaign[name] for name in (MESSAGES,) if name in campaign}
    return {"event_id": event_id, "campaign_id": campaign["id"], **facts, **messages}
