"""Clocks that a test sets: a worker's that is wrong, and hours that pass at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
import time_machine


@contextmanager
def worker_clock(ahead: float) -> Iterator[None]:
    """The clock of this machine is so many seconds ahead of Klaviyo's. The sandbox keeps its own time."""
    with time_machine.travel(time.time() + ahead, tick=True):
        yield


class Hours:
    """Time that passes at once, for this machine and for the sandbox alike."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, traveller: time_machine.Traveller) -> None:
        self._traveller = traveller
        self._ahead = 0.0
        monotonic = time.monotonic
        monkeypatch.setattr(time, "monotonic", lambda: monotonic() + self._ahead)
        self._monkeypatch = monkeypatch

    def pass_by(self, seconds: float) -> None:
        self._traveller.shift(seconds)
        self._ahead += seconds

    def worker_is_ahead(self, seconds: float) -> None:
        """Move this machine's clock alone; no time passes."""
        self._traveller.shift(seconds)

    def sleeping_takes_none(self) -> None:
        """From now on, who sleeps for a second or more lets the time pass at once."""
        sleep = time.sleep

        def pass_or_sleep(seconds: float) -> None:
            if seconds < 1:
                sleep(seconds)
            else:
                self.pass_by(seconds)

        self._monkeypatch.setattr(time, "sleep", pass_or_sleep)


def within_one_day(minutes: int) -> None:
    """Wait for midnight (UTC) if a test whose campaigns have the day in their names would cross it."""
    now = datetime.now(UTC)
    midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC)
    if midnight - now < timedelta(minutes=minutes):
        time.sleep((midnight - now).total_seconds() + 1)
