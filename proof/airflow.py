"""A model of what Airflow does with a task: tries, retries, clears, deferral, and what it keeps meanwhile.

Kept apart: the state store and XCom, which outlive a process, and the process, of which nothing is left when it ends.
As in Airflow 3.3: the state store is keyed by run, task and map index, not by try; ``max_tries`` is constant over
automatic retries and is set to ``try_number + retries`` by a clear, which also adds one to the run's ``clear_number``
and, from Airflow 3.4 on, empties the store of what is cleared; a new try has a new id, and a process of an old one
is refused by the API; XComs are deleted when a try starts, not when it resumes; a trigger is stored as JSON, and
started again from it when its triggerer dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from typing import Any, Protocol

from airflow.sdk import DAG, BaseOperator

from airflow_provider_klaviyo.compat import AirflowFailException, AirflowSkipException, TaskDeferred
from airflow_provider_klaviyo.tasks import KlaviyoCampaignOperator
from proof.boundary import Hang, Process, Store, World, current, running
from proof.clock import VirtualLoop
from proof.faults import Killed

TRIGGERER_TAKEN_OVER = 26.0
"""Seconds until another triggerer takes over the triggers of one that died."""

SUCCESS, FAILED, SKIPPED, UP_FOR_RETRY, NONE = "success", "failed", "skipped", "up_for_retry", "none"


class Operator(Protocol):
    """What runs in a task."""

    def execute(self, context: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class Task:
    """A task of the DAG.

    :param make: a new operator, as the process of a try builds it from the DAG file, rendered.
    """

    task_id: str
    make: Callable[[Run], Operator]


@dataclass
class Row:
    """A task instance, as Airflow's database has it."""

    task: Task
    max_tries: int
    state: str = NONE
    try_number: int = 0
    ti_id: int = 0
    start_date: datetime | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    xcom: dict[str, Any] = field(default_factory=dict)
    error: BaseException | None = None


class TaskInstance:
    """A task instance, as its process sees it."""

    stats_tags: Mapping[str, str] = {}

    def __init__(self, row: Row, run: Run) -> None:
        self.task_id = row.task.task_id
        self.dag_id = "lifecycle"
        self.run_id = run.run_id
        self.map_index = run.map_index
        self.try_number = row.try_number
        self.max_tries = row.max_tries
        self.start_date = row.start_date
        self.id = row.ti_id
        self._row = row
        self._run = run

    def xcom_push(self, key: str, value: Any) -> None:
        self._row.xcom[key] = json.loads(json.dumps(value))

    def xcom_pull(self, *, task_ids: Sequence[str], key: str) -> list[Any]:
        """As Airflow's without ``map_indexes``: of each task the values of all map indexes, or ``None``."""
        current().reach("xcom pull", "before")
        found: list[Any] = []
        for task_id in task_ids:
            rows = [row for run in self._run.mapped for row in run.rows if row.task.task_id == task_id]
            found += [row.xcom[key] for row in rows if key in row.xcom] or [None]
        return found


def forgets_nothing(_key: str, _value: Any) -> bool:
    """What an honest state store forgets."""
    return False


@dataclass
class DagRunFacts:
    """What a task may know of its run."""

    run_id: str
    run_after: datetime
    run_type: str = "manual"
    data_interval_start: datetime | None = None
    data_interval_end: datetime | None = None
    start_date: datetime | None = None
    clear_number: int = 0


class Run:
    """One run of a DAG whose tasks follow each other, one try at a time.

    :param names: what the DAG names its campaigns in this run.
    :param audience: the list that they are for. The DAG may say another one later.
    :param has_store: True if this Airflow has a state store (3.3) or not (3.0).
    :param forgets_on_clear: True if a clear empties the store (3.4).
    :param skews: how many seconds the clock of the machine is ahead that runs a try, of the first tries; those that
        follow have the right time.
    :param forgets: notes that are not written (the mutant).

    ``mapped`` are the runs that stand for the map indexes of one DAG run.
    """

    def __init__(
        self,
        world: World,
        tasks: Sequence[Task],
        *,
        run_id: str,
        names: Sequence[str],
        audience: str,
        retries: int = 3,
        retry_delay: float = 1.0,
        has_store: bool = True,
        forgets_on_clear: bool = False,
        skews: Sequence[float] = (),
        forgets: Callable[[str, Any], bool] = forgets_nothing,
    ) -> None:
        self.world = world
        self.run_id = run_id
        self.names = list(names)
        self.audience = audience
        self.made_for = audience
        self.audience_may_change = False
        self.forgets_on_clear = forgets_on_clear
        self.skews = list(skews)
        self.map_index = -1
        self.retries = retries
        self.retry_delay = retry_delay
        self.has_store = has_store
        self.forgets = forgets
        now = datetime.now(UTC)
        self.facts = DagRunFacts(run_id, run_after=now, start_date=now)
        self.rows = [Row(task, max_tries=retries) for task in tasks]
        self.zombies: list[tuple[Hang, threading.Thread]] = []
        self.cleared = 0
        self.is_removed = False
        self.mapped: list[Run] = [self]

    # --- what the scheduler and people do ---------------------------------------------------------------------------

    @property
    def next(self) -> Row | None:
        """The task instance to run next; ``None`` when the run is over, or no longer part of the list."""
        if self.is_removed:
            return None
        for row in self.rows:
            if row.state != SUCCESS:
                return row if row.state in (NONE, UP_FOR_RETRY) else None
        return None

    @property
    def succeeded(self) -> bool:
        return all(row.state == SUCCESS for row in self.rows)

    @property
    def error(self) -> BaseException | None:
        """What failed the run."""
        return next((row.error for row in self.rows if row.state == FAILED), None)

    @property
    def tries(self) -> int:
        return sum(row.try_number for row in self.rows)

    def xcom(self, task_id: str) -> Any:
        return next(row for row in self.rows if row.task.task_id == task_id).xcom.get("return_value")

    def clear(self, row: Row) -> None:
        """A person clears a task and all after it."""
        self.cleared += 1
        self.facts.clear_number += 1
        for cleared in self.rows[self.rows.index(row) :]:
            if cleared.try_number:
                if self.forgets_on_clear:
                    cleared.notes.clear()
                cleared.max_tries = cleared.try_number + self.retries
                cleared.ti_id += 1
                cleared.state = NONE
                cleared.error = None

    def step(self) -> Row:
        """Run one try of the next task, to its end or until it hangs."""
        row = self.next
        assert row is not None
        if row.state == UP_FOR_RETRY:
            time.sleep(self.retry_delay)
        with self.world.clock.ahead(self.skews.pop(0) if self.skews else 0.0):
            self._step(row)
        return row

    def _step(self, row: Row) -> None:
        row.try_number += 1
        row.ti_id += 1
        row.start_date = datetime.now(UTC)
        row.state = "running"
        row.xcom.clear()
        process = Process(self.world, row.task.task_id)
        context = self._context(row)
        if self._in_thread(process.hang, lambda: self._carry(row, process, context, lambda op: op.execute(context))):
            self._retry_or_fail(row, Killed("no heartbeat"))

    def wake_zombies(self) -> None:
        """Let the processes that hung go on, to their end."""
        while self.zombies:
            hang, thread = self.zombies.pop()
            hang.release()
            thread.join()

    # --- what a process does ----------------------------------------------------------------------------------------

    def _in_thread(self, hang: Hang, work: Callable[[], None]) -> bool:
        """Run a process in a thread of its own, and come back when it has ended or hangs; True if it hangs."""
        failures: list[BaseException] = []

        def body() -> None:
            try:
                work()
            except BaseException as failure:
                failures.append(failure)
            finally:
                hang.stopped.set()

        thread = threading.Thread(target=body, daemon=True)
        thread.start()
        hang.stopped.wait()
        if hang.hangs:
            self.zombies.append((hang, thread))
            return True
        thread.join()
        if failures:
            raise failures[0]
        return False

    def _context(self, row: Row) -> dict[str, Any]:
        ti = TaskInstance(row, self)
        context: dict[str, Any] = {"ti": ti, "task_instance": ti, "dag_run": self.facts, "run_id": self.run_id}
        if self.has_store:
            context["task_state_store"] = Store(row.notes, lambda: row.ti_id == ti.id, self.forgets)
        return context

    def _carry(self, row: Row, process: Process, context: Any, step: Callable[[Any], Any]) -> None:
        """Run an operator's step in its process, and note its end as Airflow does."""
        ti = context["ti"]
        outcome: str
        error: BaseException | None
        try:
            with running(process):
                operator: Any = row.task.make(self)
                operator.retries = self.retries
                if isinstance(operator, BaseOperator):
                    self._place(operator, row)
                context["task"] = operator
                result = step(operator)
                process.reach("end", "before")
                ti.xcom_push("return_value", result)
            outcome, error = SUCCESS, None
        except TaskDeferred as deferred:
            try:
                process.reach("defer", "before")
            except Killed as death:
                outcome, error = UP_FOR_RETRY, death
            else:
                if row.ti_id == ti.id:
                    self._defer(row, process.hang, deferred)
                return
        except AirflowSkipException:
            outcome, error = SKIPPED, None
        except AirflowFailException as failure:
            outcome, error = FAILED, failure
        except (Exception, Killed) as failure:
            outcome, error = UP_FOR_RETRY, failure
        if row.ti_id != ti.id:
            return
        if outcome == UP_FOR_RETRY:
            self._retry_or_fail(row, error)
        else:
            row.state, row.error = outcome, error

    def _place(self, operator: BaseOperator, row: Row) -> None:
        """Put the operator into its DAG, behind the tasks before it."""
        dag = DAG("lifecycle", schedule=None)
        dag.add_task(operator)
        for earlier in self.rows[: self.rows.index(row)]:
            operator.set_upstream(KlaviyoCampaignOperator(task_id=earlier.task.task_id, dag=dag))

    def _retry_or_fail(self, row: Row, error: BaseException | None) -> None:
        row.error = error
        row.state = UP_FOR_RETRY if row.try_number <= row.max_tries else FAILED

    # --- deferral ---------------------------------------------------------------------------------------------------

    def _defer(self, row: Row, hang: Hang, deferred: TaskDeferred) -> None:
        path, kwargs = deferred.trigger.serialize()
        stored = json.dumps(kwargs)
        next_kwargs = json.dumps(deferred.kwargs or {})
        row.state = "deferred"
        process = Process(self.world, row.task.task_id, hang)
        effect = process.reach("deferred", "after")
        if effect is not None:
            self.clear(row)
            self.step()
            trigger = _rebuilt(path, stored)
            with contextlib.suppress(AttributeError):
                asyncio.run(trigger.on_kill())
            return
        event = json.loads(json.dumps(self._trigger_to_its_end(row, path, stored)))
        row.state = "running"
        context = self._context(row)
        method, arguments = deferred.method_name, json.loads(next_kwargs)

        def resume(operator: Any) -> Any:
            process.reach("resume", "before")
            return getattr(operator, method)(context, event=event, **arguments)

        self._carry(row, process, context, resume)

    def _trigger_to_its_end(self, row: Row, path: str, stored: str) -> Any:
        while True:
            process = Process(self.world, row.task.task_id, triggerer=True)
            with running(process), asyncio.Runner(loop_factory=lambda: VirtualLoop(self.world.clock)) as runner:
                event = runner.run(_first_event(_rebuilt(path, stored), process.dead))
            if event is not None:
                return event.payload
            time.sleep(TRIGGERER_TAKEN_OVER)


async def _first_event(trigger: Any, dead: asyncio.Event) -> Any:
    """The trigger's event; ``None`` if the triggerer dies before."""
    event = asyncio.ensure_future(anext(trigger.run()))
    death = asyncio.ensure_future(dead.wait())
    await asyncio.wait((event, death), return_when=asyncio.FIRST_COMPLETED)
    return event.result() if event.done() else None


def _rebuilt(path: str, stored: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)(**json.loads(stored))
