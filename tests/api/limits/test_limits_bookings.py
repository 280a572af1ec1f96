"""Every store keeps the same promises."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_provider_klaviyo.api.limits import schedule
from airflow_provider_klaviyo.api.limits.redis import PREFIX, RedisStore
from airflow_provider_klaviyo.api.limits.schedule import Pool
from airflow_provider_klaviyo.api.limits.sqlite import SQLiteStore
from airflow_provider_klaviyo.api.limits.store import Reservation, Store
from airflow_provider_klaviyo.api.limits.windows import DAY, MINUTE, SECOND, Window
from tests.api.limits.checker import keeps

FOREVER = 10**15
HOURLY = (Window(3, 3600 * SECOND),)


@pytest.mark.parametrize("seed", range(3))
def test_a_store_books_what_the_arithmetic_says(store: Store, account: str, seed: int) -> None:
    """Windows of milliseconds, so that they come and go in the course of the test."""
    chance = random.Random(seed)
    kinds = [(Window(5, 2_000), Window(8, 9_000)), (Window(3, 2_000), Window(7, 9_000)), (Window(1, 700),)]
    twin, booked = Pool(), []
    for _ in range(300):
        windows, patience = chance.choice(kinds), chance.choice([0, 3_000, FOREVER])
        reservation = store.reserve(account, windows, patience)
        expected = schedule.reserve(twin, reservation.at - reservation.wait, windows, patience)
        assert reservation == Reservation(*expected)
        if reservation.wait <= patience:
            booked.append(reservation.at)
        if booked and chance.random() < 0.1:
            at = booked.pop(chance.randrange(len(booked)))
            store.release(account, at)
            schedule.release(twin, at)
        if chance.random() < 0.1:
            time.sleep(0.003)


def test_pools_do_not_touch_each_other(store: Store, account: str) -> None:
    for _ in range(3):
        assert store.reserve(f"{account}/a", HOURLY, 0).wait == 0
    assert store.reserve(f"{account}/a", HOURLY, 0).wait > 0
    assert store.reserve(f"{account}/b", HOURLY, 0).wait == 0
    store.block(f"{account}/a", SECOND)
    assert store.reserve(f"{account}/b", HOURLY, 0).wait == 0


def test_what_is_refused_is_not_booked(store: Store, account: str) -> None:
    one = (Window(1, MINUTE),)
    first = store.reserve(account, one, 0)
    for _ in range(3):
        assert store.reserve(account, one, SECOND).at == first.at + MINUTE
    assert store.reserve(account, one, MINUTE).at == first.at + MINUTE
    assert store.reserve(account, one, FOREVER).at == first.at + 2 * MINUTE


def test_a_returned_instant_is_given_to_the_next_one(store: Store, account: str) -> None:
    one = (Window(1, MINUTE),)
    first, second, third = (store.reserve(account, one, FOREVER).at for _ in range(3))
    store.release(account, second)
    store.release(account, second)
    assert store.reserve(account, one, FOREVER).at == second
    assert store.reserve(account, one, FOREVER).at == third + MINUTE
    assert first < second < third


def test_a_block_holds_for_newcomers_and_for_those_who_wait_for_an_earlier_instant(store: Store, account: str) -> None:
    one = (Window(1, 10 * SECOND),)
    past, soon, late = (store.reserve(account, one, FOREVER).at for _ in range(3))
    assert store.stands(account, soon)
    store.block(account, 15 * SECOND)
    assert not store.stands(account, soon)
    assert store.stands(account, late)
    newcomer = store.reserve(account, one, FOREVER)
    assert newcomer.wait >= 14 * SECOND
    assert newcomer.at == late + 10 * SECOND
    store.block(account, SECOND)
    assert not store.stands(account, soon), "a shorter block does not end a longer one"
    assert past < soon < late


def test_instants_that_a_block_made_void_are_not_counted_as_used(store: Store, account: str) -> None:
    two = (Window(2, 10 * SECOND),)
    booked = [store.reserve(account, two, FOREVER).at for _ in range(4)]
    store.block(account, 15 * SECOND)
    newcomers = [store.reserve(account, two, FOREVER).at for _ in range(2)]
    assert newcomers[0] == newcomers[1] < booked[0] + 16 * SECOND


def test_a_thousand_bookings_are_counted(store: Store, account: str) -> None:
    windows = (Window(1000, MINUTE), Window(350, SECOND))
    booked = [store.reserve(account, windows, FOREVER).at for _ in range(1200)]
    assert booked == sorted(booked)
    assert all(later - earlier >= MINUTE for earlier, later in zip(booked, booked[1000:], strict=False))
    assert all(later - earlier >= SECOND for earlier, later in zip(booked, booked[350:], strict=False))
    assert booked[999] - booked[0] < 4 * SECOND


def test_threads_share_one_store(store: Store, account: str) -> None:
    windows = (Window(7, 50_000), Window(20, 1_000_000))
    booked: list[list[int]] = [[] for _ in range(8)]
    start = threading.Barrier(8)

    def book(mine: list[int]) -> None:
        start.wait()
        mine.extend(store.reserve(account, windows, FOREVER).at for _ in range(25))

    threads = [threading.Thread(target=book, args=(mine,)) for mine in booked]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(mine == sorted(mine) for mine in booked), "first come, first served"
    instants = [at for mine in booked for at in mine]
    assert len(instants) == 200
    assert keeps(instants, windows)


def test_two_stores_in_one_place_share_their_bookings(shared: Callable[[], Store], account: str) -> None:
    one, other = shared(), shared()
    waits = [chosen.reserve(account, HOURLY, 0).wait for chosen in (one, other, one, other)]
    assert waits[:3] == [0, 0, 0]
    assert waits[3] > 0
    one.block(account, DAY)
    assert other.reserve(account, HOURLY, 0).wait > DAY - MINUTE


def test_a_clock_set_back_stops_nobody_and_lets_nobody_in_between(shared: Callable[[], Store], account: str) -> None:
    """The store is made to remember a time that the clock shows only in 20 s, as after a step of the clock."""
    store = shared()
    one, two = (Window(1, MINUTE),), (Window(2, MINUTE),)
    first, second = (store.reserve(account, one, FOREVER).at for _ in range(2))
    if isinstance(store, SQLiteStore):
        with sqlite3.connect(store.path) as connection:
            connection.execute("UPDATE pools SET seen = seen + ?", (20 * SECOND,))
    else:
        import redis

        client = redis.Redis(unix_socket_path=str(store).removeprefix("unix://"))
        client.hincrby(PREFIX + account, "seen", 20 * SECOND)
    third = store.reserve(account, two, FOREVER)
    assert third.at == second == first + MINUTE
    assert 39 * SECOND < third.wait < 40 * SECOND
    earlier = store.reserve(account, two, 0)
    time.sleep(0.02)
    later = store.reserve(account, two, 0)
    assert earlier.at == later.at == second + MINUTE
    assert earlier.wait - later.wait >= 20_000, "time goes on"


def test_a_file_forgets_pools_that_nobody_used_for_days(tmp_path: Path) -> None:
    path = tmp_path / "budget.db"
    SQLiteStore(path).reserve("old", HOURLY, 0)
    SQLiteStore(path).reserve("new", HOURLY, 0)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE pools SET seen = seen - ? WHERE name = 'old'", (3 * DAY,))
    SQLiteStore(path).reserve("newer", HOURLY, 0)
    with sqlite3.connect(path) as connection:
        assert {name for (name,) in connection.execute("SELECT name FROM pools")} == {"new", "newer"}


def test_keys_in_redis_have_our_prefix_and_go_by_themselves(redis_url: str, account: str) -> None:
    import redis

    RedisStore(redis_url).reserve(account, HOURLY, 0)
    days = redis.Redis.from_url(redis_url).ttl(PREFIX + account) / 86400
    assert 1.9 < days < 2.1
