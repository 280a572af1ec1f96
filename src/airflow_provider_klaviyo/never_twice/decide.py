"""What to do on entering a task that writes, from what is remembered and what Klaviyo shows. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from airflow_provider_klaviyo.campaigns.status import CampaignStatus, is_cancelled


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
    :param settled: whether looking longer can no longer change the number.
    :param same_try: whether the call was made by the very try that looks now.
    """
    if found == 1:
        return Action.ADOPT
    if found > 1:
        return Action.REFUSE
    if not settled:
        return Action.LOOK_AGAIN
    return Action.GIVE_UP if same_try else Action.WRITE


def before_send(status: str, note: Remembered, *, same_try: bool = False) -> Action:
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
    :param note: what this task remembers of its own earlier send of this campaign.
    :param same_try: whether the send was posted by the very try that looks now.
    """
    if status == CampaignStatus.DRAFT:
        if not note.intended:
            return Action.WRITE
        if not note.settled:
            return Action.LOOK_AGAIN
        if note.accepted:
            return Action.WRITE if note.cleared else Action.REFUSE
        return Action.GIVE_UP if same_try else Action.WRITE
    if is_cancelled(status):
        return Action.REFUSE
    if status == CampaignStatus.SENT:
        return Action.ADOPT if note.intended else Action.REFUSE
    return Action.ADOPT
