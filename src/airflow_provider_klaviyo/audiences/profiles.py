"""A row becomes a profile: each value is turned into what Klaviyo takes, or refused with a reason."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, tzinfo
from decimal import Decimal
from functools import partial
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.audiences.addresses import is_e164, is_email
from airflow_provider_klaviyo.audiences.fields import COORDINATES, IDENTIFIERS, LOCATION, PROPERTIES, Columns, Target
from airflow_provider_klaviyo.audiences.rejected import RowError

Nulls = Literal["omit", "clear"]
"""What ``None`` means in a row: leave the field as it is, or clear it."""

LARGEST = 100_000
"""Bytes of one profile, at most: Klaviyo's 100 KB."""

DEEPEST, LONGEST = 10, 4_000
"""Levels of a property's value, and items of one of its lists, at most."""

_SEPARATORS = re.compile(r"[\s().\-/]+")

_encode = msgspec.json.Encoder(decimal_format="number").encode


_SECTIONS: tuple[Target, ...] = ((PROPERTIES,), ("location",))
"""Targets that take a dict."""

_Plan = tuple[Target, Callable[[Any], Any]]
"""For a column: where its values go, and what reads them."""


@dataclass(slots=True)
class Profile:
    """A row as it is sent.

    :param key: what tells it from other rows: its first identifier.
    :param content: the profile as JSON.
    :param identifiers: those that it has.
    :param clears: standard fields that are to be cleared, such as ``location.city``: a bulk import cannot.
    """

    key: str
    content: bytes
    identifiers: Mapping[str, str]
    clears: tuple[str, ...] = field(default=())


class Profiles:
    """Makes profiles of rows.

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
        self._plans: dict[Any, _Plan | None] = {}
        self._clears = nulls == "clear"
        self._phone = _phone_reader(default_region)
        self._zone = zone(timezone)

    def read(self, row: Mapping[str, Any]) -> Profile:
        """The profile that a row is.

        :raises RowError: a value cannot be sent, or nothing identifies the profile.
        :raises KlaviyoValidationError: a column is not known.
        """
        identifiers: dict[str, str] = {}
        attributes: dict[str, Any] = {}
        unset: list[str] = []
        clears: list[str] = []
        for target, read, given in self._values(row):
            value = None if given is None or given == "" else read(given)
            section, name = target[0], target[-1]
            if value is None:
                if self._clears and section == PROPERTIES:
                    unset.append(name)
                elif self._clears and section not in IDENTIFIERS:
                    clears.append(".".join(target))
            elif len(target) > 1:
                attributes.setdefault(section, {})[name] = value
            elif name in IDENTIFIERS:
                identifiers[name] = value
            else:
                attributes[name] = value
        return self._profile(identifiers, attributes, unset, tuple(clears))

    def _values(self, row: Mapping[str, Any]) -> Iterator[tuple[Target, Callable[[Any], Any], Any]]:
        """The values of a row: where each goes, what reads it, and the value as it came.

        ``properties`` and ``location`` may be dicts, which have values of their own. ``None`` in place of such a dict
        is not given: it clears nothing.
        """
        for column, given in row.items():
            plan = self._plans[column] if column in self._plans else self._plan(column)
            if plan is None:
                continue
            target, read = plan
            if target not in _SECTIONS:
                yield target, read, given
            elif isinstance(given, Mapping):
                for name, value in given.items():
                    inner = (target[0], str(name))
                    yield inner, self._reader(inner), value
            elif given is not None and given != "":
                raise RowError(f"it is {_kind(given)}, not an object", target[0])

    def _plan(self, column: Any) -> _Plan | None:
        """What becomes of a column's values; ``None``: they go nowhere."""
        target = self._columns.target(column)
        self._plans[column] = plan = None if target is None else (target, self._reader(target))
        return plan

    def _reader(self, target: Target) -> Callable[[Any], Any]:
        """What reads a value that goes there.

        :raises RowError: a location does not have such a field.
        """
        if target[0] == "location" and target not in _SECTIONS and target[1] not in LOCATION:
            raise RowError(f"{target[1]!r} is not a field of a location; allowed: {', '.join(LOCATION)}", "location")
        return partial(self._property, target, 1) if target[0] == PROPERTIES else partial(self._value, target)

    def _profile(
        self, identifiers: dict[str, str], attributes: dict[str, Any], unset: list[str], clears: tuple[str, ...]
    ) -> Profile:
        for name in IDENTIFIERS:
            if name in identifiers:
                break
        else:
            raise RowError("it has no email, phone_number, external_id or id, so no profile can be recognised")
        profile: dict[str, Any] = {"type": "profile"}
        attributes = {**identifiers, **attributes}
        if "id" in identifiers:
            profile["id"] = identifiers["id"]
            del attributes["id"]
        profile["attributes"] = attributes
        if unset:
            profile["meta"] = {"patch_properties": {"unset": unset}}
        content = _bytes(profile)
        if len(content) > LARGEST:
            longest = max(attributes, key=lambda one: len(_bytes(attributes[one])))
            raise RowError(
                f"it has {len(content):,} bytes as JSON, and Klaviyo takes {LARGEST:,}; most of it is here", longest
            )
        key = identifiers[name]
        return Profile(f"{name}:{key.lower() if name == 'email' else key}", content, identifiers, clears)

    def _value(self, target: Target, given: Any) -> Any:
        """A value as it is sent; ``None``: there is none."""
        if given is None or (isinstance(given, float) and math.isnan(given)):
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
        if isinstance(value, float):
            return _finite(value, target)
        if isinstance(value, Decimal):
            return None if value.is_nan() else _finite(value, target)
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
        raise RowError(f"it is {_kind(value)}, which JSON cannot carry", ".".join(target))

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


def zone(name: str | None) -> tzinfo | None:
    """:raises KlaviyoValidationError: there is no zone of this name."""
    try:
        return ZoneInfo(name) if name is not None else None
    except (KeyError, ValueError, TypeError, OSError):
        raise KlaviyoValidationError(
            f"timezone is {name!r}; give an IANA name, such as 'Europe/Berlin' or 'UTC'.", pointer="timezone"
        ) from None


def _phone_reader(region: str | None) -> Callable[[str], str]:
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
    raise RowError(f"it is {_kind(value)}, not a text", ".".join(target))


def _coordinate(value: Any, target: Target) -> Any:
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return _finite(value, target) if value == value else None
    if isinstance(value, str):
        try:
            return _finite(float(value), target)
        except ValueError:
            pass
    raise RowError(f"it is {_kind(value)}, not a number", ".".join(target))


def _finite(value: Any, target: Target) -> Any:
    if math.isnan(value):
        return None
    if math.isinf(value):
        raise RowError("it is infinite", ".".join(target))
    return value


def _bytes(value: Any) -> bytes:
    try:
        return _encode(value)
    except UnicodeEncodeError:
        raise RowError("it holds half a character, which UTF-8 cannot carry") from None
    except (OverflowError, ValueError, TypeError) as error:
        raise RowError(f"JSON cannot carry it: {error}") from None


def _kind(value: Any) -> str:
    return f"of type {type(value).__name__}"
