"""Rows that do not become profiles, and why each did not."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True)
class Rejection:
    """Why a row did not become a profile.

    :param reason: in words.
    :param field: the field that is wrong; ``None``: the row as a whole.
    :param row: the row's number, from 1; ``None`` where only Klaviyo's job knows of it.
    :param key: the row's identifiers.
    :param job: the import job that has it among its errors; ``None``: no job took it.
    """

    reason: str
    field: str | None = None
    row: int | None = None
    key: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    job: str | None = None

    def json(self) -> dict[str, Any]:
        """As a line of the file of rejected rows."""
        facts = {"row": self.row, "key": dict(self.key), "field": self.field, "reason": self.reason, "job": self.job}
        return {name: value for name, value in facts.items() if value is not None}

    def __str__(self) -> str:
        """For a log: without the row's values, which are personal data."""
        place = f"row {self.row}" if self.row is not None else f"a row of job {self.job}"
        return f"{place}{f', {self.field}' if self.field else ''}: {self.reason}"


class RowError(ValueError):
    """A row cannot become a profile.

    :param reason: in words, without the value.
    :param field: the field that is wrong.
    """

    def __init__(self, reason: str, field: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.field = field
