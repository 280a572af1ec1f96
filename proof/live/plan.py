"""What is to go wrong in a show: which blows fall in which lifecycle, and what the sandbox does to calls."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Blow(StrEnum):
    """What is done to a lifecycle; a kill is SIGKILL."""

    TASK = "task killed"
    SUPERVISOR = "supervisor killed"
    TRIGGERER = "triggerer killed"
    SCHEDULER = "scheduler killed, with all tasks"
    CLEAR_TASK = "task cleared"
    CLEAR_RUN = "run cleared"


class Moment(StrEnum):
    """What has to be the case for a blow to be dealt."""

    MAKING = "the POST that makes the campaign is under way"
    SENDING = "the POST that sends it is under way"
    RUNNING = "a task is running"
    DEFERRED = "a task is deferred"


SHARE: Mapping[Blow, float] = {
    Blow.TASK: 0.5,
    Blow.SUPERVISOR: 0.3,
    Blow.TRIGGERER: 0.2,
    Blow.SCHEDULER: 0.2,
    Blow.CLEAR_TASK: 0.15,
    Blow.CLEAR_RUN: 0.1,
}
"""Blows of a kind for each lifecycle; of each kind there is at least one."""

MOMENTS: Mapping[Blow, tuple[Moment, ...]] = {
    Blow.TASK: (Moment.MAKING, Moment.SENDING, Moment.RUNNING),
    Blow.SUPERVISOR: (Moment.MAKING, Moment.SENDING, Moment.RUNNING),
    Blow.TRIGGERER: (Moment.DEFERRED,),
    Blow.SCHEDULER: (Moment.DEFERRED, Moment.MAKING, Moment.SENDING, Moment.RUNNING),
    Blow.CLEAR_TASK: (Moment.MAKING, Moment.SENDING, Moment.DEFERRED),
    Blow.CLEAR_RUN: (Moment.SENDING, Moment.RUNNING, Moment.DEFERRED),
}

LATEST: Mapping[Moment, float] = {
    Moment.MAKING: 1.5,
    Moment.SENDING: 1.5,
    Moment.RUNNING: 3.0,
    Moment.DEFERRED: 2.0,
}
"""Seconds that a blow waits at most from its moment on."""

LONGEST_DOWN = 3.0
"""Seconds for which a killed component is away at most."""


@dataclass(slots=True)
class Planned:
    """A blow to be dealt once.

    :param after: seconds after the moment.
    :param down: seconds until a killed component is started again.
    :param due: when it is to be dealt (monotonic), once its moment has come.
    """

    blow: Blow
    moment: Moment
    after: float
    down: float
    due: float | None = None

    def __str__(self) -> str:
        return f"{self.blow}, {self.after:.1f} s after the moment when {self.moment}"


OPERATIONS = ("create_campaign", "create_campaign_clone", "send_campaign")

FAULTS: Mapping[str, tuple[int, Mapping[str, Any]]] = {
    "slow before the commit": (30, {"fault": "delay", "when": "before", "seconds": (0.8, 1.6)}),
    "slow after the commit": (30, {"fault": "delay", "when": "after", "seconds": (0.8, 1.6)}),
    "committed, then reset": (10, {"fault": "drop_after_commit"}),
    "committed, then 504": (10, {"fault": "status_after_commit", "status": 504}),
    "reset before the commit": (8, {"fault": "drop_before_commit"}),
    "committed, then silence": (6, {"fault": "delay", "when": "after", "seconds": (6.0, 8.0)}),
    "committed after the client gave up": (6, {"fault": "delay", "when": "before", "seconds": (4.5, 5.5)}),
}
"""What the sandbox does to a call that makes or sends: how often, and as which rule. The slow ones give blows time to
fall between intent, commit and note; the client waits 4 s for an answer."""

READ_TIMEOUT = 4
CALLS = 2
"""Calls of each operation, for each lifecycle, to which something happens."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All that follows from a seed.

    :param blows: for each lifecycle, those meant for it.
    :param rules: for the sandbox; each is used once, by whichever call comes next.
    """

    blows: list[list[Planned]]
    rules: list[dict[str, Any]] = field(default_factory=list)


def plan(lifecycles: int, seed: int, *, defers: bool = True) -> Plan:
    """The plan of a seed.

    :param defers: True if tasks are ever deferred.
    """
    rng = random.Random(seed)
    blows = [_planned(rng, blow, number) for blow in Blow for number in range(max(1, round(SHARE[blow] * lifecycles)))]
    blows = [planned for planned in blows if defers or planned.moment is not Moment.DEFERRED]
    rng.shuffle(blows)
    faults = list(FAULTS.values())
    rules = [
        _rule(rng, operation, faults[which][1])
        for operation in OPERATIONS
        for which in rng.choices(range(len(faults)), [weight for weight, _ in faults], k=CALLS * lifecycles)
    ]
    return Plan([blows[first::lifecycles] for first in range(lifecycles)], rules)


def _planned(rng: random.Random, blow: Blow, number: int) -> Planned:
    """Its moments take turns, so that each kind falls in all of them."""
    moments = MOMENTS[blow]
    moment = moments[number % len(moments)]
    return Planned(blow, moment, after=rng.uniform(0, LATEST[moment]), down=rng.uniform(0, LONGEST_DOWN))


def _rule(rng: random.Random, operation: str, fault: Mapping[str, Any]) -> dict[str, Any]:
    rule = {"operation": operation, **fault}
    if "seconds" in rule:
        rule["seconds"] = round(rng.uniform(*rule["seconds"]), 2)
    return rule
