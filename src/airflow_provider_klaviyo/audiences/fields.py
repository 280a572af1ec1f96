"""Klaviyo's fields of a profile, and which column of a row goes into which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.api.text import check_text, nearest

IDENTIFIERS = ("id", "email", "phone_number", "external_id")
"""What a profile is recognised by; each row needs one. In this order, the first that a row has is the row's key."""

TEXTS = ("first_name", "last_name", "organization", "locale", "title", "image")

COORDINATES = ("latitude", "longitude")

LOCATION = ("address1", "address2", "city", "country", *COORDINATES, "region", "zip", "timezone", "ip")

PROPERTIES = "properties"

FIELDS = (*IDENTIFIERS, *TEXTS, "location", *(f"location.{name}" for name in LOCATION), PROPERTIES)
"""What a column may be mapped to, besides ``properties.<any name>``."""

Unmapped = Literal["refuse", "ignore", "properties"]
"""What becomes of a column that is not one of Klaviyo's fields, and is not named in ``columns``."""

Target = tuple[str, ...]
"""Where a value goes: ``("email",)``, ``("location", "city")`` or ``("properties", "plan")``."""

SECTIONS: tuple[Target, ...] = ((PROPERTIES,), ("location",))
"""Targets that take a dict."""


def check_columns(columns: Any, unmapped: Any) -> None:
    """:raises KlaviyoValidationError: a column is mapped to what is not a field, or two are mapped to one."""
    if unmapped not in get_args(Unmapped):
        raise KlaviyoValidationError(
            f"unmapped is {unmapped!r}; allowed: {', '.join(map(repr, get_args(Unmapped)))}.", pointer="unmapped"
        )
    if columns is None:
        return
    if not isinstance(columns, Mapping):
        raise KlaviyoValidationError(
            f"columns is {columns!r}; give a dict from the name of a column to a field, such as "
            f'{{"mail": "email", "plan": "properties.plan"}}.',
            pointer="columns",
        )
    taken: dict[Target, Any] = {}
    for column, field in columns.items():
        if not isinstance(column, str) or not column:
            raise KlaviyoValidationError(f"columns has {column!r}; give the name of a column.", pointer="columns")
        target = _target(field)
        if target is None:
            raise KlaviyoValidationError(
                f"columns maps {column!r} to {field!r}, which is not a field of a profile. Allowed: "
                f"{', '.join(FIELDS)}, or properties.<any name>.{nearest(field, FIELDS)}",
                pointer=f"columns/{column}",
            )
        if target in taken:
            raise KlaviyoValidationError(
                f"columns maps both {taken[target]!r} and {column!r} to {field!r}; map one of them.",
                pointer=f"columns/{column}",
            )
        taken[target] = column


class Columns:
    """Where the columns of rows go.

    A column that ``columns`` does not name goes into the field of its own name, in whatever case: warehouses write
    ``EMAIL``.

    :param columns: fields by column; see :func:`check_columns`.
    :param unmapped: what becomes of a column that is neither.
    """

    def __init__(self, columns: Mapping[str, str] | None = None, unmapped: Unmapped = "refuse") -> None:
        check_columns(columns, unmapped)
        self._mapped = {name: _known(field) for name, field in (columns or {}).items()}
        self._unmapped = unmapped
        self._met: dict[str, Target | None] = {}
        self._taken: dict[Target, str] = {target: name for name, target in self._mapped.items()}

    def target(self, column: Any) -> Target | None:
        """Where a column goes; ``None``: nowhere.

        :raises KlaviyoValidationError: it is not known, or another column goes there.
        """
        try:
            return self._met[column]
        except KeyError:
            self._met[column] = found = self._find(column)
            return found

    def check(self, names: Iterable[str]) -> None:
        """Judge the columns of a table before its first row is read.

        :raises KlaviyoValidationError: a column that ``columns`` names is not there, one is not known, or none of
            them identifies a profile.
        """
        names = list(names)
        for column in self._mapped:
            if column not in names:
                raise KlaviyoValidationError(
                    f"columns names {column!r}, and the rows do not have it. They have: {', '.join(names)}."
                    f"{nearest(column, names)}",
                    pointer=f"columns/{column}",
                )
        targets = [self.target(name) for name in names]
        if not any(target and target[0] in IDENTIFIERS for target in targets):
            raise KlaviyoValidationError(
                f"None of the columns ({', '.join(names)}) is an email, phone_number, external_id or id, so no profile "
                f"could be recognised. Name one of them in columns.",
                pointer="columns",
            )

    def _find(self, column: Any) -> Target | None:
        if not isinstance(column, str) or not column.strip():
            raise KlaviyoValidationError(f"A column is named {column!r}; give it a name.", pointer="columns")
        check_text(column, "columns")
        target = self._mapped.get(column) or _target(column) or _target(column.strip().lower())
        if target is None and self._unmapped == "ignore":
            return None
        if target is None and self._unmapped == "properties":
            target = (PROPERTIES, column)
        if target is None:
            raise KlaviyoValidationError(
                f"Column {column!r} is not a field of a profile. Map it in columns (to 'properties.{column}', say), or "
                f"set unmapped='properties' or unmapped='ignore'.{nearest(column, FIELDS)}",
                pointer=f"columns/{column}",
            )
        other = self._taken.setdefault(target, column)
        if other != column:
            raise KlaviyoValidationError(
                f"Columns {other!r} and {column!r} both go into {'.'.join(target)!r}. Map one of them elsewhere in "
                f"columns, or leave it out of the rows.",
                pointer=f"columns/{column}",
            )
        return target


def _known(field: str) -> Target:
    target = _target(field)
    assert target is not None, field  # noqa: S101 - check_columns has seen to it
    return target


def _target(field: Any) -> Target | None:
    if not isinstance(field, str):
        return None
    if field in FIELDS:
        return tuple(field.split("."))
    name = field.removeprefix(f"{PROPERTIES}.")
    return (PROPERTIES, name) if name != field and name.strip() else None
