"""A wait until a list or a segment is filled: what was seen goes in, and out comes how it ended or how long to pause.

No clock and no I/O here, so that a worker's looks and a trigger's looks end alike.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, NotRequired, TypedDict, cast

from airflow_provider_klaviyo.api.calls import Call
from airflow_provider_klaviyo.api.errors import KlaviyoError, KlaviyoRateLimitError, KlaviyoTransientError
from airflow_provider_klaviyo.api.request import build
from airflow_provider_klaviyo.api.text import duration
from airflow_provider_klaviyo.campaigns.wait import JITTER, ErrorFacts, are_facts, asked_for, backed_off, facts

_OPERATIONS = {"list": "get_list", "segment": "get_segment"}
_OUTCOMES = ("done", "timeout", "error")


@dataclass(frozen=True, slots=True)
class Audience:
    """A list or a segment."""

    kind: Literal["list", "segment"]
    id: str

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


@dataclass(frozen=True, slots=True)
class Size:
    """What one look saw.

    :param count: profiles in the audience.
    :param is_processing: True if Klaviyo says that it is still at work on a segment. That it is not says nothing: of a
        new segment Klaviyo says so at once, minutes before the members appear.
    """

    count: int
    is_processing: bool = False

    def __str__(self) -> str:
        profiles = "1 profile" if self.count == 1 else f"{self.count:,} profiles"
        return f"{profiles}, and Klaviyo is processing it" if self.is_processing else profiles


def look_at_size(audience: Audience) -> Call[Size]:
    """Count an audience. One request, of which Klaviyo takes one a second and 15 a minute from an account.

    :raises KlaviyoNotFoundError: there is no such list or segment.
    """
    kind = audience.kind
    query = {f"additional-fields[{kind}]": "profile_count"}
    answer = yield build(_OPERATIONS[kind], path_params={"id": audience.id}, query=query)
    found = answer.about(kind, audience.id)
    return Size(found.number("profile_count"), found.attributes.get("is_processing") is True)


class ReadyEvent(TypedDict):
    """How a wait ended, in plain values: it crosses from the triggerer to the worker through Airflow's database.

    ``outcome`` is ``done``, ``timeout`` or ``error`` (Klaviyo refuses to answer, and asking again cannot help).
    """

    audience: str
    outcome: str
    count: NotRequired[int]
    reason: NotRequired[str]
    error: NotRequired[ErrorFacts]


@dataclass(slots=True)
class ReadyWait:
    """One wait for one audience: until it has so many profiles, and their number has stood still.

    The quiet period begins anew with each change, up or down, and while Klaviyo says that it is processing.

    :param audience: the list or segment.
    :param minimum: the number of profiles that is enough.
    :param settled: seconds for which the number has to stand still.
    :param deadline: when to give up, seconds since the epoch: absolute, so that a restart does not extend it.
    :param interval: seconds between looks.
    """

    audience: Audience
    minimum: int
    settled: float
    deadline: float = math.inf
    interval: float = 60.0
    size: Size | None = field(default=None, init=False)
    since: float = field(default=0.0, init=False)
    _misses: int = field(default=0, init=False)

    def after(self, size: Size, now: float) -> ReadyEvent | None:
        """Take in a look; the event if the wait is over."""
        self._misses = 0
        if self.size is None or size.count != self.size.count or size.is_processing:
            self.since = now
        self.size = size
        if size.count >= self.minimum and not size.is_processing and now - self.since >= self.settled:
            return ReadyEvent(audience=str(self.audience), outcome="done", count=size.count)
        return self._late(now)

    def after_failure(self, error: KlaviyoError, now: float) -> ReadyEvent | None:
        """Take in a look that failed; the event if that, or the deadline, ends the wait."""
        self._misses += 1
        if isinstance(error, KlaviyoTransientError | KlaviyoRateLimitError):
            return self._late(now)
        return ReadyEvent(audience=str(self.audience), outcome="error", error=facts(error))

    def pause(self, now: float, error: KlaviyoError | None = None) -> float:
        """Seconds until the next look: the interval, doubled with each look that fails in a row, or what Klaviyo asked
        for; never past the deadline.

        It is never shorter than the interval: two of 60 s are then enough for a quiet period of 120 s.
        """
        seconds = backed_off(self.interval, self._misses) * random.uniform(1, 1 + JITTER)
        return max(0.0, min(max(seconds, asked_for(error)), self.deadline - now))

    def unmet(self) -> str:
        """What was waited for and has not come, for the message of a timeout."""
        wanted = f"waited for were {self.minimum:,} at least, unchanged for {duration(self.settled)}"
        if self.size is None:
            return f"The {self.audience} was never seen; {wanted}. Klaviyo did not answer: see the log of this task."
        moment = datetime.fromtimestamp(self.since, UTC)
        return (
            f"The {self.audience} has {self.size}, since {moment:%Y-%m-%d %H:%M:%S} UTC; {wanted}. Check what fills "
            f"it, or raise 'timeout'."
        )

    def note(self) -> dict[str, Any]:
        """What was seen so far, in plain values, for :meth:`recall`."""
        if self.size is None:
            return {}
        return {
            "audience": str(self.audience),
            "count": self.size.count,
            "is_processing": self.size.is_processing,
            "since": self.since,
        }

    def recall(self, note: Any) -> None:
        """Go on from what was noted of this audience; a note of another one, or of another shape, is left alone."""
        if not isinstance(note, Mapping) or note.get("audience") != str(self.audience):
            return
        count, since = note.get("count"), note.get("since")
        if isinstance(count, int) and isinstance(since, int | float):
            self.size, self.since = Size(count, note.get("is_processing") is True), since

    def _late(self, now: float) -> ReadyEvent | None:
        if now < self.deadline:
            return None
        return ReadyEvent(audience=str(self.audience), outcome="timeout", reason=self.unmet())


def parse(event: Any) -> ReadyEvent:
    """Check an event that came through Airflow's database.

    :raises KlaviyoError: it is none of ours: nothing is concluded from it.
    """
    if (
        not isinstance(event, Mapping)
        or event.get("outcome") not in _OUTCOMES
        or not isinstance(event.get("audience"), str)
        or not isinstance(event.get("reason", ""), str)
        or (event["outcome"] == "done" and not isinstance(event.get("count"), int))
        or (event["outcome"] == "error" and not are_facts(event.get("error")))
    ):
        raise KlaviyoError(f"The trigger's event is not one of this package's: {event!r}. Run the task again.")
    return cast("ReadyEvent", dict(event))
