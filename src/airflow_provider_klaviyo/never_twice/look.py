"""How long to go on looking before what Klaviyo shows is believed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from airflow_provider_klaviyo.api import retry
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.resume.notes import IntentNote, SendNote

T = TypeVar("T")

SETTLE = 60.0
"""Seconds after the end of a write within which its effect shows, if it was carried out at all: reads may lag."""

PAUSE = 3.0
"""Seconds between two looks."""

CONFIRMED = 3
"""How often in a row nothing must be found before something is written for the second time."""

log = logging.getLogger(__name__)


def now(hook: KlaviyoHook) -> float:
    """Klaviyo's time, as far as it is known, which is what is noted: workers' clocks differ."""
    return hook.get_conn().clock.now()


def begin_by(hook: KlaviyoHook, noted_at: float) -> float:
    """Until when a call may begin that was noted then: time enough for all its attempts, and for its turn.

    :param noted_at: seconds since the epoch, as is what is returned.
    """
    pacing = hook.get_conn().settings.pacing
    return noted_at + retry.LONGEST + (pacing.max_wait if pacing else 0)


def longest_exchange(hook: KlaviyoHook) -> float:
    """Seconds after its begin by which a call is answered or given up."""
    return hook.get_conn().settings.longest_exchange


def settled_after(moment: float) -> float:
    """When the effect of a write that had ended by then must show: seconds since the epoch."""
    return moment + SETTLE


def show_by(hook: KlaviyoHook, note: IntentNote | SendNote) -> float:
    """When the effect of a noted write must show, if it was carried out: seconds since the epoch, by Klaviyo's clock.

    A task that was killed in between has noted no end; then the longest time that a call can take counts. A person who
    writes a note may leave out all but ``at``.
    """
    if note.ended is not None:
        return settled_after(note.ended)
    until = begin_by(hook, note.at) if note.until is None else note.until
    return settled_after(until + longest_exchange(hook))


def look_until(
    look: Callable[[], T],
    is_clear: Callable[[T], bool],
    *,
    what: str,
    is_doubtful: Callable[[T], bool] = lambda _: False,
) -> T:
    """Look, again and again, until the answer is clear; ``is_clear`` has to become true as time goes by.

    :param look: reads from Klaviyo.
    :param is_clear: returns True to stop at what was read.
    :param what: what is looked for, for the task's log.
    :param is_doubtful: True if what was read has to be read :data:`CONFIRMED` times before it is believed.
    """
    looks, seen = 1, look()
    began = told = time.monotonic()

    def is_open() -> bool:
        return not is_clear(seen) or (looks < CONFIRMED and is_doubtful(seen))

    if is_open():
        log.info("Looking whether %s; what Klaviyo shows may lag behind what was done.", what)
    while is_open():
        time.sleep(PAUSE)
        looks, seen = looks + 1, look()
        if time.monotonic() - told >= 30:
            told = time.monotonic()
            log.info("Still looking whether %s, for %.0f s now.", what, told - began)
    return seen
