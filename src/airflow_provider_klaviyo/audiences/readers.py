"""What a value becomes: what Klaviyo takes in its place, or a reason why it is refused."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, tzinfo
from decimal import Decimal
from functools import partial
from itertools import compress
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from msgspec import UNSET

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.audiences.addresses import are_plain_emails, is_e164, is_email
from airflow_provider_klaviyo.audiences.fields import COORDINATES, IDENTIFIERS, PROPERTIES, Target
from airflow_provider_klaviyo.audiences.rejected import RowError

DEEPEST, LONGEST = 10, 4_000
"""Levels of a property's value, and items of one of its lists, at most."""

_SEPARATORS = re.compile(r"[\s().\-/]+")

_LARGE = 300
"""Digits of a number that may be too large for JSON: it is looked at again."""


def _common(value: Any) -> Any:
    """The same value without its class of its own."""
    if isinstance(value, str):
        return str.__str__(value)
    for kind in (int, float, Decimal):
        if isinstance(value, kind):
            return kind(value)
    raise TypeError(f"it is of type {type(value).__name__}")


_One = Callable[[Any], Any]
_Together = Callable[[Sequence[Any]], Sequence[Any] | None]
_NONE = type(None)
_zone_of = attrgetter("tzinfo")

encode = msgspec.json.Encoder(enc_hook=_common, decimal_format="number").encode
"""A value as JSON, a Decimal with all its digits."""


class Column(NamedTuple):
    """The values of a column, as they are sent.

    :param values: of each row; ``UNSET`` where there is none.
    :param is_full: True if there is one in each row.
    :param refused: by the numbers of the rows, from 0, why their values cannot be sent.
    """

    values: Sequence[Any]
    is_full: bool
    refused: dict[int, RowError]


class Reader:
    """Reads the values of a column: all at once where they are of one common type, else one by one.

    There is no value where ``None``, an empty text or NaN is.

    :param one: reads a value: ``None`` if there is none.
    :param together: by types, what reads values of that type at once. ``None`` from it: they are to be read one by one.
    """

    def __init__(self, one: _One, together: Mapping[type, _Together]) -> None:
        self.one = one
        self._together = together
        self._texts = together.get(str) if len(together) == 1 else None

    def read(self, values: Sequence[Any]) -> Column:
        try:
            if self._texts and (found := self._texts(values)) is not None:
                return Column(found, True, {})
        except TypeError:  # they are not all texts
            pass
        kinds = set(map(type, values))
        has_none = _NONE in kinds
        kinds.discard(_NONE)
        kind = kinds.pop() if len(kinds) == 1 else _NONE
        if together := self._together.get(kind):
            if all(values) if kind is str else not has_none:
                if (found := together(values)) is not None:
                    return Column(found, True, {})
            else:
                there = [bool(value) if kind is str else value is not None for value in values]
                given = [*compress(values, there)]
                if (found := together(given) if given else given) is not None:
                    rest = iter(found)
                    return Column([next(rest) if is_there else UNSET for is_there in there], False, {})
        return self._one_by_one(values)

    def _one_by_one(self, values: Sequence[Any]) -> Column:
        found: list[Any] = []
        refused: dict[int, RowError] = {}
        is_full = True
        for number, given in enumerate(values):
            try:
                value = self.one(given)
            except RowError as error:
                refused[number], value = error, None
            if value is None:
                is_full, value = False, UNSET
            found.append(value)
        return Column(found, is_full, refused)


class Readers:
    """What reads columns.

    :param phone: makes E.164 of phone numbers.
    :param zone: of datetimes without one; ``None``: they are refused.
    """

    def __init__(self, phone: Callable[[str], str], zone: tzinfo | None) -> None:
        self._phone = phone
        self._zone = zone

    def of(self, target: Target) -> Reader:
        """What reads the column that goes there. It raises :class:`KlaviyoValidationError` for datetimes of no zone."""
        if target[0] == PROPERTIES:
            return Reader(partial(self._property, target, 1), {**_PROPERTIES, datetime: self._moments})
        return Reader(partial(self._value, target), _FIELDS.get(target[-1], _TEXTS))

    def _value(self, target: Target, given: Any) -> Any:
        """A value as it is sent; ``None``: there is none."""
        if given is None or given == "" or (isinstance(given, float) and math.isnan(given)):
            return None
        name = target[-1]
        if name in COORDINATES:
            return _coordinate(given, target)
        value = _text(given, target)
        if value is None or value.strip() == "":
            return None
        if name == "email":
            return _email(value)
        if name == "phone_number":
            return self._phone(value)
        return value.strip() if name in IDENTIFIERS else value

    def _property(self, target: Target, depth: int, value: Any) -> Any:
        if value is None or isinstance(value, str | bool | int):
            return value if value != "" else None
        if isinstance(value, float | Decimal):
            return _finite(value, target)
        if isinstance(value, datetime):
            return self._moment(value, target)
        if isinstance(value, date | time):
            return value.isoformat()
        if isinstance(value, UUID):
            return str(value)
        if isinstance(value, Mapping | list | tuple | set | frozenset):
            if depth >= DEEPEST:
                raise RowError(f"it is nested deeper than {DEEPEST} levels", ".".join(target))
            if len(value) > LONGEST:
                raise RowError(f"it has {len(value):,} items, and Klaviyo takes {LONGEST:,}", ".".join(target))
            if isinstance(value, Mapping):
                return {str(name): self._property(target, depth + 1, item) for name, item in value.items()}
            return [self._property(target, depth + 1, item) for item in value]
        if hasattr(value, "item") and type(value).__module__ == "numpy":
            return self._property(target, depth, value.item())
        raise RowError(f"it is of type {type(value).__name__}, which JSON cannot carry", ".".join(target))

    def _moments(self, values: Sequence[datetime]) -> Sequence[datetime] | None:
        """Moments stay what they are: to encode them is faster than to make texts of them."""
        if all(map(_zone_of, values)):
            return values
        return None if self._zone is None else [_with_zone(value, self._zone) for value in values]

    def _moment(self, value: datetime, target: Target) -> datetime | None:
        if value != value:
            return None
        if value.tzinfo is None and self._zone is None:
            raise KlaviyoValidationError(
                f"{'.'.join(target)} has datetimes without a zone, so which moments they are is not known. Give "
                f"the zone that they are written in: timezone='UTC', say.",
                pointer="timezone",
            )
        return _with_zone(datetime.combine(value.date(), value.timetz()), self._zone)


def phone_reader(region: str | None) -> Callable[[str], str]:
    """What makes E.164 of phone numbers.

    :param region: country of those without one; ``None``: they have to be E.164.
    :raises KlaviyoValidationError: it is unknown, or the package for phone numbers is missing.
    """
    if region is None:
        return _e164
    try:
        import phonenumbers
    except ImportError:
        raise KlaviyoValidationError(
            f"default_region is {region!r}, which needs the package phonenumbers: "
            f"pip install 'airflow-provider-klaviyo[phone]'.",
            pointer="default_region",
        ) from None
    if region not in phonenumbers.SUPPORTED_REGIONS:
        raise KlaviyoValidationError(
            f"default_region is {region!r}; give a country by its two capital letters, such as 'GB' or 'DE'.",
            pointer="default_region",
        )

    def reader(value: str) -> str:
        try:
            number = phonenumbers.parse(value, region)
        except phonenumbers.NumberParseException:
            raise RowError("it is not a phone number", "phone_number") from None
        if not phonenumbers.is_possible_number(number):
            raise RowError(f"it is not a possible phone number, read as one of {region}", "phone_number")
        return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)

    return reader


def _e164(value: str) -> str:
    number = _SEPARATORS.sub("", value)
    if not is_e164(number):
        raise RowError(
            "it is not a phone number with its country, such as +442071838750; set default_region if they are all of "
            "one country",
            "phone_number",
        )
    return number


def _email(value: str) -> str:
    address = value.strip()
    if not is_email(address):
        raise RowError("it is not an e-mail address", "email")
    return address


def _text(value: Any, target: Target) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, Decimal):
        return None if value.is_nan() else f"{value:f}"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, int | float | UUID) and not isinstance(value, bool):
        return str(value)
    raise RowError(f"it is of type {type(value).__name__}, not a text", ".".join(target))


def _coordinate(value: Any, target: Target) -> Any:
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return _finite(value, target)
    if isinstance(value, str):
        try:
            return _finite(float(value), target)
        except ValueError:
            pass
    raise RowError(f"it is of type {type(value).__name__}, not a number", ".".join(target))


def _finite(value: Any, target: Target) -> Any:
    if isinstance(value, Decimal) and value.is_nan():
        return None
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if math.isinf(number):
        raise RowError("it is infinite", ".".join(target))
    return None if math.isnan(number) else value


def _with_zone(value: datetime, zone: tzinfo | None) -> datetime:
    return value.replace(tzinfo=zone) if value.tzinfo is None else value


def _unless_blank(values: Sequence[str]) -> Sequence[str] | None:
    return values if all(map(str.strip, values)) else None


def _stripped(values: Sequence[str]) -> Sequence[str] | None:
    found = [*map(str.strip, values)]
    return found if all(found) else None


def _addresses(values: Sequence[str]) -> Sequence[str] | None:
    return values if are_plain_emails(values) else None


def _as_they_are(values: Sequence[Any]) -> Sequence[Any]:
    return values


def _finite_floats(values: Sequence[float]) -> Sequence[float] | None:
    return values if all(map(math.isfinite, values)) else None


def _small_decimals(values: Sequence[Decimal]) -> Sequence[Decimal] | None:
    if not all(map(Decimal.is_finite, values)) or max(map(Decimal.adjusted, values)) >= _LARGE:
        return None
    return values


_TEXTS: Mapping[type, _Together] = {str: _unless_blank}

_FIELDS: Mapping[str, Mapping[type, _Together]] = {
    "email": {str: _addresses},
    "phone_number": {},
    "id": {str: _stripped},
    "external_id": {str: _stripped},
    **{name: {} for name in COORDINATES},
}
"""What reads the fields that are not any text."""

_PROPERTIES: Mapping[type, _Together] = {
    **dict.fromkeys((str, int, bool), _as_they_are),
    float: _finite_floats,
    Decimal: _small_decimals,
}
