"""Klaviyo's filter language: ``and(equals(messages.channel,"email"),contains(name,"sale"))``.

Strings are quoted with ``'`` or ``"``; numbers, booleans and datetimes are not. A comma at the top level means *and*.
Whether quotes inside a string can be escaped is not documented; the sandbox takes a backslash (a choice).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_klaviyo.sandbox.clock import parse as parse_time
from airflow_provider_klaviyo.sandbox.errors import invalid

TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(?P<mark>[(),\[\]])|(?P<word>[^\s(),\[\]"']+))"""
)
BARE_TYPES: Mapping[str, Callable[[str], Any]] = {
    "boolean": lambda word: {"true": True, "false": False}[word.lower()],
    "integer": int,
    "number": float,
    "datetime": parse_time,
}


PLANNED = ("scheduled_at", "expires_at")
"""The times that may lie ahead."""

DEEPEST = 100


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
    return _Parser(text).clauses()


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
    """Whether a checked condition holds for a field's value. A missing value meets no condition."""
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


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[str | Bare | tuple[str]] = []
        self.depth = 0
        position = 0
        text = text.rstrip()
        while position < len(text):
            found = TOKEN.match(text, position)
            if found is None:
                raise self.wrong(f"unexpected {text[position : position + 10]!r}")
            position = found.end()
            if (quoted := found["string"]) is not None:
                self.tokens.append((re.sub(r"\\(.)", r"\1", quoted[1:-1]),))
            elif found["mark"]:
                self.tokens.append(found["mark"])
            else:
                self.tokens.append(Bare(found["word"]))
        self.tokens.reverse()

    def wrong(self, what: str) -> Exception:
        return invalid(f"Invalid filter {self.text!r}: {what}.", parameter="filter")

    def next(self) -> str | Bare | tuple[str]:
        if not self.tokens:
            raise self.wrong("it ends too early")
        return self.tokens.pop()

    def expect(self, mark: str) -> None:
        if (symbol := self.next()) != mark:
            raise self.wrong(f"expected {mark!r}, not {_plain(symbol)!r}")

    def clauses(self) -> list[Clause]:
        found = self.clause()
        while self.tokens:
            self.expect(",")
            found += self.clause()
        return found

    def clause(self) -> list[Clause]:
        name = self.next()
        if not isinstance(name, Bare):
            raise self.wrong(f"expected an operator, not {_plain(name)!r}")
        self.expect("(")
        if name.text == "and":
            self.depth += 1
            if self.depth > DEEPEST:
                raise self.wrong(f"'and' is nested deeper than {DEEPEST}")
            inner = self.clause()
            while (symbol := self.next()) == ",":
                inner += self.clause()
            if symbol != ")":
                raise self.wrong(f"expected ')', not {_plain(symbol)!r}")
            self.depth -= 1
            return inner
        field = self.next()
        if not isinstance(field, Bare):
            raise self.wrong(f"expected a field, not {_plain(field)!r}")
        if name.text == "has":
            self.expect(")")
            return [Clause("has", field.text, None)]
        self.expect(",")
        value = self.value()
        self.expect(")")
        return [Clause(name.text, field.text, value)]

    def value(self) -> Any:
        match self.next():
            case "[":
                return self.items()
            case Bare() as bare:
                return bare
            case (quoted,):
                return quoted
            case mark:
                raise self.wrong(f"expected a value, not {mark!r}")

    def items(self) -> list[Any]:
        if self.tokens and self.tokens[-1] == "]":
            self.next()
            return []
        found = [self.item()]
        while (symbol := self.next()) == ",":
            found.append(self.item())
        if symbol != "]":
            raise self.wrong(f"expected ',' or ']', not {_plain(symbol)!r}")
        return found

    def item(self) -> Any:
        if self.tokens and self.tokens[-1] == "[":
            raise self.wrong("a list is not an item of a list")
        return self.value()


def _items(actual: Any) -> list[Any]:
    return actual if isinstance(actual, list) else [actual]


def _plain(token: str | Bare | tuple[str]) -> str:
    return token.text if isinstance(token, Bare) else token[0]


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
