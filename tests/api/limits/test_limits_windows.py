"""What share and priority leave of the published limits."""

from __future__ import annotations

import pytest

from airflow_provider_klaviyo.api.limits import schedule
from airflow_provider_klaviyo.api.limits.schedule import Pool
from airflow_provider_klaviyo.api.limits.windows import BURST_TIME, DAY, MINUTE, SECOND, Priority, windows
from airflow_provider_klaviyo.api.operations import Limits, operations

SIZES = [
    (Limits(10, 150), 1.0, "high", [150, 10]),
    (Limits(10, 150), 1.0, "normal", [147, 9]),
    (Limits(10, 150), 1.0, "low", [75, 5]),
    (Limits(10, 150), 0.9, "normal", [133, 8]),
    (Limits(350, 3500), 1.0, "normal", [3430, 343]),
    (Limits(3, 60), 1.0, "normal", [59, 3]),
    (Limits(1, 2, 225), 1.0, "low", [225, 2, 1]),
    (Limits(1, 2, 225), 0.9, "normal", [202, 1, 1]),
    (Limits(1, 15), 0.01, "low", [1, 1]),
    (Limits(100, 100), 0.29, "high", [29, 29]),
]


@pytest.mark.parametrize(("limits", "share", "priority", "calls"), SIZES)
def test_share_and_priority_take_their_part(limits: Limits, share: float, priority: Priority, calls: list[int]) -> None:
    assert [window.calls for window in windows(limits, share, priority)] == [*calls, 1]


def test_windows_are_a_little_longer_than_klaviyos() -> None:
    lengths = [window.length for window in windows(Limits(1, 2, 225), 1.0, "high")]
    assert [length - real for length, real in zip(lengths, (DAY, MINUTE, SECOND), strict=False)] == [100_000] * 3


def test_the_guard_costs_no_published_operation_a_call_per_minute() -> None:
    for limits in {operation.limits for operation in operations().values()}:
        pool = Pool()
        allowed = windows(limits, 1.0, "high")
        calls = min(limits.steady, limits.daily or limits.steady)
        last = [schedule.reserve(pool, 0, allowed, 10**15)[0] for _ in range(calls)][-1]
        assert last < MINUTE, limits


@pytest.mark.parametrize(("crowd", "urgent"), [("normal", "high"), ("low", "normal"), ("low", "high")])
def test_a_higher_priority_overtakes_all_that_a_lower_one_has_booked(crowd: Priority, urgent: Priority) -> None:
    limits = Limits(10, 150)
    pool = Pool()
    booked = [schedule.reserve(pool, 0, windows(limits, 0.9, crowd), 10**15)[0] for _ in range(500)]
    assert booked[-1] > 3 * MINUTE
    assert schedule.reserve(pool, 1, windows(limits, 0.9, urgent), 10**15)[1] <= BURST_TIME


def test_high_calls_never_wait_behind_lower_ones_as_long_as_they_are_few() -> None:
    limits = Limits(10, 150)
    pool = Pool()
    waits = []
    for second in range(120):
        now = second * SECOND
        for _ in range(10):
            schedule.reserve(pool, now, windows(limits, 0.9, "normal"), MINUTE)
        if second % 31 == 0:
            waits.append(schedule.reserve(pool, now, windows(limits, 0.9, "high"), MINUTE)[1])
    assert len(waits) == 4
    assert max(waits) <= BURST_TIME


def test_a_burst_is_handed_out_one_by_one_within_a_quarter_of_a_second() -> None:
    pool = Pool()
    allowed = windows(Limits(10, 150), 1.0, "high")
    booked = [schedule.reserve(pool, 0, allowed, SECOND)[0] for _ in range(10)]
    assert booked == [number * 25_000 for number in range(10)]
