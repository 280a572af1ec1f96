"""The rule itself, as directly as it can be written: the judge of everything the limiter does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from airflow_provider_klaviyo.api.limits.schedule import Window


def keeps(instants: Iterable[int], windows: Sequence[Window]) -> bool:
    """True if no window, wherever it starts, holds more than its calls.

    A window that holds most can be moved until it starts at a call, so those are all that need to be looked at.
    """
    calls = list(instants)
    return all(
        sum(start <= call < start + window.length for call in calls) <= window.calls
        for window in windows
        for start in calls
    )
