"""The budget of one account: it is asked before every call, and learns of every 429."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from airflow_provider_klaviyo.api.errors import KlaviyoRateLimitError, KlaviyoValidationError
from airflow_provider_klaviyo.api.limits.bookings import Booking, Bookings
from airflow_provider_klaviyo.api.limits.schedule import DAY, SECOND, windows
from airflow_provider_klaviyo.api.operations import Operation
from airflow_provider_klaviyo.api.text import duration

WORTH_LOGGING = 5.0
"""A wait of so many seconds or more is logged."""

LONGEST_WAIT = 3600.0

log = logging.getLogger("airflow_provider_klaviyo.api.limits")


class Budget:
    """Paces the calls of one account, together with every other process that uses the same bookings.

    Calls of one operation are let through in the order in which they asked. A call that is killed or cancelled while it
    waits loses at most the instant it had booked, and holds up nobody.

    :param account: what the limits are counted by: Klaviyo's account id, or a hash that stands for it. Two connections
        to one account need the same value. It is stored as it is, so it must not be a key.
    :param bookings: where bookings are kept: a :func:`~airflow_provider_klaviyo.api.limits.shared_bookings`, or a
        ``MemoryBookings``.
    :param share: part of the published limits to use, more than 0 and at most 1. The rest is for other users of the
        account, and for calls that are delayed on their way.
    :param max_wait: seconds that a call is made to wait at most, 0 to 3600.
    """

    def __init__(self, account: str, bookings: Bookings, *, share: float = 0.9, max_wait: float = 60.0) -> None:
        if not 0 < share <= 1:
            raise KlaviyoValidationError(
                f"share is {share!r}; give the part of Klaviyo's limits to use: more than 0, at most 1.",
                pointer="share",
            )
        if not 0 <= max_wait <= LONGEST_WAIT:
            raise KlaviyoValidationError(
                f"max_wait is {max_wait!r}; give seconds from 0 to {LONGEST_WAIT:.0f}. For longer, defer the task.",
                pointer="max_wait",
            )
        self.account = account
        self.share = share
        self.max_wait = max_wait
        self._bookings = bookings

    def acquire(self, operation: Operation, patience: float | None = None) -> float:
        """Sleep until the call may be made.

        :param patience: seconds that it waits at most; ``None``: ``max_wait``, which is never exceeded.
        :returns: for how many seconds.
        :raises KlaviyoRateLimitError: that would take longer. Nothing is booked.
        """
        slept = 0
        for booked in self._turns(operation, patience):
            slept += booked.wait
            try:
                time.sleep(booked.wait / SECOND)
            except BaseException:
                self._bookings.release(self._pool(operation), booked.at)
                raise
        return slept / SECOND

    async def aacquire(self, operation: Operation, patience: float | None = None) -> float:
        """As :meth:`acquire`, for event loops: the bookings are asked in a thread, and the loop stays free."""
        slept = 0
        turns = self._turns(operation, patience)
        while (booked := await asyncio.to_thread(next, turns, None)) is not None:
            slept += booked.wait
            try:
                await asyncio.sleep(booked.wait / SECOND)
            except asyncio.CancelledError:
                with suppress(RuntimeError):  # the loop is shutting down; the instant is lost
                    pool = self._pool(operation)
                    asyncio.get_running_loop().run_in_executor(None, self._bookings.release, pool, booked.at)
                raise
        return slept / SECOND

    def blocked(self, operation: Operation, retry_after: float) -> None:
        """Let all processes know that Klaviyo answered 429: none calls this operation before then.

        Calls that are waiting for an earlier instant book again behind it.

        :param retry_after: seconds, as in the answer's ``Retry-After``; more than a day counts as a day.
        """
        seconds = min(retry_after, DAY / SECOND) if retry_after > 0 else 0.0  # which "not a number" is not
        self._bookings.block(self._pool(operation), round(seconds * SECOND))

    def charge(self, operation: Operation) -> None:
        """Book a call that was made already, while it was paced under another account's name."""
        self._bookings.book(self._pool(operation), windows(operation.limits, self.share), DAY)

    def left_today(self, operation: Operation) -> int | None:
        """How many more calls of the share there are for the 24 hours that end now; ``None``: there is no such limit.

        Calls that others make of the same account are not known here.
        """
        daily = next((window for window in windows(operation.limits, self.share) if window.length > DAY), None)
        if daily is None:
            return None
        return max(0, daily.calls - self._bookings.used(self._pool(operation), daily.length))

    async def ablocked(self, operation: Operation, retry_after: float) -> None:
        """As :meth:`blocked`, for event loops."""
        await asyncio.to_thread(self.blocked, operation, retry_after)

    def _turns(self, operation: Operation, patience: float | None) -> Iterator[Booking]:
        """Book instants until one of them holds; the caller sleeps until each."""
        pool = self._pool(operation)
        limits = windows(operation.limits, self.share)
        longest = self.max_wait if patience is None else min(patience, self.max_wait)
        latest = time.monotonic() + longest
        while True:
            left = max(0, round((latest - time.monotonic()) * SECOND))
            booked = self._bookings.book(pool, limits, left)
            if booked.wait > left:
                raise self._too_long(operation, booked, longest)
            if booked.wait == 0:
                return
            if booked.wait >= WORTH_LOGGING * SECOND:
                log.info("Waiting %.1f s for Klaviyo's rate limit of %s.", booked.wait / SECOND, operation.id)
            yield booked
            if self._bookings.stands(pool, booked.at):
                return

    def _pool(self, operation: Operation) -> str:
        return f"{self.account}/{operation.id}"

    def _too_long(self, operation: Operation, refused: Booking, longest: float) -> KlaviyoRateLimitError:
        wait = refused.wait / SECOND
        at = datetime.now(UTC) + timedelta(seconds=wait)
        return KlaviyoRateLimitError(
            f"Klaviyo's rate limit leaves no room for this call before {at:%Y-%m-%d %H:%M:%S} UTC, in "
            f"{duration(wait)}; a call waits {duration(longest)} at most. Try again then, "
            f"or make fewer calls at a time.",
            retry_after=wait,
            call=f"{operation.id} ({operation.method} {operation.path})",
        )
