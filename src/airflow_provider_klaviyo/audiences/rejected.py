"""Rows that do not become profiles: why each did not, and how many may."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError


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


def most_rejected(max_rejected: Any, rows: int) -> int:
    """How many of the rows may be rejected.

    :param max_rejected: a number (``10``), a share (``0.01``), or text of either, as Jinja makes it; ``"1%"`` too.
    :raises KlaviyoValidationError: it is neither.
    """
    given = max_rejected.strip() if isinstance(max_rejected, str) else max_rejected
    try:
        if isinstance(given, bool) or given is None:
            raise TypeError
        if isinstance(given, str) and given.endswith("%"):
            share: float | None = float(given[:-1]) / 100
        elif isinstance(given, int) or (isinstance(given, str) and given.isdecimal()):
            share = None
        else:
            share = float(given)
        if share is None:
            if int(given) < 0:
                raise ValueError
            return int(given)
        if not 0 <= share <= 1:
            raise ValueError
        return math.floor(share * rows + 1e-9)
    except (TypeError, ValueError):
        raise KlaviyoValidationError(
            f"max_rejected is {max_rejected!r}; give a whole number of rows, 0 or more, or a share of them, such as "
            f"0.01 or '1%'.",
            pointer="max_rejected",
        ) from None
