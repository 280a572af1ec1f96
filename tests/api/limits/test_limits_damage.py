"""Numbers that cannot be: what was kept is damaged, or an answer names an absurd time. Pacing goes on."""

from __future__ import annotations

import logging
import math
import os
import sqlite3
import stat
import threading
import time
from array import array
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_klaviyo.api.errors import KlaviyoRateLimitError
from airflow_provider_klaviyo.api.limits import Budget, MemoryBookings, shared_bookings
from airflow_provider_klaviyo.api.limits.bookings import Booking, Bookings, clock
from airflow_provider_klaviyo.api.limits.redis import PREFIX, RedisBookings
from airflow_provider_klaviyo.api.limits.schedule import DAY, MINUTE, SECOND, Window
from airflow_provider_klaviyo.api.limits.sqlite import SQLiteBookings
from airflow_provider_klaviyo.api.operations import Limits
from airflow_provider_klaviyo.api.refusal import retry_after
from tests.api.limits.operation import operation
from tests.support.redis import client

YEAR = 365 * DAY
ONE = (Window(1, MINUTE),)
TWO_PER_MINUTE = operation(Limits(burst=2, steady=2))

# --- bookings --------------------------------------------------------------------------------------------------------


def packed(*grants: int) -> bytes:
    return array("q", grants).tobytes()


NUMBERS: dict[str, dict[str, Any]] = {
    "block ten years ahead": {"blocked_until": lambda: clock() + 10 * YEAR},
    "block a week ahead": {"blocked_until": lambda: clock() + 7 * DAY},
    "block without end": {"blocked_until": 2**62},
    "block as text": {"blocked_until": "soon"},
    "block as a fraction": {"blocked_until": 0.5},
    "block before all time": {"blocked_until": -1},
    "block infinite": {"blocked_until": "inf"},
    "block not a number": {"blocked_until": "nan"},
    "floor ten years ahead": {"floor": lambda: clock() + 10 * YEAR},
    "floor as text": {"floor": "x"},
    "time without end": {"seen": 2**62},
    "time as text": {"seen": "yesterday"},
    "time before all time": {"seen": -(2**40)},
    "lag without end": {"lag": 2**62},
    "lag backwards": {"lag": -YEAR},
    "lag as text": {"lag": "x"},
}


def damage(bookings: Bookings, pool: str, values: dict[str, Any]) -> None:
    given = {name: value() if callable(value) else value for name, value in values.items()}
    if isinstance(bookings, SQLiteBookings):
        with sqlite3.connect(bookings.path) as connection:
            sets = ", ".join(f"{name} = ?" for name in given)
            assert connection.execute(f"UPDATE pools SET {sets} WHERE name = ?", (*given.values(), pool)).rowcount == 1
    else:
        client(str(bookings)).hset(PREFIX + pool, mapping=given)


def still_paces(bookings: Bookings, pool: str) -> None:
    """The row is dropped: one call at once, the next one behind it."""
    first = bookings.book(pool, ONE, 0)
    assert first.wait == 0
    assert abs(first.at - clock()) < MINUTE, "the pool's time is the clock's again"
    assert bookings.stands(pool, first.at)
    assert 50 * SECOND < bookings.book(pool, ONE, 0).wait <= MINUTE


@pytest.mark.parametrize("values", NUMBERS.values(), ids=NUMBERS.keys())
def test_a_row_with_a_number_that_cannot_be_is_dropped_and_pacing_goes_on(
    shared: Callable[[], Bookings], account: str, values: dict[str, Any]
) -> None:
    bookings = shared()
    bookings.book(account, ONE, 0)
    damage(bookings, account, values)
    still_paces(shared(), account)


@pytest.mark.parametrize("values", NUMBERS.values(), ids=NUMBERS.keys())
@pytest.mark.parametrize("step", ["stands", "block", "release"])
def test_every_step_survives_a_damaged_row(
    shared: Callable[[], Bookings], account: str, values: dict[str, Any], step: str
) -> None:
    bookings = shared()
    at = bookings.book(account, ONE, 0).at
    damage(bookings, account, values)
    if step == "stands":
        assert bookings.stands(account, at)
    elif step == "block":
        bookings.block(account, SECOND)
        assert 0 < bookings.book(account, ONE, 0).wait <= SECOND
    else:
        bookings.release(account, at)
        still_paces(bookings, account)


NOW = clock()
GRANTS: dict[str, Any] = {
    "no whole number of instants": b"12345",
    "text": "12345678",
    "text that is not UTF-8": b"\xff\xfe\xfd",
    "a number": 5,
    "not in order": packed(NOW, NOW - SECOND, NOW + 5, NOW - 2 * SECOND),
    "ten years ahead": packed(NOW + 10 * YEAR),
    "before all time": packed(-5, NOW),
    "without end": packed(2**63 - 1),
}


@pytest.mark.parametrize("grants", GRANTS.values(), ids=GRANTS.keys())
def test_bookings_in_a_file_that_cannot_be_are_dropped(tmp_path: Path, grants: Any) -> None:
    bookings = SQLiteBookings(tmp_path / "budget.db")
    bookings.book("pool", ONE, 0)
    damage(bookings, "pool", {"grants": grants})
    still_paces(SQLiteBookings(bookings.path), "pool")


def test_a_text_that_is_not_utf8_in_place_of_a_number_is_dropped(tmp_path: Path) -> None:
    bookings = SQLiteBookings(tmp_path / "budget.db")
    bookings.book("pool", ONE, 0)
    with sqlite3.connect(bookings.path) as connection:
        connection.execute("UPDATE pools SET blocked_until = CAST(x'ff00fe' AS TEXT)")
    still_paces(SQLiteBookings(bookings.path), "pool")


@pytest.mark.parametrize(
    "grants",
    [
        b"",
        b"\xc1\xff",
        b"\xa3abc",  # the text "abc"
        b"\x81\xa1a\x01",  # {"a": 1}
        b"\x92\x01\xa1x",  # [1, "x"]
        b"\x92\x05\x01",  # [5, 1]
        b"\x92\x01\xc0",  # [1, nil]
        b"\x91\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00",  # [infinity]
        b"\x91\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00",  # [not a number]
        b"\x91\xcf\x7f\xff\xff\xff\xff\xff\xff\xff",  # [2^63 - 1]
        b"\x91\xff",  # [-1]
        b"\x91\x91\x01",  # [[1]]
    ],
)
def test_bookings_in_redis_that_cannot_be_are_dropped(redis_url: str, account: str, grants: bytes) -> None:
    bookings = RedisBookings(redis_url)
    bookings.book(account, ONE, 0)
    damage(bookings, account, {"grants": grants})
    still_paces(RedisBookings(redis_url), account)


@pytest.mark.parametrize("make", ["set", "rpush", "sadd"])
def test_a_key_of_another_kind_in_redis_is_dropped(redis_url: str, account: str, make: str) -> None:
    bookings = RedisBookings(redis_url)
    getattr(client(str(bookings)), make)(PREFIX + account, "x")
    assert bookings.stands(account, 1)
    still_paces(bookings, account)


def test_a_damaged_row_costs_no_warning_and_no_error(shared: Callable[[], Bookings], account: str, caplog: Any) -> None:
    from airflow_provider_klaviyo.api.limits.bookings import FallbackBookings

    budget = Budget(account, FallbackBookings(shared()), share=1.0, max_wait=1)
    budget.acquire(TWO_PER_MINUTE)
    damage(shared(), f"{account}/{TWO_PER_MINUTE.id}", {"blocked_until": lambda: clock() + 10 * YEAR})
    budget.acquire(TWO_PER_MINUTE)
    budget.acquire(TWO_PER_MINUTE)
    with pytest.raises(KlaviyoRateLimitError) as caught:
        budget.acquire(TWO_PER_MINUTE)
    assert caught.value.retry_after is not None
    assert caught.value.retry_after < 61
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_clock_that_was_years_ahead_and_was_set_right_stops_nobody(
    shared: Callable[[], Bookings], account: str
) -> None:
    """That row is sound: all of it is years ahead, and goes on from there."""
    bookings = shared()
    bookings.block(account, SECOND)
    ahead = clock() + 5 * YEAR
    damage(bookings, account, {"seen": ahead, "blocked_until": ahead + SECOND})
    waits = [bookings.book(account, ONE, 0).wait for _ in range(2)]
    assert waits[0] <= SECOND
    time.sleep(waits[0] / SECOND)
    assert bookings.book(account, ONE, 0).wait == 0
    assert bookings.book(account, ONE, 0).wait > 50 * SECOND


# --- answers ----------------------------------------------------------------------------------------------------------

ABSURD = {
    "inf": (0, 1),
    "Infinity": (0, 1),
    "-inf": (0, 1),
    "nan": (0, 1),
    "1e400": (0, 1),
    "-1e400": (0, 1),
    "1e5": (0, 1),
    "0x10": (0, 1),
    "1_000": (0, 1),
    "-5": (0, 0),
    "-0": (0, 0),
    "9" * 400: (86_400, 86_400),
    "99999999999": (86_400, 86_400),
    "86401": (86_400, 86_400),
    "3.5": (3.5, 3.5),
    "Fri, 31 Dec 9999 23:59:59 GMT": (86_400, 86_400),
    "Mon, 01 Jan 0001 00:00:00 GMT": (0, 1),
    "Mon, 01 Jan 0001 00:00:00 -0000": (0, 1),
    "Fri, 31 Dec 9999 23:59:59 -2359": (0, 86_400),
    "Fri, 99 Dec 2026 99:99:99 GMT": (1, 1),
    "Fri, 31 Dec 2026 23:59:59 +999999999": (0, 86_400),
    "١٢": (0, 12),
    "\x00": (1, 1),
    ",": (1, 1),
    ":::": (1, 1),
    "": (1, 1),
    "60, 120": (1, 1),
}


@pytest.mark.parametrize(("text", "bounds"), ABSURD.items(), ids=[repr(text)[:30] for text in ABSURD])
def test_retry_after_is_between_nothing_and_a_day_whatever_it_says(text: str, bounds: tuple[float, float]) -> None:
    seconds = retry_after({"retry-after": text})
    assert math.isfinite(seconds)
    assert bounds[0] <= seconds <= bounds[1]


@pytest.mark.parametrize("seconds", [math.inf, 1e300, -math.inf, math.nan, -1.0, 10.0**17])
def test_a_block_lasts_a_day_at_most_whatever_it_was_told(seconds: float) -> None:
    budget = Budget("account", MemoryBookings(), share=1.0, max_wait=0)
    budget.blocked(TWO_PER_MINUTE, seconds)
    if seconds > 0:
        with pytest.raises(KlaviyoRateLimitError) as caught:
            budget.acquire(TWO_PER_MINUTE)
        assert caught.value.retry_after == pytest.approx(86_400, abs=5)
    else:
        assert budget.acquire(TWO_PER_MINUTE) == 0


# --- the file ---------------------------------------------------------------------------------------------------------


def test_the_file_and_those_beside_it_are_for_their_user_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        bookings = SQLiteBookings(tmp_path / "klaviyo-limits" / "budget.sqlite")
        bookings.book("pool", ONE, 0)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in bookings.path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == {f"budget.sqlite{suffix}": 0o600 for suffix in ("", "-wal", "-shm")}
    assert stat.S_IMODE(bookings.path.parent.stat().st_mode) == 0o700


def test_the_mode_of_a_file_that_is_there_is_left_to_who_set_it(tmp_path: Path) -> None:
    """Processes of several users may share one that was made for them."""
    path = tmp_path / "budget.sqlite"
    path.touch()
    path.chmod(0o660)
    SQLiteBookings(path).book("pool", ONE, 0)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal"])
@pytest.mark.parametrize("target", ["a file", "nothing"])
def test_a_link_in_the_place_of_the_file_is_not_followed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, suffix: str, target: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    if target == "a file":
        elsewhere.write_bytes(b"precious")
    path = tmp_path / "home" / "budget.sqlite"
    path.parent.mkdir()
    path.with_name(f"{path.name}{suffix}").symlink_to(elsewhere)
    budget = Budget("account", shared_bookings(str(path)), share=1.0, max_wait=1)
    budget.acquire(TWO_PER_MINUTE)
    budget.acquire(TWO_PER_MINUTE)
    with pytest.raises(KlaviyoRateLimitError):
        budget.acquire(TWO_PER_MINUTE)
    assert (elsewhere.read_bytes() if elsewhere.exists() else None) == (b"precious" if target == "a file" else None)
    [warning] = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "symbolic link" in warning


def test_a_file_that_is_replaced_by_a_link_while_it_is_in_use_is_not_followed(tmp_path: Path) -> None:
    path, elsewhere = tmp_path / "budget.sqlite", tmp_path / "elsewhere"
    bookings = shared_bookings(str(path))
    bookings.book("pool", ONE, 0)
    for name in tmp_path.glob("budget.sqlite*"):
        name.unlink()
    path.symlink_to(elsewhere)
    bookings.book("pool", ONE, 0)
    assert not elsewhere.exists()


def test_processes_and_threads_that_make_the_file_at_once_share_it(tmp_path: Path) -> None:
    path = tmp_path / "home" / "budget.sqlite"
    openers = [SQLiteBookings(path) for _ in range(8)]
    start, found = threading.Barrier(8), list[Booking]()

    def book(bookings: SQLiteBookings) -> None:
        start.wait()
        found.append(bookings.book("pool", ONE, 10**12))

    threads = [threading.Thread(target=book, args=(bookings,)) for bookings in openers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    instants = sorted(booking.at for booking in found)
    assert [later - earlier for earlier, later in pairwise(instants)] == [MINUTE] * 7
