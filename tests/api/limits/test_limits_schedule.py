"""The arithmetic, with times and windows of every kind."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_klaviyo.api.limits import schedule
from airflow_provider_klaviyo.api.limits.schedule import Pool, Window
from tests.api.limits.checker import keeps

NO_LIMIT = 10**15

window_sets = st.lists(
    st.builds(Window, calls=st.integers(1, 6), length=st.integers(1, 40)), min_size=1, max_size=3
).map(tuple)
"""Small enough for a brute-force judge, and for the windows to get in each other's way."""


def test_the_judge_counts_windows_that_exclude_their_end() -> None:
    assert keeps([0, 5, 10, 15], [Window(2, 10)])
    assert not keeps([0, 5, 9], [Window(2, 10)])
    assert not keeps([3, 3], [Window(1, 1)])


@given(window_sets, st.lists(st.integers(0, 15), max_size=40))
def test_a_booking_is_the_earliest_instant_that_keeps_to_all_windows(
    windows: tuple[Window, ...], gaps: list[int]
) -> None:
    pool, now, grants = Pool(), 0, []
    for gap in gaps:
        now += gap
        at, _ = schedule.book(pool, now, windows, NO_LIMIT)
        earliest = next(t for t in range(now, now + 10**6) if keeps([*grants, t], windows))
        assert at == earliest
        grants.append(at)


@given(window_sets, st.lists(st.integers(0, 15), max_size=60))
def test_bookings_with_one_share_are_in_the_order_of_asking(windows: tuple[Window, ...], gaps: list[int]) -> None:
    pool, now, latest = Pool(), 0, 0
    for gap in gaps:
        now += gap
        at, _ = schedule.book(pool, now, windows, NO_LIMIT)
        assert at >= max(now, latest)
        latest = at


events = st.lists(
    st.one_of(
        st.tuples(st.just("book"), st.integers(1, 6), st.sampled_from([0, 5, 50, NO_LIMIT])),
        st.tuples(st.just("pass"), st.integers(0, 60), st.none()),
        st.tuples(st.just("block"), st.integers(0, 60), st.none()),
        st.tuples(st.just("release"), st.integers(0, 100), st.none()),
        st.tuples(st.just("set back"), st.sampled_from([1, 7, 30, 10**6]), st.none()),
    ),
    max_size=80,
)


@given(window_sets, events)
@settings(max_examples=300)
def test_no_rolling_window_is_exceeded_whatever_happens(windows: tuple[Window, ...], happenings: list[Any]) -> None:
    """Different shares, refusals, blocks, returned instants and a clock that is set back, in any order.

    The judge sees real time; the pool sees a clock that may be set back. ``waiting`` maps an instant to what the pool
    called it when it was booked.
    """
    pool, real, offset = Pool(), 0, 10**9
    calls: list[int] = []
    waiting: list[tuple[int, int]] = []
    blocked_until = 0
    for kind, number, extra in happenings:
        clock = real + offset
        if kind == "book":
            part = tuple(Window(min(number, window.calls), window.length) for window in windows)
            at, wait = schedule.book(pool, clock, part, extra)
            if wait <= extra:
                waiting.append((real + wait, at))
                assert real + wait >= max(real, blocked_until)
        elif kind == "pass":
            real += number
        elif kind == "block":
            schedule.block(pool, clock, number)
            blocked_until = max(blocked_until, real + number)
            waiting = [(at, name) for at, name in waiting if at <= real or name >= pool.blocked_until]
        elif kind == "release" and waiting:
            at, name = waiting[number % len(waiting)]
            if at > real:
                waiting.remove((at, name))
                schedule.release(pool, name)
        elif kind == "set back":
            offset -= number
        calls.extend(at for at, _ in waiting if at <= real)
        waiting = [(at, name) for at, name in waiting if at > real]
    calls.extend(at for at, _ in waiting)
    assert keeps(calls, windows)


@given(window_sets, st.lists(st.integers(0, 3), min_size=1, max_size=30))
def test_what_is_refused_is_not_booked(windows: tuple[Window, ...], gaps: list[int]) -> None:
    pool, now = Pool(), 0
    for gap in gaps:
        now += gap
        schedule.book(pool, now, windows, NO_LIMIT)
    before = list(pool.grants)
    at = schedule.next_instant(before, now, windows)
    assert schedule.book(pool, now, windows, at - now - 1) == (at, at - now)
    assert pool.grants == before
    assert schedule.book(pool, now, windows, at - now) == (at, at - now)


def test_a_returned_instant_is_given_to_the_next_one() -> None:
    windows = (Window(1, 100),)
    pool = Pool()
    assert book(pool, 0, windows, times=3) == [0, 100, 200]
    schedule.release(pool, 100)
    assert book(pool, 0, windows) == [100]


def test_instants_that_no_window_can_hold_any_more_are_forgotten() -> None:
    pool = Pool()
    for now in range(0, 10_000, 10):
        schedule.book(pool, now, (Window(2, 15), Window(9, 100)), max_wait=0)
    assert len(pool.grants) <= 10


def test_after_a_block_its_time_is_not_counted_as_used() -> None:
    windows = (Window(2, 100),)
    pool = Pool()
    assert book(pool, 0, windows, times=6) == [0, 0, 100, 100, 200, 200]
    schedule.block(pool, 10, 240)
    assert book(pool, 10, windows, times=3) == [250, 250, 350]


def test_a_clock_set_back_by_a_year_delays_nobody_by_more_than_the_windows() -> None:
    windows = (Window(2, 100),)
    year = 31_536_000_000_000
    pool = Pool()
    book(pool, year, windows, times=2)
    assert schedule.book(pool, 5, windows, NO_LIMIT) == (year + 100, 100)
    assert schedule.book(pool, 105, windows, NO_LIMIT) == (year + 100, 0)


def test_after_a_clock_was_set_back_nobody_is_booked_between_those_who_wait() -> None:
    whole, part = (Window(2, 100),), (Window(1, 100),)
    pool = Pool()
    assert book(pool, 1000, part, times=3) == [1000, 1100, 1200]
    assert schedule.book(pool, 0, whole, NO_LIMIT) == (1200, 200)


def book(pool: Pool, clock: int, windows: tuple[Window, ...], times: int = 1) -> list[int]:
    return [schedule.book(pool, clock, windows, NO_LIMIT)[0] for _ in range(times)]
