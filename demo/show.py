"""Shows the tasks of a run as they move: a table that redraws itself, or plain lines where there is no terminal."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from graphlib import TopologicalSorter
from typing import Any, TextIO

from harness.local_airflow import LocalAirflow, label

CLEAR_TO_END_OF_LINE = "\x1b[K"
STATE_WIDTH = 17
ENDED_STATES = {"success", "failed", "skipped", "upstream_failed", "removed"}
COLOURS = {"success": 32, "failed": 31, "upstream_failed": 31, "running": 36, "deferred": 35, "up_for_retry": 33}


def is_terminal(stream: TextIO) -> bool:
    """Say whether the output can be redrawn: a terminal, and not one of a build server."""
    return stream.isatty() and not os.environ.get("CI") and os.environ.get("TERM") != "dumb"


def task_order(airflow: LocalAirflow, dag_id: str) -> list[str]:
    """Return the DAG's task ids, each after those it depends on."""
    tasks = airflow.get(f"/dags/{dag_id}/tasks")["tasks"]
    graph: TopologicalSorter[str] = TopologicalSorter()
    for task in tasks:
        graph.add(task["task_id"])
        for downstream in task["downstream_task_ids"]:
            graph.add(downstream, task["task_id"])
    return list(graph.static_order())


def seconds(instance: Mapping[str, Any]) -> float | None:
    """Return for how long a task has been running, deferrals included, or ran; None if it has not started."""
    if instance["start_date"] is None:
        return None
    until = datetime.fromisoformat(instance["end_date"]) if instance["end_date"] else datetime.now(UTC)
    return (until - datetime.fromisoformat(instance["start_date"])).total_seconds()


class TaskTable:
    """The tasks of one run in the order in which they depend on each other.

    :param order: all task ids, as from :func:`task_order`.
    :param stream: where to draw.
    """

    def __init__(self, order: Sequence[str], stream: TextIO) -> None:
        self._position = {task_id: position for position, task_id in enumerate(order)}
        self._width = max(map(len, order)) + 4
        self._stream = stream
        self._redraws = is_terminal(stream)
        self._drawn_lines = 0
        self._shown: dict[str, str] = {}

    def show(self, instances: Sequence[Mapping[str, Any]], elapsed: float) -> None:
        """Show the present state of the tasks.

        :param instances: task instances as the REST API describes them.
        :param elapsed: seconds since the run was triggered.
        """
        rows = sorted(instances, key=lambda row: (self._position[row["task_id"]], row["map_index"]))
        if self._redraws:
            self._redraw(rows, elapsed)
        else:
            self._append(rows, elapsed)

    def _redraw(self, rows: Sequence[Mapping[str, Any]], elapsed: float) -> None:
        lines = [f"  {'task':<{self._width}}{'state':<{STATE_WIDTH}}seconds    ({elapsed:.0f} s in all)"]
        lines += [f"  {self._line(row, coloured=True)}" for row in rows]
        up = f"\x1b[{self._drawn_lines}A" if self._drawn_lines else ""
        self._stream.write(up + "".join(f"{line}{CLEAR_TO_END_OF_LINE}\n" for line in lines))
        self._stream.flush()
        self._drawn_lines = len(lines)

    def _append(self, rows: Sequence[Mapping[str, Any]], elapsed: float) -> None:
        for row in rows:
            state = row["state"]
            if state and self._shown.get(label(row)) != state:
                self._shown[label(row)] = state
                print(f"  {elapsed:6.1f} s  {self._line(row, coloured=False)}".rstrip(), file=self._stream, flush=True)

    def _line(self, row: Mapping[str, Any], *, coloured: bool) -> str:
        state = row["state"] or "-"
        shown_state = f"{state:<{STATE_WIDTH}}"
        if coloured and state in COLOURS:
            shown_state = f"\x1b[{COLOURS[state]}m{shown_state}\x1b[0m"
        ran = seconds(row)
        return f"{label(row):<{self._width}}{shown_state}{'' if ran is None else f'{ran:7.1f}'}"
