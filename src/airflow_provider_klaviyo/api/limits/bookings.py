"""Where bookings are kept: what every such place promises, bookings in this process, and what to use while others fail.

A child process must inherit neither a lock that some other thread of its parent held (redis-py has some of its own),
nor an open SQLite connection: using or closing that could corrupt the file. So a fork waits for this process's one lock
and closes what is open; parent and child then each open what they need again.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar
from weakref import WeakSet

from msgspec import Struct

from airflow_provider_klaviyo.api.limits import schedule
from airflow_provider_klaviyo.api.limits.schedule import Pool, Window

T = TypeVar("T")

TRY_AGAIN = 30.0
"""Seconds for which shared bookings that failed are left alone."""

log = logging.getLogger("airflow_provider_klaviyo.api.limits")


class Closeable(Protocol):
    def close(self) -> None: ...


LOCK = threading.RLock()
"""Held for microseconds, or as long as a file is locked by another process; never while a caller sleeps. Reentrant,
because Airflow calls ``on_kill`` from a signal handler, which may run while its thread has the lock."""

open_here: WeakSet[Closeable] = WeakSet()
"""What has something open that a child must not inherit. Guarded by :data:`LOCK`."""


def _before_fork() -> None:
    LOCK.acquire()
    for holder in list(open_here):
        holder.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=LOCK.release, after_in_child=LOCK.release)


class Booking(Struct, frozen=True):
    """An instant that was found, and booked unless it was too far away.

    :param at: the next legal instant, on the pool's own clock; it names the booking.
    :param wait: microseconds from now until then.
    """

    at: int
    wait: int


class BookingsError(Exception):
    """The bookings cannot be read or written now. The text has no password in it."""


class Bookings(Protocol):
    """Keeps the bookings of many pools. Every method is one atomic step and may be called from any thread.

    Each raises :class:`BookingsError` when they cannot be read or written. Lengths of time are microseconds.
    """

    def book(self, pool: str, windows: Sequence[Window], max_wait: int) -> Booking:
        """Find the next legal instant, and book it unless it is more than ``max_wait`` away."""

    def stands(self, pool: str, at: int) -> bool:
        """True if a booked instant still holds: no block has come over it since."""

    def block(self, pool: str, length: int) -> None:
        """Allow no call for ``length`` from now on."""

    def release(self, pool: str, at: int) -> None:
        """Give a booked instant back."""

    def used(self, pool: str, length: int) -> int:
        """How many calls are booked in the last ``length``, and ahead."""
        ...


class MemoryBookings:
    """Keeps bookings in this process: exact for its threads and event loops, unknown to other processes."""

    def __init__(self) -> None:
        self._pools: dict[str, Pool] = {}

    def book(self, pool: str, windows: Sequence[Window], max_wait: int) -> Booking:
        with LOCK:
            return Booking(*schedule.book(self._pool(pool), clock(), windows, max_wait))

    def stands(self, pool: str, at: int) -> bool:
        with LOCK:
            return self._pool(pool).blocked_until <= at

    def block(self, pool: str, length: int) -> None:
        with LOCK:
            schedule.block(self._pool(pool), clock(), length)

    def release(self, pool: str, at: int) -> None:
        with LOCK:
            schedule.release(self._pool(pool), at)

    def used(self, pool: str, length: int) -> int:
        with LOCK:
            return schedule.used(self._pool(pool), clock(), length)

    def _pool(self, name: str) -> Pool:
        return self._pools.setdefault(name, Pool())


def clock() -> int:
    """Microseconds since the epoch."""
    return time.time_ns() // 1000


class FallbackBookings:
    """Uses shared bookings; while those fail, keeps the bookings of this process in memory.

    A call to Klaviyo is never given up because its pacing failed. While the shared bookings fail, the processes do not
    know of each other and may together exceed the limits; Klaviyo then answers 429, which is waited out. One warning is
    logged when that begins, and one message when it is over.

    :param shared: the bookings to use; their ``str()`` names them in the log and must have no secret in it.
    :param try_again: seconds after which bookings that failed are tried again.
    """

    def __init__(self, shared: Bookings, try_again: float = TRY_AGAIN) -> None:
        self._shared = shared
        self._own = MemoryBookings()
        self._try_again = try_again
        self._failing = False
        self._next_try = 0.0

    def book(self, pool: str, windows: Sequence[Window], max_wait: int) -> Booking:
        return self._either(lambda bookings: bookings.book(pool, windows, max_wait))

    def stands(self, pool: str, at: int) -> bool:
        return self._either(lambda bookings: bookings.stands(pool, at))

    def block(self, pool: str, length: int) -> None:
        self._either(lambda bookings: bookings.block(pool, length))

    def release(self, pool: str, at: int) -> None:
        self._either(lambda bookings: bookings.release(pool, at))

    def used(self, pool: str, length: int) -> int:
        return self._either(lambda bookings: bookings.used(pool, length))

    def _either(self, step: Callable[[Bookings], T]) -> T:
        if not self._failing or time.monotonic() >= self._next_try:
            self._next_try = time.monotonic() + self._try_again  # while one caller tries, the others do not
            try:
                result = step(self._shared)
            except BookingsError as error:
                self._next_try = time.monotonic() + self._try_again
                self._failed(error)
            else:
                self._worked()
                return result
        return step(self._own)

    def _failed(self, error: BookingsError) -> None:
        if not self._failing:
            self._failing = True
            log.warning(
                "The shared rate-limit budget in %s cannot be used (%s). Until it can, this process paces only its own "
                "calls, and several processes together may exceed Klaviyo's limits. Trying it again every %g s.",
                self._shared,
                error,
                self._try_again,
            )

    def _worked(self) -> None:
        if self._failing:
            self._failing = False
            log.info("The shared rate-limit budget in %s can be used again.", self._shared)
