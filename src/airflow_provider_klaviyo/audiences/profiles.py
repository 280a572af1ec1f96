"""A row becomes a profile as it is sent, or is refused with a reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any, Literal
from zoneinfo import ZoneInfo

import msgspec

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.audiences.fields import COORDINATES, IDENTIFIERS, LOCATION, PROPERTIES, Columns, Target
from airflow_provider_klaviyo.audiences.keys import key_of
from airflow_provider_klaviyo.audiences.readers import Readers, encode, phone_reader
from airflow_provider_klaviyo.audiences.rejected import RowError

Nulls = Literal["omit", "clear"]
"""What ``None`` means in a row: leave the field as it is, or clear it."""

LARGEST = 100_000
"""Bytes of one profile, at most: Klaviyo's 100 KB."""

_SECTIONS: tuple[Target, ...] = ((PROPERTIES,), ("location",))
"""Targets that take a dict."""

_MOST_PLANS = 100
"""Plans that are kept: rows of files need not all have the same columns."""

_IDENTIFIER, _FIELD, _LOCATION, _PROPERTY = range(4)
"""The parts of a profile, by their places in what a row is read into."""

_PREFIXES = {_FIELD: "", _LOCATION: "location."}

_Step = tuple[Any, int, str, Any, Callable[[Any], Any]]
"""For a column: the part and the name that its values go to; the type of values that are sent as they are, unless they
are blank; what reads others, or has ``None`` for those that are not given."""


class Profile(msgspec.Struct, gc=False):
    """A row as it is sent.

    :param key: what tells it from other rows: its first identifier.
    :param content: the profile as JSON.
    :param identifiers: those that it has.
    :param clears: standard fields that are to be cleared, such as ``location.city``: a bulk import cannot.
    """

    key: str
    content: bytes
    identifiers: Mapping[str, str]
    clears: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Plan:
    """How rows are read that have these columns, in this order.

    :param is_nested: True if some hold dicts: such rows are made flat, and read as those are.
    :param identifiers: those that there is a column of; the first that a row has is its key.
    """

    columns: list[Any]
    is_nested: bool
    identifiers: list[str]
    steps: list[_Step]


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
        self._plan = _Plan([], False, [], [])
        self._plans: dict[tuple[Any, ...], _Plan] = {}
        self._clears = nulls == "clear"
        self._readers = Readers(phone_reader(default_region), zone(timezone))

    def read(self, row: Mapping[Any, Any]) -> Profile:
        """The profile that a row is.

        :raises RowError: a value cannot be sent, or nothing identifies the profile.
        :raises KlaviyoValidationError: a column is not known.
        """
        plan = self._plan
        if [*row] != plan.columns:
            plan = self._plan = self._plan_of([*row])
        if plan.is_nested:
            row = self._flat(row)
            plan = self._plan_of([*row], is_flat=True)
        identifiers: dict[str, str] = {}
        fields: dict[str, Any] = {}
        location: dict[str, Any] = {}
        properties: dict[str, Any] = {}
        parts = (identifiers, fields, location, properties)
        nulls: list[tuple[int, str]] = []
        for column, part, name, kind, read in plan.steps:
            value = row[column]
            if (type(value) is kind and value.strip()) or (value := read(value)) is not None:
                parts[part][name] = value
            elif self._clears:
                nulls.append((part, name))
        attributes = {**identifiers, **fields}
        if location:
            attributes["location"] = location
        if properties:
            attributes[PROPERTIES] = properties
        for name in plan.identifiers:
            if name in identifiers:
                key = key_of(name, identifiers[name])
                break
        else:
            raise RowError("it has no email, phone_number, external_id or id, so no profile can be recognised")
        profile: dict[str, Any] = {"type": "profile", "attributes": attributes}
        if name == "id":
            profile = {"type": "profile", "id": attributes.pop("id"), "attributes": attributes}
        if nulls and (unset := [name for part, name in nulls if part == _PROPERTY]):
            profile["meta"] = {"patch_properties": {"unset": unset}}
        try:
            content = encode(profile)
        except (OverflowError, ValueError, TypeError) as error:
            raise _unsendable(error) from None
        if len(content) > LARGEST:
            raise _too_large(content, attributes)
        return Profile(key, content, identifiers, _clears(nulls) if nulls else ())

    def identifiers(self, row: Mapping[Any, Any]) -> dict[str, str]:
        """Those identifiers of a row that can be read, also if the row cannot."""
        found: dict[str, str] = {}
        for column, given in row.items():
            target = self._columns.target(column)
            if target is not None and target[0] in IDENTIFIERS:
                try:
                    value = self._readers.of(target)(given)
                except RowError:
                    continue
                if value is not None:
                    found[target[0]] = value
        return found

    def _plan_of(self, columns: list[Any], *, is_flat: bool = False) -> _Plan:
        """The plan for rows of these columns.

        :param is_flat: True for rows that were made flat: their columns are targets.
        :raises KlaviyoValidationError: a column is not known.
        """
        known = (is_flat, *columns)
        if known in self._plans:
            return self._plans[known]
        targets = columns if is_flat else [self._columns.target(column) for column in columns]
        is_nested = any(target in _SECTIONS for target in targets)
        steps = [
            (column, *self._step(target))
            for column, target in zip(columns, targets, strict=True)
            if target is not None and not is_nested
        ]
        identifiers = [name for name in IDENTIFIERS if (name,) in targets]
        plan = _Plan(columns, is_nested, identifiers, steps)
        if len(self._plans) == _MOST_PLANS:
            self._plans.clear()
        self._plans[known] = plan
        return plan

    def _step(self, target: Target) -> tuple[int, str, Any, Callable[[Any], Any]]:
        """A step but for its column."""
        name, read = target[-1], self._readers.of(target)
        if target[0] == PROPERTIES:
            return _PROPERTY, name, str, read
        if target[0] in IDENTIFIERS:
            return _IDENTIFIER, name, None, read
        return _LOCATION if len(target) > 1 else _FIELD, name, None if name in COORDINATES else str, read

    def _flat(self, row: Mapping[Any, Any]) -> dict[Target, Any]:
        """The values of a row by their targets, if there are dicts for ``properties`` or ``location`` in it.

        ``None`` in place of such a dict is not given: it clears nothing.

        :raises RowError: what is there is not a dict, or a location does not have such a field.
        """
        found: dict[Target, Any] = {}
        for column, given in row.items():
            target = self._columns.target(column)
            if target not in _SECTIONS:
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


def _clears(nulls: Iterable[tuple[int, str]]) -> tuple[str, ...]:
    """The standard fields among them."""
    return tuple(_PREFIXES[part] + name for part, name in nulls if part in _PREFIXES)


def _unsendable(error: Exception) -> RowError:
    if isinstance(error, UnicodeEncodeError):
        return RowError("it holds half a character, which UTF-8 cannot carry")
    return RowError(f"JSON cannot carry it: {error}")


def _too_large(content: bytes, attributes: Mapping[str, Any]) -> RowError:
    longest = max(attributes, key=lambda name: len(encode(attributes[name])))
    return RowError(
        f"it has {len(content):,} bytes as JSON, and Klaviyo takes {LARGEST:,}; most of it is here", longest
    )
