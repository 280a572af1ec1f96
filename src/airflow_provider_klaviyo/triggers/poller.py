"""One poller for all the waits of a connection, so that their cost does not grow with the number of campaigns.

Every trigger of a connection in a triggerer hands its looks to the same :class:`Poller`. Klaviyo lists up to 100
campaigns in one request: when one of them is due to be looked at, the request takes along the 99 that would be due
next. A thousand waiting campaigns cost some ten requests each interval, not a thousand.

A list is of one channel, and which one a campaign is of is not known beforehand: the channels are asked one after the
other, and the answer is remembered as long as the wait lasts. Omnichannel campaigns are all in one list, each with its
messages. What a list does not show is looked at singly, a few at a time: a campaign that is in no list (deleted,
perhaps), the end of a send job, a recipient estimation. Of profile counts Klaviyo makes few: these looks have a lane of
their own, and one look answers all that wait for the same audience.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import itertools
import math
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from airflow_provider_klaviyo.api import filters, operations
from airflow_provider_klaviyo.api.calls import Call
from airflow_provider_klaviyo.api.campaigns import CHANNELS, Channel, list_campaigns
from airflow_provider_klaviyo.api.errors import (
    KlaviyoApiError,
    KlaviyoAuthError,
    KlaviyoRateLimitError,
    KlaviyoTransientError,
    KlaviyoValidationError,
)
from airflow_provider_klaviyo.api.message import user_agent
from airflow_provider_klaviyo.api.operations import check_campaigns, is_omnichannel
from airflow_provider_klaviyo.api.text import is_text
from airflow_provider_klaviyo.campaigns import omnichannel
from airflow_provider_klaviyo.campaigns.wait import LIST_SIZE, RowLook
from airflow_provider_klaviyo.compat import Stats
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoAsyncHook

GATHER = 0.2
"""Seconds until the first look of a wait, in which others join it: Airflow starts triggers one by one."""

BATCH = 10
"""Campaigns of a list whose waits are answered before the event loop turns: each wakes a task, which takes a while."""

IN_FLIGHT = 2
"""Requests of one lane at a time, so that a slow answer holds up only those that asked for it."""

SPACING = 0.1
"""Seconds between single looks: Klaviyo takes ten calls of an operation in a second."""

COUNT_SPACING = 5.0
"""Seconds between looks at profile counts. Klaviyo makes 15 in a minute: some are left for sensors in workers."""

T = TypeVar("T")


@asynccontextmanager
async def opened(
    klaviyo_conn_id: str, revision: str | None, *, any_revision: bool = False
) -> AsyncIterator[KlaviyoAsyncHook]:
    """A hook that has looked its connection up, and is closed at the end of the block.

    What its first request would read from disk is read before, in a thread: every trigger of the triggerer would wait.

    :param any_revision: True if campaigns are not read or written, or the revision is checked later.
    :raises KlaviyoValidationError: the campaigns of the revision in use are of another kind.
    """
    await asyncio.to_thread(_warm_up)
    async with KlaviyoAsyncHook(klaviyo_conn_id, revision=revision) as hook:
        settings = (await hook.aget_conn()).settings
        if not any_revision:
            check_campaigns(settings.revision)
        yield hook


def _warm_up() -> None:
    operations.operations()
    user_agent()


@dataclass(slots=True, eq=False)
class Waiter(Generic[T]):
    """One wait among those of a poller, for as long as it lasts.

    :param subject: the campaign's id, or the audience's kind and id.
    :param look: makes a look of its own, in the API revision in use.
    :param row_look: reads a row of a list of campaigns; ``None``: a row does not show it.
    :param channel: the channel whose list has the campaign, once known.
    :param singly: True if the next look is to be one of its own.
    :param counts: True if its looks, then all of its own, are for a profile count, in any revision: each answers all
        waits for the same subject.
    :param reads_omnichannel: True if it reads omnichannel campaigns, too.
    """

    subject: str
    look: Callable[[str], Call[T]]
    row_look: RowLook | None = None
    channel: Channel | None = None
    singly: bool = False
    counts: bool = False
    reads_omnichannel: bool = False


@dataclass(slots=True, eq=False)
class _Ask:
    """A look that somebody waits for, unless cancelled."""

    waiter: Waiter[Any]
    answer: asyncio.Future[Any]

    def answered(self, seen: Any) -> None:
        if not self.answer.done():
            self.answer.set_result(seen)

    def failed(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class _Lane:
    """Looks of one kind, in the order in which they are due.

    :param width: how many are made together; the first is due, the others come along.
    :param spacing: seconds between one and the next.
    :param of_one_subject: True if only those for the subject of the first come along.
    """

    def __init__(self, width: float, spacing: float = 0.0, *, of_one_subject: bool = False) -> None:
        self.in_flight = 0
        self._width = width
        self._spacing = spacing
        self._of_one_subject = of_one_subject
        self._asks: list[tuple[float, int, _Ask]] = []
        self._numbers = itertools.count()
        self._opens = 0.0

    def put(self, due: float, ask: _Ask) -> None:
        heapq.heappush(self._asks, (due, next(self._numbers), ask))

    def due(self) -> float:
        """When the next are to be taken."""
        while self._asks and self._asks[0][2].answer.done():
            heapq.heappop(self._asks)
        if not self._asks or self.in_flight >= IN_FLIGHT:
            return float("inf")
        return max(self._asks[0][0], self._opens)

    def take(self, now: float) -> list[_Ask]:
        asks: list[_Ask] = []
        others: list[tuple[float, int, _Ask]] = []
        while self._asks and len(asks) < self._width:
            due, number, ask = heapq.heappop(self._asks)
            if ask.answer.done():
                continue
            if self._of_one_subject and asks and ask.waiter.subject != asks[0].waiter.subject:
                others.append((due, number, ask))
            else:
                asks.append(ask)
        for other in others:
            heapq.heappush(self._asks, other)
        self.in_flight += 1
        self._opens = now + self._spacing
        return asks

    def drain(self) -> list[_Ask]:
        """All that are left."""
        asks, self._asks = [ask for _, _, ask in self._asks], []
        return asks


class Poller:
    """Looks at campaigns and audiences for all waits on one connection. Got by :func:`joined`.

    :param klaviyo_conn_id: connection of type ``klaviyo``, looked up once.
    :param revision: Klaviyo API revision; default: the connection's.
    """

    def __init__(self, klaviyo_conn_id: str, revision: str | None) -> None:
        self.failure: Exception | None = None
        self._klaviyo_conn_id = klaviyo_conn_id
        self._revision = revision
        self._in_use = ""
        self._members = 0
        self._woken = asyncio.Event()
        self._singly = _Lane(1, SPACING)
        self._counts = _Lane(math.inf, COUNT_SPACING, of_one_subject=True)
        self._lists: dict[Channel | None, _Lane] = {channel: _Lane(LIST_SIZE) for channel in (None, *CHANNELS)}
        self._lanes = (self._singly, self._counts, *self._lists.values())
        # In a context of its own: what is logged here must not land in the log of whichever task came first.
        self._task = asyncio.create_task(self._run(), name="klaviyo-poller", context=contextvars.Context())

    async def look(self, waiter: Waiter[T], due: float) -> T:
        """Have a waiter looked at; before it is due, when a request is made anyhow.

        :param due: when, on the event loop's clock.
        :raises KlaviyoError: the look failed.
        """
        if self.failure is not None:
            raise self.failure
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._put(due, _Ask(waiter, answer))
        return await answer

    def enter(self) -> None:
        self._members += 1
        self._count()

    def leave(self) -> bool:
        """Go; True if none is left: then the poller ends."""
        self._members -= 1
        self._count()
        if not self._members:
            self._task.cancel()
        return not self._members

    async def ended(self) -> None:
        """Wait until it has ended and its HTTP client is closed, which it does even if this is cancelled."""
        await asyncio.wait({self._task})

    def _count(self) -> None:
        Stats.gauge("klaviyo.poller.campaigns", self._members, tags={"conn_id": self._klaviyo_conn_id})

    def _put(self, due: float, ask: _Ask) -> None:
        waiter = ask.waiter
        alone = self._counts if waiter.counts else self._singly
        (alone if waiter.singly else self._lists[waiter.channel]).put(due, ask)
        self._woken.set()

    async def _run(self) -> None:
        try:
            async with (
                opened(self._klaviyo_conn_id, self._revision, any_revision=True) as hook,
                asyncio.TaskGroup() as looks,
            ):
                self._in_use = (await hook.aget_conn()).settings.revision
                await self._dispatch(hook, looks)
        except Exception as error:
            self._fail_all(error)

    async def _dispatch(self, hook: KlaviyoAsyncHook, looks: asyncio.TaskGroup) -> None:
        """Begin each look when it is due, for ever."""
        clock = asyncio.get_running_loop().time
        while True:
            self._woken.clear()
            for lane in self._lanes:
                while lane.due() <= clock():
                    looks.create_task(self._make(hook, lane, lane.take(clock())))
            with suppress(TimeoutError):
                async with asyncio.timeout_at(min(lane.due() for lane in self._lanes)):
                    await self._woken.wait()

    async def _make(self, hook: KlaviyoAsyncHook, lane: _Lane, asks: Sequence[_Ask]) -> None:
        """Make looks, and answer those that asked."""
        try:
            asks = self._in_its_revision(asks)
            if lane in (self._singly, self._counts):
                await self._look_singly(hook, asks)
            else:
                await self._look_together(hook, asks)
        except Exception as error:
            for ask in asks:
                ask.failed(error)
        finally:
            lane.in_flight -= 1
            self._woken.set()

    def _in_its_revision(self, asks: Sequence[_Ask]) -> list[_Ask]:
        """Those that the revision in use is for; the others fail."""
        taken: list[_Ask] = []
        for ask in asks:
            try:
                if not ask.waiter.counts:
                    check_campaigns(self._in_use, reads=ask.waiter.reads_omnichannel)
                taken.append(ask)
            except KlaviyoValidationError as error:
                ask.failed(error)
        return taken

    async def _look_singly(self, hook: KlaviyoAsyncHook, asks: Sequence[_Ask]) -> None:
        """A look for all that asked, who are of one subject."""
        if not asks:
            return
        try:
            seen = await hook.run(asks[0].waiter.look(self._in_use))
        except KlaviyoAuthError as error:
            if error.status == 401:
                self._fail_all(error)
            raise
        for ask in asks:
            ask.waiter.singly = ask.waiter.row_look is None
            ask.answered(seen)

    async def _look_together(self, hook: KlaviyoAsyncHook, asks: Sequence[_Ask]) -> None:
        if not asks:
            return
        channel = asks[0].waiter.channel
        channels: Sequence[Channel | None] = [channel] if channel else CHANNELS
        if is_omnichannel(self._in_use):
            channels = [None]
        missing: dict[str, list[_Ask]] = {}
        for ask in asks:
            missing.setdefault(ask.waiter.subject, []).append(ask)
        try:
            for asked in channels:
                for number, campaign in enumerate(await hook.run(_statuses(asked, missing)), start=1):
                    for ask in missing.pop(campaign["id"], ()):
                        ask.waiter.channel = asked
                        self._look_in_row(ask, campaign)
                    if number % BATCH == 0:
                        await asyncio.sleep(0)
                if not missing:
                    return
        except KlaviyoAuthError as error:
            self._fail_all(error)
            raise
        except (KlaviyoTransientError, KlaviyoRateLimitError):
            raise
        except KlaviyoApiError:
            pass  # Refused, perhaps for one of the ids: each gets its own answer.
        for ask in itertools.chain.from_iterable(missing.values()):
            ask.waiter.channel = None
            self._put_singly(ask)

    def _look_in_row(self, ask: _Ask, campaign: Mapping[str, Any]) -> None:
        row_look = ask.waiter.row_look
        status, send_time = campaign.get("status"), campaign.get("send_time")
        observation = row_look(status, send_time, time.time()) if row_look and is_text(status) else None
        if observation is None:
            self._put_singly(ask)
        else:
            ask.answered(observation)

    def _put_singly(self, ask: _Ask) -> None:
        ask.waiter.singly = True
        self._put(0.0, ask)

    def _fail_all(self, error: Exception) -> None:
        """Fail every look asked for, now and later: no request can succeed."""
        self.failure = error
        for lane in self._lanes:
            for ask in lane.drain():
                ask.failed(error)


_pollers: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, str | None], Poller]] = WeakKeyDictionary()


@asynccontextmanager
async def joined(klaviyo_conn_id: str, revision: str | None) -> AsyncIterator[Poller]:
    """The poller of a connection, shared by all that are within this block at a time in one event loop.

    It begins with the first and ends with the last. One that has failed is left to those that are in it.
    """
    running = _pollers.setdefault(asyncio.get_running_loop(), {})
    key = (klaviyo_conn_id, revision)
    poller = running.get(key)
    if poller is None or poller.failure is not None:
        poller = running[key] = Poller(klaviyo_conn_id, revision)
    poller.enter()
    try:
        yield poller
    finally:
        if poller.leave():
            if running.get(key) is poller:
                del running[key]
            await poller.ended()


def _statuses(channel: Channel | None, campaign_ids: Collection[str]) -> Call[list[dict[str, Any]]]:
    """:param channel: of which list; ``None``: of the list of omnichannel campaigns."""
    wanted, fields = filters.any_of("id", campaign_ids), ["status", "send_time"]
    if channel is None:
        return omnichannel.list_campaigns(filter=wanted, fields=fields)
    return list_campaigns(channels=[channel], filter=wanted, fields=fields)
