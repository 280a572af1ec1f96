"""How far a task with many rows has come, in its log: now and then, not for each row."""

from __future__ import annotations

import time
from collections.abc import Callable

from airflow_provider_klaviyo.api.text import duration

EVERY = 10.0
"""Seconds between two lines."""


class Progress:
    """Logs how many are done, at what rate, and how long the rest will take.

    :param log: writes a line to the task's log.
    :param what: what is done, such as ``"Read {} rows"``.
    :param total: how many there are; ``None``: not known.
    """

    def __init__(self, log: Callable[..., None], what: str, total: int | None = None) -> None:
        self._log = log
        self._what = what
        self._total = total
        self._began = self._logged = time.monotonic()

    def at(self, done: int, rejected: int = 0) -> None:
        """Say so, unless it was said a moment ago."""
        if time.monotonic() - self._logged >= EVERY:
            self._say(done, rejected)

    def end(self, done: int, rejected: int = 0) -> None:
        """Say how it ended."""
        self._say(done, rejected)

    def _say(self, done: int, rejected: int) -> None:
        self._logged = time.monotonic()
        rate = done / max(self._logged - self._began, 0.001)
        words = [self._what.format(f"{done:,}" if self._total is None else f"{done:,} of {self._total:,}")]
        words.append(f"{rate:,.0f} a second")
        if rejected:
            words.append(f"{rejected:,} rejected")
        if self._total is not None and 0 < done < self._total:
            words.append(f"{duration((self._total - done) / max(rate, 0.001))} left")
        self._log("%s.", ", ".join(words))
