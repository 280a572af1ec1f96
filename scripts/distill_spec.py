#!/usr/bin/env python3
"""Distil Klaviyo's published OpenAPI documents into the facts this package needs.

    python scripts/distill_spec.py klaviyo-stable-2026-04-15.json klaviyo-stable-2026-07-15.json

Reads the documents named on the command line (oldest revision first; get them from Klaviyo's public ``openapi``
repository) and writes, below ``src/airflow_provider_klaviyo/api/spec/``:

``operations.json``
    The small table that every process loads: per operation its method, path, aliases, rate limits, scopes,
    success statuses, whether a success comes with a document, and the revisions that have it.
``<revision>.json``
    The large one that only validation loads: per operation its query parameters, filters, request body and answer
    as JSON Schema, and the component schemas they refer to.

Prose (summaries, descriptions, examples) is left behind: what is kept are facts.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

TARGET = Path(__file__).resolve().parent.parent / "src" / "airflow_provider_klaviyo" / "api" / "spec"
METHODS = ("get", "post", "put", "patch", "delete")
PROSE = ("description", "summary", "example", "externalDocs", "title")
WINDOWS = {"burst": "s", "steady": "m", "daily": "d"}


def without_prose(schema: Any, *, names_are_keys: bool = False) -> Any:
    """Drop documentation from a schema; below ``properties`` a key is a field's name, never documentation."""
    if isinstance(schema, list):
        return [without_prose(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: without_prose(value, names_are_keys=key == "properties" and not names_are_keys)
        for key, value in schema.items()
        if names_are_keys or key not in PROSE
    }


def json_schema(content: dict[str, Any]) -> tuple[str, Any]:
    """The media type and schema of a request body or an answer."""
    media = next(iter(content))
    return media, without_prose(content[media].get("schema", {}))


def limits(published: dict[str, str]) -> dict[str, int]:
    """``{"burst": "10/s", "steady": "150/m"}`` as plain numbers."""
    numbers = {}
    for window, text in published.items():
        count, unit = text.split("/")
        if WINDOWS.get(window) != unit:
            raise SystemExit(f"unknown rate limit {window}: {text}")
        numbers[window] = int(count)
    return numbers


def distil(document: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    table: dict[str, Any] = {}
    details: dict[str, Any] = {}
    for path, methods in sorted(document["paths"].items()):
        for method in METHODS:
            if method not in methods:
                continue
            operation = methods[method]
            success = [int(code) for code in operation["responses"] if code.startswith("2")]
            answer = operation["responses"][str(success[0])].get("content")
            table[operation["operationId"]] = {
                "method": method.upper(),
                "path": path,
                "aliases": operation.get("x-klaviyo-operation-aliases", []),
                "limits": limits(operation["x-klaviyo-ratelimit"]),
                "scopes": operation["x-klaviyo-scopes"],
                "success": success,
                "document": bool(answer),
            }
            detail: dict[str, Any] = {
                "query": {
                    parameter["name"]: {
                        "schema": without_prose(parameter["schema"]),
                        **({"required": True} if parameter.get("required") else {}),
                    }
                    for parameter in operation.get("parameters", [])
                    if parameter["in"] == "query"
                }
            }
            if filters := operation.get("x-klaviyo-filters"):
                detail["filters"] = filters
            if body := operation.get("requestBody"):
                detail["media_type"], detail["body"] = json_schema(body["content"])
            if answer:
                detail["answer"] = json_schema(answer)[1]
            details[operation["operationId"]] = detail
    errors = document["components"]["responses"]["ClientError"]["content"]
    return table, {
        "revision": document["info"]["version"],
        "operations": details,
        "errors": json_schema(errors)[1],
        "components": {
            "schemas": {
                name: without_prose(schema) for name, schema in sorted(document["components"]["schemas"].items())
            }
        },
    }


def merge(tables: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """One row per operation: a newer revision's row wins, and says which revisions have it."""
    operations: dict[str, Any] = {}
    for revision, table in tables.items():
        for name, row in table.items():
            revisions = operations.get(name, {}).get("revisions", [])
            aliases = sorted({*operations.get(name, {}).get("aliases", []), *row["aliases"]})
            operations[name] = {**row, "aliases": aliases, "revisions": [*revisions, revision]}
    return {"revisions": list(tables), "operations": dict(sorted(operations.items()))}


def write(path: Path, value: Any, *, one_row_per: str) -> None:
    """Compact JSON with a line per entry of ``one_row_per``, so that a diff between revisions can be read."""
    rows = [f"{json.dumps(k)}:{json.dumps(v, separators=(',', ':'))}" for k, v in value[one_row_per].items()]
    rest = {k: v for k, v in value.items() if k != one_row_per}
    head = json.dumps(rest, separators=(",", ":"))[:-1]
    path.write_text(head + f',"{one_row_per}":{{\n' + ",\n".join(rows) + "\n}}\n")
    json.loads(path.read_text())
    print(f"{path.name}: {path.stat().st_size:,} bytes")


def main(documents: list[str]) -> None:
    if not documents:
        raise SystemExit(__doc__)
    tables = {}
    TARGET.mkdir(parents=True, exist_ok=True)
    for name in documents:
        document = json.loads(Path(name).read_text())
        revision = document["info"]["version"]
        tables[revision], details = distil(document)
        write(TARGET / f"{revision}.json", details, one_row_per="operations")
    write(TARGET / "operations.json", merge(tables), one_row_per="operations")


if __name__ == "__main__":
    main(sys.argv[1:])
