"""Rows become profiles as they are sent, or are refused with a reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, tzinfo
from typing import Any, Literal, cast
from zoneinfo import ZoneInfo

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.audiences.fields import IDENTIFIERS, LOCATION, SECTIONS, Columns, Target
from airflow_provider_klaviyo.audiences.plans import Plan, Sheet, in_one
from airflow_provider_klaviyo.audiences.readers import Readers, phone_reader
from airflow_provider_klaviyo.audiences.rejected import RowError

Nulls = Literal["omit", "clear"]
"""What ``None`` means in a row: leave the field as it is, or clear it."""

_MOST_PLANS = 100
"""Plans that are kept: rows of files need not all have the same columns."""


class Profiles:
    """Makes profiles of rows, fastest if all rows have the same columns.

    :param columns: where each column goes.
    :param nulls: what ``None`` and an empty text mean.
    :param default_region: country, such as ``"GB"``, of phone numbers without one; ``None``: they must be E.164.
    :param timezone: zone of datetimes without one, such as ``"Europe/Berlin"``; ``None``: they are refused.
    :raises KlaviyoValidationError: the region or zone is unknown, or the package for phone numbers is missing.
    """

    def __init__(
        self,
        columns: Columns,
        *,
        nulls: Nulls = "omit",
        default_region: str | None = None,
        timezone: str | None = None,
    ) -> None:
        self._columns = columns
        self._plans: dict[tuple[bool, frozenset[Any]], Plan] = {}
        self._clears = nulls == "clear"
        self._readers = Readers(phone_reader(default_region), zone(timezone))

    def read(self, rows: Sequence[Mapping[Any, Any]]) -> Sheet:
        """What becomes of each row. That does not depend on the others.

        :param rows: some hundreds at a time are fastest.
        :raises KlaviyoValidationError: a column is not known, or a datetime has no zone and none was given for such.
        """
        are_dicts = {*map(type, rows)} <= {dict}
        return self._read(cast("Sequence[dict[Any, Any]]", rows) if are_dicts else [*map(dict, rows)])

    def _read(self, rows: Sequence[dict[Any, Any]], *, are_flat: bool = False) -> Sheet:
        """:param are_flat: True for rows that were made flat: their columns are targets."""
        if not rows:
            return Sheet()
        plan = self._plan(rows[0], is_flat=are_flat)
        values = plan.values(rows)
        if values is None:
            return self._read_by_columns(rows, are_flat=are_flat)
        if not plan.is_nested:
            return plan.read(values)
        flat: dict[int, dict[Any, Any]] = {}
        refused: dict[int, RowError] = {}
        for number, row in enumerate(rows):
            try:
                flat[number] = self._flat(row)
            except RowError as error:
                refused[number] = error
        return self._read([*flat.values()], are_flat=True).at([*flat], refused)

    def _read_by_columns(self, rows: Sequence[dict[Any, Any]], *, are_flat: bool) -> Sheet:
        """The same, of rows that do not all have the same columns."""
        alike: dict[frozenset[Any], dict[int, dict[Any, Any]]] = {}
        for number, row in enumerate(rows):
            alike.setdefault(frozenset(row), {})[number] = row
        return in_one(self._read([*some.values()], are_flat=are_flat).at([*some], {}) for some in alike.values())

    def _plan(self, row: Mapping[Any, Any], *, is_flat: bool) -> Plan:
        """How rows are read that have the columns of this one.

        :raises KlaviyoValidationError: a column is not known.
        """
        known = (is_flat, frozenset(row))
        plan = self._plans.get(known)
        if plan is None:
            targets = {column: column if is_flat else self._columns.target(column) for column in row}
            plan = Plan(targets, self._readers, clears=self._clears)
            if len(self._plans) == _MOST_PLANS:
                self._plans.clear()
            self._plans[known] = plan
        return plan

    def identifiers(self, row: Mapping[Any, Any]) -> dict[str, str]:
        """Those identifiers of a row that can be read, also if the row cannot."""
        found: dict[str, str] = {}
        for column, given in row.items():
            target = self._columns.target(column)
            if target is not None and target[0] in IDENTIFIERS:
                try:
                    value = self._readers.of(target).one(given)
                except RowError:
                    continue
                if value is not None:
                    found[target[0]] = value
        return found

    def _flat(self, row: Mapping[Any, Any]) -> dict[Target, Any]:
        """The values of a row by their targets, if there are dicts for ``properties`` or ``location`` in it.

        ``None`` in place of such a dict is not given: it clears nothing.

        :raises RowError: what is there is not a dict, or a location does not have such a field.
        """
        found: dict[Target, Any] = {}
        for column, given in row.items():
            target = self._columns.target(column)
            if target not in SECTIONS:
                if target is not None and (given is not None or target not in found):
                    found[target] = given
            elif isinstance(given, Mapping):
                for name, value in given.items():
                    inner = (target[0], str(name))
                    if target[0] == "location" and inner[1] not in LOCATION:
                        raise RowError(
                            f"{inner[1]!r} is not a field of a location; allowed: {', '.join(LOCATION)}", "location"
                        )
                    if value is not None or inner not in found:
                        found[inner] = value
            elif given is not None and given != "":
                raise RowError(f"it is of type {type(given).__name__}, not an object", target[0])
        return found


def zone(name: str | None) -> tzinfo | None:
    """:raises KlaviyoValidationError: there is no zone of this name."""
    try:
        return UTC if name == "UTC" else ZoneInfo(name) if name is not None else None
    except (KeyError, ValueError, TypeError, OSError):
        raise KlaviyoValidationError(
            f"timezone is {name!r}; give an IANA name, such as 'Europe/Berlin' or 'UTC'.", pointer="timezone"
        ) from None
