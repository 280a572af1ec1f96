"""Run lifecycles in a real Airflow, several at a time, strike them as planned, and judge what Klaviyo did."""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from harness.local_airflow import LocalAirflow
from harness.rest import LocalAirflowError
from proof import judge
from proof.live.blows import Striker
from proof.live.person import Person
from proof.live.plan import FAULTS, READ_TIMEOUT, Moment, Plan, Planned, plan

DAGS = Path(__file__).parent / "dags"
WAYS = {"package": ("never_twice_create", "never_twice_clone"), "sdk": ("never_twice_sdk",)}
"""The DAGs of a subject: they take turns."""

POSTS = {
    "create_campaign": Moment.MAKING,
    "create_campaign_clone": Moment.MAKING,
    "send_campaign": Moment.SENDING,
}

TICK = 0.15
PATIENCE = 300.0
"""Seconds after which a lifecycle that has not ended counts as stuck."""

DAYS = 3 * 86_400.0

MOST_UNANSWERED = 20
"""Errors in a row after which Airflow is not asked again."""

MUTE = "failed without naming what to check"
STUCK = "did not end"
OTHER_CAMPAIGN = "XCom names another campaign than the one sent"


@dataclass(slots=True)
class Lifecycle:
    """One run; for :mod:`~proof.judge` it is what a simulated one is.

    :param name: run id, and name of its campaign.
    :param pending: blows that are still to fall.
    :param had: blows that fell, with when (seconds after the begin) and on what.
    :param taken_up: how often a person took it up again after a kill had failed it.
    :param ended: ``success``, ``failed``, or ``stuck``; empty while it goes on.
    """

    dag_id: str
    name: str
    began: float
    pending: list[Planned]
    had: list[str] = field(default_factory=list)
    cleared: bool = False
    taken_up: int = 0
    ended: str = ""
    seconds: float = 0.0
    campaign: str | None = None
    sent: str | None = None
    error: BaseException | None = None

    made_for = ""
    audience_may_change = False

    @property
    def names(self) -> list[str]:
        return [self.name]

    @property
    def succeeded(self) -> bool:
        return self.ended == "success"

    def xcom(self, task_id: str) -> str | None:
        return self.sent if task_id == "send" else self.campaign

    def __str__(self) -> str:
        blows = ", ".join(self.had) or "nothing done to it"
        return f"{self.dag_id} {self.name}: {self.ended} after {self.seconds:.0f} s; {blows}"


@dataclass(frozen=True, slots=True)
class Violation:
    """What must never be.

    :param lifecycle: in which it was found; ``None`` when it belongs to none alone.
    """

    what: str
    lifecycle: Lifecycle | None

    def __str__(self) -> str:
        return f"{self.what}: {self.lifecycle}" if self.lifecycle else self.what


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a show.

    :param blows: how many of each kind fell.
    :param missed: planned blows that never fell.
    :param ended: components of Airflow that ended by themselves and were started again.
    :param clears: tasks that a person had to clear, because this Airflow does not take them up.
    :param faults: how often the sandbox did what to a call.
    """

    lifecycles: Sequence[Lifecycle]
    blows: Counter[str]
    missed: Sequence[Planned]
    ended: Sequence[str]
    clears: int
    faults: Counter[str]
    violations: Sequence[Violation]
    seconds: float


def carry_out(
    subject: str, lifecycles: int, seed: int, jobs: int, home: Path, tell: Callable[[str], object]
) -> Outcome:
    """Start a sandbox and an Airflow, run the lifecycles, and judge.

    :param subject: a key of :data:`WAYS`.
    :param jobs: runs in flight.
    :param home: Airflow's home directory.
    :param tell: is told what happens, line by line.
    """
    began = time.monotonic()
    with Sandbox(limits=False) as sandbox, requests.Session() as control:
        extra = {"timeout": {"connect": 2, "read": READ_TIMEOUT}}
        connection = {"conn_type": "klaviyo", "host": sandbox.url, "password": "pk_never_twice", "extra": extra}
        env = {"AIRFLOW_CONN_KLAVIYO_DEFAULT": json.dumps(connection)}
        with LocalAirflow(home, DAGS, env=env) as airflow:
            airflow.wait_ready(*WAYS[subject])
            tell(f"Airflow is ready at {airflow.url}, home {home}")
            agreed = plan(lifecycles, seed, defers=subject == "package")
            show = Show(airflow, control, sandbox.url, WAYS[subject], agreed, jobs, tell)
            show.run()
            show.see_all_out()
        rules = control.get(f"{sandbox.url}/sandbox/faults").json()
        ledger = judge.Ledger.read(control, sandbox.url)
    return Outcome(
        show.done,
        show.blows,
        show.missed,
        show.striker.ended,
        show.person.clears,
        Counter(_fault_name(rule) for rule in rules if rule["fired"]),
        violations(ledger, show.done),
        time.monotonic() - began,
    )


class Show:
    """The lifecycles of a plan on their way.

    A blow whose moment has passed, or did not come before its lifecycle ended, is given to a later one; more are run
    for that, half as many again at most.
    """

    def __init__(
        self,
        airflow: LocalAirflow,
        control: requests.Session,
        url: str,
        ways: Sequence[str],
        plan: Plan,
        jobs: int,
        tell: Callable[[str], object],
    ) -> None:
        self.done: list[Lifecycle] = []
        self.blows: Counter[str] = Counter()
        self.missed: list[Planned] = []
        self._airflow = airflow
        self._control = control
        self._url = url
        self._ways = ways
        self._to_come = list(plan.blows)
        self._spare = 2 + len(plan.blows) // 2
        self._jobs = jobs
        self._tell = tell
        self.striker = Striker(airflow)
        self.person = Person(airflow)
        self._active: list[Lifecycle] = []
        control.post(f"{url}/sandbox/faults", json=plan.rules).raise_for_status()

    def run(self) -> None:
        """Run all lifecycles to their end."""
        unanswered = 0
        while self._to_come or self._is_another_try_left() or self._active:
            try:
                self._tick()
            except LocalAirflowError as error:
                unanswered += 1
                if unanswered == MOST_UNANSWERED:
                    raise
                self._tell(f"Airflow answered an error, as SQLite does when it is locked; going on. {error}")
            else:
                unanswered = 0
            time.sleep(TICK)
        self.striker.restart(all_of_them=True)

    def _tick(self) -> None:
        self.striker.restart()
        self._begin_more()
        tasks = self._tasks()
        posts = self._posts() if self._is_posting_awaited() else set()
        for lifecycle in self._active:
            for planned in list(lifecycle.pending):
                self._consider(lifecycle, planned, tasks.get(lifecycle.name), posts)
        self.person.look(self._active)
        self._collect()

    def see_all_out(self) -> None:
        """Let Klaviyo finish all that it was told, late calls included."""
        while self._posts():
            time.sleep(TICK)
        self._control.post(f"{self._url}/sandbox/clock", json={"advance": DAYS}).raise_for_status()

    def _is_another_try_left(self) -> bool:
        return bool(self.missed) and self._spare > 0

    def _begin_more(self) -> None:
        """Keep as many runs in flight as wanted."""
        while len(self._active) < self._jobs and (self._to_come or self._is_another_try_left()):
            dag_id = self._ways[(len(self.done) + len(self._active)) % len(self._ways)]
            name = self._airflow.trigger(dag_id)
            if self._to_come:
                pending = self._to_come.pop(0)
            else:
                self._spare -= 1
                pending, self.missed = self.missed[:2], self.missed[2:]
            self._active.append(Lifecycle(dag_id, name, time.monotonic(), pending))

    # --- what is going on -------------------------------------------------------------------------------------------

    def _tasks(self) -> dict[str, dict[str, Any]]:
        """The running or deferred task instance of each run that has one."""
        answer = self._airflow.get("/dags/~/dagRuns/~/taskInstances", state=["running", "deferred"], limit=1000)
        return {instance["dag_run_id"]: instance for instance in answer["task_instances"]}

    def _is_posting_awaited(self) -> bool:
        return any(
            planned.due is None and planned.moment in POSTS.values()
            for lifecycle in self._active
            for planned in lifecycle.pending
        )

    def _posts(self) -> set[tuple[str, Moment]]:
        """The calls that make or send a campaign and are under way, by name or id of the campaign."""
        found = set()
        for entry in self._control.get(f"{self._url}/sandbox/requests").json():
            if entry["operation"] in POSTS and entry["status"] is None and not str(entry["fault"]).startswith("drop"):
                data = entry["body"]["data"]
                attributes = data.get("attributes", {})
                key = attributes.get("new_name") or attributes.get("name") or data["id"]
                found.add((key, POSTS[entry["operation"]]))
        return found

    def _consider(
        self, lifecycle: Lifecycle, planned: Planned, task: dict[str, Any] | None, posts: set[tuple[str, Moment]]
    ) -> None:
        """Deal a blow when its time has come, or see whether its moment has."""
        if planned.due is None:
            if planned.moment is Moment.MAKING and task is not None and task["task_id"] != "make":
                lifecycle.pending.remove(planned)
                self.missed.append(planned)
            elif self._is_moment(lifecycle, planned.moment, task, posts):
                planned.due = time.monotonic() + planned.after
        elif time.monotonic() >= planned.due:
            planned.due = None
            if self.striker.strike(planned, task):
                self._note(lifecycle, planned, task)

    def _is_moment(
        self, lifecycle: Lifecycle, moment: Moment, task: dict[str, Any] | None, posts: set[tuple[str, Moment]]
    ) -> bool:
        if task is None:
            return False
        match moment:
            case Moment.MAKING:
                return (lifecycle.name, moment) in posts
            case Moment.SENDING:
                return task["task_id"] == "send" and (self._campaign(lifecycle), moment) in posts
            case Moment.RUNNING:
                return bool(task["state"] == "running")
            case Moment.DEFERRED:
                return bool(task["state"] == "deferred")

    def _note(self, lifecycle: Lifecycle, planned: Planned, task: dict[str, Any] | None) -> None:
        lifecycle.pending.remove(planned)
        where = f"{task['task_id']} try {task['try_number']}, {task['state']}" if task else "between tasks"
        line = f"{planned.blow} at {time.monotonic() - lifecycle.began:.1f} s ({where})"
        lifecycle.had.append(line)
        lifecycle.cleared |= "cleared" in planned.blow
        self.blows[planned.blow] += 1
        self._tell(f"{lifecycle.name}: {line}")

    # --- how they end -----------------------------------------------------------------------------------------------

    def _collect(self) -> None:
        """Take leave of runs that have ended, and of those that never will."""
        answer = self._airflow.get("/dags/~/dagRuns", state=["queued", "running"], limit=1000)
        going_on = {run["dag_run_id"] for run in answer["dag_runs"]}
        for lifecycle in list(self._active):
            lifecycle.seconds = time.monotonic() - lifecycle.began
            if lifecycle.name in going_on and lifecycle.seconds < PATIENCE:
                continue
            lifecycle.ended = self._airflow.run_state(lifecycle.dag_id, lifecycle.name)
            if lifecycle.ended == "failed" and self.person.takes_up(lifecycle):
                continue
            if lifecycle.ended not in ("success", "failed"):
                lifecycle.ended = "stuck"
            lifecycle.campaign = self._campaign(lifecycle)
            lifecycle.sent = self._xcom(lifecycle, "send")
            if not lifecycle.succeeded:
                lifecycle.error = RuntimeError(self._error(lifecycle))
            self.missed += lifecycle.pending
            self._active.remove(lifecycle)
            self.done.append(lifecycle)
            self._tell(str(lifecycle))

    def _campaign(self, lifecycle: Lifecycle) -> str | None:
        if lifecycle.campaign is None:
            lifecycle.campaign = self._xcom(lifecycle, "make")
        return lifecycle.campaign

    def _xcom(self, lifecycle: Lifecycle, task_id: str) -> str | None:
        with contextlib.suppress(LocalAirflowError):
            return str(self._airflow.xcom(lifecycle.dag_id, lifecycle.name, task_id))
        return None

    def _error(self, lifecycle: Lifecycle) -> str:
        """What the last tries of tasks that failed, or have not ended, said."""
        told = []
        for instance in self._airflow.task_instances(lifecycle.dag_id, lifecycle.name):
            if instance["state"] in ("success", "upstream_failed", None):
                continue
            task_id, number = instance["task_id"], instance["try_number"]
            log = self._airflow.task_log(lifecycle.dag_id, lifecycle.name, task_id, number)
            failures = [line for line in log.splitlines() if line.startswith("Task failed with exception")]
            told.append(f"{task_id} is {instance['state']} (try {number}): {' '.join(failures[-1:]) or 'nothing said'}")
        return "; ".join(told)


def violations(ledger: judge.Ledger, lifecycles: Sequence[Lifecycle]) -> list[Violation]:
    """What must never be, and is."""
    found = [Violation(what, lifecycle) for lifecycle in lifecycles for what in _wrong(ledger, lifecycle)]
    told = {violation.what for violation in found}
    runs: list[Any] = list(lifecycles)
    intents = Counter(lifecycle.name for lifecycle in lifecycles)
    return found + [Violation(what, None) for what in judge.violations(ledger, runs, intents) if what not in told]


def _wrong(ledger: judge.Ledger, lifecycle: Lifecycle) -> Iterator[str]:
    sent_by = [row["campaign_id"] for row in ledger.deliveries if row["name"] == lifecycle.name]
    if ledger.made.count(lifecycle.name) > 1:
        yield judge.MADE_TWICE
    if len(sent_by) > 1:
        yield judge.DELIVERED_TWICE
    if any(ledger.accepted.count(campaign) > 1 for campaign in {*sent_by, lifecycle.campaign}):
        yield judge.ACCEPTED_TWICE
    if lifecycle.ended == "stuck":
        yield STUCK
    if lifecycle.succeeded and not sent_by:
        yield judge.LOST
    if lifecycle.succeeded and sent_by and lifecycle.sent not in sent_by:
        yield OTHER_CAMPAIGN
    text = str(lifecycle.error)
    if lifecycle.ended == "failed" and not any(name and name in text for name in (lifecycle.name, lifecycle.campaign)):
        yield MUTE


def _fault_name(rule: dict[str, Any]) -> str:
    return next(name for name, (_, fault) in FAULTS.items() if _is_like(rule, fault))


def _is_like(rule: dict[str, Any], fault: Mapping[str, Any]) -> bool:
    low, high = fault.get("seconds", (0.0, 0.0))
    is_same_kind = (rule["fault"], rule["when"]) == (fault["fault"], fault.get("when", "after"))
    return is_same_kind and bool(low <= (rule["seconds"] or 0.0) <= high)
