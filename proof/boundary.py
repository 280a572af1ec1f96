"""The edges of a task process: its calls to Klaviyo and its state store, where it can be cut off, killed or paused.

What is wrapped is the transport of each client (one request, one answer; see
:mod:`~proof.transports`) and Airflow's accessor of the state store; the code between runs as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import requests

from proof.clock import VirtualClock, real_monotonic
from proof.faults import (
    AIRFLOW_AWAY,
    ANSWERS,
    CUTS,
    LAG,
    PERSON,
    READ_TIMEOUT,
    SLOW,
    TURN,
    Effect,
    Killed,
    Plan,
    Point,
)
from proof.gateway import REPLIES, Gateway

OBSERVER = {"Authorization": "Klaviyo-API-Key pk_person", "revision": "2026-04-15"}
"""A person at Klaviyo's page."""


class StoreRefusedError(Exception):
    """Airflow's API refused a write to the state store."""


@dataclass
class World:
    """What the processes of one run share.

    :param url: the sandbox.
    :param gateway: stands before the sandbox for calls that it is to answer.
    :param names: begins the name of each campaign that the tasks make.
    :param patience: real seconds that stand for :data:`READ_TIMEOUT`.
    :param lag_ends: when reads show everything again, however few there were.
    :param idle_rules: faults that the sandbox was told, and did not come to.
    """

    url: str
    gateway: Gateway
    names: str
    clock: VirtualClock
    plan: Plan
    patience: float
    control: requests.Session
    lag_ends: float | None = None
    idle_rules: int = 0

    def end_lag(self) -> None:
        """Take the sandbox's rules back, counting those that never fired."""
        rules = self.control.get(f"{self.url}/sandbox/faults").json()
        self.idle_rules += sum(rule["fired"] < 1 and rule["fault"] != "stale" for rule in rules)
        self.control.delete(f"{self.url}/sandbox/faults").raise_for_status()
        self.lag_ends = None

    def person_sends(self) -> None:
        """A person sends the drafts that the tasks have made. What was to go wrong with the tasks' own is not had."""
        self.gateway.forget("send_campaign")
        with self._faultless():
            self._send_drafts()

    @contextlib.contextmanager
    def _faultless(self) -> Iterator[None]:
        faults = f"{self.url}/sandbox/faults"
        rules = self.control.get(faults).json()
        self.control.delete(faults).raise_for_status()
        yield
        for rule in rules:
            if rule["operation"] == "send_campaign":
                continue
            kept = {name: value for name, value in rule.items() if name != "fired" and value is not None}
            if kept.get("times") is not None:
                kept["times"] -= rule["fired"]
            if kept.get("times") != 0:
                self.control.post(faults, json=kept).raise_for_status()

    def _send_drafts(self) -> None:
        query = {"filter": "equals(messages.channel,'email')"}
        found = self.control.get(f"{self.url}/api/campaigns", params=query, headers=OBSERVER).json()["data"]
        for campaign in found:
            attributes = campaign["attributes"]
            if attributes["status"] == "Draft" and attributes["name"].startswith(self.names):
                body = {"data": {"type": "campaign-send-job", "id": campaign["id"]}}
                self.control.post(f"{self.url}/api/campaign-send-jobs", json=body, headers=OBSERVER).raise_for_status()


class Hang:
    """A place to hang for one thread: it signals that it has stopped, and waits to be released."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self.hangs = False
        self._released = threading.Event()

    def hang(self) -> None:
        self.hangs = True
        self.stopped.set()
        self._released.wait()
        self.hangs = False

    def release(self) -> None:
        self._released.set()


@dataclass
class Process:
    """A task process, or a trigger in the triggerer.

    :param triggerer: calls are polls, and a kill is the triggerer's.
    :param dead: set when the triggerer dies.
    """

    world: World
    task: str
    hang: Hang = field(default_factory=Hang)
    triggerer: bool = False
    dead: asyncio.Event = field(default_factory=asyncio.Event)

    def reach(self, what: str, side: str) -> Effect | None:
        """Pass a point: be killed or paused there, or told what else is to happen."""
        effect = self.world.plan.effect(Point(self.task, what, side))
        if effect is not None and effect.kind == "kill":
            self._lag(effect)
            raise Killed
        if effect is not None and effect.kind == "pause":
            self.hang.hang()
            return None
        if effect is not None and effect.kind in (SLOW, PERSON):
            self.world.clock.advance(TURN if what == "turn" else AIRFLOW_AWAY)
            if effect.kind == PERSON:
                self.world.person_sends()
            return None
        return effect

    @contextlib.contextmanager
    def call(self, operation: str) -> Iterator[Effect | None]:
        """Around one exchange; yields what is to happen on this side of the sandbox."""
        if self.world.lag_ends is not None and self.world.clock.now() > self.world.lag_ends:
            self.world.end_lag()
        what = f"{'poll' if self.triggerer else 'call'} {operation}"
        effect = self.reach(what, "before")
        rule = CUTS.get(effect.kind) if effect else None
        if rule:
            self._arm({"operation": operation, **rule})
        if effect and effect.kind in ANSWERS:
            reply, committed = ANSWERS[effect.kind]
            self.world.gateway.answer(operation, REPLIES[reply], committed=committed)
        began = real_monotonic()
        try:
            yield effect if rule is None else None
        except Exception:
            waited = real_monotonic() - began
            if waited >= 0.95 * self.world.patience:
                self.world.clock.advance(READ_TIMEOUT - waited)
            self._lag(effect)
            self.reach(what, "after")
            raise
        self._lag(effect)
        self.reach(what, "after")

    def _lag(self, effect: Effect | None) -> None:
        if effect and effect.stale:
            self.world.lag_ends = self.world.clock.now() + LAG
            self._arm({"operation": "*", "fault": "stale", "reads": effect.stale})

    def _arm(self, rule: dict[str, Any]) -> None:
        self.world.control.post(f"{self.world.url}/sandbox/faults", json=rule).raise_for_status()


_local = threading.local()


@contextlib.contextmanager
def running(process: Process) -> Iterator[None]:
    """What this thread does meanwhile is done by that process."""
    before = getattr(_local, "process", None)
    _local.process = process
    try:
        yield
    finally:
        _local.process = before


def current() -> Process:
    """The process that this thread stands for."""
    process: Process = _local.process
    return process


class Store:
    """Airflow's accessor of a task's state: writes take effect at once; a process that Airflow gave up is refused.

    :param notes: the task instance's notes, which outlive its tries.
    :param is_current: True if Airflow still takes this process for the task's.
    :param forgets: which notes are not written (the mutant).
    """

    def __init__(
        self, notes: dict[str, Any], is_current: Callable[[], bool], forgets: Callable[[str, Any], bool]
    ) -> None:
        self._notes = notes
        self._is_current = is_current
        self._forgets = forgets

    def get(self, key: str, default: Any = None) -> Any:
        current().reach(f"store get {key}", "before")
        self._check()
        return self._notes.get(key, default)

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        effect = current().reach(f"store set {key}", "before")
        if effect is not None:
            raise StoreRefusedError(f"{key}: 500 from Airflow's API server (made up)")
        self._check()
        if not self._forgets(key, value):
            self._notes[key] = value
        current().reach(f"store set {key}", "after")

    def delete(self, key: str) -> None:
        effect = current().reach(f"store delete {key}", "before")
        if effect is not None:
            raise StoreRefusedError(f"{key}: 500 from Airflow's API server (made up)")
        self._check()
        self._notes.pop(key, None)

    def _check(self) -> None:
        if not self._is_current():
            raise StoreRefusedError("404: task instance not found (a later try has begun)")
