"""What a share of an operation's limits allows, as plain windows."""

from __future__ import annotations

import math
from dataclasses import dataclass

from airflow_provider_klaviyo.api.operations import Limits

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


@dataclass(frozen=True, slots=True)
class Window:
    """At most ``calls`` calls in any ``length`` microseconds."""

    calls: int
    length: int


def windows(limits: Limits, share: float) -> tuple[Window, ...]:
    """The windows a call has to keep to, longest first.

    :param share: part of the published limits to use, more than 0 and at most 1; at least one call per window is left.
    """
    burst, steady = _scaled(limits.burst, share), _scaled(limits.steady, share)
    day = [] if limits.daily is None else [Window(_scaled(limits.daily, share), DAY + GUARD)]
    return (
        *day,
        Window(steady, MINUTE + GUARD),
        Window(burst, SECOND + GUARD),
        Window(1, BURST_TIME // burst),
    )


def _scaled(calls: int, share: float) -> int:
    return max(1, math.floor(calls * share + 1e-9))
