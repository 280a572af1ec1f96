"""Klaviyo's clock, read off its answers: what it stamps cannot be compared with the clock of this machine."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

NOISE = 5.0
"""Seconds by which two clocks may seem to differ because an answer was on its way, or has whole seconds only."""


class Clock:
    """How far this machine's clock is ahead of Klaviyo's, by the last answer that was dated."""

    def __init__(self) -> None:
        self.ahead = 0.0
        """Seconds, negative if it is behind; 0 within :data:`NOISE`, and as long as nothing is known."""
        self.is_known = False
        """True if an answer was dated."""

    def read(self, headers: Mapping[str, str]) -> None:
        """Take in the ``Date`` of an answer that has just come."""
        try:
            date = parsedate_to_datetime(headers.get("date") or "").timestamp()
        except (TypeError, ValueError, OverflowError):
            return
        ahead = time.time() - date
        self.ahead = ahead if abs(ahead) > NOISE else 0.0
        self.is_known = True

    def now(self) -> float:
        """Klaviyo's time, as far as it is known: seconds since the epoch."""
        return time.time() - self.ahead
