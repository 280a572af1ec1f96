"""The sandbox's clock: real time, faster if wished, and moved forward on demand."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class Clock:
    """Time in the sandbox.

    :param speed: how many sandbox seconds pass in a real second.
    :param ahead: how many seconds the sandbox is ahead of the real time at the start.
    """

    def __init__(self, speed: float = 1.0, ahead: float = 0.0) -> None:
        self.speed = speed
        self._start = time.time() + ahead
        self._started = time.monotonic()

    def timestamp(self) -> float:
        """Seconds since 1970."""
        return self._start + (time.monotonic() - self._started) * self.speed

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        self._start += seconds

    @property
    def ahead(self) -> float:
        """How many seconds the sandbox is ahead of the real time now."""
        return self.timestamp() - time.time()


def iso(timestamp: float) -> str:
    """A time as Klaviyo writes it: ``2026-09-04T13:38:46.333844+00:00``."""
    return datetime.fromtimestamp(timestamp, UTC).isoformat(timespec="microseconds")


def parse(text: str) -> float:
    """An ISO 8601 time in seconds since 1970. One without an offset is taken for UTC.

    :raises ValueError: not a time.
    """
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
