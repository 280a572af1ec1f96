"""The arithmetic of pacing, without clock, file or network. Instants and lengths are whole microseconds.

``schedule.lua`` is the same in Redis' language; a test holds the two together.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence

from msgspec import Struct, field

from airflow_provider_klaviyo.api.operations import Limits

SECOND = 1_000_000
MINUTE = 60 * SECOND
DAY = 24 * 60 * MINUTE

GUARD = SECOND // 10
"""A tenth of a second, added to every window. Calls may come closer together on their way to Klaviyo (one has to open a
connection, the next finds it open); by up to this much, that does no harm. It costs 0.2 % of throughput: for every
published operation the minute is used up long before its seconds are."""

BURST_TIME = SECOND // 4
"""The calls of a second are spread over its first quarter. Were they all free at one instant, the process that wakes
first would take them all, whoever asked first; so each is handed out in turn."""

HORIZON = 2 * DAY
"""How far ahead of its time a pool can know anything: no booking and no block reaches further than a day."""

LATEST = 2**53
"""No instant is later: up to here, Redis' numbers are exact. It is in the year 2255."""


class Window(Struct, frozen=True):
    """At most ``calls`` calls in any ``length`` microseconds."""

    calls: int
    length: int


def windows(limits: Limits, share: float) -> tuple[Window, ...]:
    """The windows a call has to keep to, longest first.

    :param share: part of the published limits to use, more than 0 and at most 1; at least one call per window is left.
    """
    burst, steady = _scaled(limits.burst, share), _scaled(limits.steady, share)
    day = [] if limits.daily is None else [Window(_scaled(limits.daily, share), DAY + GUARD)]
    return (
        *day,
        Window(steady, MINUTE + GUARD),
        Window(burst, SECOND + GUARD),
        Window(1, BURST_TIME // burst),
    )


def _scaled(calls: int, share: float) -> int:
    return max(1, math.floor(calls * share + 1e-9))


class Pool(Struct):
    """What is known of one operation in one account. Its time is the clock's plus ``lag``, so that it never goes back.

    :param grants: booked instants, ascending; past ones are kept as long as a window may still hold them.
    :param blocked_until: no call may be made before this instant: Klaviyo answered 429.
    :param seen: the latest instant observed.
    :param lag: by how much the clock has been set back in all.
    :param floor: no new instant is booked before this one.
    """

    grants: list[int] = field(default_factory=list)
    blocked_until: int = 0
    seen: int = 0
    lag: int = 0
    floor: int = 0


def is_sound(pool: Pool, clock: int) -> bool:
    """True if a pool can be what the steps below leave behind. One that was damaged is dropped: pacing goes on."""
    single = (pool.blocked_until, pool.seen, pool.lag, pool.floor)
    if not all(type(value) is int and 0 <= value <= LATEST for value in single):
        return False
    now = max(clock + pool.lag, pool.seen)
    ahead = max(pool.blocked_until, pool.floor, max(pool.grants, default=0))
    return ahead <= now + HORIZON <= LATEST and min(pool.grants, default=0) >= 0 and sorted(pool.grants) == pool.grants


def book(pool: Pool, clock: int, windows: Sequence[Window], max_wait: int) -> tuple[int, int]:
    """Book the next legal instant, unless it is more than ``max_wait`` away; return it, and how far away it is."""
    now = observe(pool, clock)
    at = next_instant(pool.grants, max(now, pool.blocked_until, pool.floor), windows)
    if at - now <= max_wait:
        oldest = now - max(window.length for window in windows)
        del pool.grants[: bisect_right(pool.grants, oldest)]
        insort(pool.grants, at)
    return at, at - now


def block(pool: Pool, clock: int, length: int) -> None:
    """Allow no call for ``length``. Instants booked in that time are void: those who wait for them book again."""
    now = observe(pool, clock)
    pool.blocked_until = max(pool.blocked_until, now + length)
    del pool.grants[bisect_right(pool.grants, now) : bisect_left(pool.grants, pool.blocked_until)]


def release(pool: Pool, at: int) -> None:
    """Give a booked instant back."""
    index = bisect_left(pool.grants, at)
    if index < len(pool.grants) and pool.grants[index] == at:
        del pool.grants[index]


def used(pool: Pool, clock: int, length: int) -> int:
    """How many calls are booked in the last ``length``, and ahead."""
    now = max(clock + pool.lag, pool.seen)
    return len(pool.grants) - bisect_right(pool.grants, now - length)


def observe(pool: Pool, clock: int) -> int:
    """The pool's time, given the clock's.

    When the clock was set back, how much time really passed is not known, so none is assumed to have. What was booked
    in the past then seems more recent than it is, which is safe. What is booked ahead seems later than it is, so
    newcomers are kept behind it. A clock that is set forward looks like time passing.
    """
    now = clock + pool.lag
    if now < pool.seen:
        pool.lag += pool.seen - now
        pool.floor = max(pool.grants, default=0)
    pool.seen = max(pool.seen, now)
    return pool.seen


def next_instant(grants: Sequence[int], start: int, windows: Sequence[Window]) -> int:
    """The first instant from ``start`` on at which one more call keeps to all windows."""
    at = start
    while True:
        legal = at
        for window in windows:
            legal = _leave(grants, legal, window)
        if legal == at:
            return at
        at = legal


def _leave(grants: Sequence[int], at: int, window: Window) -> int:
    """``at`` if this window has room for it, else the end of the full stretch it lies in.

    ``calls`` successive grants from ``first`` to ``last``, less than ``length`` apart, leave no room for another
    between ``last - length`` and ``first + length``, both excluded.
    """
    begin = bisect_right(grants, at - window.length)
    end = bisect_left(grants, at + window.length)
    for first in range(end - window.calls, begin - 1, -1):
        if grants[first + window.calls - 1] - grants[first] < window.length:
            return grants[first] + window.length
    return at
