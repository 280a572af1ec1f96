"""What can go wrong, where, and a plan of it for one run."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

READ_TIMEOUT = 60.0
"""Virtual seconds after which a client stops waiting for an answer."""


WRITES = ("create_campaign", "create_campaign_clone", "send_campaign", "create_list")
POSTS = (*WRITES, "assign_template_to_campaign_message", "refresh_campaign_recipient_estimation")


LAG = 45.0
"""Virtual seconds for which reads lag behind a write at most. The package allows for 60."""


class Killed(BaseException):
    """The process dies here."""


@dataclass(frozen=True, slots=True)
class Point:
    """A place that a task passes, or may never pass.

    :param task: task id.
    :param what: ``call <operation>``, ``store <verb> <key>``, ``xcom pull``, ``connection`` (it is looked up), ``turn``
        (a send waits for it), ``end`` (a result is had, not yet reported), ``defer``, ``deferred``,
        ``poll <operation>`` (in the triggerer) or ``resume``.
    :param side: ``before`` or ``after``.
    """

    task: str
    what: str
    side: str

    def __str__(self) -> str:
        return f"{self.side} {self.what} in {self.task}"

    @property
    def is_call(self) -> bool:
        return self.what.startswith(("call ", "poll "))

    @property
    def is_write(self) -> bool:
        """True if a call made twice would make or mail something twice."""
        return self.what.removeprefix("call ") in WRITES

    @property
    def is_post(self) -> bool:
        return self.what.removeprefix("call ") in POSTS

    @property
    def is_polling(self) -> bool:
        return self.what.startswith("poll ")


CUTS: Mapping[str, Mapping[str, Any] | None] = {
    "refused": None,
    "reset before commit": {"fault": "drop_before_commit"},
    "committed, then reset": {"fault": "drop_after_commit"},
    "committed, then 503": {"fault": "status_after_commit", "status": 503},
    "committed, then 504": {"fault": "status_after_commit", "status": 504},
    "committed, then 524": {"fault": "status_after_commit", "status": 524},
    "committed, then not JSON": {"fault": "garbage"},
    "committed, then silence": {"fault": "delay", "when": "after", "seconds": 600},
    "committed, answered after the retry began": {"fault": "delay", "when": "after", "seconds": READ_TIMEOUT + 10},
    "committed 20 s after the client gave up": {"fault": "delay", "when": "before", "seconds": READ_TIMEOUT + 20},
    "500 before commit": {"fault": "status_before_commit", "status": 500},
    "429 for 5 s": {"fault": "throttle", "retry_after": 5},
    "429 for 59 s": {"fault": "throttle", "retry_after": 59},
    "429 for a day": {"fault": "throttle", "retry_after": 67_608},
}
"""What can happen to a call: a rule for the sandbox; ``None`` is a connection that is refused."""

ANSWERS: Mapping[str, tuple[str, bool]] = {
    f"{'committed, then' if committed else 'instead:'} {reply}": (reply, committed)
    for reply in ("302", "307", "429 in HTML", "409", "empty 200", "200, data null", "200, another's data")
    for committed in (True, False)
}
"""What a gateway can answer to a POST: which reply, and if Klaviyo carries the call out all the same."""

LOCAL = ("the key cannot be had", "the body cannot be encoded", "the connection cannot be had")
"""What can go wrong before a call leaves this machine."""

SLOW, PERSON = "takes long", "takes long, and a person sends meanwhile"
AIRFLOW_AWAY, TURN = 16.0, 60.0
"""Seconds for which a request to Airflow is repeated while its API server is away, and for which a call may wait."""

SILENT = frozenset(name for name, rule in CUTS.items() if rule and rule["fault"] == "delay")
COMMITTED = frozenset(name for name in (*CUTS, *ANSWERS) if name.startswith("committed"))


@dataclass(frozen=True, slots=True)
class Effect:
    """What happens at a point.

    :param kind: a name of :data:`CUTS`, :data:`ANSWERS` or :data:`LOCAL`; ``kill`` (the process dies: the task's, or
        for a poll the triggerer); ``pause`` (the process hangs, Airflow takes it for dead, and it wakes up later);
        ``store refuses``; :data:`SLOW` or :data:`PERSON`; ``clear`` (a person clears the deferred task).
    :param stale: how many of the reads that follow the call do not show what it did.
    """

    kind: str
    stale: int = 0

    def __str__(self) -> str:
        return f"{self.kind}, stale for {self.stale} reads" if self.stale else self.kind


def possible(point: Point, *, pauses: bool = True) -> list[str]:
    """The kinds of effects that can be had at a point."""
    if point.what == "deferred":
        return ["clear"]
    if point.what == "connection":
        return [LOCAL[2]]
    is_in_send = point.task == "send"
    if point.what in ("xcom pull", "turn") or point.what.startswith("store get "):
        return [PERSON] if is_in_send else [SLOW]
    kinds = ["kill"]
    if point.is_call and point.side == "before":
        kinds += CUTS
        if point.is_post:
            kinds += [*ANSWERS, *LOCAL[:2]]
    if point.what.startswith("store set ") and point.side == "before":
        kinds += [SLOW, PERSON] if is_in_send else [SLOW]
    if point.what.startswith("store ") and point.side == "before":
        kinds.append("store refuses")
    if pauses and not point.is_polling:
        kinds.append("pause")
    return kinds


@dataclass(slots=True)
class Plan:
    """Decides at each point what happens, and notes what it saw and did.

    :param seen: all points passed, in order.
    :param fired: the effects had, with where.
    """

    seen: list[Point] = field(default_factory=list)
    fired: list[tuple[Point, Effect]] = field(default_factory=list)

    @property
    def planned(self) -> int:
        """How many effects are meant to be had."""
        return 0

    def effect(self, point: Point) -> Effect | None:
        """What happens at the point that is passed now."""
        self.seen.append(point)
        effect = self._decide(point)
        if effect is not None:
            self.fired.append((point, effect))
        return effect

    def _decide(self, point: Point) -> Effect | None:
        return None


@dataclass(slots=True)
class Exact(Plan):
    """Each effect at one passage of one point.

    :param wanted: point, which passage of it (from 0), effect.
    """

    wanted: Sequence[tuple[Point, int, Effect]] = ()
    _passed: Counter[Point] = field(default_factory=Counter)

    @property
    def planned(self) -> int:
        return len(self.wanted)

    def _decide(self, point: Point) -> Effect | None:
        passage = self._passed[point]
        self._passed[point] += 1
        return next((what for where, number, what in self.wanted if (where, number) == (point, passage)), None)


@dataclass(slots=True)
class Random(Plan):
    """One to three effects at random points; the gaps between them are short, so that effects meet.

    The first is always had. One that would come after the run's end is not part of the plan.

    :param seed: all that it does follows from it.
    :param points: how many points an undisturbed run passes; the first effect is at one of them.
    """

    seed: int = 0
    points: int = 60
    _rng: random.Random = field(default_factory=random.Random)
    _count: int = 0
    _next: int = 0

    def __post_init__(self) -> None:
        self._rng.seed(self.seed)
        self._count = self._rng.randint(1, 3)
        self._next = self._rng.randrange(self.points)

    @property
    def planned(self) -> int:
        return max(1, len(self.fired))

    def _decide(self, point: Point) -> Effect | None:
        if len(self.fired) == self._count or len(self.seen) <= self._next:
            return None
        self._next = len(self.seen) + self._rng.randrange(12)
        kind = self._rng.choice(possible(point, pauses=False))
        stale = self._rng.choice((0, 0, 1, 2, 4)) if kind in COMMITTED and point.is_write else 0
        return Effect(kind, stale)
