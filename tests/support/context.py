"""A task instance without a scheduler: its tries, its notes and its XComs, around real operators and triggers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import import_module
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.api.datamodels._generated import DagRun
from airflow.triggers.base import BaseTrigger

from airflow_provider_klaviyo.compat import TaskDeferred


class MemoryStore:
    """Airflow's task state store, in memory: JSON values that never expire."""

    def __init__(self) -> None:
        self.notes: dict[str, str] = {}

    def get(self, key: str, default: Any = None) -> Any:
        return json.loads(self.notes[key]) if key in self.notes else default

    def set(self, key: str, value: Any, *, retention: timedelta | None = None) -> None:
        assert value is not None
        assert retention is timedelta.max, "a note that expires could be gone when it is needed"
        self.notes[key] = json.dumps(value, allow_nan=False)

    def delete(self, key: str) -> None:
        self.notes.pop(key, None)


XComs = dict[str, dict[int, dict[str, Any]]]
"""The XComs of a run: by task id, map index and key."""


class TaskInstance:
    """What operators read and write of ``context["ti"]``."""

    def __init__(self, try_number: int, max_tries: int, of_run: XComs | None = None, map_index: int = -1) -> None:
        self.map_index = map_index
        self.try_number = try_number
        self.max_tries = max_tries
        self.start_date = datetime.now(UTC)
        self.xcoms: dict[str, Any] = {}
        self.of_run: XComs = {} if of_run is None else of_run

    def get_first_reschedule_date(self, context: Any) -> datetime:
        """When the try began, whether or not it was rescheduled since."""
        return self.start_date

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = json.loads(json.dumps(value))

    def xcom_pull(self, *, task_ids: list[str], key: str) -> list[Any]:
        """As Airflow's without ``map_indexes``: of each task the values of all map indexes, ``None`` if it has none."""
        found: list[Any] = []
        for task_id in task_ids:
            of_task = sorted(self.of_run.get(task_id, {}).items())
            found += [xcoms[key] for _, xcoms in of_task if key in xcoms] or [None]
        return found


def dag_run(run_type: str = "manual", **facts: Any) -> DagRun:
    """A run as the worker gets it; it began a moment ago unless said otherwise."""
    now = datetime.now(UTC)
    given = {
        "dag_id": "campaigns",
        "run_id": f"{run_type}__now",
        "logical_date": None,
        "data_interval_start": None,
        "data_interval_end": None,
        "run_after": now - timedelta(seconds=1),
        "start_date": now,
        "end_date": None,
        "run_type": run_type,
        "state": "running",
        "consumed_asset_events": [],
        "partition_key": None,
        **facts,
    }
    return DagRun.model_validate({name: value for name, value in given.items() if name in DagRun.model_fields})


class Task:
    """One task instance over all its tries. Each try, and each return from a trigger, has an operator of its own.

    :param make: makes the operator, as importing the DAG file does.
    :param durable: whether there is a task state store (Airflow 3.3 and later).
    :param run: the DAG run.
    :param xcoms: where the tasks of the run keep their XComs.
    :param map_index: its own, if it is mapped.
    """

    def __init__(
        self,
        make: Callable[[], BaseOperator],
        *,
        durable: bool = True,
        retries: int = 3,
        run: DagRun | None = None,
        xcoms: XComs | None = None,
        map_index: int = -1,
    ) -> None:
        self.make = make
        self.store = MemoryStore() if durable else None
        self.retries = retries
        self.run_of_dag = run or dag_run()
        self.try_number = 0
        self.max_tries = retries
        self.xcoms = {} if xcoms is None else xcoms
        self.map_index = map_index
        self.ti = TaskInstance(0, retries)
        self.deferrals: list[TaskDeferred] = []

    def context(self, operator: BaseOperator | None = None) -> Any:
        context: dict[str, Any] = {"ti": self.ti, "dag_run": self.run_of_dag, "run_id": self.run_of_dag.run_id}
        context["task"] = task = operator or self.make()
        task.retries = self.retries
        context["dag"] = task.get_dag()
        if self.store is not None:
            context["task_state_store"] = self.store
        return context

    def run(self) -> Any:
        """The next try, from start to end: what it returns, or raises."""
        self.try_number += 1
        self.ti = TaskInstance(self.try_number, self.max_tries, self.xcoms, self.map_index)
        operator = self.make()
        self.xcoms.setdefault(operator.task_id, {})[self.map_index] = self.ti.xcoms
        context = self.context(operator)
        operator.render_template_fields(context)
        go_on = partial(operator.execute, context)
        while True:
            try:
                return go_on()
            except TaskDeferred as deferred:
                self.deferrals.append(deferred)
                go_on = partial(self.resume, deferred, fire(over_the_database(deferred.trigger)))

    def resume(self, deferred: TaskDeferred, event: Any) -> Any:
        """Go on after a trigger's event, in a new operator."""
        operator = self.make()
        context = self.context(operator)
        operator.render_template_fields(context)
        kwargs = {**(deferred.kwargs or {}), "event": event}
        return operator.resume_execution(deferred.method_name, kwargs, context)

    def clear(self, *, forgets: bool = False, running: bool = False) -> None:
        """What a person's clear of this task does: the tries begin again, and the run counts one clear more.

        :param forgets: whether the notes go, as they do by default from Airflow 3.4 on.
        :param running: the task runs: Airflow ends its process and starts the next try, but no new tries are given.
        """
        if not running:
            self.max_tries = self.try_number + self.retries
        if forgets and self.store is not None:
            self.store.notes.clear()
        if "clear_number" in DagRun.model_fields:
            self.run_of_dag.clear_number = (self.run_of_dag.clear_number or 0) + 1


class InOneTask(BaseOperator):
    """A task function that calls several operators, one after the other, with its own context.

    :param calls: make the operators; each is called in its turn, and what it returns is in the list returned.
    """

    def __init__(self, *, calls: Sequence[Callable[[], BaseOperator]], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.calls = calls

    def execute(self, context: Any) -> list[Any]:
        return [make().execute(context) for make in self.calls]


def over_the_database(trigger: BaseTrigger) -> BaseTrigger:
    """The trigger as the triggerer gets it: by class path and JSON arguments."""
    path, kwargs = trigger.serialize()
    module, _, name = path.rpartition(".")
    loaded: BaseTrigger = getattr(import_module(module), name)(**json.loads(json.dumps(kwargs, allow_nan=False)))
    return loaded


def fire(trigger: BaseTrigger) -> Any:
    """Run a trigger on an event loop; its one event's payload, as JSON carries it."""

    async def first() -> Any:
        payloads = [event.payload async for event in trigger.run()]
        assert len(payloads) == 1
        return payloads[0]

    return json.loads(json.dumps(asyncio.run(first()), allow_nan=False))
