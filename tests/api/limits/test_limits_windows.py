"""What a share of the published limits allows: all of it, and never more."""

from __future__ import annotations

import pytest

from airflow_provider_klaviyo.api import operations
from airflow_provider_klaviyo.api.limits import schedule
from airflow_provider_klaviyo.api.limits.schedule import DAY, MINUTE, SECOND, Pool, Window, windows
from airflow_provider_klaviyo.api.operations import Limits
from tests.api.limits.checker import keeps

FOREVER = 10**15

SIZES = [
    (Limits(10, 150), 1.0, [150, 10]),
    (Limits(10, 150), 0.9, [135, 9]),
    (Limits(350, 3500), 1.0, [3500, 350]),
    (Limits(3, 60), 0.9, [54, 2]),
    (Limits(1, 2, 225), 1.0, [225, 2, 1]),
    (Limits(1, 2, 225), 0.9, [202, 1, 1]),
    (Limits(1, 15), 0.01, [1, 1]),
    (Limits(100, 100), 0.29, [29, 29]),
]


@pytest.mark.parametrize(("limits", "share", "calls"), SIZES)
def test_a_share_is_taken_of_every_window(limits: Limits, share: float, calls: list[int]) -> None:
    assert [window.calls for window in windows(limits, share)] == [*calls, 1]


def test_windows_are_a_little_longer_than_klaviyos() -> None:
    lengths = [window.length for window in windows(Limits(1, 2, 225), 1.0)]
    assert [length - real for length, real in zip(lengths, (DAY, MINUTE, SECOND), strict=False)] == [100_000] * 3


@pytest.mark.parametrize("name", ["get_campaign", "send_campaign", "cancel_campaign_send", "query_campaign_values"])
@pytest.mark.parametrize("share", [0.9, 1.0])
def test_a_crowd_of_calls_uses_the_full_share_and_never_more(name: str, share: float) -> None:
    """Judged by the published limits, in Klaviyo's own windows wherever these start."""
    limits = operations.get(name).limits
    per_second, per_minute = max(1, int(limits.burst * share)), max(1, int(limits.steady * share))
    pool, allowed = Pool(), windows(limits, share)
    booked = [schedule.book(pool, 0, allowed, FOREVER)[0] for _ in range(3 * per_minute)]
    assert keeps(booked, [Window(per_minute, MINUTE), Window(per_second, SECOND)])
    assert sum(at < MINUTE for at in booked) == per_minute
    assert sum(at < SECOND for at in booked) == per_second


def test_the_guard_costs_no_published_operation_a_call_per_minute() -> None:
    for limits in {operation.limits for operation in operations.operations().values()}:
        pool = Pool()
        allowed = windows(limits, 1.0)
        calls = min(limits.steady, limits.daily or limits.steady)
        last = [schedule.book(pool, 0, allowed, FOREVER)[0] for _ in range(calls)][-1]
        assert last < MINUTE, limits


def test_a_burst_is_handed_out_one_by_one_within_a_quarter_of_a_second() -> None:
    pool = Pool()
    allowed = windows(Limits(10, 150), 1.0)
    booked = [schedule.book(pool, 0, allowed, SECOND)[0] for _ in range(10)]
    assert booked == [number * 25_000 for number in range(10)]
