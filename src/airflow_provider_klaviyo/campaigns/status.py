"""What a campaign's status means for a wait. Pure, and used by sensor, trigger and operator alike."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum

from msgspec import Struct

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.api.text import near


class CampaignStatus(StrEnum):
    """The statuses Klaviyo publishes. It may add more: match with :func:`judge`, not with a closed list."""

    ADDING_RECIPIENTS = "Adding Recipients"
    CANCELLED = "Cancelled"
    CANCELLED_ACCOUNT_DISABLED = "Cancelled: Account Disabled"
    CANCELLED_BILLING_LIMIT = "Cancelled: Billing Limit"
    CANCELLED_INTERNAL_ERROR = "Cancelled: Internal Error"
    CANCELLED_MISCONFIGURED = "Cancelled: Misconfigured"
    CANCELLED_NO_RECIPIENTS = "Cancelled: No Recipients"
    CANCELLED_SMART_SENDING = "Cancelled: Smart Sending"
    DRAFT = "Draft"
    PREPARING_TO_SCHEDULE = "Preparing to schedule"
    PREPARING_TO_SEND = "Preparing to send"
    QUEUED_WITHOUT_RECIPIENTS = "Queued without Recipients"
    SCHEDULED = "Scheduled"
    SENDING = "Sending"
    SENDING_SEGMENTS = "Sending Segments"
    SENT = "Sent"
    UNKNOWN = "Unknown"
    VARIATIONS_SENT = "Variations Sent"


class JobStatus(StrEnum):
    """The statuses of send jobs and recipient estimation jobs."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETE = "complete"
    CANCELLED = "cancelled"


class Outcome(StrEnum):
    """How a wait stands."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"


class Verdict(Struct, frozen=True):
    """How a wait stands, by which status, and for a failure what to do about it."""

    outcome: Outcome
    status: str
    reason: str = ""


REMEDIES = {
    "Cancelled": "It was cancelled; a cancelled campaign cannot be sent again: clone it to resend.",
    "Cancelled: Account Disabled": "Klaviyo has disabled sending for this account: ask their support.",
    "Cancelled: Billing Limit": "The account's sending limit is used up: raise the plan, then clone and resend.",
    "Cancelled: Internal Error": "Klaviyo failed internally: look at status.klaviyo.com, then clone and resend.",
    "Cancelled: Misconfigured": "Sender, content or audience is not fit to send: fix it in Klaviyo, clone, resend.",
    "Cancelled: No Recipients": "Nobody was left to send to: check the lists and segments in 'audiences', and consent.",
    "Cancelled: Some Messages": "The others were sent, and a clone would send them again: clone these messages alone.",
    "Cancelled: Smart Sending": "Smart sending skipped everybody: all had a message of this channel only lately.",
}

CANCELLED_IN_PART = "Cancelled: Some Messages"
"""How the status of an omnichannel campaign begins of whose messages some were sent and some cancelled."""

WITHOUT_MESSAGES = "Without Messages"
"""The status of an omnichannel campaign that has no message yet."""

DRAFTS = (CampaignStatus.DRAFT, WITHOUT_MESSAGES)
"""The statuses of a campaign that nobody has sent or scheduled."""

_SCHEDULED = "Scheduled"
_STEPS = (CampaignStatus.DRAFT, CampaignStatus.SCHEDULED, CampaignStatus.SENDING)
_UNDER_WAY_OR_SENT = ("Sending", "Variations Sent", "Sent")


def matches(status: str, targets: Collection[str]) -> bool:
    """True if a status is one of the targets; ``Cancelled`` stands for every status that begins so."""
    if is_cancelled(status) and CampaignStatus.CANCELLED in targets:
        return True
    return any(status == target or status.startswith(f"{target}:") for target in targets)


def is_cancelled(status: str) -> bool:
    """True if it was cancelled, in whatever way: Klaviyo's pages also show ``Cancelled During Send``, say."""
    return status.startswith(CampaignStatus.CANCELLED)


def is_final(status: str) -> bool:
    """True if no later status can follow: sent or cancelled. An unknown status is not final."""
    return status == CampaignStatus.SENT or is_cancelled(status)


def of_message(status: str) -> str:
    """The word of :class:`CampaignStatus` for a message's status, such as ``Sent`` for ``sent``."""
    return status[:1].upper() + status[1:]


def of_messages(statuses: Mapping[str, str]) -> str:
    """The one status, to be judged by :func:`judge`, of an omnichannel campaign, whose messages have a status each.

    A campaign is as far as the message that is least far: it is ``Sent`` once all are, and cancelled only once none is
    left that may still go; if others were sent, the status names those that were cancelled. A message's status that is
    not known here is the least far. All of this is a choice: Klaviyo has no status of such a campaign.

    :param statuses: Klaviyo's word for each message's status (``sent``), by the message's id.
    """
    seen = {message_id: of_message(status) for message_id, status in statuses.items()}
    if not seen:
        return WITHOUT_MESSAGES
    if left := [status for status in seen.values() if not is_final(status)]:
        return min(left, key=lambda status: _STEPS.index(status) if status in _STEPS else -1)
    cancelled = [message_id for message_id, status in seen.items() if is_cancelled(status)]
    if 0 < len(cancelled) < len(seen):
        return f"{CANCELLED_IN_PART} ({', '.join(cancelled)})"
    return min(seen.values())


UNDER_WAY = [status for status in CampaignStatus if status != CampaignStatus.DRAFT and not is_final(status)]
"""The statuses of a campaign that is scheduled, or being sent."""


def judge(status: str, targets: Collection[str]) -> Verdict:
    """Judge a campaign's status for a wait.

    Done at one of the targets; failed at another final status; pending at all else, also at a status that is not
    known here: Klaviyo may add statuses at any time, and a wait has its deadline. A wait for ``Scheduled`` is done
    too when the campaign is already beyond it.

    :param status: the campaign's status as Klaviyo gave it.
    :param targets: the statuses waited for.
    """
    if matches(status, targets):
        return Verdict(Outcome.DONE, status)
    if _SCHEDULED in targets and status.startswith(_UNDER_WAY_OR_SENT):
        return Verdict(Outcome.DONE, status)
    if is_final(status):
        reason = REMEDIES.get(status.partition(" (")[0]) or (
            REMEDIES[CampaignStatus.CANCELLED] if is_cancelled(status) else ""
        )
        return Verdict(Outcome.FAILED, status, reason)
    return Verdict(Outcome.PENDING, status)


def judge_job(status: str) -> Verdict:
    """Judge a send job's or an estimation job's status; a status not known here is pending."""
    if status == JobStatus.COMPLETE:
        return Verdict(Outcome.DONE, status)
    if status == JobStatus.CANCELLED:
        return Verdict(Outcome.FAILED, status, "The job was cancelled.")
    return Verdict(Outcome.PENDING, status)


def check_statuses(name: str, statuses: object) -> None:
    """Refuse what cannot be statuses to wait for. A status not known here is let through, as Klaviyo adds to them,
    unless it looks like a slip of the pen: a wait for it would never end.

    :param name: the argument.
    :raises KlaviyoValidationError: not a list, empty, or with something in it that is not a status.
    """
    if isinstance(statuses, str) or not isinstance(statuses, Collection) or not statuses:
        raise KlaviyoValidationError(
            f"{name} is {statuses!r}; give a list of statuses, such as ['Sent'].", pointer=name
        )
    by_small_letters = {status.lower(): str(status) for status in CampaignStatus}
    for status in statuses:
        if not isinstance(status, str) or not status.strip():
            raise KlaviyoValidationError(f"{name} has {status!r} in it; give statuses, such as 'Sent'.", pointer=name)
        cutoff = 1.0 if is_cancelled(status) else 0.7
        found = near(status.lower(), by_small_letters, cutoff=cutoff)
        if found and status != (meant := by_small_letters[found[0]]):
            raise KlaviyoValidationError(
                f"{name} has {status!r} in it, which is not a status of Klaviyo's. Did you mean {meant!r}?",
                pointer=name,
            )
