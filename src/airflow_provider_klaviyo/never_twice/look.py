"""What follows from what is remembered and what Klaviyo shows, and how long to look before it is believed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from airflow_provider_klaviyo.api import retry
from airflow_provider_klaviyo.api.text import duration
from airflow_provider_klaviyo.campaigns.status import CampaignStatus, is_cancelled
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.never_twice.notes import IntentNote, SendNote

T = TypeVar("T")

SETTLE = 60.0
"""Seconds after the end of a write within which its effect shows, if it was carried out at all: reads may lag."""

PAUSE = 3.0
"""Seconds between two looks."""

CONFIRMED = 3
"""How often in a row nothing must be found before something is written for the second time."""

log = logging.getLogger(__name__)


class Action(StrEnum):
    """What the protocol may decide."""

    WRITE = "write"
    """Make the call: nothing shows that it was made before."""
    ADOPT = "adopt"
    """It was made: go on with its result."""
    LOOK_AGAIN = "look again"
    """What Klaviyo shows may be late: look again before concluding anything."""
    GIVE_UP = "give up"
    """Fail this try; the next one looks again."""
    REFUSE = "refuse"
    """Fail for good: making the call could do harm, or a person has to decide."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """What is remembered of an earlier call.

    :param intended: the call was about to be made.
    :param accepted: Klaviyo said yes to it, or its effect was seen.
    :param settled: it was intended so long ago that its effect, if any, must show by now.
    :param cleared: somebody cleared the task since.
    """

    intended: bool = False
    accepted: bool = False
    settled: bool = True
    cleared: bool = False


def after_make(found: int, *, settled: bool, same_try: bool) -> Action:
    """After a create or clone whose result is not known: what follows from the number of campaigns that fit.

    :param found: campaigns with the intended name and audience, created since the intent.
    :param settled: True if looking longer cannot change the number.
    :param same_try: True if the call was made by the very try that looks now.
    """
    if found == 1:
        return Action.ADOPT
    if found > 1:
        return Action.REFUSE
    if not settled:
        return Action.LOOK_AGAIN
    return Action.GIVE_UP if same_try else Action.WRITE


def before_send(status: str, remembered: Remembered, *, same_try: bool = False) -> Action:
    """Before (and after an unanswered) send: what follows from the campaign's status.

    ===================  =================================  =====================================================
    status               remembered                         action
    ===================  =================================  =====================================================
    Draft                nothing                            write
    Draft                accepted                           look again; then refuse: a person took it back. After
                                                            a clear: write, for that person cleared the task too
    Draft                intended, not accepted             look again; then, in the same try, give up; in a later
                                                            try write: the first call was not carried out
    on its way           anything                           adopt
    Sent                 intended                           adopt
    Sent                 nothing                            refuse: somebody else sent it
    Cancelled…           anything                           refuse
    ===================  =================================  =====================================================

    :param status: the campaign's status as Klaviyo gave it.
    :param remembered: what this task remembers of its own earlier send of this campaign.
    :param same_try: True if the send was posted by the very try that looks now.
    """
    if status == CampaignStatus.DRAFT:
        if not remembered.intended:
            return Action.WRITE
        if not remembered.settled:
            return Action.LOOK_AGAIN
        if remembered.accepted:
            return Action.WRITE if remembered.cleared else Action.REFUSE
        return Action.GIVE_UP if same_try else Action.WRITE
    if is_cancelled(status):
        return Action.REFUSE
    if status == CampaignStatus.SENT:
        return Action.ADOPT if remembered.intended else Action.REFUSE
    return Action.ADOPT


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

    A task that was killed in between has not noted an end; then the longest time that a call can take counts. A note
    that a person writes may have ``at`` only.
    """
    if note.ended is not None:
        return settled_after(note.ended)
    until = begin_by(hook, note.at) if note.until is None else note.until
    return settled_after(until + longest_exchange(hook))


def look_until(
    look: Callable[[], T],
    is_decided: Callable[[T], bool],
    *,
    what: str,
    is_doubtful: Callable[[T], bool] = lambda _: False,
) -> T:
    """Look, again and again, until the answer is decided; ``is_decided`` has to become true as time goes by.

    :param look: reads from Klaviyo.
    :param is_decided: returns True to stop at what was read.
    :param what: what is looked for, for the task's log.
    :param is_doubtful: True if what was read has to be read :data:`CONFIRMED` times before it is believed.
    """
    looks, seen = 1, look()
    began = logged = time.monotonic()

    def is_open() -> bool:
        return not is_decided(seen) or (looks < CONFIRMED and is_doubtful(seen))

    if is_open():
        log.info("Checking if %s; what Klaviyo shows may lag behind what was done.", what)
    while is_open():
        time.sleep(PAUSE)
        looks, seen = looks + 1, look()
        if time.monotonic() - logged >= 30:
            logged = time.monotonic()
            log.info("Still checking if %s, for %s now.", what, duration(logged - began))
    return seen
