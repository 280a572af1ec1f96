"""Klaviyo's filter grammar: ``and(equals(messages.channel,"email"),contains(name,"Sale"))``.

Build a filter from the functions here and join filters with ``&``; ``str()`` writes what Klaviyo reads, and
:func:`parse` reads it back. Only AND exists in the grammar. The text is not URL-encoded: that is the transport's part.

Klaviyo documents no escape for quotes. A string is therefore written in the quotes that it does not hold itself; a
backslash is written twice, and a quote is escaped with one only in a string that holds both kinds.

:param field: a field of Klaviyo's, such as ``name`` or ``messages.channel``.
:param value: text, a number, a boolean, a date or an aware datetime.
:param values: several of these.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any, Generic, TypeVar

from msgspec import Struct

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.api.text import check_text, nearest

C = TypeVar("C")
Scalar = str | bool | int | float | datetime | date
Value = Scalar | tuple[Scalar, ...] | None

KINDS: Mapping[str, tuple[str, ...]] = {
    "equals": ("single", "list"),
    "less-than": ("single",),
    "less-or-equal": ("single",),
    "greater-than": ("single",),
    "greater-or-equal": ("single",),
    "contains": ("single",),
    "starts-with": ("single",),
    "ends-with": ("single",),
    "any": ("list",),
    "contains-any": ("list",),
    "contains-all": ("list",),
    "has": ("none",),
}
"""Every operator, and what it is given: one value, a list, or none."""

KIND_WORDS = {"single": "one value", "list": "a list", "none": "no value"}

DEEPEST = 100
"""How often ``and`` may stand in one another."""

NAME = re.compile(r"[\w.$-]+")
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


class Clause(Struct, frozen=True):
    """One condition.

    :param value: a string, number, boolean, date or aware datetime; a tuple of these where the operator was given a
        list; ``None`` for ``has``.
    """

    operator: str
    field: str
    value: Value = None

    @property
    def kind(self) -> str:
        """``single``, ``list`` or ``none``: the words of the published ``x-klaviyo-filters``."""
        if self.value is None:
            return "none"
        return "list" if isinstance(self.value, tuple) else "single"

    def __str__(self) -> str:
        if self.value is None:
            return f"{self.operator}({self.field})"
        if isinstance(self.value, tuple):
            return f"{self.operator}({self.field},[{','.join(map(_write, self.value))}])"
        return f"{self.operator}({self.field},{_write(self.value)})"


class Filter(Struct, frozen=True):
    """One or more clauses, all of which must hold. ``a & b`` joins two filters."""

    clauses: tuple[Clause, ...]

    def __and__(self, other: Filter) -> Filter:
        return Filter(self.clauses + other.clauses)

    def __str__(self) -> str:
        if len(self.clauses) == 1:
            return str(self.clauses[0])
        return f"and({','.join(map(str, self.clauses))})"


def equals(field: str, value: Scalar | Iterable[Scalar]) -> Filter:
    """``field`` is ``value``; where an operation allows it, a list is matched as a whole."""
    return Filter((_clause("equals", field, value),))


def less_than(field: str, value: Scalar) -> Filter:
    """``field`` is below, or before, ``value``."""
    return Filter((_clause("less-than", field, value),))


def less_or_equal(field: str, value: Scalar) -> Filter:
    """``field`` is ``value`` or below it."""
    return Filter((_clause("less-or-equal", field, value),))


def greater_than(field: str, value: Scalar) -> Filter:
    """``field`` is above, or after, ``value``."""
    return Filter((_clause("greater-than", field, value),))


def greater_or_equal(field: str, value: Scalar) -> Filter:
    """``field`` is ``value`` or above it."""
    return Filter((_clause("greater-or-equal", field, value),))


def contains(field: str, value: Scalar) -> Filter:
    """The text ``field`` has ``value`` somewhere in it."""
    return Filter((_clause("contains", field, value),))


def starts_with(field: str, value: str) -> Filter:
    """The text ``field`` begins with ``value``."""
    return Filter((_clause("starts-with", field, value),))


def ends_with(field: str, value: str) -> Filter:
    """The text ``field`` ends with ``value``."""
    return Filter((_clause("ends-with", field, value),))


def any_of(field: str, values: Iterable[Scalar]) -> Filter:
    """``field`` is one of ``values`` (Klaviyo's ``any``)."""
    return Filter((_clause("any", field, values),))


def contains_any(field: str, values: Iterable[Scalar]) -> Filter:
    """The list ``field`` holds at least one of ``values``."""
    return Filter((_clause("contains-any", field, values),))


def contains_all(field: str, values: Iterable[Scalar]) -> Filter:
    """The list ``field`` holds all of ``values``."""
    return Filter((_clause("contains-all", field, values),))


def has(field: str) -> Filter:
    """``field`` is there."""
    return Filter((_clause("has", field, None),))


def check(filter: Filter, allowed: Mapping[str, Any]) -> None:
    """Refuse what an operation does not filter by, before Klaviyo does.

    Enumerated values are left to Klaviyo, which adds to them without a new revision.

    :param allowed: the operation's ``filters`` in ``spec/<revision>.json``:
        ``{"name": {"operators": {"single": ["contains"]}, "value": {"type": "string"}}, ...}``.
    :raises KlaviyoValidationError: a field, an operator on it, or the type of its value is not allowed here.
    """
    for clause in filter.clauses:
        if clause.field not in allowed:
            raise _refusal(
                f"Filter {clause}: this operation cannot filter by {clause.field!r}.{nearest(clause.field, allowed)} "
                f"It filters by: {', '.join(allowed) or 'nothing'}."
            )
        rule = allowed[clause.field]
        if clause.operator not in rule["operators"].get(clause.kind, ()):
            possible = "; ".join(
                f"{', '.join(names)} with {KIND_WORDS[kind]}" for kind, names in rule["operators"].items()
            )
            raise _refusal(
                f"Filter {clause}: {clause.operator!r} with {KIND_WORDS[clause.kind]} is not allowed for "
                f"{clause.field!r}. Allowed: {possible}."
            )
        values = clause.value if isinstance(clause.value, tuple) else (clause.value,)
        for value in values if clause.value is not None else ():
            _check_type(clause, value, rule.get("value", {}))


def parse(text: str) -> Filter:
    """Read a filter as Klaviyo writes it: spaces between tokens, ``'`` or ``"``, commas at top level meaning AND.

    A datetime may also be written with a space in place of the ``T``, as Python prints it.

    :raises KlaviyoValidationError: not a filter; the message says where reading stopped and what was expected.
    """
    return Filter(scan(text, _clause, _bare))


def scan(text: str, clause: Callable[[str, str, object], C], bare: Callable[[str], object]) -> tuple[C, ...]:
    """Read the grammar of a filter, and leave what its parts mean to others.

    :param clause: makes a clause of an operator, a field and a value: a string, what ``bare`` returned, a list of
        these, or ``None``.
    :param bare: reads a value that is not in quotes; raises ``ValueError`` if it cannot.
    :raises KlaviyoValidationError: the text does not follow the grammar.
    """
    return _Reader(text, clause, bare).all()


def _clause(operator: str, field: str, value: object) -> Clause:
    if operator not in KINDS:
        raise _refusal(
            f"{operator!r} is not a filter operator.{nearest(operator, KINDS)} There are: {', '.join(KINDS)}."
        )
    if not NAME.fullmatch(field):
        raise _refusal(f"{field!r} is not a field name. Letters, digits and . _ $ - are allowed in one.")
    kinds = KINDS[operator]
    where = f"{operator}({field}, …)"
    if isinstance(value, Iterable) and not isinstance(value, str):
        values = tuple(_scalar(item, where) for item in value)
        if "list" not in kinds:
            raise _refusal(f"{where} takes {KIND_WORDS[kinds[0]]}, not the list {list(values)!r}.")
        if not values:
            raise _refusal(f"{where} was given an empty list, which nothing can match. Give at least one value.")
        return Clause(operator, field, values)
    if value is None:
        if "none" not in kinds:
            raise _refusal(f"{where} needs {KIND_WORDS[kinds[0]]} and was given none.")
        return Clause(operator, field)
    if "single" not in kinds:
        raise _refusal(f"{where} takes {KIND_WORDS[kinds[0]]}, not {value!r}.")
    return Clause(operator, field, _scalar(value, where))


def _bare(word: str) -> Scalar:
    if word in ("true", "false"):
        return word == "true"
    if NUMBER.fullmatch(word):
        return float(word) if set(word) & set(".eE") else int(word)
    return date.fromisoformat(word) if len(word) == len("2026-01-01") else datetime.fromisoformat(word)


def _scalar(value: object, where: str) -> Scalar:
    if isinstance(value, float) and not math.isfinite(value):
        raise _refusal(f"{where} was given {value!r}. Give a finite number.")
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            raise _refusal(
                f"{where} was given {value.isoformat()} without a time zone. Give an aware datetime, such as UTC."
            )
        try:
            return value.astimezone(UTC)
        except OverflowError:
            raise _refusal(
                f"{where} was given {value.isoformat()}. Give a datetime within the years 1 to 9999."
            ) from None
    if isinstance(value, str | bool | int | float | date):
        check_text(value, "filter")
        return value
    raise _refusal(f"{where} was given {value!r}. Give a string, number, boolean, date or datetime.")


def _write(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat() + "Z"
    if isinstance(value, date):
        return value.isoformat()
    quote = "'" if '"' in value and "'" not in value else '"'
    return quote + value.replace("\\", "\\\\").replace(quote, "\\" + quote) + quote


def _check_type(clause: Clause, value: Scalar | None, schema: Mapping[str, Any]) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if schema.get("format") == "date-time":
        fits, wanted = isinstance(value, date), "a date or an aware datetime (a quoted string is not one)"
    elif schema.get("type") == "boolean":
        fits, wanted = isinstance(value, bool), "True or False"
    elif schema.get("type") in ("number", "integer"):
        fits, wanted = number, "a number"
    elif schema.get("type") == "string":
        fits, wanted = isinstance(value, str), "a string"
    else:
        return
    if not fits:
        raise _refusal(f"Filter {clause}: {clause.field!r} was given {value!r}. Give {wanted}.")


def _refusal(message: str) -> KlaviyoValidationError:
    return KlaviyoValidationError(message, pointer="filter")


class _Reader(Generic[C]):
    """Recursive descent over one text."""

    def __init__(self, text: str, make: Callable[[str, str, object], C], read_bare: Callable[[str], object]) -> None:
        self.text = text
        self.make = make
        self.read_bare = read_bare
        self.position = 0
        self.depth = 0

    def all(self) -> tuple[C, ...]:
        clauses = self.clauses()
        if self.position < len(self.text):
            raise self.failure("a comma or the end")
        return clauses

    def clauses(self) -> tuple[C, ...]:
        found = self.clause()
        while self.accept(","):
            found += self.clause()
        return found

    def clause(self) -> tuple[C, ...]:
        operator = self.name("an operator")
        self.expect("(")
        if operator == "and":
            self.depth += 1
            if self.depth > DEEPEST:
                raise self.failure(f"at most {DEEPEST} times 'and' in one another")
            found = self.clauses()
            self.depth -= 1
        else:
            field = self.name("a field")
            found = (self.make(operator, field, self.value() if self.accept(",") else None),)
        self.expect(")")
        return found

    def value(self) -> object:
        if not self.accept("["):
            return self.scalar()
        if self.accept("]"):
            return ()
        values = [self.scalar()]
        while self.accept(","):
            values.append(self.scalar())
        self.expect("]")
        return values

    def scalar(self) -> object:
        for quote in "\"'":
            if self.accept(quote, then_skip=False):
                return self.string(quote)
        return self.bare()

    def string(self, quote: str) -> str:
        characters: list[str] = []
        while self.position < len(self.text):
            character = self.text[self.position]
            self.position += 1
            if character == quote:
                self.skip()
                return "".join(characters)
            if character == "\\" and self.text[self.position : self.position + 1] in ("\\", quote):
                character = self.text[self.position]
                self.position += 1
            characters.append(character)
        raise self.failure(f"a closing {quote}")

    def bare(self) -> object:
        start = self.position
        while self.position < len(self.text) and self.text[self.position] not in ",()[]":
            self.position += 1
        try:
            return self.read_bare(self.text[start : self.position].strip())
        except ValueError:
            self.position = start
            raise self.failure("true, false, a number, a date, a datetime, or a string in quotes") from None

    def name(self, expected: str) -> str:
        self.skip()
        if not (found := NAME.match(self.text, self.position)):
            raise self.failure(expected)
        self.position = found.end()
        self.skip()
        return found.group()

    def accept(self, token: str, *, then_skip: bool = True) -> bool:
        self.skip()
        if not self.text.startswith(token, self.position):
            return False
        self.position += len(token)
        if then_skip:
            self.skip()
        return True

    def expect(self, token: str) -> None:
        if not self.accept(token):
            raise self.failure(repr(token))

    def skip(self) -> None:
        while self.position < len(self.text) and self.text[self.position].isspace():
            self.position += 1

    def failure(self, expected: str) -> KlaviyoValidationError:
        found = repr(self.text[self.position : self.position + 20]) if self.position < len(self.text) else "the end"
        return _refusal(f"Filter {self.text!r}: expected {expected} at character {self.position + 1}, found {found}.")
