"""What a list may be filtered by, and which resources meet a filter. Its grammar is that of ``api.filters``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.api.filters import scan
from airflow_provider_klaviyo.sandbox.clock import parse as parse_time
from airflow_provider_klaviyo.sandbox.errors import invalid

BARE_TYPES: Mapping[str, Callable[[str], Any]] = {
    "boolean": lambda word: {"true": True, "false": False}[word.lower()],
    "integer": int,
    "number": float,
    "datetime": parse_time,
}

PLANNED = ("scheduled_at", "expires_at")
"""The times that may lie ahead."""


@dataclass(frozen=True, slots=True)
class Bare:
    """An unquoted value, not yet read as a number, boolean or datetime."""

    text: str


@dataclass(frozen=True, slots=True)
class Clause:
    """One condition, such as ``any(id,["A","B"])``."""

    operator: str
    field: str
    value: Any


def parse(text: str) -> list[Clause]:
    """The conditions of a filter, all of which must hold.

    :raises RefusedError: 400 when it does not follow the grammar.
    """
    try:
        return list(scan(text, Clause, Bare))
    except KlaviyoValidationError as error:
        raise invalid(f"Invalid filter:{error.message.removeprefix('Filter')}", parameter="filter") from None


def check(clauses: list[Clause], published: Mapping[str, Any], now: float) -> list[Clause]:
    """The conditions with their values as Python values: strings, numbers, booleans, or seconds since 1970 for a time.

    ``equals`` takes one value also where only its list form is published, as for a list's ``name`` and a member's
    ``email``: clients of the live service send ``equals(name,"Newsletter")``.

    A time ahead is refused, but for :data:`PLANNED` fields. Live accounts were reported to refuse it for a campaign's
    ``updated_at`` and an event's ``datetime`` after ``greater-than``; for other fields and operators it is a choice.

    :param published: allowed fields with their operators and type of value.
    :param now: seconds since 1970.
    :raises RefusedError: 400 for a field, an operator or a value that is not allowed.
    """
    checked = [_checked(clause, published) for clause in clauses]
    for clause in checked:
        is_time = published[clause.field].get("value", {}).get("format") == "date-time"
        if is_time and clause.field not in PLANNED and clause.value > now:
            raise invalid("End date may not be in the future: YYYY-mm-ddTHH:MM:SS", pointer=clause.field)
    return checked


def holds(clause: Clause, actual: Any) -> bool:
    """True if a checked condition holds for a field's value. A missing value meets no condition."""
    if actual is None:
        return False
    match clause.operator, clause.value:
        case ("equals" | "any", list() as wanted):
            return actual in wanted
        case "contains-any", list() as wanted:
            return any(item in wanted for item in _items(actual))
        case "contains-all", list() as wanted:
            return all(item in _items(actual) for item in wanted)
        case "equals", wanted if isinstance(actual, list):
            return wanted in actual
        case "equals", wanted:
            return bool(actual == wanted)
        case "contains", wanted:
            return str(wanted).lower() in str(actual).lower()
        case "starts-with", wanted:
            return str(actual).lower().startswith(str(wanted).lower())
        case "ends-with", wanted:
            return str(actual).lower().endswith(str(wanted).lower())
        case "greater-than", wanted:
            return bool(actual > wanted)
        case "greater-or-equal", wanted:
            return bool(actual >= wanted)
        case "less-than", wanted:
            return bool(actual < wanted)
        case "less-or-equal", wanted:
            return bool(actual <= wanted)
        case "has", _:
            return True
        case _:
            raise invalid(f"The filter operator '{clause.operator}' is not supported.", parameter="filter")


def _items(actual: Any) -> list[Any]:
    return actual if isinstance(actual, list) else [actual]


def _checked(clause: Clause, published: Mapping[str, Any]) -> Clause:
    rules = published.get(clause.field)
    if rules is None:
        allowed = ", ".join(published)
        raise invalid(
            f"'{clause.field}' is not an allowed filter field. Allowed fields are {allowed}", parameter="filter"
        )
    form = "none" if clause.value is None else "list" if isinstance(clause.value, list) else "single"
    operators = rules["operators"]
    lone_equals = clause.operator == "equals" and form == "single" and "equals" in operators.get("list", ())
    if clause.operator not in operators.get(form, ()) and not lone_equals:
        known = sorted({name for names in operators.values() for name in names})
        if clause.operator in known:
            wants = "a list of values" if form == "single" else "one value"
            raise invalid(f"'{clause.operator}' for {clause.field} takes {wants}.", parameter="filter")
        raise invalid(
            f"'{clause.operator}' is not an allowed filter operator for {clause.field}.  "
            f"Allowed operators are {', '.join(known)}",
            parameter="filter",
        )
    if clause.value is None:
        return clause
    schema = rules["value"]
    values = clause.value if isinstance(clause.value, list) else [clause.value]
    read = [_read(clause.field, value, schema) for value in values]
    return Clause(clause.operator, clause.field, read if isinstance(clause.value, list) else read[0])


def _read(field: str, value: Any, schema: Mapping[str, Any]) -> Any:
    bare = isinstance(value, Bare)
    text = value.text if bare else value
    kind = "datetime" if schema.get("format") == "date-time" else schema["type"]
    if convert := BARE_TYPES.get(kind):
        if not bare:
            raise invalid(f"The {kind} {text!r} for {field} must not be quoted.", parameter="filter")
        try:
            return convert(text)
        except (ValueError, KeyError):
            raise invalid(f"{text!r} is not a valid {kind} for {field}.", parameter="filter") from None
    if bare:
        raise invalid(f"The string {text!r} for {field} must be quoted.", parameter="filter")
    if "enum" in schema and text not in schema["enum"]:
        allowed = ", ".join(schema["enum"])
        raise invalid(f"{text!r} is not a valid value for {field}. Allowed values are {allowed}", parameter="filter")
    return text
