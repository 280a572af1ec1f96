"""One poller for all the waits of a connection, so that their cost does not grow with the number of campaigns.

Every trigger of a connection in a triggerer hands its looks to the same :class:`Poller`. Klaviyo lists up to 100
campaigns in one request: when one of them is due to be looked at, the request takes along the 99 that would be due
next. A thousand waiting campaigns cost some ten requests each interval, not a thousand.

A list is of one channel, and which one a campaign is of is not known beforehand: the channels are asked one after the
other, and the answer is remembered as long as the wait lasts. Omnichannel campaigns are all in one list, each with its
messages. What a list does not show is looked at singly, a few at a time: a campaign that is in no list (deleted,
perhaps), the end of a send job, a recipient estimation. Of profile counts Klaviyo makes few: these looks have a lane of
their own, and one look answers all that wait for the same audience.

A look that does not end a wait wakes no task and leaves no object behind: Python's garbage collector goes through all
objects that it finds, in one go, while the event loop stands still.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import math
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from airflow_provider_klaviyo.api.calls import Call
from airflow_provider_klaviyo.api.campaigns import CHANNELS, Channel
from airflow_provider_klaviyo.api.errors import (
    KlaviyoApiError,
    KlaviyoAuthError,
    KlaviyoError,
    KlaviyoRateLimitError,
    KlaviyoTransientError,
    KlaviyoValidationError,
)
from airflow_provider_klaviyo.api.operations import check_campaigns, is_omnichannel
from airflow_provider_klaviyo.api.text import is_text
from airflow_provider_klaviyo.campaigns.wait import LIST_SIZE, RowLook, look_at_campaigns
from airflow_provider_klaviyo.compat import Stats
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoAsyncHook, opened

if TYPE_CHECKING:
    from airflow_provider_klaviyo.triggers.base import LoggedWait

GATHER = 0.2
"""Seconds until the first look of a wait, in which others join it: Airflow starts triggers one by one."""

BATCH = 10
"""Waits that take in a look before the event loop turns: each may wake a task, which takes a while."""

IN_FLIGHT = 2
"""Requests of one lane at a time, so that a slow answer holds up only those that asked for it."""

SPACING = 0.1
"""Seconds between single looks: Klaviyo takes ten calls of an operation in a second."""

COUNT_SPACING = 5.0
"""Seconds between looks at profile counts. Klaviyo makes 15 in a minute: some are left for sensors in workers."""

LAST_LOOK = 20.0
"""Seconds beyond its deadline that a wait stays for the answer to a last look."""

T = TypeVar("T")
Seen = TypeVar("Seen")
Event = TypeVar("Event")


@dataclass(slots=True, eq=False)
class Waiter(Generic[Seen, Event]):
    """One wait among those of a poller, for as long as it lasts. Made on the event loop, by the task that waits.

    It is in a lane, or taken out for a look, or over. The methods that take something in return the seconds until the
    next look, or ``None`` when the wait is over.

    :param wait: judges each look, in the context of the task, whose log it writes to.
    :param subject: the campaign's id, or the audience's kind and id.
    :param look: makes a look of its own, in the API revision in use.
    :param row_look: reads a row of a list of campaigns; ``None``: a row does not show it.
    :param singly: True if the next look is to be one of its own.
    :param counts: True if its looks, all singly, are for a profile count, in any revision: one is for all of a subject.
    :param reads_omnichannel: True if it reads omnichannel campaigns, too.
    :ivar channel: the channel whose list has the campaign, once known.
    :ivar due: when it is to be looked at, on the event loop's clock.
    """

    wait: LoggedWait[Seen, Event]
    subject: str
    look: Callable[[str], Call[Seen]]
    row_look: RowLook | None = None
    singly: bool = False
    counts: bool = False
    reads_omnichannel: bool = False
    channel: Channel | None = field(default=None, init=False)
    due: float = field(default=0.0, init=False)
    event: asyncio.Future[Event] = field(default_factory=lambda: asyncio.get_running_loop().create_future(), init=False)
    context: contextvars.Context = field(default_factory=contextvars.copy_context, init=False)
    overdue: asyncio.TimerHandle | None = field(default=None, init=False)

    def __lt__(self, other: Waiter[Any, Any]) -> bool:
        return self.due < other.due

    def after(self, seen: Seen) -> float | None:
        self.singly = self.row_look is None
        return self._then(self.wait.after(seen), None)

    def after_row(self, campaign: Mapping[str, Any]) -> float | None:
        status, send_time = campaign.get("status"), campaign.get("send_time")
        seen: Any = self.row_look(status, send_time, time.time()) if self.row_look and is_text(status) else None
        if seen is None:
            self.singly = True
            return 0.0
        return self.after(seen)

    def after_failure(self, error: Exception) -> float | None:
        """:raises Exception: the error, if it is not one that waits know."""
        if not isinstance(error, KlaviyoError):
            raise error
        return self._then(self.wait.after_failure(error), error)

    def _then(self, event: Event | None, failure: KlaviyoError | None) -> float | None:
        if event is None:
            return self.wait.pause(failure)
        self.event.set_result(event)
        return None


Group = list[Waiter[Any, Any]]


class _Lane:
    """Looks of one kind, in the order in which they are due.

    :param width: how many are made together; the first is due, the others come along.
    :param spacing: seconds between one and the next.
    """

    def __init__(self, width: int = 1, spacing: float = 0.0) -> None:
        self.in_flight = 0
        self._width = width
        self._spacing = spacing
        self._opens = 0.0
        self._waiters: Group = []

    def put(self, waiter: Waiter[Any, Any]) -> None:
        heapq.heappush(self._waiters, waiter)

    def due(self) -> float:
        """When the next are to be taken."""
        while self._waiters and self._waiters[0].event.done():
            heapq.heappop(self._waiters)
        if not self._waiters or self.in_flight >= IN_FLIGHT:
            return float("inf")
        return max(self._waiters[0].due, self._opens)

    def take(self, now: float) -> Group:
        self.in_flight += 1
        self._opens = now + self._spacing
        return self._next()

    def _next(self) -> Group:
        taken: Group = []
        while self._waiters and len(taken) < self._width:
            waiter = heapq.heappop(self._waiters)
            if not waiter.event.done():
                taken.append(waiter)
        return taken

    def drain(self) -> Group:
        """All that are left."""
        left, self._waiters = self._waiters, []
        return left


class _LaneOfSubjects(_Lane):
    """One in which all that wait for the same subject as the first come along, and nobody else."""

    def _next(self) -> Group:
        there = [waiter for waiter in self._waiters if not waiter.event.done()]
        subject = there[0].subject
        self._waiters = [waiter for waiter in there if waiter.subject != subject]
        heapq.heapify(self._waiters)
        return [waiter for waiter in there if waiter.subject == subject]


class Poller:
    """Looks at campaigns and audiences for all waits on one connection.

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
        self._sleeps_until = math.inf
        self._clock = asyncio.get_running_loop().time
        self._singly = _Lane(spacing=SPACING)
        self._counts = _LaneOfSubjects(spacing=COUNT_SPACING)
        self._lists: dict[Channel | None, _Lane] = {channel: _Lane(LIST_SIZE) for channel in (None, *CHANNELS)}
        self._lanes = (self._singly, self._counts, *self._lists.values())
        # A context of its own: what is logged here must not land in the log of whichever task came first.
        self._context = contextvars.Context()
        self._task = asyncio.create_task(self._run(), name="klaviyo-poller", context=self._context)

    def enter(self, waiter: Waiter[Any, Any]) -> None:
        """Look at it from now on, until its event is there."""
        self._members += 1
        self._count()
        self._put(waiter, GATHER)
        self._watch(waiter)

    async def leave(self, waiter: Waiter[Any, Any]) -> None:
        """Go. With the last one the poller ends, and its HTTP client is closed, even if this is cancelled."""
        if waiter.overdue:
            waiter.overdue.cancel()
        self._members -= 1
        self._count()
        if not self._members:
            self._task.cancel()
            await asyncio.wait({self._task})

    @property
    def is_open(self) -> bool:
        """False if it has failed, or has ended with its last wait."""
        return self.failure is None and self._members > 0

    def _count(self) -> None:
        Stats.gauge("klaviyo.poller.campaigns", self._members, tags={"conn_id": self._klaviyo_conn_id})

    def _put(self, waiter: Waiter[Any, Any], pause: float) -> None:
        """Have it looked at when it is due; before that, when a request is made anyhow."""
        if self.failure is not None:
            self._end(waiter, self.failure)
            return
        waiter.due = self._clock() + pause
        alone = self._counts if waiter.counts else self._singly
        lane = alone if waiter.singly else self._lists[waiter.channel]
        lane.put(waiter)
        if lane.due() < self._sleeps_until:
            self._woken.set()

    def _watch(self, waiter: Waiter[Any, Any]) -> None:
        """Look after its deadline, for which an answer may be too slow."""
        seconds = max(0.0, waiter.wait.deadline - time.time()) + LAST_LOOK
        later = asyncio.get_running_loop().call_later
        waiter.overdue = later(seconds, self._give_up, waiter, context=self._context)

    def _give_up(self, waiter: Waiter[Any, Any]) -> None:
        error = KlaviyoTransientError("Klaviyo did not answer before the end of the wait.")
        if self._taken_in(waiter, waiter.after_failure, error) is not None:
            self._watch(waiter)

    def _taken_in(self, waiter: Waiter[Any, Any], step: Callable[[T], float | None], what: T) -> float | None:
        """Take a step of a wait: seconds until the next look, or ``None`` when it is over; its own errors end it."""
        try:
            return None if waiter.event.done() else waiter.context.run(step, what)
        except Exception as error:
            waiter.event.set_exception(error)
            return None

    def _goes_on(self, waiter: Waiter[Any, Any], step: Callable[[T], float | None], what: T) -> None:
        if (pause := self._taken_in(waiter, step, what)) is not None:
            self._put(waiter, pause)

    def _end(self, waiter: Waiter[Any, Any], failure: Exception) -> None:
        if self._taken_in(waiter, waiter.after_failure, failure) is not None:
            waiter.event.set_exception(failure)

    async def _run(self) -> None:
        try:
            async with (
                opened(self._klaviyo_conn_id, self._revision, any_revision=True) as hook,
                asyncio.TaskGroup() as looks,
            ):
                self._in_use = (await hook.aget_conn()).settings.revision
                await self._dispatch(hook, looks)
        except Exception as error:
            await self._fail_all(error)

    async def _dispatch(self, hook: KlaviyoAsyncHook, looks: asyncio.TaskGroup) -> None:
        """Begin each look when it is due, for ever."""
        while True:
            self._woken.clear()
            for lane in self._lanes:
                while lane.due() <= self._clock():
                    looks.create_task(self._make(hook, lane, lane.take(self._clock())))
            self._sleeps_until = min(lane.due() for lane in self._lanes)
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._sleeps_until):
                    await self._woken.wait()

    async def _make(self, hook: KlaviyoAsyncHook, lane: _Lane, waiters: Group) -> None:
        """Make a look, and let each waiter take it in."""
        left: dict[str, Group] = {}
        try:
            async for waiter in in_pieces(waiters):
                try:
                    if not waiter.counts:
                        check_campaigns(self._in_use, reads=waiter.reads_omnichannel)
                    left.setdefault(waiter.subject, []).append(waiter)
                except KlaviyoValidationError as error:
                    self._goes_on(waiter, waiter.after_failure, error)
            if left:
                await (self._look_singly if waiters[0].singly else self._look_together)(hook, left)
        except Exception as error:
            async for waiter in in_pieces(emptied(left)):
                self._goes_on(waiter, waiter.after_failure, error)
        finally:
            lane.in_flight -= 1
            self._woken.set()

    async def _look_singly(self, hook: KlaviyoAsyncHook, left: dict[str, Group]) -> None:
        """A look for all that are left, who are of one subject."""
        [waiters] = left.values()
        try:
            seen = await hook.run(waiters[0].look(self._in_use))
        except KlaviyoAuthError as error:
            if error.status == 401:
                await self._fail_all(error)
            raise
        async for waiter in in_pieces(emptied(left)):
            self._goes_on(waiter, waiter.after, seen)

    async def _look_together(self, hook: KlaviyoAsyncHook, left: dict[str, Group]) -> None:
        channel = next(iter(left.values()))[0].channel
        channels: Sequence[Channel | None] = [channel] if channel else CHANNELS
        if is_omnichannel(self._in_use):
            channels = [None]
        try:
            for asked in channels:
                rows = {row["id"]: row for row in await hook.run(look_at_campaigns(asked, left))}
                async for waiter in in_pieces(emptied(left, rows)):
                    waiter.channel = asked
                    self._goes_on(waiter, waiter.after_row, rows[waiter.subject])
                if not left:
                    return
        except KlaviyoAuthError as error:
            await self._fail_all(error)
            raise
        except (KlaviyoTransientError, KlaviyoRateLimitError):
            raise
        except KlaviyoApiError:
            pass  # Refused, perhaps for one of the ids: each gets its own answer.
        async for waiter in in_pieces(emptied(left)):
            waiter.channel, waiter.singly = None, True
            self._put(waiter, 0.0)

    async def _fail_all(self, error: Exception) -> None:
        """Fail every look asked for, now and later: no request can succeed."""
        self.failure = error
        async for waiter in in_pieces([waiter for lane in self._lanes for waiter in lane.drain()]):
            self._end(waiter, error)


async def in_pieces(many: Iterable[T]) -> AsyncIterator[T]:
    """Each of many, with a turn of the event loop after some."""
    for number, one in enumerate(many, start=1):
        yield one
        if number % BATCH == 0:
            await asyncio.sleep(0)


def emptied(left: dict[str, Group], subjects: Collection[str] | None = None) -> Iterator[Waiter[Any, Any]]:
    """Take out one after the other, so that none is met again.

    :param subjects: of which subjects; default: all.
    """
    for subject in list(left):
        if subjects is None or subject in subjects:
            while left[subject]:
                yield left[subject].pop()
            del left[subject]


_pollers: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, str | None], Poller]] = WeakKeyDictionary()


async def wait_with_others(waiter: Waiter[Any, Event], klaviyo_conn_id: str, revision: str | None) -> Event:
    """Wait, by the poller that all waits of a connection in this event loop have together.

    It begins with the first and ends with the last. One that has failed is left to those that are in it.
    """
    running = _pollers.setdefault(asyncio.get_running_loop(), {})
    key = (klaviyo_conn_id, revision)
    poller = running.get(key)
    if poller is None or not poller.is_open:
        poller = running[key] = Poller(klaviyo_conn_id, revision)
    poller.enter(waiter)
    try:
        return await waiter.event
    finally:
        await poller.leave(waiter)
