"""How rows that have the same columns become profiles: a column at a time, which is faster than a row at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat
from operator import itemgetter
from typing import Any

import msgspec
from msgspec import UNSET

from airflow_provider_klaviyo.audiences.fields import IDENTIFIERS, PROPERTIES, SECTIONS, Target
from airflow_provider_klaviyo.audiences.keys import key_of, keys_with
from airflow_provider_klaviyo.audiences.readers import Column, Readers, encode
from airflow_provider_klaviyo.audiences.rejected import RowError

LARGEST = 100_000
"""Bytes of one profile, at most: Klaviyo's 100 KB."""

_MANY = 200
"""Rows from which on a class of their own pays for itself."""

_IDENTIFIER, _FIELD, _LOCATION, _PROPERTY, _NOWHERE = range(5)
"""The parts of a profile, in the order in which they are sent."""

_Columns = Mapping[str, Column]
"""Columns by the names under which their values are sent."""


@dataclass(slots=True)
class Sheet:
    """Rows as they are sent: lists side by side, with one item for each row that can be.

    :param numbers: the rows' numbers: from 0, unless :meth:`at` has given them others.
    :param keys: what tells them from other rows: their first identifiers.
    :param others: the keys of their other identifiers.
    :param contents: the profiles as JSON; of the same values the same, in whatever order their columns come.
    :param clears: standard fields that are to be cleared, such as ``location.city``: a bulk import cannot.
    :param refused: by their numbers, why the other rows cannot be sent.
    """

    numbers: Sequence[int] = ()
    keys: Sequence[str] = ()
    others: Sequence[Sequence[str]] = ()
    contents: Sequence[bytes] = ()
    clears: Sequence[Sequence[str]] = ()
    refused: Mapping[int, RowError] = field(default_factory=dict)

    def at(self, numbers: Sequence[int], refused: Mapping[int, RowError]) -> Sheet:
        """The same rows with other numbers.

        :param numbers: of all rows that were read.
        :param refused: rows besides that cannot be sent.
        """
        refused_here = {numbers[number]: error for number, error in self.refused.items()}
        return replace(self, numbers=[numbers[number] for number in self.numbers], refused={**refused, **refused_here})


def in_one(sheets: Iterable[Sheet]) -> Sheet:
    """Sheets of different rows, in the order of their numbers."""
    whole = Sheet()
    rows: list[tuple[Any, ...]] = []
    for sheet in sheets:
        rows += zip(sheet.numbers, sheet.keys, sheet.others, sheet.contents, sheet.clears, strict=True)
        whole.refused = {**whole.refused, **sheet.refused}
    if rows:
        whole.numbers, whole.keys, whole.others, whole.contents, whole.clears = zip(*sorted(rows), strict=True)
    return whole


class Plan:
    """Makes profiles of rows that have the same columns, in whatever order these are.

    :param targets: by columns, where their values go; ``None``: nowhere.
    :param clears: True if a field is to be cleared that a row has no value for.
    """

    def __init__(self, targets: Mapping[Any, Target | None], readers: Readers, *, clears: bool) -> None:
        columns = sorted(targets, key=lambda column: _place(targets[column]))
        self._size = len(columns)
        self._values_of = itemgetter(*columns) if len(columns) > 1 else lambda row: tuple(row[one] for one in columns)
        goals = [target for column in columns if (target := targets[column])]
        self._steps = [(_place(target)[0], target[-1], readers.of(target)) for target in goals]
        self.is_nested = any(target in SECTIONS for target in goals)
        """True if columns hold dicts: such rows have to be made flat first."""
        self._clears = clears
        self._attributes, self._location, self._properties = _Objects(), _Objects(), _Objects()

    def values(self, rows: Sequence[Mapping[Any, Any]]) -> list[tuple[Any, ...]] | None:
        """The values of rows, in the plan's order; ``None``: some have other columns."""
        try:
            return [*map(self._values_of, rows)] if set(map(len, rows)) == {self._size} else None
        except KeyError:
            return None

    def read(self, rows: Sequence[tuple[Any, ...]]) -> Sheet:
        """What becomes of each row.

        :param rows: their values.
        :raises KlaviyoValidationError: a datetime has no zone, and none was given for such.
        """
        parts: tuple[dict[str, Column], ...] = ({}, {}, {}, {})
        refused: dict[int, RowError] = {}
        for (part, name, reader), values in zip(self._steps, zip(*rows, strict=True), strict=False):
            column = parts[part][name] = reader.read(values)
            for number, error in column.refused.items():
                refused.setdefault(number, error)
        for number in _unknown(parts[_IDENTIFIER].values(), len(rows)):
            refused.setdefault(
                number, RowError("it has no email, phone_number, external_id or id, so no profile can be recognised")
            )
        if not refused:
            if contents := _encoded(self._profiles(parts, len(rows))):
                keys, others = _keys(parts[_IDENTIFIER], len(rows))
                return Sheet(range(len(rows)), keys, others, contents, self._cleared(parts, len(rows)))
            judged = {number: _unsendable(one) for number, one in enumerate(self._profiles(parts, len(rows)))}
            refused = {number: error for number, error in judged.items() if error}
        rest = [number for number in range(len(rows)) if number not in refused]
        sheet = self.read([rows[number] for number in rest]) if rest else Sheet()
        return sheet.at(rest, refused)

    def _profiles(self, parts: Sequence[_Columns], count: int) -> Iterator[_Profile]:
        """Each is made when it is needed: to be sent at once, as it does not have to stay in memory then."""
        identifiers, fields, location, properties = parts
        attributes: dict[str, Iterable[Any]] = {
            name: column.values for name, column in (*identifiers.items(), *fields.items())
        }
        ids = attributes.pop("id", repeat(UNSET, count))
        if location:
            attributes["location"] = self._location.of_some(location, count)
        if properties:
            attributes[PROPERTIES] = self._properties.of_some(properties, count)
        changes: Iterable[Any] = repeat(UNSET, count)
        if self._clears:
            unset = _absent(properties, count)
            changes = ({"patch_properties": {"unset": names}} if names else UNSET for names in unset)
        return map(_Profile, ids, self._attributes.of(attributes, count), changes)

    def _cleared(self, parts: Sequence[_Columns], count: int) -> Sequence[Sequence[str]]:
        """The standard fields of each row that are to be cleared."""
        if not self._clears:
            return [()] * count
        location = {f"location.{name}": column for name, column in parts[_LOCATION].items()}
        return [*_absent({**parts[_FIELD], **location}, count)]


class _Profile(msgspec.Struct, gc=False, tag_field="type", tag="profile"):
    """A profile as Klaviyo takes it."""

    id: Any
    attributes: Any
    meta: Any


class _Objects:
    """Makes JSON objects of the same columns each time: once there are many, of a class, which is faster."""

    def __init__(self) -> None:
        self._made = 0
        self._class: Callable[..., Any] | None = None

    def of(self, columns: Mapping[str, Iterable[Any]], count: int) -> Iterable[Any]:
        """An object of each row.

        :param columns: values by names, ``UNSET`` where there is none.
        """
        self._made += count
        if self._made - count < _MANY <= self._made and columns:
            self._class = _class_of(columns)
        if self._class:
            return map(self._class, *columns.values())
        if not columns:
            return repeat({}, count)
        rows = zip(*columns.values(), strict=True)
        return ({name: value for name, value in zip(columns, row, strict=True) if value is not UNSET} for row in rows)

    def of_some(self, columns: _Columns, count: int) -> Iterable[Any]:
        """The same, with ``UNSET`` in place of an object that would be empty."""
        objects = self.of({name: column.values for name, column in columns.items()}, count)
        if any(column.is_full for column in columns.values()):
            return objects
        return (one if there else UNSET for one, there in zip(objects, _present(columns), strict=True))


def _class_of(names: Iterable[str]) -> Callable[..., Any] | None:
    """A class whose instances are sent with these names; ``None``: a name has a character that needs an escape."""
    fields = {f"field{number}": name for number, name in enumerate(names)}
    try:
        return msgspec.defstruct("_Object", [(field, Any) for field in fields], rename=fields, gc=False)
    except ValueError:
        return None


def _place(target: Target | None) -> tuple[int, int, str]:
    """The part of a profile that a column goes to, and where it stands there."""
    if target is None:
        return _NOWHERE, 0, ""
    if target[0] in IDENTIFIERS:
        return _IDENTIFIER, IDENTIFIERS.index(target[0]), ""
    part = _PROPERTY if target[0] == PROPERTIES else _FIELD if len(target) == 1 else _LOCATION
    return part, 0, target[-1]


def _unknown(identifiers: Collection[Column], count: int) -> Iterable[int]:
    """The numbers of the rows that have no identifier."""
    if any(column.is_full for column in identifiers):
        return ()
    return [number for number in range(count) if all(column.values[number] is UNSET for column in identifiers)]


def _keys(identifiers: _Columns, count: int) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """The key of each row's first identifier, and those of the others."""
    if all(column.is_full for column in identifiers.values()):
        first, *rest = (keys_with(name, column.values) for name, column in identifiers.items())
        return first, [*zip(*rest, strict=True)] if rest else [()] * count
    keys = [[key_of(*item) for item in known.items()] for known in _present(identifiers)]
    return [first for first, *_ in keys], [others for _, *others in keys]


def _present(columns: _Columns) -> Iterator[dict[str, Any]]:
    """The values that each row has, by their names."""
    for row in zip(*(column.values for column in columns.values()), strict=True):
        yield {name: value for name, value in zip(columns, row, strict=True) if value is not UNSET}


def _absent(columns: _Columns, count: int) -> Iterable[list[str]]:
    """The names for which each row has no value."""
    some = {name: column.values for name, column in columns.items() if not column.is_full}
    if not some:
        return [[]] * count
    rows = zip(*some.values(), strict=True)
    return [[name for name, value in zip(some, row, strict=True) if value is UNSET] for row in rows]


def _encoded(profiles: Iterable[_Profile]) -> list[bytes] | None:
    """Profiles as JSON; ``None``: one of them cannot be sent."""
    try:
        contents = [*map(encode, profiles)]
    except (OverflowError, ValueError, TypeError):
        return None
    return contents if max(map(len, contents)) <= LARGEST else None


def _unsendable(profile: _Profile) -> RowError | None:
    """Why a profile cannot be sent; ``None``: it can."""
    try:
        content = encode(profile)
    except UnicodeEncodeError:
        return RowError("it holds half a character, which UTF-8 cannot carry")
    except (OverflowError, ValueError, TypeError) as error:
        return RowError(f"JSON cannot carry it: {error}")
    if len(content) <= LARGEST:
        return None
    attributes = msgspec.json.decode(content)["attributes"]
    longest = max(attributes, key=lambda name: len(encode(attributes[name])))
    return RowError(
        f"it has {len(content):,} bytes as JSON, and Klaviyo takes {LARGEST:,}; most of it is here", longest
    )
