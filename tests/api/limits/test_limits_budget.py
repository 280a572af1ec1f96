"""What the transports call: waiting, refusing, learning of a 429.

That a call waits long enough is judged by the clock; that it waits no longer, by the time that it returns as slept: a
busy machine cannot make that longer.
"""

from __future__ import annotations

import asyncio
import re
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any, cast

import pytest

from airflow_provider_klaviyo.api import operations
from airflow_provider_klaviyo.api.errors import KlaviyoRateLimitError, KlaviyoValidationError
from airflow_provider_klaviyo.api.limits import Budget, MemoryBookings, shared_bookings
from airflow_provider_klaviyo.api.limits.bookings import Booking, Bookings
from airflow_provider_klaviyo.api.limits.schedule import MINUTE, SECOND, Window
from airflow_provider_klaviyo.api.limits.sqlite import SQLiteBookings
from airflow_provider_klaviyo.api.operations import Limits
from tests.api.limits.checker import keeps
from tests.api.limits.operation import operation

FEW = operation(Limits(burst=2, steady=1000))
"""The first call is free at once, the second after an eighth of a second, the third after 1.1 s."""

ONE_PER_SECOND = operation(Limits(burst=1, steady=1000))
"""The first call is free at once, the second after 1.1 s."""

ONE_PER_MINUTE = operation(Limits(burst=1, steady=1))


@pytest.fixture
def bookings(shared: Callable[[], Bookings]) -> Bookings:
    return shared()


def test_a_call_sleeps_until_its_turn(bookings: Bookings, account: str) -> None:
    budget = Budget(account, bookings, share=1.0)
    started = time.monotonic()
    assert budget.acquire(FEW) == 0
    assert budget.acquire(FEW) < 0.2
    assert time.monotonic() - started > 0.12


async def test_a_call_in_an_event_loop_sleeps_until_its_turn(bookings: Bookings, account: str) -> None:
    budget = Budget(account, bookings, share=1.0)
    started = time.monotonic()
    slept = await asyncio.gather(budget.aacquire(FEW), budget.aacquire(FEW))
    assert min(slept) == 0
    assert max(slept) < 0.2
    assert time.monotonic() - started > 0.12


async def test_sync_and_async_calls_draw_on_the_same_budget(bookings: Bookings, account: str) -> None:
    await Budget(account, bookings, share=1.0).aacquire(ONE_PER_MINUTE)
    with pytest.raises(KlaviyoRateLimitError):
        Budget(account, bookings, share=1.0, max_wait=1).acquire(ONE_PER_MINUTE)


def test_a_wait_that_is_too_long_is_refused_at_once_naming_the_time(bookings: Bookings, account: str) -> None:
    budget = Budget(account, bookings, max_wait=5)
    budget.acquire(ONE_PER_MINUTE)
    started, expected = time.monotonic(), datetime.now(UTC) + timedelta(seconds=60)
    with pytest.raises(KlaviyoRateLimitError) as caught:
        budget.acquire(ONE_PER_MINUTE)
    assert time.monotonic() - started < 5
    assert caught.value.retry_after == pytest.approx(60, abs=3)
    assert "get_campaign" in str(caught.value)
    named = re.search(r"before (.+) UTC", str(caught.value))
    assert named
    assert abs(datetime.fromisoformat(f"{named[1]}+00:00") - expected) < timedelta(seconds=5)


def test_a_refusal_books_nothing(bookings: Bookings, account: str) -> None:
    Budget(account, bookings).acquire(ONE_PER_MINUTE)
    impatient = Budget(account, bookings, max_wait=0)
    waits = []
    for _ in range(5):
        with pytest.raises(KlaviyoRateLimitError) as caught:
            impatient.acquire(ONE_PER_MINUTE)
        waits.append(caught.value.retry_after or 0)
    assert max(waits) <= 60.1


def test_a_429_is_obeyed_by_everyone_who_shares_the_bookings(bookings: Bookings, account: str) -> None:
    roomy = operation(Limits(burst=10, steady=150))
    Budget(account, bookings).blocked(roomy, retry_after=67_608)
    with pytest.raises(KlaviyoRateLimitError) as caught:
        Budget(account, bookings).acquire(roomy)
    assert caught.value.retry_after == pytest.approx(67_608, abs=2)
    Budget("another account", bookings).acquire(roomy)


async def test_a_429_met_in_an_event_loop_is_obeyed(bookings: Bookings, account: str) -> None:
    roomy = operation(Limits(burst=10, steady=150))
    budget = Budget(account, bookings)
    started = time.monotonic()
    await budget.ablocked(roomy, retry_after=0.3)
    assert await budget.aacquire(roomy) < 0.4
    assert time.monotonic() - started > 0.3


async def test_those_who_wait_when_a_429_comes_wait_for_its_end(bookings: Bookings, account: str) -> None:
    budget = Budget(account, bookings, share=1.0)
    await budget.aacquire(ONE_PER_SECOND)
    waiting = asyncio.create_task(budget.aacquire(ONE_PER_SECOND))
    await asyncio.sleep(0.1)
    started = time.monotonic()
    await budget.ablocked(ONE_PER_SECOND, retry_after=1.3)
    assert await waiting < 1.6
    assert time.monotonic() - started > 1.3


def test_no_call_waits_longer_than_allowed_in_all(bookings: Bookings, account: str) -> None:
    budget = Budget(account, bookings, share=1.0, max_wait=1.5)
    started = time.monotonic()
    budget.acquire(ONE_PER_SECOND)
    threading.Timer(0.1, budget.blocked, (ONE_PER_SECOND, 10)).start()
    with pytest.raises(KlaviyoRateLimitError) as caught:
        budget.acquire(ONE_PER_SECOND)
    assert 1.1 < time.monotonic() - started < 5
    assert caught.value.retry_after == pytest.approx(9, abs=1)


async def test_a_cancelled_wait_gives_its_instant_back(bookings: Bookings, account: str) -> None:
    budget = Budget(account, bookings, share=1.0)
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))  # what is given back is given back in turn
    started = time.monotonic()
    await budget.aacquire(ONE_PER_SECOND)
    waiting = [asyncio.create_task(budget.aacquire(ONE_PER_SECOND)) for _ in range(5)]
    await asyncio.sleep(0.2)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert await budget.aacquire(ONE_PER_SECOND) < 1.2
    assert time.monotonic() - started > 1.1


def test_an_interrupted_sleep_gives_its_instant_back(bookings: Bookings, account: str) -> None:
    class TaskTimeoutError(BaseException):
        pass

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise TaskTimeoutError

    budget = Budget(account, bookings, share=1.0)
    started = time.monotonic()
    budget.acquire(ONE_PER_SECOND)
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(TaskTimeoutError):
            budget.acquire(ONE_PER_SECOND)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert budget.acquire(ONE_PER_SECOND) < 1.2
    assert time.monotonic() - started > 1.1


def test_a_signal_handler_may_call_while_its_thread_holds_the_lock(tmp_path: Path) -> None:
    """As Airflow's does: it runs ``on_kill``, which may cancel a send. The file is held so that the signal strikes."""
    budget = Budget("account", shared_bookings(str(tmp_path / "budget.db")))
    other = operation(Limits(burst=10, steady=150))
    budget.acquire(other)
    struck = []

    def on_kill(number: int, frame: FrameType | None) -> None:
        budget.acquire(other)
        struck.append(time.monotonic())

    holder = sqlite3.connect(tmp_path / "budget.db", isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.3, holder.close)
    release.start()
    before = signal.signal(signal.SIGALRM, on_kill)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        budget.acquire(other)
    finally:
        signal.signal(signal.SIGALRM, before)
        release.join()
    assert struck
    budget.acquire(other)


class Watched:
    """Bookings that record which threads ask them, and which instants they gave."""

    def __init__(self, bookings: Bookings) -> None:
        self._bookings, self.threads, self.booked = bookings, set[int](), list[int]()

    def __getattr__(self, name: str) -> Any:
        self.threads.add(threading.get_ident())
        return getattr(self._bookings, name)

    def book(self, *arguments: Any) -> Booking:
        self.threads.add(threading.get_ident())
        booking = self._bookings.book(*arguments)
        self.booked.append(booking.at)
        return booking


def test_get_campaign_gets_its_full_share_and_no_more(bookings: Bookings, account: str) -> None:
    """Klaviyo allows 10 a second and 150 a minute; nine tenths of that is used by default."""
    watched = Watched(bookings)
    budget = Budget(account, cast("Bookings", watched))
    for _ in range(271):
        budget.charge(operations.get("get_campaign"))
    begin, end = watched.booked[0], watched.booked[-1]
    assert keeps(watched.booked, [Window(135, MINUTE), Window(9, SECOND)])
    assert sum(at < begin + SECOND for at in watched.booked) == 9
    assert sum(at < begin + MINUTE for at in watched.booked) == 135
    assert 2 * MINUTE < end - begin < 2 * MINUTE + SECOND, "the third minute begins with call 271"


async def test_the_loop_stays_free_while_another_process_holds_the_file(tmp_path: Path) -> None:
    budget = Budget("account", SQLiteBookings(tmp_path / "budget.db"))
    busy = operation(Limits(burst=100, steady=1000))
    await budget.aacquire(busy)
    holder = sqlite3.connect(tmp_path / "budget.db", isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    waiting = [asyncio.create_task(budget.aacquire(busy)) for _ in range(10)]
    for _ in range(10):
        await asyncio.sleep(0.02)
    assert not any(task.done() for task in waiting), "the file was not held, or the loop was until it was free"
    holder.close()
    await asyncio.gather(*waiting)


async def test_a_hundred_waiting_coroutines_never_ask_the_bookings_on_the_loop(
    bookings: Bookings, account: str
) -> None:
    watched = Watched(bookings)
    budget = Budget(account, cast("Bookings", watched), share=1.0)
    busy = operation(Limits(burst=100, steady=1000))
    started = time.monotonic()
    slept = await asyncio.gather(*(budget.aacquire(busy) for _ in range(100)))
    assert max(slept) < 0.4
    assert time.monotonic() - started > 0.24
    assert watched.threads
    assert threading.get_ident() not in watched.threads


def test_a_share_or_wait_that_makes_no_sense_is_refused_by_name() -> None:
    for share in (0, -1, 1.01, 90):
        with pytest.raises(KlaviyoValidationError, match=f"share is {share}"):
            Budget("account", MemoryBookings(), share=share)
    for wait in (-1, 3601):
        with pytest.raises(KlaviyoValidationError, match=f"max_wait is {wait}"):
            Budget("account", MemoryBookings(), max_wait=wait)


def test_what_is_left_of_a_day_is_counted(bookings: Bookings, account: str) -> None:
    three_a_day = operation(Limits(burst=10, steady=10, daily=3))
    budget = Budget(account, bookings, share=1.0)
    seen = [budget.left_today(three_a_day)]
    for _ in range(3):
        budget.acquire(three_a_day)
        seen.append(budget.left_today(three_a_day))
    assert seen == [3, 2, 1, 0]
    budget.charge(three_a_day)
    assert budget.left_today(three_a_day) == 0
    assert Budget(account, bookings).left_today(ONE_PER_MINUTE) is None
