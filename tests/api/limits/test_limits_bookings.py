"""Bookings keep the same promises wherever they are kept."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from array import array
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_provider_klaviyo.api.limits import schedule
from airflow_provider_klaviyo.api.limits.bookings import Booking, Bookings, clock
from airflow_provider_klaviyo.api.limits.redis import PREFIX, RedisBookings
from airflow_provider_klaviyo.api.limits.schedule import DAY, MINUTE, SECOND, Pool, Window, windows
from airflow_provider_klaviyo.api.limits.sqlite import SQLiteBookings
from airflow_provider_klaviyo.api.operations import Limits
from tests.api.limits.checker import keeps
from tests.support.redis import client

FOREVER = 10**15
HOURLY = (Window(3, 3600 * SECOND),)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_booked_is_what_the_arithmetic_finds(bookings: Bookings, account: str, seed: int) -> None:
    """Windows of milliseconds, so that they come and go in the course of the test."""
    chance = random.Random(seed)
    kinds = [(Window(5, 2_000), Window(8, 9_000)), (Window(3, 2_000), Window(7, 9_000)), (Window(1, 700),)]
    twin, booked = Pool(), []
    for _ in range(300):
        windows, patience = chance.choice(kinds), chance.choice([0, 3_000, FOREVER])
        booking = bookings.book(account, windows, patience)
        expected = schedule.book(twin, booking.at - booking.wait, windows, patience)
        assert booking == Booking(*expected)
        if booking.wait <= patience:
            booked.append(booking.at)
        if booked and chance.random() < 0.1:
            at = booked.pop(chance.randrange(len(booked)))
            bookings.release(account, at)
            schedule.release(twin, at)
        if chance.random() < 0.1:
            time.sleep(0.003)


def test_pools_do_not_touch_each_other(bookings: Bookings, account: str) -> None:
    for _ in range(3):
        assert bookings.book(f"{account}/a", HOURLY, 0).wait == 0
    assert bookings.book(f"{account}/a", HOURLY, 0).wait > 0
    assert bookings.book(f"{account}/b", HOURLY, 0).wait == 0
    bookings.block(f"{account}/a", SECOND)
    assert bookings.book(f"{account}/b", HOURLY, 0).wait == 0


def test_what_is_refused_is_not_booked(bookings: Bookings, account: str) -> None:
    one = (Window(1, MINUTE),)
    first = bookings.book(account, one, 0)
    for _ in range(3):
        assert bookings.book(account, one, SECOND).at == first.at + MINUTE
    assert bookings.book(account, one, MINUTE).at == first.at + MINUTE
    assert bookings.book(account, one, FOREVER).at == first.at + 2 * MINUTE


def test_a_returned_instant_is_given_to_the_next_one(bookings: Bookings, account: str) -> None:
    one = (Window(1, MINUTE),)
    first, second, third = (bookings.book(account, one, FOREVER).at for _ in range(3))
    bookings.release(account, second)
    bookings.release(account, second)
    assert bookings.book(account, one, FOREVER).at == second
    assert bookings.book(account, one, FOREVER).at == third + MINUTE
    assert first < second < third


def test_a_block_holds_for_newcomers_and_for_those_who_wait_for_an_earlier_instant(
    bookings: Bookings, account: str
) -> None:
    one = (Window(1, 10 * SECOND),)
    past, soon, late = (bookings.book(account, one, FOREVER).at for _ in range(3))
    assert bookings.stands(account, soon)
    bookings.block(account, 15 * SECOND)
    assert not bookings.stands(account, soon)
    assert bookings.stands(account, late)
    newcomer = bookings.book(account, one, FOREVER)
    assert newcomer.wait >= 14 * SECOND
    assert newcomer.at == late + 10 * SECOND
    bookings.block(account, SECOND)
    assert not bookings.stands(account, soon), "a shorter block does not end a longer one"
    assert past < soon < late


def test_instants_that_a_block_made_void_are_not_counted_as_used(bookings: Bookings, account: str) -> None:
    two = (Window(2, 10 * SECOND),)
    booked = [bookings.book(account, two, FOREVER).at for _ in range(4)]
    bookings.block(account, 15 * SECOND)
    newcomers = [bookings.book(account, two, FOREVER).at for _ in range(2)]
    assert newcomers[0] == newcomers[1] < booked[0] + 16 * SECOND


def test_a_thousand_bookings_are_counted(bookings: Bookings, account: str) -> None:
    windows = (Window(1000, MINUTE), Window(350, SECOND))
    booked = [bookings.book(account, windows, FOREVER).at for _ in range(1200)]
    assert booked == sorted(booked)
    assert all(later - earlier >= MINUTE for earlier, later in zip(booked, booked[1000:], strict=False))
    assert all(later - earlier >= SECOND for earlier, later in zip(booked, booked[350:], strict=False))
    assert booked[999] - booked[0] < 4 * SECOND


def test_threads_share_their_bookings(bookings: Bookings, account: str) -> None:
    windows = (Window(7, 50_000), Window(20, 1_000_000))
    booked: list[list[int]] = [[] for _ in range(8)]
    start = threading.Barrier(8)

    def book(mine: list[int]) -> None:
        start.wait()
        mine.extend(bookings.book(account, windows, FOREVER).at for _ in range(25))

    threads = [threading.Thread(target=book, args=(mine,)) for mine in booked]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(mine == sorted(mine) for mine in booked), "first come, first served"
    instants = [at for mine in booked for at in mine]
    assert len(instants) == 200
    assert keeps(instants, windows)


def test_two_users_of_one_place_share_their_bookings(shared: Callable[[], Bookings], account: str) -> None:
    one, other = shared(), shared()
    waits = [chosen.book(account, HOURLY, 0).wait for chosen in (one, other, one, other)]
    assert waits[:3] == [0, 0, 0]
    assert waits[3] > 0
    one.block(account, DAY)
    assert other.book(account, HOURLY, 0).wait > DAY - MINUTE


def test_processes_of_the_version_with_priorities_may_share_the_place_during_an_upgrade(
    shared: Callable[[], Bookings], account: str
) -> None:
    """They kept to a stricter rule in the same layout: 133 calls a minute and 8 a second; now it is 135 and 9."""
    now = windows(Limits(10, 150), 0.9)
    then = (Window(133, now[0].length), Window(8, now[1].length), now[2])
    older, newer = shared(), shared()
    booked = [
        chosen.book(account, part, FOREVER).at for _ in range(150) for chosen, part in ((older, then), (newer, now))
    ]
    assert len(set(booked)) == 300
    assert keeps(booked, now)


def test_a_file_as_the_version_with_priorities_wrote_it_is_used_on_and_written_alike(tmp_path: Path) -> None:
    path, at = tmp_path / "budget.db", clock()
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE TABLE pools (name TEXT PRIMARY KEY, seen INTEGER NOT NULL, blocked_until INTEGER NOT NULL,"
            " lag INTEGER NOT NULL, floor INTEGER NOT NULL, grants BLOB NOT NULL)"
        )
        connection.execute("INSERT INTO pools VALUES ('pool', ?, 0, 0, 0, ?)", (at, array("q", [at, at]).tobytes()))
    bookings = SQLiteBookings(path)
    third = bookings.book("pool", HOURLY, 0)
    assert bookings.book("pool", HOURLY, 0).wait > 3000 * SECOND
    with sqlite3.connect(path) as connection:
        [row] = connection.execute("SELECT name, blocked_until, lag, floor, grants FROM pools")
    assert row == ("pool", 0, 0, 0, array("q", [at, at, third.at]).tobytes())


def test_a_key_as_the_version_with_priorities_wrote_it_is_used_on_and_written_alike(
    redis_url: str, account: str
) -> None:
    server, key, at = client(redis_url), f"airflow-provider-klaviyo:limits:{account}", clock()
    fields = {"blocked_until": 0, "seen": at, "lag": 0, "floor": 0}
    server.hset(key, mapping={**fields, "grants": _msgpack(at, at)})
    bookings = RedisBookings(redis_url)
    third = bookings.book(account, HOURLY, 0)
    assert bookings.book(account, HOURLY, 0).wait > 3000 * SECOND
    kept = server.hgetall(key)
    assert kept.keys() == {b"grants", *(name.encode() for name in fields)}
    assert kept[b"grants"] == _msgpack(at, at, third.at)


def _msgpack(*instants: int) -> bytes:
    """A list of up to 15 numbers as Redis' scripts pack it."""
    return bytes([0x90 + len(instants)]) + b"".join(b"\xcf" + instant.to_bytes(8, "big") for instant in instants)


def test_a_clock_set_back_stops_nobody_and_lets_nobody_in_between(shared: Callable[[], Bookings], account: str) -> None:
    """The bookings are made to remember a time that the clock shows only in 20 s, as after a step of the clock."""
    bookings = shared()
    one, two = (Window(1, MINUTE),), (Window(2, MINUTE),)
    first, second = (bookings.book(account, one, FOREVER).at for _ in range(2))
    if isinstance(bookings, SQLiteBookings):
        with sqlite3.connect(bookings.path) as connection:
            connection.execute("UPDATE pools SET seen = seen + ?", (20 * SECOND,))
    else:
        client(str(bookings)).hincrby(PREFIX + account, "seen", 20 * SECOND)
    third = bookings.book(account, two, FOREVER)
    assert third.at == second == first + MINUTE
    assert 39 * SECOND < third.wait < 40 * SECOND
    earlier = bookings.book(account, two, 0)
    time.sleep(0.02)
    later = bookings.book(account, two, 0)
    assert earlier.at == later.at == second + MINUTE
    assert earlier.wait - later.wait >= 20_000, "time goes on"


def test_a_file_forgets_pools_that_nobody_used_for_days(tmp_path: Path) -> None:
    path = tmp_path / "budget.db"
    SQLiteBookings(path).book("old", HOURLY, 0)
    SQLiteBookings(path).book("new", HOURLY, 0)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE pools SET seen = seen - ? WHERE name = 'old'", (3 * DAY,))
    SQLiteBookings(path).book("newer", HOURLY, 0)
    with sqlite3.connect(path) as connection:
        assert {name for (name,) in connection.execute("SELECT name FROM pools")} == {"new", "newer"}


def test_keys_in_redis_have_our_prefix_and_go_by_themselves(redis_url: str, account: str) -> None:
    RedisBookings(redis_url).book(account, HOURLY, 0)
    days = client(redis_url).ttl(PREFIX + account) / 86400
    assert 1.9 < days < 2.1
