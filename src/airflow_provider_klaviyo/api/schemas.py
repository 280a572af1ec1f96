"""Checks requests and answers against Klaviyo's published documents.

The documents are OpenAPI 3.0. They are read here as JSON Schema with four differences:

- ``nullable`` allows null.
- ``oneOf`` is read as ``anyOf``, because the published alternatives overlap: an SMS message's send options are an
  email message's too.
- A request may only have published fields, as on the live service ("'x' is not a valid field"). An answer may have
  more: new fields are not a breaking change.
- In an answer, null is allowed for a link and for a relationship's ``data``: the live service sends both.

The documents (0.9 MB each) and the ``jsonschema`` library are loaded for the first body that is looked at.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct
from msgspec.json import decode

from airflow_provider_klaviyo.api.errors import KlaviyoValidationError
from airflow_provider_klaviyo.api.operations import DEFAULT_REVISION, SPEC, get, revisions

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

Reading = Literal["request", "answer", "sparse answer"]
RESOURCE_MEMBERS = {"data", "type", "id", "attributes", "links"}
STRUCTURE = RESOURCE_MEMBERS | {"relationships", "included", "meta", "self", "related", "next", "prev"}
COMPONENTS = "klaviyo:components"
SHOWN = 80


class Problem(Struct, frozen=True):
    """One thing that does not follow the published document.

    :param message: a sentence that names the field and the value.
    :param pointer: JSON pointer into the body, when the body is at fault.
    :param parameter: name of the query parameter, when that is at fault.
    :param allowed: the allowed values, when they can be listed.
    """

    message: str
    pointer: str | None = None
    parameter: str | None = None
    allowed: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return f"{self.parameter or self.pointer or '/'}: {self.message}"


def request_errors(
    operation_id: str,
    query: Mapping[str, object] | None = None,
    body: object = None,
    revision: str = DEFAULT_REVISION,
) -> list[Problem]:
    """What is wrong with a request; an empty list when nothing is.

    The filter expression is not looked into: its grammar is not a part of the schema.

    :param query: decoded parameters by name, such as ``{"page[size]": 50, "include": "tags"}``. An array may be given
        as a sequence or in its comma-separated form.
    :param body: the body as JSON values; ``None`` when there is none.
    :raises KlaviyoValidationError: the operation or the revision is unknown.
    """
    detail = published(operation_id, revision)
    problems = list(_query_problems(detail["query"], query or {}))
    if "body" not in detail:
        if body is not None:
            problems.append(Problem(f"{operation_id} takes no body.", pointer=""))
    elif detail["media_type"] != "application/vnd.api+json":
        pass
    elif body is None:
        problems.append(Problem(f"{operation_id} needs a body.", pointer=""))
    else:
        problems += _document_problems(detail["body"], body, revision, "request")
    return problems


def answer_errors(
    operation_id: str, status: int, body: object, revision: str = DEFAULT_REVISION, *, sparse: bool = False
) -> list[Problem]:
    """What is wrong with an answer; an empty list when nothing is.

    Any 2xx is taken for a success: the live service does not always answer the documented one.

    :param body: the answer's JSON values; ``None`` when the answer is empty.
    :param sparse: the request asked for ``fields[…]``, so attributes may be missing.
    :raises KlaviyoValidationError: the operation or the revision is unknown.
    """
    detail = published(operation_id, revision)
    schema = detail.get("answer") if status < 300 else _document(revision)["errors"]
    if schema is None:
        return [] if body is None else [Problem(f"{operation_id} answers without a body.", pointer="")]
    if body is None:
        return [Problem(f"{operation_id} answers {status} with a body, but there is none.", pointer="")]
    return _document_problems(schema, body, revision, "sparse answer" if sparse else "answer")


@cache
def published(operation_id: str, revision: str) -> Mapping[str, Any]:
    """What the document has for an operation: ``query``, ``filters``, ``body`` and ``answer``.

    Read from the operation's own line: half a millisecond, where the whole document takes ten.

    :raises KlaviyoValidationError: the operation or the revision is unknown.
    """
    name = get(operation_id).id
    start = f'"{name}":'.encode()
    with _path(revision).open("rb") as document:
        line = next((line for line in document if line.startswith(start)), None)
    if line is None:
        raise KlaviyoValidationError(f"Revision {revision} has no operation {name!r}.")
    detail: Mapping[str, Any] = decode(line.removeprefix(start).rstrip(b",\n"))
    return detail


@cache
def _document(revision: str) -> dict[str, Any]:
    document: dict[str, Any] = decode(_path(revision).read_bytes())
    return document


def _path(revision: str) -> Path:
    if revision not in revisions():
        raise KlaviyoValidationError(
            f"No published document for revision {revision!r} in this package. Known: {', '.join(revisions())}."
        )
    return SPEC / f"{revision}.json"


def component(reference: str, revision: str) -> Mapping[str, Any]:
    """The schema that a ``$ref`` of :func:`published` points at.

    :raises KeyError: there is no such component.
    """
    schema: Mapping[str, Any] = _document(revision)["components"]["schemas"][reference.rpartition("/")[2]]
    return schema


def attributes(operation_id: str, revision: str) -> dict[str, Mapping[str, Any]]:
    """The attributes of the resources that a list operation answers with: the schema of each by its name."""
    data = _members([published(operation_id, revision)["answer"]], revision)["data"]
    items = [part["items"] for schema in data for part in _parts(schema, revision)]
    found = _members(_members(items, revision)["attributes"], revision)
    return {name: next(iter(_parts(schemas[0], revision))) for name, schemas in found.items()}


def _members(schemas: Iterable[Mapping[str, Any]], revision: str) -> dict[str, list[Mapping[str, Any]]]:
    """The properties of objects with these schemas, each with all that it has to follow."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for schema in schemas:
        for part in _parts(schema, revision):
            for name, member in part.get("properties", {}).items():
                found.setdefault(name, []).append(member)
    return found


def _parts(schema: Mapping[str, Any], revision: str) -> Iterator[Mapping[str, Any]]:
    """What a schema consists of, without ``$ref`` and ``allOf``."""
    if "$ref" in schema:
        schema = component(schema["$ref"], revision)
    if "allOf" not in schema:
        yield schema
    for part in schema.get("allOf", ()):
        yield from _parts(part, revision)


# --- query parameters -------------------------------------------------------------------------------------------


def _query_problems(published: Mapping[str, Any], query: Mapping[str, object]) -> Iterator[Problem]:
    for name, parameter in published.items():
        if parameter.get("required") and query.get(name) in (None, ""):
            yield Problem(f"'{name}' is required.", parameter=name)
    for name, value in query.items():
        if name not in published:
            known = ", ".join(sorted(published)) or "none"
            yield Problem(f"'{name}' is not a parameter of this operation. Allowed: {known}.", parameter=name)
            continue
        schema = published[name]["schema"]
        match schema["type"]:
            case "array":
                yield from _array_problems(name, schema["items"], value)
            case "integer":
                yield from _integer_problems(name, schema, value)
            case _ if "enum" in schema and value not in schema["enum"]:
                yield _not_allowed(name, value, schema["enum"])


def _array_problems(name: str, items: Mapping[str, Any], value: object) -> Iterator[Problem]:
    chosen = value.split(",") if isinstance(value, str) else value
    if not isinstance(chosen, Sequence):
        yield Problem(f"{_shown(value)} is not a comma-separated list.", parameter=name)
        return
    for item in chosen:
        if "enum" in items and item not in items["enum"]:
            yield _not_allowed(name, item, items["enum"])


def _integer_problems(name: str, schema: Mapping[str, Any], value: object) -> Iterator[Problem]:
    try:
        number = int(str(value))
    except ValueError:
        number = None
    low, high = schema.get("minimum"), schema.get("maximum")
    if number is None or (low is not None and number < low) or (high is not None and number > high):
        span = f" between {low} and {high}" if low is not None and high is not None else ""
        yield Problem(f"{_shown(value)} is not an integer{span}.", parameter=name)


def _not_allowed(name: str, value: object, allowed: Sequence[Any]) -> Problem:
    return Problem(
        f"{_shown(value)} is not allowed. Allowed: {_listed(allowed)}.", parameter=name, allowed=tuple(allowed)
    )


# --- bodies ------------------------------------------------------------------------------------------------------


def _document_problems(schema: Mapping[str, Any], body: object, revision: str, reading: Reading) -> list[Problem]:
    validator = _validator(json.dumps(schema), revision, reading)
    problems: dict[tuple[str | None, str], Problem] = {}
    for error in validator.iter_errors(body):
        for problem in _explain(error):
            problems.setdefault((problem.pointer, problem.message), problem)
    return list(problems.values())


@cache
def _validator(schema: str, revision: str, reading: Reading) -> Validator:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(
        _json_schema(json.loads(schema), reading), registry=_registry(revision, reading), format_checker=_formats()
    )


@cache
def _registry(revision: str, reading: Reading) -> Any:
    """The component schemas, found by ``$ref`` under a name of their own."""
    from referencing import Registry
    from referencing.jsonschema import DRAFT202012

    schemas = {
        name: _json_schema(schema, reading) for name, schema in _document(revision)["components"]["schemas"].items()
    }
    return Registry().with_resource(COMPONENTS, DRAFT202012.create_resource({"components": {"schemas": schemas}}))


@cache
def _formats() -> Any:
    from jsonschema import FormatChecker

    def is_datetime(value: object) -> bool:
        return not isinstance(value, str) or (len(value) > len("YYYY-MM-DD") and bool(datetime.fromisoformat(value)))

    def is_date(value: object) -> bool:
        return not isinstance(value, str) or bool(date.fromisoformat(value))

    checker = FormatChecker(formats=())
    checker.checks("date-time", raises=ValueError)(is_datetime)
    checker.checks("date", raises=ValueError)(is_date)
    return checker


def _json_schema(schema: Any, reading: Reading) -> Any:
    """An OpenAPI 3.0 schema as JSON Schema, read as the module's docstring says."""
    if isinstance(schema, list):
        return [_json_schema(item, reading) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result: dict[str, Any] = {}
    for key, value in schema.items():
        match key:
            case "nullable" | "readOnly" | "default" | "deprecated":
                continue
            case "oneOf":
                result["anyOf"] = _json_schema(value, reading)
            case "$ref":
                result["$ref"] = COMPONENTS + value
            case "properties":
                result["properties"] = {name: _json_schema(field, reading) for name, field in value.items()}
            case "items" | "anyOf" | "allOf":
                result[key] = _json_schema(value, reading)
            case "required" if reading == "sparse answer":
                is_structure = STRUCTURE.issuperset(schema.get("properties", ()))
                result[key] = [name for name in value if is_structure and name in RESOURCE_MEMBERS]
            case _:
                result[key] = value
    fields = result.get("properties")
    if fields and reading == "request":
        result["additionalProperties"] = False
    if fields and reading != "request":
        optional = [
            name for name in ("data", "next", "prev") if name in fields and name not in result.get("required", ())
        ]
        fields.update({name: _or_null(fields[name]) for name in optional})
    return _or_null(result) if schema.get("nullable") else result


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


# --- explanations ------------------------------------------------------------------------------------------------


def _explain(error: ValidationError) -> Iterator[Problem]:
    """A library error as problems that name the very field, whatever alternatives it is nested in."""
    pointer = _pointer(error.absolute_path)
    match error.validator:
        case "anyOf":
            yield from _explain_alternatives(error)
        case "required":
            for name in error.validator_value:
                if isinstance(error.instance, Mapping) and name not in error.instance:
                    yield Problem(f"'{name}' is required.", pointer=f"{pointer}/{name}")
        case "additionalProperties":
            known = sorted(error.schema["properties"])
            for name in sorted(set(error.instance) - set(known)):
                yield Problem(
                    f"'{name}' is not a valid field. Allowed: {_listed(known)}.",
                    pointer=f"{pointer}/{name}",
                    allowed=tuple(known),
                )
        case "enum":
            yield _wrong_value(pointer, error.instance, error.validator_value)
        case "type":
            yield Problem(f"{_shown(error.instance)} is not of type {error.validator_value}.", pointer=pointer)
        case "format":
            yield Problem(f"{_shown(error.instance)} is not a valid {error.validator_value}.", pointer=pointer)
        case _:
            yield Problem(f"{_shown(error.instance)}: {error.validator} {error.validator_value}.", pointer=pointer)


def _explain_alternatives(error: ValidationError) -> Iterator[Problem]:
    """The problems of the alternative that was meant.

    Alternatives are kept apart by fields that have one possible value in each (``method: static``, ``channel: email``).
    The one that agrees with these is meant. When none does, such a field is the problem, and what is allowed there is
    what any alternative allows.
    """
    branches: dict[int, list[ValidationError]] = {}
    for cause in error.context or ():
        branches.setdefault(cause.relative_schema_path[0], []).append(cause)
    meant = [causes for causes in branches.values() if not any(map(_is_null_branch, causes))]
    nearest = min(meant, key=_distance)
    choice = next(filter(_is_fixed_field, nearest), None)
    if choice is None:
        for cause in nearest:
            yield from _explain(cause)
        return
    same = [cause for cause in error.context or () if _is_fixed_field(cause) and cause.path == choice.path]
    allowed = [value for cause in same for value in cause.validator_value]
    yield _wrong_value(_pointer(choice.absolute_path), choice.instance, allowed)


def _is_null_branch(cause: ValidationError) -> bool:
    return bool(cause.validator == "type" and cause.validator_value == "null")


def _is_fixed_field(cause: ValidationError) -> bool:
    """True if an alternative was missed by a field that has one possible value there."""
    return cause.validator == "enum" and len(cause.validator_value) == 1 and len(cause.relative_path) == 1


def _distance(causes: Iterable[ValidationError]) -> tuple[int, int, int]:
    """How far what was given is from an alternative: most by a wrong fixed field, least by a wrong value inside."""
    listed = list(causes)
    wrong_type = sum(cause.validator == "type" and not cause.relative_path for cause in listed)
    return sum(map(_is_fixed_field, listed)), wrong_type, len(listed)


def _wrong_value(pointer: str, value: object, allowed: Iterable[Any]) -> Problem:
    choices = tuple(dict.fromkeys(allowed))
    return Problem(f"{_shown(value)} is not allowed. Allowed: {_listed(choices)}.", pointer=pointer, allowed=choices)


def _pointer(path: Iterable[str | int]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def _listed(values: Iterable[Any]) -> str:
    return ", ".join(str(value) for value in values)
