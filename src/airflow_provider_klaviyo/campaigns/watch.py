"""What to look at while waiting, and what it means: one look per function, for worker and triggerer alike.

Each function is a :data:`~airflow_provider_klaviyo.api.calls.Call`. A look that fails for a passing reason raises
:class:`KlaviyoTransientError` or :class:`KlaviyoRateLimitError`; that never ends a wait.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from airflow_provider_klaviyo.api import campaigns
from airflow_provider_klaviyo.api.calls import Call
from airflow_provider_klaviyo.api.errors import KlaviyoNotFoundError, KlaviyoValidationError
from airflow_provider_klaviyo.campaigns.status import CampaignStatus, Outcome, Verdict, is_cancelled, judge, judge_job

PREPARING = (
    CampaignStatus.QUEUED_WITHOUT_RECIPIENTS,
    CampaignStatus.ADDING_RECIPIENTS,
    CampaignStatus.PREPARING_TO_SCHEDULE,
    CampaignStatus.PREPARING_TO_SEND,
)
"""Statuses of a campaign whose send job is, as a rule, still at work."""

LIST_SIZE = 100
"""Campaigns that one request can look at together: a page of Klaviyo's list."""

LONGEST_TRUST = 900.0
"""Seconds for which a campaign's unchanged status is taken to mean an unchanged send job, at most."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What one look saw.

    :param verdict: how the wait stands.
    :param count: recipients estimated, once they are.
    :param send_time: when the campaign will be sent (ISO 8601), if the wait is for that and Klaviyo says so: there is
        little use in looking before.
    """

    verdict: Verdict
    count: int | None = None
    send_time: str | None = None


Glance = Callable[[str, Any, float], Observation | None]
"""What a campaign's status and ``send_time``, as a list of many campaigns tells them, mean for one wait at a time (in
seconds since the epoch); ``None`` when it takes a look of its own to say."""


def look_at_campaign(campaign_id: str, target_statuses: Collection[str]) -> Call[Observation]:
    """Look at a campaign's status. One request.

    :raises KlaviyoNotFoundError: there is no such campaign.
    """
    campaign = yield from campaigns.get_campaign(campaign_id)
    return observe(campaign.text("status"), campaign.attributes.get("send_time"), target_statuses)


def observe(status: str, send_time: Any, target_statuses: Collection[str]) -> Observation:
    """What a campaign's status means for a wait. A ``send_time`` that is not a text is taken for none."""
    verdict = judge(status, target_statuses)
    is_for_the_send = (
        judge(CampaignStatus.SENT, target_statuses).outcome is Outcome.DONE
        and judge(CampaignStatus.SCHEDULED, target_statuses).outcome is Outcome.PENDING
    )
    return Observation(verdict, send_time=send_time if is_for_the_send and isinstance(send_time, str) else None)


def look_at_send_job(campaign_id: str) -> Call[Observation]:
    """Look at a send job's status. One request; one more when there is no job, or to say why it was cancelled.

    No job (404) means not yet, as long as the campaign itself is there: nobody has sent it so far.

    :raises KlaviyoNotFoundError: there is no such campaign.
    """
    try:
        verdict = judge_job((yield from campaigns.get_send_job(campaign_id)))
    except KlaviyoNotFoundError:
        campaign = yield from campaigns.get_campaign(campaign_id)
        return Observation(Verdict(Outcome.PENDING, campaign.text("status")))
    if verdict.outcome is Outcome.FAILED:
        campaign = yield from campaigns.get_campaign(campaign_id)
        why = judge(campaign.text("status"), ())
        verdict = Verdict(Outcome.FAILED, why.status, why.reason or verdict.reason)
    return Observation(verdict)


class SendJobGlance:
    """The :data:`Glance` of a wait for a send job.

    How job and campaign hang together is not documented. So the campaign's status alone never ends the wait: the job
    itself is looked at when the status has moved to anything but preparations, and, while it stands still, at
    intervals that double up to :data:`LONGEST_TRUST`.

    :param interval: seconds between looks.
    """

    def __init__(self, interval: float) -> None:
        self._status = ""
        self._trust = interval
        self._trusted_until: float | None = None

    def __call__(self, status: str, send_time: Any, now: float) -> Observation | None:
        if self._trusted_until is None:
            self._trusted_until = now + self._trust
        moved = status != self._status and status not in PREPARING
        self._status = status
        if not moved and now < self._trusted_until:
            return Observation(Verdict(Outcome.PENDING, status))
        self._trust = min(2 * self._trust, LONGEST_TRUST)
        self._trusted_until = now + self._trust
        return None


def look_at_estimation(campaign_id: str) -> Call[Observation]:
    """Look whether the recipients are counted. One or two requests.

    "No results" (404) means not yet, as long as the campaign itself is there.

    :raises KlaviyoNotFoundError: there is no such campaign.
    """
    try:
        verdict = judge_job((yield from campaigns.get_estimation_job(campaign_id)))
        if verdict.outcome is not Outcome.DONE:
            return Observation(verdict)
        return Observation(verdict, count=(yield from campaigns.get_estimation(campaign_id)))
    except KlaviyoNotFoundError:
        yield from campaigns.get_campaign(campaign_id)
        return Observation(Verdict(Outcome.PENDING, "no result yet"))


def check_statuses(name: str, statuses: object) -> None:
    """Refuse what cannot be statuses to wait for. A status not known here is let through, as Klaviyo adds to them,
    unless it looks like a slip of the pen: a wait for it would never end.

    :param name: the argument.
    :raises KlaviyoValidationError: no list, empty, or with something in it that is no status.
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
        near = difflib.get_close_matches(status.lower(), by_small_letters, n=1, cutoff=cutoff)
        if near and status != (meant := by_small_letters[near[0]]):
            raise KlaviyoValidationError(
                f"{name} has {status!r} in it, which is no status of Klaviyo's. Did you mean {meant!r}?", pointer=name
            )
