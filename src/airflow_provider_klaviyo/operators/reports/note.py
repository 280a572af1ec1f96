"""What a report notes for its later tries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from airflow_provider_klaviyo.never_twice.notes import Note


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportNote(Note):
    """The figures were first read; ``at`` is when, by Klaviyo's clock."""

    KEY: ClassVar[str] = "klaviyo_report"

    def is_of(self, other: Note) -> bool:
        return isinstance(other, ReportNote)
