"""What the demo shows while it runs: on a terminal it is redrawn in place, elsewhere each change is a plain line."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from graphlib import TopologicalSorter
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from harness.local_airflow import LocalAirflow
from harness.rest import label

STYLES = {
    "success": "green",
    "failed": "red",
    "upstream_failed": "red",
    "running": "cyan",
    "deferred": "magenta",
    "up_for_retry": "yellow",
}
CHANGE = "  {elapsed:6.1f} s  {task:<{width}}{state:<17}{ran}"


def console() -> Console:
    """Return a console for standard output; it redraws only on a terminal that is not a build server's."""
    redraws = sys.stdout.isatty() and not os.environ.get("CI")
    return Console(highlight=False, markup=False, force_interactive=None if redraws else False)


@contextmanager
def waiting(output: Console, doing: str, done: str) -> Iterator[None]:
    """Show for how long something has been going on, and in the end how long it took.

    :param doing: what is going on, such as ``Airflow is starting``.
    :param done: what has happened in the end, such as ``Airflow is up``; not shown after an error.
    """
    started = time.monotonic()
    if output.is_interactive:
        columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
        with Progress(*columns, console=output, transient=True) as progress:
            progress.add_task(doing, total=None)
            yield
    else:
        output.print(f"{doing} …", soft_wrap=True)
        yield
    output.print(f"{done} after {time.monotonic() - started:.0f} s", soft_wrap=True)


def task_order(airflow: LocalAirflow, dag_id: str) -> list[str]:
    """Return the DAG's task ids, each after those it depends on."""
    tasks = airflow.get(f"/dags/{dag_id}/tasks")["tasks"]
    graph: TopologicalSorter[str] = TopologicalSorter()
    for task in tasks:
        graph.add(task["task_id"])
        for downstream in task["downstream_task_ids"]:
            graph.add(downstream, task["task_id"])
    return list(graph.static_order())


def seconds(instance: Mapping[str, Any]) -> str:
    """Return for how long a task has been running, deferrals included, or ran; empty if it has not started."""
    if instance["start_date"] is None:
        return ""
    until = datetime.fromisoformat(instance["end_date"]) if instance["end_date"] else datetime.now(UTC)
    return f"{(until - datetime.fromisoformat(instance['start_date'])).total_seconds():.1f}"


class TaskTable:
    """The tasks of one run in the order in which they depend on each other; a context manager.

    :param order: all task ids, as from :func:`task_order`.
    :param output: where to draw.
    """

    def __init__(self, order: Sequence[str], output: Console) -> None:
        self._position = {task_id: position for position, task_id in enumerate(order)}
        self._width = max(map(len, order)) + 4
        self._output = output
        self._live = Live(console=output, auto_refresh=False)
        self._shown: dict[str, str] = {}

    def __enter__(self) -> Self:
        if self._output.is_interactive:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, instances: Sequence[Mapping[str, Any]], elapsed: float) -> None:
        """Show the present state of the tasks.

        :param instances: task instances as the REST API describes them.
        :param elapsed: seconds since the run was triggered.
        """
        rows = sorted(instances, key=lambda row: (self._position[row["task_id"]], row["map_index"]))
        if self._output.is_interactive:
            self._live.update(_table(rows, elapsed), refresh=True)
            return
        for row in rows:
            if row["state"] and self._shown.get(label(row)) != row["state"]:
                self._shown[label(row)] = row["state"]
                change = CHANGE.format(
                    elapsed=elapsed, task=label(row), width=self._width, state=row["state"], ran=seconds(row)
                )
                self._output.print(change.rstrip(), soft_wrap=True)


def _table(rows: Sequence[Mapping[str, Any]], elapsed: float) -> Table:
    table = Table("task", "state", caption=f"{elapsed:.0f} s in all", caption_justify="left")
    table.add_column("seconds", justify="right")
    for row in rows:
        state = row["state"] or "-"
        table.add_row(Text(label(row)), Text(state, style=STYLES.get(state, "")), seconds(row))
    return table
