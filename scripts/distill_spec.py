#!/usr/bin/env python3
"""Distil Klaviyo's published OpenAPI documents into the facts that this package needs.

    python -m scripts.distill_spec klaviyo-stable-2026-07-15.json
    python -m scripts.distill_spec --later klaviyo-stable-2026-10-15.derived.json

Each document that is named on the command line (get it from Klaviyo's public ``openapi`` repository) adds its revision,
or replaces it; the other revisions stay as they are, and their documents are not needed. Written are, below
``src/airflow_provider_klaviyo/api/spec/``:

``<revision>.json``
    The large one that only validation loads: per operation its method, path, aliases, rate limits, scopes, success
    statuses, if a success comes with a document, its query parameters, filters, request body and answer as JSON
    Schema; and the component schemas they refer to.
``operations.json``
    The small table that every process loads, made from all of the large ones: per operation its first facts, and the
    revisions that have it.
``later.json``
    The same facts of the operations that a revision has besides, of which Klaviyo's document is not public yet: they
    come from a document that was derived from an SDK (``--later``), whose schemas are not relied on.

Prose (summaries, descriptions, examples) is left behind: what is kept are facts.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

TARGET = Path(__file__).resolve().parent.parent / "src" / "airflow_provider_klaviyo" / "api" / "spec"
TABLE, LATER = "operations.json", "later.json"
RENAMED = {"get_campaign_messages": "list_campaign_messages"}
"""Operations whose id has been an alias of another one until now: what they are called here."""
METHODS = ("get", "post", "put", "patch", "delete")
PROSE = ("description", "summary", "example", "externalDocs", "title")
WINDOWS = {"burst": "s", "steady": "m", "daily": "d"}
IN_THE_TABLE = ("method", "path", "aliases", "limits", "scopes", "success", "document")


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
    """Return the media type and schema of a request body or an answer."""
    media = next(iter(content))
    return media, without_prose(content[media].get("schema", {}))


def limits(published: dict[str, str]) -> dict[str, int]:
    """Return ``{"burst": "10/s", "steady": "150/m"}`` as plain numbers."""
    numbers = {}
    for window, text in published.items():
        count, unit = text.split("/")
        if WINDOWS.get(window) != unit:
            raise SystemExit(f"unknown rate limit {window}: {text}")
        numbers[window] = int(count)
    return numbers


def distil(document: dict[str, Any]) -> dict[str, Any]:
    """Return what is kept of a published document."""
    operations = {
        methods[method]["operationId"]: distil_operation(method, path, methods[method])
        for path, methods in sorted(document["paths"].items())
        for method in METHODS
        if method in methods
    }
    errors = document["components"]["responses"]["ClientError"]["content"]
    return {
        "revision": document["info"]["version"],
        "operations": operations,
        "errors": json_schema(errors)[1],
        "components": {
            "schemas": {
                name: without_prose(schema) for name, schema in sorted(document["components"]["schemas"].items())
            }
        },
    }


def distil_operation(method: str, path: str, operation: dict[str, Any]) -> dict[str, Any]:
    """Return what is kept of one operation."""
    success = [int(code) for code in operation["responses"] if code.startswith("2")]
    answer = operation["responses"][str(success[0])].get("content")
    detail: dict[str, Any] = {
        "method": method.upper(),
        "path": path,
        "aliases": operation.get("x-klaviyo-operation-aliases", []),
        "limits": limits(operation["x-klaviyo-ratelimit"]),
        "scopes": operation["x-klaviyo-scopes"],
        "success": success,
        "document": bool(answer),
        "query": {
            parameter["name"]: {
                "schema": without_prose(parameter["schema"]),
                **({"required": True} if parameter.get("required") else {}),
            }
            for parameter in operation.get("parameters", [])
            if parameter["in"] == "query"
        },
    }
    if filters := operation.get("x-klaviyo-filters"):
        detail["filters"] = filters
    if body := operation.get("requestBody"):
        detail["media_type"], detail["body"] = json_schema(body["content"])
    if answer:
        detail["answer"] = json_schema(answer)[1]
    return detail


def merge(distilled: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the table of all operations: the newest revision that has one describes it; aliases are those of all.

    :param distilled: what :func:`distil` returned for each revision, oldest first.
    """
    operations: dict[str, Any] = {}
    for document in distilled:
        for name, detail in document["operations"].items():
            known = operations.get(name, {"aliases": [], "revisions": []})
            operations[name] = {
                **{fact: detail[fact] for fact in IN_THE_TABLE},
                "aliases": sorted({*known["aliases"], *detail["aliases"]}),
                "revisions": [*known["revisions"], document["revision"]],
            }
    return {
        "revisions": [document["revision"] for document in distilled],
        "operations": dict(sorted(operations.items())),
    }


def write(path: Path, value: Any, *, one_row_per: str) -> None:
    """Write compact JSON with a line per entry of ``one_row_per``, so that a diff between revisions can be read."""
    rows = [f"{json.dumps(k)}:{json.dumps(v, separators=(',', ':'))}" for k, v in value[one_row_per].items()]
    rest = {k: v for k, v in value.items() if k != one_row_per}
    head = json.dumps(rest, separators=(",", ":"))[:-1]
    path.write_text(head + f',"{one_row_per}":{{\n' + ",\n".join(rows) + "\n}}\n", encoding="utf-8")
    print(f"{path.name}: {path.stat().st_size:,} bytes")


def write_table() -> None:
    """Write the table of all operations again, from the revisions there; what it has is no later one any more."""
    revisions = sorted(path for path in TARGET.glob("*.json") if path.name not in (TABLE, LATER))
    distilled = [json.loads(path.read_text(encoding="utf-8")) for path in revisions]
    table = merge(distilled)
    write(TARGET / TABLE, table, one_row_per="operations")
    if (TARGET / LATER).exists():
        rest = json.loads((TARGET / LATER).read_text(encoding="utf-8"))
        rest["operations"] = {
            name: row for name, row in rest["operations"].items() if (row["method"], row["path"]) not in requests(table)
        }
        write(TARGET / LATER, rest, one_row_per="operations")


def requests(table: dict[str, Any]) -> set[tuple[str, str]]:
    """Return method and path of all operations of a table."""
    return {(row["method"], row["path"]) for row in table["operations"].values()}


def later(document: dict[str, Any], table: dict[str, Any]) -> dict[str, Any]:
    """Return what a derived document has besides the table: requests that no operation of the table makes."""
    known = requests(table)
    revision = document["info"]["version"]
    operations = {}
    for path, methods in sorted(document["paths"].items()):
        for method in METHODS:
            if method in methods and (method.upper(), path) not in known:
                detail = distil_operation(method, path, methods[method])
                name = methods[method]["operationId"]
                row = {fact: detail[fact] for fact in IN_THE_TABLE}
                operations[RENAMED.get(name, name)] = {**row, "revisions": [revision]}
    return {"revision": revision, "operations": dict(sorted(operations.items()))}


def write_later(name: str) -> None:
    """Write what a derived document has besides the table."""
    table = json.loads((TARGET / TABLE).read_text(encoding="utf-8"))
    document = json.loads(Path(name).read_text(encoding="utf-8"))
    write(TARGET / LATER, later(document, table), one_row_per="operations")


def main(documents: list[str]) -> None:
    if not documents:
        raise SystemExit(__doc__)
    if documents[0] == "--later":
        write_later(documents[1])
        return
    TARGET.mkdir(parents=True, exist_ok=True)
    for name in documents:
        distilled = distil(json.loads(Path(name).read_text(encoding="utf-8")))
        write(TARGET / f"{distilled['revision']}.json", distilled, one_row_per="operations")
    write_table()


if __name__ == "__main__":
    main(sys.argv[1:])
