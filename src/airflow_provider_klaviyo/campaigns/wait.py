"""A wait, step by step: what was seen goes in, and out comes either how it ended or how long to pause.

No clock and no I/O here, so that a worker's loop and a trigger's loop end alike.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from types import NoneType
from typing import Any, NotRequired, TypedDict, cast

from airflow_provider_klaviyo.api import campaigns, filters
from airflow_provider_klaviyo.api.calls import Call
from airflow_provider_klaviyo.api.errors import (
    KlaviyoApiError,
    KlaviyoError,
    KlaviyoNotFoundError,
    KlaviyoRateLimitError,
    KlaviyoTransientError,
)
from airflow_provider_klaviyo.api.operations import is_omnichannel
from airflow_provider_klaviyo.api.text import epoch, is_text
from airflow_provider_klaviyo.campaigns import omnichannel
from airflow_provider_klaviyo.campaigns.status import CampaignStatus, Outcome, Verdict, judge, judge_job

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


GRACE = 60.0
"""Seconds for which a reading that contradicts what was just written is taken for a late one."""

JITTER = 0.1
"""Part of the poll interval by which pauses differ, so that many waits do not knock at the same instant."""

LONGEST_BACKOFF = 300.0
"""Seconds between looks, at most, while they keep failing; unless the interval is longer anyhow."""

LONGEST_ERRORS = 10_000
"""Characters, as JSON, of Klaviyo's errors in an event, at most: events are kept in Airflow's database."""

LONGEST_PAUSE = 900.0
"""Seconds between looks at a campaign whose send time is far off, at most: a person may cancel it meanwhile."""

AT_REST = (CampaignStatus.SCHEDULED, CampaignStatus.QUEUED_WITHOUT_RECIPIENTS)
"""Statuses in which a campaign stays until its send time."""

REVERTED = "It is a draft again: somebody reverted the send. It goes out only if it is sent again."

TOLD_OF_ERRORS = ("call", "connection", "advice", "reason", "campaign_id")
"""What an error in plain values may have besides: texts."""

_OUTCOMES = ("done", "failed", "timeout", "error")
_ERROR_FACTS: Mapping[str, tuple[type, ...]] = {
    "kind": (str,),
    "message": (str,),
    "status": (int, NoneType),
    "code": (str, NoneType),
    "pointer": (str, NoneType),
    "request_id": (str, NoneType),
}


@dataclass(frozen=True, slots=True)
class Observation:
    """What one look saw.

    :param verdict: how the wait stands.
    :param count: recipients estimated, once they are.
    :param send_time: when the campaign will be sent (ISO 8601), if the wait is for that and Klaviyo has it: there is
        little use in looking before.
    """

    verdict: Verdict
    count: int | None = None
    send_time: str | None = None


RowLook = Callable[[str, Any, float], Observation | None]
"""What a campaign's status and ``send_time``, as a row of a list of campaigns has them, mean for one wait at a time (in
seconds since the epoch); ``None`` when it takes a look of its own."""


def look_at_campaign(campaign_id: str, target_statuses: Collection[str], revision: str) -> Call[Observation]:
    """Look at a campaign's status. One request.

    :param revision: API revision in use.
    :raises KlaviyoNotFoundError: there is no such campaign.
    """
    if is_omnichannel(revision):
        row = yield from omnichannel.get_campaign(campaign_id)
        return observe(row["status"], row["send_time"], target_statuses)
    campaign = yield from campaigns.get_campaign(campaign_id)
    return observe(campaign.text("status"), campaign.attributes.get("send_time"), target_statuses)


def look_at_campaigns(channel: campaigns.Channel | None, campaign_ids: Collection[str]) -> Call[list[dict[str, Any]]]:
    """List up to :data:`LIST_SIZE` campaigns with their status and send time. One request.

    :param channel: of which list; ``None``: of the list of omnichannel campaigns.
    """
    wanted, fields = filters.any_of("id", campaign_ids), ["status", "send_time"]
    if channel is None:
        return omnichannel.list_campaigns(filter=wanted, fields=fields)
    return campaigns.list_campaigns(channels=[channel], filter=wanted, fields=fields)


def observe(status: str, send_time: Any, target_statuses: Collection[str]) -> Observation:
    """What a campaign's status means for a wait. A ``send_time`` that is not a text is taken for none."""
    verdict = judge(status, target_statuses)
    is_for_the_send = (
        judge(CampaignStatus.SENT, target_statuses).outcome is Outcome.DONE
        and judge(CampaignStatus.SCHEDULED, target_statuses).outcome is Outcome.PENDING
    )
    return Observation(verdict, send_time=send_time if is_for_the_send and isinstance(send_time, str) else None)


def look_at_send_job(campaign_id: str) -> Call[Observation]:
    """Look at a send job's status. One request; one more when there is no job, or for why it was cancelled.

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


class SendJobRowLook:
    """The :data:`RowLook` of a wait for a send job.

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
    """Look if the recipients are counted. One or two requests.

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


class ErrorFacts(TypedDict):
    """An error in plain values; of Klaviyo's own ``errors`` the first ones, where they are long. ``reason`` and
    ``campaign_id`` are those of a refusal."""

    kind: str
    message: str
    status: int | None
    code: str | None
    pointer: str | None
    request_id: str | None
    call: NotRequired[str]
    connection: NotRequired[str]
    advice: NotRequired[str]
    errors: NotRequired[list[dict[str, Any]]]
    reason: NotRequired[str]
    campaign_id: NotRequired[str]


class WaitEvent(TypedDict):
    """How a wait ended, in plain values: it crosses from the triggerer to the worker through Airflow's database.

    ``outcome`` is ``done``, ``failed`` (Klaviyo ended it another way), ``timeout`` or ``error`` (Klaviyo refuses to
    answer, and asking again cannot help).
    """

    campaign_id: str
    outcome: str
    status: str
    reason: NotRequired[str]
    count: NotRequired[int]
    error: NotRequired[ErrorFacts]


@dataclass(slots=True)
class Wait:
    """One wait for one campaign.

    :param campaign_id: the campaign.
    :param deadline: when to give up, seconds since the epoch: absolute, so that a restart does not extend it.
    :param interval: seconds between looks.
    :param after_send: True if this task put the campaign on its way before. Then a draft, or no campaign at all, is a
        late reading for up to :data:`GRACE` seconds and after that a failure. Otherwise a draft is waited for (a
        person may send it), and a campaign that is not there ends the wait.
    """

    campaign_id: str
    deadline: float
    interval: float
    after_send: bool = False
    status: str = ""
    _contradicted_since: float | None = field(default=None, init=False)
    _send_at: float | None = field(default=None, init=False)
    _misses: int = field(default=0, init=False)

    def after(self, observation: Observation, now: float) -> WaitEvent | None:
        """Take in a look; the event if the wait is over."""
        verdict = observation.verdict
        self.status = verdict.status
        self._misses = 0
        self._send_at = epoch(observation.send_time)
        if verdict.outcome is Outcome.DONE:
            event = self._event("done")
            if observation.count is not None:
                event["count"] = observation.count
            return event
        if verdict.outcome is Outcome.FAILED:
            return self._event("failed", verdict.reason)
        if self.after_send and verdict.status == CampaignStatus.DRAFT:
            return self._event("failed", REVERTED) if self._contradicted(now) else self._late(now)
        self._contradicted_since = None
        return self._late(now)

    def after_failure(self, error: KlaviyoError, now: float) -> WaitEvent | None:
        """Take in a look that failed; the event if that, or the deadline, ends the wait."""
        self._misses += 1
        if isinstance(error, KlaviyoTransientError | KlaviyoRateLimitError):
            return self._late(now)
        if self.after_send and isinstance(error, KlaviyoNotFoundError) and not self._contradicted(now):
            return self._late(now)
        event = self._event("error", str(error))
        event["error"] = facts(error)
        return event

    def pause(self, now: float, error: KlaviyoError | None = None) -> float:
        """Seconds until the next look: the interval, doubled with each look that fails in a row, or what Klaviyo asked
        for, or a part of the way to a send time still far off; never past the deadline."""
        seconds = backed_off(self.interval, self._misses)
        if self.rests_until is not None:
            seconds = max(seconds, min((self.rests_until - now) / 2, LONGEST_PAUSE))
        seconds = max(seconds * random.uniform(1 - JITTER, 1 + JITTER), asked_for(error))
        return max(0.0, min(seconds, self.deadline - now))

    @property
    def rests_until(self) -> float | None:
        """The send time, in seconds since the epoch, of a campaign that just stands on Klaviyo's schedule."""
        return self._send_at if self.status in AT_REST else None

    def _contradicted(self, now: float) -> bool:
        """True if a contradicting reading has now held for longer than the grace."""
        if self._contradicted_since is None:
            self._contradicted_since = now
        return now - self._contradicted_since > GRACE

    def _late(self, now: float) -> WaitEvent | None:
        return self._event("timeout") if now >= self.deadline else None

    def _event(self, outcome: str, reason: str = "") -> WaitEvent:
        event = WaitEvent(campaign_id=self.campaign_id, outcome=outcome, status=self.status)
        if reason:
            event["reason"] = reason
        return event


def backed_off(interval: float, misses: int) -> float:
    """Seconds until the next look: the interval, doubled with each look after the first that fails in a row."""
    return min(interval * 2.0 ** min(misses - 1, 16), max(interval, LONGEST_BACKOFF)) if misses else interval


def asked_for(error: KlaviyoError | None) -> float:
    """Seconds until the next look that Klaviyo itself asked for; 0 if it did not."""
    if not isinstance(error, KlaviyoRateLimitError):
        return 0.0
    return (error.retry_after or 0) * random.uniform(1, 1 + JITTER)


def facts(error: KlaviyoError) -> ErrorFacts:
    """An error in plain values."""
    known = error if isinstance(error, KlaviyoApiError) else KlaviyoApiError(str(error))
    plain = ErrorFacts(
        kind=type(error).__name__,
        message=known.message,
        status=known.status,
        code=known.code,
        pointer=known.pointer,
        request_id=known.request_id,
    )
    if storable := list(_storable(known.errors)):
        plain["errors"] = storable
    told = {name: str(value) for name in TOLD_OF_ERRORS if (value := getattr(error, name, None))}
    return cast("ErrorFacts", {**plain, **told})


def _storable(errors: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The first of Klaviyo's errors, as many as a database takes."""
    size = 0
    for error in errors:
        try:
            text = json.dumps(error, ensure_ascii=False, allow_nan=False)
        except (ValueError, RecursionError):
            return
        size += len(text)
        if size > LONGEST_ERRORS or r"\u0000" in text or not is_text(text):
            return
        yield error


def parse(event: Any) -> WaitEvent:
    """Check an event that came through Airflow's database.

    :raises KlaviyoError: it is none of ours: nothing is concluded from it.
    """
    if (
        not isinstance(event, Mapping)
        or event.get("outcome") not in _OUTCOMES
        or not isinstance(event.get("campaign_id"), str)
        or not isinstance(event.get("status"), str)
        or not isinstance(event.get("reason", ""), str)
        or not isinstance(event.get("count", 0), int)
        or (event["outcome"] == "error" and not are_facts(event.get("error")))
    ):
        raise KlaviyoError(f"The trigger's event is not one of this package's: {event!r}. Run the task again.")
    return cast("WaitEvent", dict(event))


def are_facts(facts: Any) -> bool:
    """True for an error in plain values."""
    return (
        isinstance(facts, Mapping)
        and all(name in facts and isinstance(facts[name], kinds) for name, kinds in _ERROR_FACTS.items())
        and all(isinstance(facts.get(name, ""), str) for name in TOLD_OF_ERRORS)
        and isinstance(facts.get("errors", []), list)
        and all(isinstance(error, Mapping) for error in facts.get("errors", []))
    )
