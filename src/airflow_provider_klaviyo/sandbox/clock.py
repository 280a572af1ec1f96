"""The sandbox's clock: real time, faster if wished, and moved forward on demand."""

from __future__ import annotations

import time
from datetime import UTC, datetime

LATEST = datetime(9000, 1, 1, tzinfo=UTC).timestamp()
"""Where the clock ends: what is reckoned from it must be a time that can be written, too."""

FASTEST = 1e6
"""The most sandbox seconds in a real second."""

WRITTEN = (datetime.min.replace(tzinfo=UTC).timestamp(), datetime.max.replace(tzinfo=UTC, microsecond=0).timestamp())
"""The first and the last time that can be written."""


class Clock:
    """Time in the sandbox.

    :param speed: how many sandbox seconds pass in a real second: more than 0, at most :data:`FASTEST`.
    :param ahead: how many seconds the sandbox is ahead of the real time at the start.
    :raises ValueError: it cannot go at that speed, or begin there.
    """

    def __init__(self, speed: float = 1.0, ahead: float = 0.0) -> None:
        if not 0 < speed <= FASTEST:
            raise ValueError(f"The speed {speed} is not more than 0 and at most {FASTEST:.0f}.")
        if not 0 <= time.time() + ahead <= LATEST:
            raise ValueError(f"A clock that is {ahead} s ahead is not between the years 1970 and 9000.")
        self.speed = speed
        self._start = time.time() + ahead
        self._started = time.monotonic()

    def timestamp(self) -> float:
        """Seconds since 1970."""
        return min(LATEST, self._start + (time.monotonic() - self._started) * self.speed)

    def advance(self, seconds: float) -> None:
        """Move the clock forward.

        :raises ValueError: it would go back, or beyond the year 8999; the clock stays as it is.
        """
        if not 0 <= seconds <= LATEST - self.timestamp():
            raise ValueError(f"The clock cannot be moved by {seconds} s: it goes forward, and up to the year 9000.")
        self._start += seconds

    @property
    def ahead(self) -> float:
        """How many seconds the sandbox is ahead of the real time now."""
        return self.timestamp() - time.time()


def iso(timestamp: float) -> str:
    """A time as Klaviyo writes it: ``2026-09-04T13:38:46.333844+00:00``.

    One before the year 1 or after the year 9999 is written as the first or the last that can be.
    """
    first, last = WRITTEN
    return datetime.fromtimestamp(min(max(timestamp, first), last), UTC).isoformat(timespec="microseconds")


def parse(text: str) -> float:
    """An ISO 8601 time in seconds since 1970. One without an offset is taken for UTC.

    :raises ValueError: not a time.
    """
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
