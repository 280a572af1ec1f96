"""Batches become import jobs; a row that Klaviyo refuses does not hold up the others."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from airflow_provider_klaviyo.api import imports
from airflow_provider_klaviyo.api.errors import KlaviyoApiError
from airflow_provider_klaviyo.audiences.batches import Batch, batches
from airflow_provider_klaviyo.audiences.keys import identifiers_of
from airflow_provider_klaviyo.audiences.rejected import Rejection
from airflow_provider_klaviyo.hooks.klaviyo import KlaviyoHook
from airflow_provider_klaviyo.imports.notes import ImportJobNote
from airflow_provider_klaviyo.imports.progress import Progress
from airflow_provider_klaviyo.imports.rejected_file import RejectedRows
from airflow_provider_klaviyo.imports.spool import Spool
from airflow_provider_klaviyo.never_twice.notes import TaskState
from airflow_provider_klaviyo.never_twice.repeat import repeat

MOST_UNEXPLAINED = 50
"""Rows that Klaviyo may refuse without naming them, of one batch: beyond that, it is not the rows that are at fault."""

_REFUSED = (400, 413, 422)
_ROW = re.compile(r"/data/attributes/profiles/data/(\d+)(?:/(.*))?")


class Posting:
    """Posts batches, each content once: what an earlier try has noted as accepted is not posted again.

    :param state: the task's notes.
    :param list_ids: lists that the profiles join.
    :param rejected: takes the rows that Klaviyo refuses.
    """

    def __init__(self, hook: KlaviyoHook, state: TaskState, list_ids: Sequence[str], rejected: RejectedRows) -> None:
        self._hook = hook
        self._state = state
        self._list_ids = list_ids
        self.rejected = rejected
        notes = state.all(ImportJobNote)
        self._accepted = {note.batch: note.job for note in notes if note.generation == state.generation and note.job}
        self.refused: list[int] = []
        """Numbers of the rows that Klaviyo has refused."""

    def post_all(self, spool: Spool) -> list[str]:
        """Post all profiles that are due; the ids of the jobs."""
        progress = Progress(self._hook.log.info, "Posted {} profiles", spool.due)
        jobs: list[str] = []
        done = 0
        for batch in batches(spool.profiles(), self._list_ids):
            jobs += self.post(batch)
            done += len(batch)
            progress.at(done, self.rejected.count)
        progress.end(done, self.rejected.count)
        return jobs

    def post(self, batch: Batch) -> Iterator[str]:
        """The ids of the jobs that a batch became: of one, or of several if Klaviyo refuses it without naming a row.

        :raises KlaviyoApiError: it is refused for another reason than its rows: a list that is gone, say.
        """
        parts = [batch]
        unexplained = 0
        while parts:
            part = parts.pop()
            if not len(part):
                continue
            try:
                yield self._job(part)
            except KlaviyoApiError as error:
                if error.status not in _REFUSED or _is_not_of_rows(error):
                    raise
                if named := _named_rows(error, len(part)):
                    for place, (field, reason) in named.items():
                        self._reject(part, place, field, reason)
                    parts.append(part.without(set(named)))
                elif len(part) > 1:
                    parts += reversed(part.halves())
                else:
                    unexplained += 1
                    if unexplained > MOST_UNEXPLAINED:
                        raise
                    self._reject(part, 0, None, error.message)

    def _job(self, batch: Batch) -> str:
        digest = batch.digest
        if job_id := self._accepted.get(digest):
            return job_id
        content = batch.content(self._list_ids)
        job_id = repeat(self._hook.log, lambda: self._hook.run(imports.import_profiles(content)))
        self._state.put(ImportJobNote(at=time.time(), batch=digest, job=job_id))
        return job_id

    def _reject(self, batch: Batch, place: int, field: str | None, reason: str) -> None:
        profile: Mapping[str, Any] = msgspec.json.decode(batch.profiles[place])
        key = identifiers_of(profile)
        self.rejected.add(Rejection(f"Klaviyo: {reason}", field, batch.numbers[place], key))
        self.refused.append(batch.numbers[place])


def row_of(pointer: Any) -> tuple[int, str | None] | None:
    """The place of a row, and its field, that a pointer into a request is at; ``None``: it is not at a row."""
    found = _ROW.fullmatch(pointer) if isinstance(pointer, str) else None
    if found is None:
        return None
    field = (found[2] or "").removeprefix("attributes").strip("/").replace("/", ".")
    return int(found[1]), field or None


def _named_rows(error: KlaviyoApiError, count: int) -> dict[int, tuple[str | None, str]]:
    """The rows that a refusal names, each with the field and what is wrong."""
    named: dict[int, tuple[str | None, str]] = {}
    for one in error.errors:
        source = one.get("source")
        row = row_of(source.get("pointer")) if isinstance(source, Mapping) else None
        if row and row[0] < count:
            named.setdefault(row[0], (row[1], str(one.get("detail") or one.get("title") or error.message)))
    return named


def _is_not_of_rows(error: KlaviyoApiError) -> bool:
    pointers = [one["source"].get("pointer") for one in error.errors if isinstance(one.get("source"), Mapping)]
    return any(isinstance(pointer, str) and pointer.startswith("/data/relationships") for pointer in pointers)
