"""What a task remembers across retries, and how it tells a retry from a clear."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import pendulum

from airflow_provider_klaviyo.resume.notes import Note

if TYPE_CHECKING:
    from airflow.sdk import Context

N = TypeVar("N", bound=Note)

ALSO = "also"
"""Under this name a note has the further ones of its key."""

_NEVER_EXPIRE = timedelta.max

_done_here: deque[tuple[Any, Note]] = deque(maxlen=1_000)
"""What this process has done, each with the task instance that did."""


class TaskState:
    """The task instance's own notes, in Airflow's task state store.

    The store exists from Airflow 3.3 on; it outlives retries and kills. It outlives clears on 3.3, but not on 3.4,
    where clearing in the UI empties it. On an older Airflow nothing is remembered (:attr:`durable` is false). So a note
    means that something was done; a missing note means that nothing was, unless :attr:`may_have_forgotten`.

    Each key has one note, whose list ``also`` has those of other campaigns, where a task makes several. The keys can be
    seen and edited in the UI, which is the manual override.

    :param context: the task's context.
    """

    def __init__(self, context: Context) -> None:
        ti: Any = context["ti"]
        self._ti = ti
        self._store: Any = context.get("task_state_store")
        self._context = context
        self._last_read: dict[type[Note], list[Any]] = {}
        self.generation: int = ti.max_tries
        """Constant over automatic retries; another number after somebody cleared the task."""

    @property
    def durable(self) -> bool:
        return self._store is not None

    @property
    def attempt(self) -> int:
        """The number of this try; it goes on counting over clears."""
        return int(self._ti.try_number)

    @property
    def is_rerun(self) -> bool:
        """True if an earlier try of this task may have written something."""
        return self.attempt > 1

    @property
    def is_retry(self) -> bool:
        """True if an earlier try of the same generation may have: false in the first try after a clear."""
        first = self.generation - (self._context["task"].retries or 0) + 1
        return self.attempt > max(first, 1)

    @property
    def was_cleared(self) -> bool:
        """True if somebody cleared this task, or another one of the run, since the run began.

        Another one may have done what is this one's now: a mapped task's index moves with its list, a task is renamed.
        """
        is_cleared = self.generation > (self._context["task"].retries or 0)
        return is_cleared or bool(getattr(self._context["dag_run"], "clear_number", 0))

    @property
    def may_have_forgotten(self) -> bool:
        """True if something may have been done of which there is no note."""
        return self.was_cleared or (self.is_rerun and not self.durable)

    @property
    def run_began(self) -> datetime:
        """A moment before which no try of this run can have written anything, by the scheduler's clock."""
        run = self._context["dag_run"]
        return pendulum.instance(min(moment for moment in (run.run_after, _started(run)) if moment is not None))

    @property
    def try_began(self) -> float:
        """When this try began: seconds since the epoch, by this worker's clock."""
        return float(self._ti.start_date.timestamp())

    @property
    def quiet_since(self) -> float:
        """Since when nothing was written of which there is no note: seconds since the epoch.

        Earlier tries ended before this one began. In the first try of a task of a cleared run, others wrote before the
        clear, with which the run began anew.
        """
        start = _started(self._context["dag_run"])
        if self.is_rerun or start is None:
            return self.try_began
        return min(self.try_began, float(start.timestamp()))

    def all(self, kind: type[N]) -> list[N]:
        """All notes of a kind, as they are now: those that this task has written, and what people made of them."""
        raw = self._store.get(kind.KEY) if self.durable else None
        primary = [raw] if isinstance(raw, Mapping) else []
        also = primary[0].get(ALSO) if primary else None
        found = [*primary, *(also if isinstance(also, list) else [])]
        notes = [kind.read(one) for one in found if isinstance(one, Mapping)]
        self._last_read[kind] = notes
        return list(notes)

    def find(self, kind: type[N], is_meant: Callable[[N], bool]) -> N | None:
        """The note that is meant, as it is now."""
        return next((note for note in self.all(kind) if is_meant(note)), None)

    def has_done(self, note: Note) -> bool:
        """True if this very execution has done the same thing before: the task does it for the second time.

        The number of the try does not show that: Airflow can run a try again, after a reschedule.
        """
        return any(ti is self._ti and one.is_of(note) for ti, one in _done_here)

    def done(self, note: Note) -> None:
        """Remember for this execution that it has done what the note is of; :meth:`put` does so itself."""
        _done_here.append((self._ti, note))

    def put(self, note: N) -> N:
        """Write a note, in place of the one of the same thing; it never expires. Does nothing below Airflow 3.3.

        :returns: the note, as it can be read from now on.
        """
        note = replace(note, generation=self.generation, attempt=self.attempt)
        self.done(note)
        self._write(type(note), note, instead_of=note)
        return note

    def restore(self, note: N, earlier: N | None) -> None:
        """Put back what was noted before a write that was certainly not carried out; no note, if there was none.

        What another try has noted since stays.
        """
        noted = self.find(type(note), note.is_of)
        if noted and (noted.generation, noted.attempt) == (note.generation, note.attempt):
            self._write(type(note), earlier, instead_of=note)

    def drop(self, note: N) -> None:
        self.restore(note, None)

    def _write(self, kind: type[N], note: N | None, *, instead_of: N) -> None:
        if not self.durable:
            return
        noted: list[N] = self._last_read[kind] if kind in self._last_read else self.all(kind)
        place = next((place for place, one in enumerate(noted) if one.is_of(instead_of)), len(noted))
        noted[place : place + 1] = [] if note is None else [note]
        if not noted:
            self._store.delete(kind.KEY)
            return
        first, *others = (one.json() for one in noted)
        self._store.set(kind.KEY, first | ({ALSO: others} if others else {}), retention=_NEVER_EXPIRE)


def _started(run: Any) -> datetime | None:
    """When the run began, or began anew after a clear; a run that waits may not have it."""
    return getattr(run, "start_date", None)
