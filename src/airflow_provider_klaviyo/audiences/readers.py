"""What a value becomes: what Klaviyo takes in its place, or a reason why it is refused."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, tzinfo
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Raw

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.audiences.addresses import is_e164, is_email
from airflow_provider_klaviyo.audiences.fields import COORDINATES, IDENTIFIERS, PROPERTIES, Target
from airflow_provider_klaviyo.audiences.rejected import RowError

DEEPEST, LONGEST = 10, 4_000
"""Levels of a property's value, and items of one of its lists, at most."""

_SEPARATORS = re.compile(r"[\s().\-/]+")

_UTC = b'+00:00"'

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


encode = msgspec.json.Encoder(enc_hook=_common, decimal_format="number").encode
"""A value as JSON, a Decimal with all its digits."""


class Readers:
    """What reads values. A reader has ``None`` for what is not there: ``None``, an empty text, NaN.

    :param phone: makes E.164 of phone numbers.
    :param zone: of datetimes without one; ``None``: they are refused.
    """

    def __init__(self, phone: Callable[[str], str], zone: tzinfo | None) -> None:
        self._phone = phone
        self._zone = zone

    def of(self, target: Target) -> Callable[[Any], Any]:
        """What reads the values that go there. It raises :class:`RowError` for those that cannot be sent."""
        if target[0] == PROPERTIES:
            return self._property_reader(target)
        if target[0] == "email":
            return self._email_reader(target)
        return partial(self._value, target)

    def _email_reader(self, target: Target) -> Callable[[Any], Any]:
        def read(value: Any) -> Any:
            return value if type(value) is str and is_email(value) else self._value(target, value)

        return read

    def _property_reader(self, target: Target) -> Callable[[Any], Any]:
        """Reads the common types at once.

        A moment in UTC becomes what ``isoformat`` makes of it, in a third of the time.
        """
        assumes_utc = self._zone is UTC

        def read(value: Any) -> Any:
            kind = type(value)
            if kind is datetime:
                if value.tzinfo is UTC:
                    return Raw(encode(value)[:-2] + _UTC)
                if assumes_utc and value.tzinfo is None:
                    return Raw(encode(value)[:-1] + _UTC)
            elif kind is Decimal:
                if value.is_finite() and value.adjusted() < _LARGE:
                    return value
            elif kind is int or kind is bool or (kind is float and math.isfinite(value)):
                return value
            return self._property(target, 1, value)

        return read

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

    def _moment(self, value: datetime, target: Target) -> str | None:
        if value != value:
            return None
        if value.tzinfo is None:
            if self._zone is None:
                raise KlaviyoValidationError(
                    f"{'.'.join(target)} has datetimes without a zone, so which moments they are is not known. Give "
                    f"the zone that they are written in: timezone='UTC', say.",
                    pointer="timezone",
                )
            value = value.replace(tzinfo=self._zone)
        return value.isoformat()


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
