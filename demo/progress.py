"""Says for how long something has been starting."""

from __future__ import annotations

import sys
import time

from demo.table import is_terminal

PLAIN_STEP_SECONDS = 5


class Progress:
    """One line that counts seconds, or without a terminal a line every few seconds.

    :param text: what is going on, such as ``Airflow is starting``.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._started = time.monotonic()
        self._redraws = is_terminal(sys.stdout)
        self._next = 0
        self.tick()

    def tick(self) -> None:
        """Say it again, if it is time."""
        waited = int(time.monotonic() - self._started)
        if waited < self._next:
            return
        self._next = waited + (1 if self._redraws else PLAIN_STEP_SECONDS)
        start, end = ("\r", "") if self._redraws else ("", "\n")
        print(f"{start}{self._text} … {waited} s", end=end, flush=True)

    def done(self, text: str) -> None:
        """Say the last word in place of the counting line."""
        start = "\r" if self._redraws else ""
        print(f"{start}{text} after {time.monotonic() - self._started:.0f} s", flush=True)
