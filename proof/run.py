"""Run one schedule against a real sandbox over a real socket, and judge it."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import requests
import structlog

from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from proof import judge
from proof.airflow import Row, Run
from proof.boundary import World
from proof.clock import VirtualClock
from proof.faults import LOCAL, SILENT, Effect, Exact, Plan, Point
from proof.gateway import Gateway
from proof.subjects import CONN_ID, LIST, OTHER_LIST, SUBJECTS, Subject
from proof.transports import transports_wrapped

NAME = "Weekly sale"
PATIENCE = 0.4
MANY_STEPS = 60
DAYS = 3 * 86_400.0

LISTS = {"list grows": (2, 0, 1), "list turns": (1, 0), "list shrinks": (1,)}
"""What becomes of a list of two: the item that each index has then; the third one is new."""

RESTARTS = ("retry", "clear", "clear all", "second run", "mapped", "other audience", *LISTS)
"""What else happens: nothing but automatic retries; a person clears the task whose try failed (or, if none did, the
whole run when it is over); a person clears the whole run when it is over; another run with a campaign of the same name
goes through between a failed try and its retry; a second mapped task, of the same name, takes turns with the first; the
DAG has another audience when the failed try is retried; two mapped tasks of two names take turns, and when they are
over, their list becomes another one, and the whole run is cleared."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """One run to make.

    :param subject: key of the lifecycle.
    :param plan: makes the plan of what goes wrong.
    :param title: what goes wrong, for people.
    :param replay: the options of ``python -m proof`` that make this run again.
    :param restart: one of :data:`RESTARTS`.
    :param retry_delay: seconds between a failed try and its retry.
    :param overlaps: True if two tries of a task are alive at the same time.
    :param skews: how many seconds the workers of the first tries have their clocks ahead of Klaviyo's.
    """

    subject: str
    plan: Callable[[], Plan]
    title: str
    replay: str = ""
    restart: str = "retry"
    retry_delay: float = 1.0
    overlaps: bool = False
    skews: tuple[float, ...] = ()

    def __str__(self) -> str:
        clock = f", clocks ahead by {', '.join(f'{skew:g}' for skew in self.skews)} s" if self.skews else ""
        return f"{self.subject}: {self.title}, {self.restart}, retry after {self.retry_delay:g} s{clock}"


@dataclass(slots=True)
class Outcome:
    """How a schedule ended.

    :param violations: what must never be.
    :param seen: the points that were passed.
    :param happened: the effects that were had, and where.
    :param unfired: planned effects that were not had.
    :param ended: ``sent``, ``surfaced`` (failed, and the failure says what to look at), ``not sent`` (failed, and
        nothing was sent).
    :param people: True if a person took part (a clear).
    :param seconds: virtual seconds that the run took.
    """

    schedule: Schedule
    violations: list[str]
    seen: list[Point]
    happened: list[tuple[Point, Effect]]
    unfired: int
    ended: str
    people: bool
    seconds: float
    errors: list[str]
    made: int
    accepted: int


class Bench:
    """A sandbox and a virtual clock, and everything of this process that has to be set up for them."""

    def __enter__(self) -> Bench:
        with contextlib.ExitStack() as stack:
            self.sandbox = stack.enter_context(Sandbox(limits=False))
            self.gateway = stack.enter_context(Gateway(self.sandbox.url))
            self.control = stack.enter_context(requests.Session())
            self.clock = stack.enter_context(VirtualClock("klaviyo-sandbox", self._advance))
            stack.enter_context(transports_wrapped())
            stack.enter_context(_one_ssl_context())
            stack.enter_context(_quiet())
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *args: Any) -> None:
        self.clock.release()
        self._stack.__exit__(*args)

    def _advance(self, seconds: float) -> None:
        self.control.post(f"{self.sandbox.url}/sandbox/clock", json={"advance": seconds})

    def carry_out(self, schedule: Schedule) -> Outcome:
        """Run a schedule to its end, let the sandbox finish what it was told, and judge."""
        url = self.sandbox.url
        self.clock.restart()
        self.control.post(f"{url}/sandbox/reset").raise_for_status()
        plan = schedule.plan()
        hushed = any(effect.kind in SILENT for *_, effect in plan.wanted) if isinstance(plan, Exact) else True
        self.gateway.clear()
        world = World(url, self.gateway, NAME, self.clock, plan, PATIENCE if hushed else 20.0, self.control)
        connection = {"conn_type": "klaviyo", "host": url, "password": "pk_never_twice"}
        connection["extra"] = {"timeout": {"connect": 5, "read": world.patience}}  # type: ignore[assignment]
        os.environ[f"AIRFLOW_CONN_{CONN_ID.upper()}"] = json.dumps(connection)
        subject = SUBJECTS[schedule.subject]
        runs = _runs(world, subject, schedule)
        intents = Counter(name for run in runs for name in run.names)
        began = time.time()
        _drive(runs, schedule, plan)
        if schedule.restart in LISTS:
            intents |= _change_list(runs, schedule.restart, lambda: _run(world, subject, schedule))
        seconds = time.time() - began
        for run in runs:
            run.wake_zombies()
        self.clock.release()
        self.clock.advance(DAYS)
        ledger = judge.Ledger.read(self.control, url)
        runs = [run for run in runs if not run.is_removed]
        if subject.key == "posts":
            found = judge.violations_of_posts(ledger, runs[0])
        else:
            found = judge.violations(ledger, runs, intents)
        only_local = plan.fired and all(effect.kind in LOCAL for _, effect in plan.fired)
        if only_local and not ledger.posted and any(run.error for run in runs) and subject.key != "guard":
            found.append(judge.BLOCKED)
        world.end_lag()
        return Outcome(
            schedule=schedule,
            violations=found,
            seen=plan.seen,
            happened=plan.fired,
            unfired=plan.planned - len(plan.fired) + world.idle_rules + self.gateway.waiting,
            ended=_ended(runs, ledger),
            people=any(run.cleared for run in runs),
            seconds=seconds,
            errors=[f"{type(run.error).__name__}: {run.error}" for run in runs if run.error],
            made=len(ledger.made) + len(ledger.posted),
            accepted=len(ledger.accepted),
        )


def _run(world: World, subject: Subject, schedule: Schedule, run_id: str = "first") -> Run:
    return Run(
        world,
        subject.tasks(),
        run_id=run_id,
        names=[NAME, *(f"{NAME}, part {number}" for number in range(2, subject.names + 1))],
        audience=LIST,
        retry_delay=schedule.retry_delay,
        has_store=subject.has_store,
        forgets_on_clear=subject.forgets_on_clear,
        skews=schedule.skews,
        forgets=subject.forgets,
    )


def _runs(world: World, subject: Subject, schedule: Schedule) -> list[Run]:
    first = _run(world, subject, schedule)
    first.audience_may_change = schedule.restart == "other audience"
    if schedule.restart == "second run":
        return [first, _run(world, subject, schedule, "second")]
    if schedule.restart == "mapped":
        return _mapped([first, _run(world, subject, schedule)])
    if schedule.restart in LISTS:
        runs = _mapped([first, _run(world, subject, schedule)])
        for run, item in zip(runs, (0, 1), strict=True):
            run.names = _names(run, item)
        return runs
    return [first]


def _mapped(runs: list[Run]) -> list[Run]:
    """The runs as the map indexes of one DAG run."""
    for index, run in enumerate(runs):
        run.map_index, run.mapped, run.facts = index, runs, runs[0].facts
    return runs


def _names(run: Run, item: int) -> list[str]:
    return [f"{NAME} of {'ABX'[item]}{name[len(NAME) :].split(' of ')[-1][1:]}" for name in run.names]


def _change_list(runs: list[Run], how: str, new: Callable[[], Run]) -> Counter[str]:
    """Let the list become another one, clear the whole run, and run it to its end; the names that are wanted then."""
    items = LISTS[how]
    for run in runs:
        run.clear(run.rows[0])
    while len(runs) < len(items):
        runs.append(new())
    _mapped(runs)
    for index, run in enumerate(runs):
        run.is_removed = index >= len(items)
        if not run.is_removed:
            run.names = _names(run, items[index])
    _in_turns(runs)
    return Counter(name for run in runs if not run.is_removed for name in run.names)


def _drive(runs: list[Run], schedule: Schedule, plan: Plan) -> None:
    """Run the first run; what else happens comes after its first failed try, or when it is over."""
    first, others = runs[0], runs[1:]
    if schedule.restart == "mapped" or schedule.restart in LISTS:
        _in_turns(runs)
        return
    happened = schedule.restart == "retry"
    for _ in range(MANY_STEPS):
        if first.next is None:
            if happened:
                break
            happened = True
            _happen(first, others, schedule, first.rows[0])
            continue
        row = first.step()
        first_failure = plan.fired and row.state not in ("success", "none")
        if not happened and first_failure and schedule.restart != "clear all":
            happened = True
            _happen(first, others, schedule, row)
    for other in others:
        _to_its_end(other)


def _happen(first: Run, others: list[Run], schedule: Schedule, row: Row) -> None:
    if schedule.restart in ("clear", "clear all"):
        first.clear(row)
    if schedule.restart == "other audience":
        first.audience = OTHER_LIST
    for other in others:
        _to_its_end(other)


def _to_its_end(run: Run) -> None:
    for _ in range(MANY_STEPS):
        if run.next is None:
            return
        run.step()


def _in_turns(runs: list[Run]) -> None:
    """One try of each run after the other, as mapped tasks go."""
    for _ in range(MANY_STEPS):
        for run in runs:
            if run.next is not None:
                run.step()


def _ended(runs: list[Run], ledger: judge.Ledger) -> str:
    if all(run.succeeded for run in runs):
        return "sent"
    if any(isinstance(run.error, judge.SPEAKING) for run in runs):
        return "surfaced"
    return "sent, mute" if ledger.deliveries else "not sent"


@contextlib.contextmanager
def _one_ssl_context() -> Iterator[None]:
    """The HTTP client of a trigger makes a TLS context that plain http to the sandbox never uses; making it is slow."""
    from httpx._transports import default as transports

    made = transports.create_ssl_context  # type: ignore[attr-defined]
    transports.create_ssl_context = cache(lambda **_: ssl.create_default_context())  # type: ignore[attr-defined]
    try:
        yield
    finally:
        transports.create_ssl_context = made  # type: ignore[attr-defined]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No task logs. Loggers keep what they were made with, so this comes before the first of them."""
    before = structlog.get_config()["wrapper_class"]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
        structlog.configure(wrapper_class=before)
