"""A wait for jobs over profiles, step by step: what was seen goes in, out comes how it ended, or how long to pause."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NotRequired, TypedDict, cast

from airflow_provider_klaviyo.api import consent, imports
from airflow_provider_klaviyo.api.calls import Call
from airflow_provider_klaviyo.api.document import Resource
from airflow_provider_klaviyo.api.errors import (
    KlaviyoError,
    KlaviyoNotFoundError,
    KlaviyoRateLimitError,
    KlaviyoTransientError,
)
from airflow_provider_klaviyo.campaigns.status import JobStatus
from airflow_provider_klaviyo.campaigns.wait import JITTER, ErrorFacts, are_facts, asked_for, backed_off, facts

JobKind = Literal["import", "suppress", "unsuppress"]
"""What a job does to profiles. Klaviyo has no job to look at for subscriptions and events."""


class JobsEvent(TypedDict):
    """How the wait ended, in plain values. ``outcome`` is ``done``, ``timeout`` or ``error``.

    ``pending`` has the jobs that may not be over.
    """

    outcome: str
    pending: list[str]
    error: NotRequired[ErrorFacts]


def _import_is_over(job_id: str) -> Call[bool]:
    return (yield from imports.get_import_job(job_id)).is_over


def _is_over(get: Callable[[str], Call[Resource]]) -> Callable[[str], Call[bool]]:
    def look(job_id: str) -> Call[bool]:
        status = (yield from get(job_id)).attributes.get("status")
        return status in (JobStatus.COMPLETE, JobStatus.CANCELLED)

    return look


KINDS: Mapping[JobKind, Callable[[str], Call[bool]]] = {
    "import": _import_is_over,
    "suppress": _is_over(consent.get_suppress_job),
    "unsuppress": _is_over(consent.get_unsuppress_job),
}
"""Looks at one job of a kind: is it over?"""


def look_at_jobs(job_ids: Sequence[str], kind: JobKind = "import") -> Call[list[str]]:
    """Those of some jobs that may not be over: the first that is not, and all after it.

    One request for each job that is over, and one for the first that is not: Klaviyo takes jobs in their order. One
    that is not known (any more) counts as over: whoever reads its result learns of it.
    """
    for place, job_id in enumerate(job_ids):
        try:
            is_over = yield from KINDS[kind](job_id)
        except KlaviyoNotFoundError:
            continue
        if not is_over:
            return list(job_ids[place:])
    return []


@dataclass(slots=True)
class JobsWait:
    """One task's waiting for its jobs.

    :param pending: the jobs that may not be over.
    :param deadline: when to give up, seconds since the epoch.
    :param interval: seconds between looks.
    """

    pending: list[str]
    deadline: float
    interval: float
    _misses: int = field(default=0, init=False)

    def after(self, pending: list[str], now: float) -> JobsEvent | None:
        """Take in a look; the event if the wait is over."""
        self.pending = pending
        self._misses = 0
        return self._late(now) if pending else JobsEvent(outcome="done", pending=[])

    def after_failure(self, error: KlaviyoError, now: float) -> JobsEvent | None:
        """Take in a look that failed; the event if that, or the deadline, ends the wait."""
        self._misses += 1
        if isinstance(error, KlaviyoTransientError | KlaviyoRateLimitError):
            return self._late(now)
        return JobsEvent(outcome="error", pending=self.pending, error=facts(error))

    def pause(self, now: float, error: KlaviyoError | None = None) -> float:
        """Seconds until the next look, longer with each that fails in a row; never past the deadline."""
        seconds = backed_off(self.interval, self._misses) * random.uniform(1 - JITTER, 1 + JITTER)
        return max(0.0, min(max(seconds, asked_for(error)), self.deadline - now))

    def _late(self, now: float) -> JobsEvent | None:
        return JobsEvent(outcome="timeout", pending=self.pending) if now >= self.deadline else None


def parse(event: Any) -> JobsEvent:
    """Check an event that came through Airflow's database.

    :raises KlaviyoError: it is none of ours: nothing is concluded from it.
    """
    pending = event.get("pending") if isinstance(event, Mapping) else None
    if (
        not isinstance(pending, list)
        or not all(isinstance(job_id, str) for job_id in pending)
        or event.get("outcome") not in ("done", "timeout", "error")
        or (event["outcome"] == "error" and not are_facts(event.get("error")))
        or (event["outcome"] == "timeout" and not pending)
    ):
        raise KlaviyoError(f"The trigger's event is not one of this package's: {event!r}. Run the task again.")
    return cast("JobsEvent", dict(event))
