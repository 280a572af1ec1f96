"""Klaviyo's rate limits: fixed windows of a second, a minute and a day, per account and operation.

Windows run on the real clock, whatever the sandbox's clock does. A refused call is not counted (a choice).
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

from airflow_provider_klaviyo.api.operations import Limits, Operation
from airflow_provider_klaviyo.sandbox.refusals import RefusedError, refusal

SECONDS = {"burst": 1, "steady": 60, "daily": 86400}
COUNTING = Limits(burst=1, steady=15)
"""The limits of a call that asks for a ``profile_count``."""
PREDICTING = Limits(burst=10, steady=150)
"""The limits of a call that asks for profiles with their ``predictive_analytics``."""


@dataclass(slots=True)
class _Window:
    number: int = -1
    calls: int = 0


class ThrottledError(Exception):
    """The account has used up a window.

    :param retry_after: whole seconds until the window ends.
    """

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"throttled for {retry_after} s")
        self.retry_after = retry_after

    def refusal(self) -> RefusedError:
        """429 in Klaviyo's words."""
        unit = "second" if self.retry_after == 1 else "seconds"
        return refusal(
            429,
            "throttled",
            "Request was throttled.",
            f"Request was throttled. Expected available in {self.retry_after} {unit}.",
        )


class Windows:
    """Counts the calls of every account and operation.

    :param enforced: True if a call too many is refused.
    """

    def __init__(self, enforced: bool = True) -> None:
        self.enforced = enforced
        self._windows: dict[tuple[str, str, str], _Window] = {}

    def clear(self) -> None:
        """Forget all calls."""
        self._windows.clear()

    def take(self, account: str, operation: Operation, limits: Limits, now: float | None = None) -> dict[str, str]:
        """Count a call.

        :param now: real time in seconds since 1970.
        :return: the rate limit headers. ``Remaining`` and ``Reset`` are those of the one-second window.
        :raises ThrottledError: the call is one too many.
        """
        now = time.time() if now is None else now
        allowed = {name: count for name in SECONDS if (count := getattr(limits, name)) is not None}
        windows = {name: self._window(account, operation.id, name, now) for name in allowed}
        exhausted = [name for name, window in windows.items() if window.calls >= allowed[name]]
        if exhausted and self.enforced:
            raise ThrottledError(max(_seconds_left(SECONDS[name], now) for name in exhausted))
        for window in windows.values():
            window.calls += 1
        return _headers(allowed, windows["burst"].calls)

    def known(self) -> list[tuple[str, str, int, float]]:
        """Operation, kind (``burst``, ``steady``, ``daily``), calls in the present window, and when the last window
        began in which there was a call, of each that was called."""
        now = time.time()
        return [
            (
                operation,
                name,
                window.calls if window.number == int(now // SECONDS[name]) else 0,
                float(window.number * SECONDS[name]),
            )
            for (_, operation, name), window in self._windows.items()
        ]

    def _window(self, account: str, operation: str, name: str, now: float) -> _Window:
        window = self._windows.setdefault((account, operation, name), _Window())
        number = int(now // SECONDS[name])
        if window.number != number:
            window.number, window.calls = number, 0
        return window


def _seconds_left(length: int, now: float) -> int:
    return max(1, math.ceil(length - now % length))


def _headers(allowed: Mapping[str, int], calls: int) -> dict[str, str]:
    parts = [str(allowed["burst"]), *(f"{count};w={SECONDS[name]}" for name, count in allowed.items())]
    return {
        "RateLimit-Limit": ", ".join(parts),
        "RateLimit-Remaining": str(max(0, allowed["burst"] - calls)),
        "RateLimit-Reset": "1",
    }
