"""What an operation's limits allow one priority, as plain windows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from airflow_provider_klaviyo.api.operations import Limits

Priority = Literal["high", "normal", "low"]

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

SMALLEST_DIVIDED = 5
"""Windows of fewer calls are too small to keep some of them for a higher priority."""


@dataclass(frozen=True, slots=True)
class Window:
    """At most ``calls`` calls in any ``length`` microseconds."""

    calls: int
    length: int


def windows(limits: Limits, share: float, priority: Priority) -> tuple[Window, ...]:
    """The windows a call has to keep to, longest first.

    A priority is a part of the windows, not a place in a queue: whatever the lower priorities have booked ahead, a part
    of each second and minute is left for the higher ones, who book it and so overtake. ``high`` may use all, ``normal``
    leaves one call in fifty (at least one) to ``high``, ``low`` books only where less than half is taken. The day is
    not divided: it says how much, not who is first.

    :param share: part of the published limits to use, more than 0 and at most 1; at least one call per window is left.
    """
    burst, steady = _scaled(limits.burst, share), _scaled(limits.steady, share)
    day = [] if limits.daily is None else [Window(_scaled(limits.daily, share), DAY + GUARD)]
    return (
        *day,
        Window(_part(steady, priority), MINUTE + GUARD),
        Window(_part(burst, priority), SECOND + GUARD),
        Window(1, BURST_TIME // burst),
    )


def _scaled(calls: int, share: float) -> int:
    return max(1, math.floor(calls * share + 1e-9))


def _part(calls: int, priority: Priority) -> int:
    if priority == "high" or calls < SMALLEST_DIVIDED:
        return calls
    if priority == "normal":
        return calls - max(1, calls // 50)
    return calls // 2
