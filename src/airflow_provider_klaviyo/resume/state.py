"""What a task remembers across retries, and how it tells a retry from a clear."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pendulum

if TYPE_CHECKING:
    from airflow.sdk import Context

_NEVER_EXPIRE = timedelta.max


class TaskState:
    """The task instance's own notes, in Airflow's task state store.

    The store exists from Airflow 3.3 on; it outlives retries, kills and clears, and its keys can be seen and edited in
    the UI (that is the manual override). On an older Airflow nothing is remembered: :attr:`durable` is false, and who
    writes looks the result up whenever the task runs again.

    :param context: the task's context.
    """

    def __init__(self, context: Context) -> None:
        ti: Any = context["ti"]
        self._ti = ti
        self._store: Any = context.get("task_state_store")
        self._context = context
        self.generation: int = ti.max_tries
        """Constant over automatic retries; another number after somebody cleared the task."""

    @property
    def durable(self) -> bool:
        return self._store is not None

    @property
    def is_rerun(self) -> bool:
        """Whether an earlier try of this task may have written something."""
        return bool(self._ti.try_number > 1)

    @property
    def is_retry(self) -> bool:
        """Whether an earlier try of the same generation may have: false in the first try after a clear."""
        first = self.generation - (self._context["task"].retries or 0) + 1
        return bool(self._ti.try_number > max(first, 1))

    @property
    def was_cleared(self) -> bool:
        """Whether somebody cleared the task since its first try."""
        return bool(self.generation > (self._context["task"].retries or 0))

    @property
    def run_began(self) -> datetime:
        """A moment before which no try of this run can have written anything."""
        moment: datetime = self._context["dag_run"].run_after
        return pendulum.instance(moment)

    @property
    def try_began(self) -> datetime:
        moment: datetime = self._ti.start_date
        return pendulum.instance(moment)

    def get(self, key: str) -> dict[str, Any]:
        """The note under a key; empty when there is none."""
        note = self._store.get(key) if self.durable else None
        return note if isinstance(note, dict) else {}

    def put(self, key: str, **note: Any) -> None:
        """Write a note, before and after each write to Klaviyo. It never expires. Does nothing below Airflow 3.3."""
        if self.durable:
            self._store.set(key, {"generation": self.generation, **note}, retention=_NEVER_EXPIRE)

    def restore(self, key: str, note: dict[str, Any]) -> None:
        """Put back what was noted before a write that was certainly not carried out."""
        if note:
            self.put(key, **note)
        else:
            self.drop(key)

    def drop(self, key: str) -> None:
        if self.durable:
            self._store.delete(key)
