"""What an import notes for its later tries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from airflow_provider_klaviyo.never_twice.notes import Note


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportJobNote(Note):
    """A batch of profiles was accepted as an import job.

    :param batch: digest of the profiles.
    """

    KEY: ClassVar[str] = "klaviyo_import_jobs"

    batch: str = ""
    job: str = ""

    def is_of(self, other: Note) -> bool:
        return isinstance(other, ImportJobNote) and self.batch == other.batch


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportNote(Note):
    """All batches of an import were accepted; what is left is to wait for their jobs.

    :param rows: rows that were read.
    :param duplicates: rows whose profile a later row has too.
    :param rejected: rows that no job took.
    :param unchanged: profiles that an earlier run has imported as they are.
    :param added: profiles that were not on the list that is mirrored.
    :param removed: profiles that were taken off it.
    :param run: what the run is recognised by in its state file; empty if it has none.
    :param jobs: the jobs' ids.
    """

    KEY: ClassVar[str] = "klaviyo_import"

    jobs: tuple[str, ...] = ()
    rows: int | None = None
    duplicates: int | None = None
    rejected: int | None = None
    unchanged: int | None = None
    added: int | None = None
    removed: int | None = None
    run: str = ""

    def is_of(self, other: Note) -> bool:
        return isinstance(other, ImportNote)
