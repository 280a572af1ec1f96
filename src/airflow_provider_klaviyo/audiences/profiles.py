"""A row becomes a profile: each value is turned into what Klaviyo takes, or refused with a reason."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, tzinfo
from decimal import Decimal
from functools import partial
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.audiences.fields import COORDINATES, IDENTIFIERS, LOCATION, PROPERTIES, Columns, Target
from airflow_provider_klaviyo.audiences.rejected import RowError

Nulls = Literal["omit", "clear"]
"""What ``None`` means in a row: leave the field as it is, or clear it."""

LARGEST = 100_000
"""Bytes of one profile, at most: Klaviyo's 100 KB."""

DEEPEST, LONGEST = 10, 4_000
"""Levels of a property's value, and items of one of its lists, at most."""

_EMAIL = re.compile(r"[^@\s\"(),:;<>\[\]\\]+@[A-Za-z0-9](?:[^@\s.,;:<>()\[\]\"\\]*)(?:\.[^@\s.,;:<>()\[\]\"\\]+)+")
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}")
_SEPARATORS = re.compile(r"[\s().\-/]+")
_ODD = ("..", "@.", ".@")

_encode = msgspec.json.Encoder(decimal_format="number").encode


_Plan = tuple[Target, str | None, str, Callable[[Any], Any]]
"""For a column: its target, the section of the profile that this is in, the name there, and what reads a value."""


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
        for column, given in row.items():
            plan = self._plans[column] if column in self._plans else self._plan(column)
            if plan is None:
                continue
            target, section, name, read = plan
            value = None if given is None or given == "" else read(given)
            if value is None:
                if self._clears and target[0] not in IDENTIFIERS:
                    if target[0] == PROPERTIES and len(target) > 1:
                        unset.append(name)
                    else:
                        clears.append(".".join(target))
            elif section is not None:
                attributes.setdefault(section, {})[name] = value
            elif name in IDENTIFIERS:
                identifiers[name] = value
            elif isinstance(value, dict):
                attributes.setdefault(name, {}).update(value)
            else:
                attributes[name] = value
        return self._profile(identifiers, attributes, unset, tuple(clears))

    def _plan(self, column: Any) -> _Plan | None:
        """What becomes of a column's values: where they go, and what reads them; ``None``: they go nowhere."""
        target = self._columns.target(column)
        plan: _Plan | None = None
        if target is not None:
            section = target[0] if len(target) > 1 else None
            plan = (target, section, target[-1], partial(self._value, target))
            if section == PROPERTIES:
                plan = (target, section, target[-1], partial(self._property, target, 1))
        self._plans[column] = plan
        return plan

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
        if target == (PROPERTIES,):
            return self._properties(given)
        if target == ("location",):
            return self._location(given)
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

    def _properties(self, given: Any) -> dict[str, Any] | None:
        if not isinstance(given, Mapping):
            raise RowError(f"it is {_kind(given)}, not an object", PROPERTIES)
        values = {str(name): self._property((PROPERTIES, str(name)), 1, value) for name, value in given.items()}
        return {name: value for name, value in values.items() if value is not None} or None

    def _location(self, given: Any) -> dict[str, Any] | None:
        if not isinstance(given, Mapping):
            raise RowError(f"it is {_kind(given)}, not an object", "location")
        found = {}
        for name, value in given.items():
            if name not in LOCATION:
                raise RowError(f"{name!r} is not a field of a location; allowed: {', '.join(LOCATION)}", "location")
            found[name] = None if value == "" else self._value(("location", name), value)
        return {name: value for name, value in found.items() if value is not None} or None

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
    if not _PHONE.fullmatch(number):
        raise RowError(
            "it is not a phone number with its country, such as +442071838750; set default_region if they are all of "
            "one country",
            "phone_number",
        )
    return number


def _email(value: str) -> str:
    address = value.strip()
    if len(address) > 254 or not _EMAIL.fullmatch(address) or any(part in address for part in _ODD):
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
