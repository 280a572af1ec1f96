"""What is known of an import once all of its batches are posted."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_klaviyo.imports.comparing import Compared

if TYPE_CHECKING:
    from airflow_provider_klaviyo.never_twice.notes import TaskState

COMPARED: tuple[Literal["unchanged", "added", "removed"], ...] = ("unchanged", "added", "removed")


class Posted(Compared):
    """The facts, in plain values: they pass through Airflow's database while the task waits in the triggerer.

    :param rejected: rows that no job took.
    :param jobs: ids of the jobs.
    :param run: what the run is recognised by in its state file.
    """

    rows: int
    duplicates: int
    rejected: int
    jobs: list[str]
    run: str


def note(state: TaskState, posted: Posted) -> None:
    """Keep it for the tries that follow, in place of the notes of each job."""
    from airflow_provider_klaviyo.imports.notes import ImportJobNote, ImportNote

    facts: dict[str, Any] = {**posted, "jobs": tuple(posted["jobs"])}
    state.put(ImportNote(at=time.time(), **facts))
    state.forget(ImportJobNote)


def posted_before(state: TaskState) -> Posted | None:
    """What an earlier try of this generation has posted, if that was all; ``None``: it was not."""
    from airflow_provider_klaviyo.imports.notes import ImportJobNote, ImportNote

    noted = state.find(ImportNote, lambda one: one.generation == state.generation)
    if noted is None:
        if any(one.generation != state.generation for one in state.all(ImportJobNote)):
            state.forget(ImportJobNote)
        return None
    posted = Posted(
        rows=noted.rows or 0,
        duplicates=noted.duplicates or 0,
        rejected=noted.rejected or 0,
        jobs=list(noted.jobs),
        run=noted.run,
    )
    for name in COMPARED:
        if (count := getattr(noted, name)) is not None:
            posted[name] = count
    return posted


def told(result: Mapping[str, Any]) -> str:
    """The counts of a result in words, for the log."""
    counts = [f"{result['accepted']:,} of {result['rows']:,} rows"]
    counts += [f"{result[name]:,} {name}" for name in (*COMPARED, "rejected") if name in result]
    return ", ".join(counts)
