"""Requests made up from the published request schemas, at random but the same for the same seed."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from airflow_provider_klaviyo.api.operations import SPEC, get
from airflow_provider_klaviyo.sandbox.examples import path_of

TEXTS = {
    "date-time": ("2026-03-01T10:00:00+00:00", "2026-02-28T23:59:59Z"),
    "date": ("2026-03-01",),
    "time": ("10:00:00",),
    "uri": ("https://shop.example.com/a",),
}
WORDS = ("Sale", "", "é ✓", "a" * 300, "ada.alder@example.com", "+15550100000", "0", '\' or "1"')
IDENTIFIERS = {
    "email": "person{}@example.com",
    "phone_number": "+1555010{:04}",
    "external_id": "{}",
    "conversion_metric_id": "RESQ6t",
    "import_from_url": "https://shop.example.com/{}.png",
    "editor_type": "CODE",
}
"""Fields that are checked for more than their type."""
DEEPEST = 9


class Requests:
    """Makes requests of one revision.

    :param seed: the same seed makes the same requests.
    :param known: an id that exists of each resource type.
    """

    def __init__(self, revision: str, seed: int, known: Mapping[str, str]) -> None:
        self.known = known
        self.document: Mapping[str, Any] = document(revision)
        self.random = random.Random(seed)

    def query(self, name: str) -> dict[str, str]:
        """Query parameters, every published one now and then; the filter is one that is allowed."""
        detail = self.document["operations"][name]
        return {
            parameter: self._parameter(rules["schema"], parameter, detail)
            for parameter, rules in detail["query"].items()
            if rules.get("required") or (self.random.random() < 0.3 and parameter != "page[cursor]")
        }

    def required_query(self, name: str) -> dict[str, str]:
        """The query parameters that must be given."""
        published = self.document["operations"][name]
        return {
            parameter: self._parameter(rules["schema"], parameter, published)
            for parameter, rules in published["query"].items()
            if rules.get("required")
        }

    def body(self, name: str, id_: str) -> Any:
        """A body, with the path's id where the schema has one; ``None`` for an operation without."""
        detail = self.document["operations"][name]
        if "body" not in detail:
            return None
        body = self.value(detail["body"])
        data = body.get("data") if isinstance(body, dict) else None
        if isinstance(data, dict) and "id" in data and get(name).path.endswith("}"):
            data["id"] = id_
        return body

    def path(self, name: str, id_: str) -> str:
        path = get(name).path
        for parameter in get(name).path_parameters:
            path = path.replace(f"{{{parameter}}}", id_)
        return path

    def id_for(self, name: str) -> str:
        """An id for the path: one that exists, where any does."""
        segment = get(name).path.split("/")[2]
        return next((id_ for type_, id_ in self.known.items() if path_of(type_) == segment), "Some1d")

    def value(self, schema: Mapping[str, Any], depth: int = 0) -> Any:
        """A value that the schema allows."""
        chance = self.random.random
        if "$ref" in schema:
            return self.value(self.document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], depth)
        if schema.get("nullable") and (chance() < 0.15 or depth > DEEPEST):
            return None
        if "allOf" in schema:
            return self.value(schema["allOf"][-1], depth)
        if "oneOf" in schema:
            return self.value(self.random.choice(schema["oneOf"]), depth)
        if "enum" in schema:
            return self.random.choice(schema["enum"])
        match schema.get("type"):
            case "object":
                return self._object(schema, depth)
            case "array":
                return [self.value(schema["items"], depth + 1) for _ in range(self.random.randint(0, 2))]
            case "string":
                return self.random.choice(TEXTS.get(schema.get("format", ""), WORDS))
            case "integer":
                return self.random.choice((0, 1, 50, 10**9))
            case "number":
                return self.random.choice((0, 1.5, -3))
            case "boolean":
                return chance() < 0.5
            case _:
                return None

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        fields = schema.get("properties", {})
        if not fields:
            return self.random.choice(({}, {"colour": "red", "sizes": [1, 2]}))
        required = schema.get("required", ())
        made = {
            name: self.value(part, depth + 1)
            for name, part in fields.items()
            if name in required or (depth <= DEEPEST and self.random.random() < 0.5)
        }
        if isinstance(made.get("type"), str) and isinstance(made.get("id"), str):
            made["id"] = self.known.get(made["type"], "Some1d")
        for name in made.keys() & IDENTIFIERS.keys():
            if isinstance(made[name], str):
                made[name] = IDENTIFIERS[name].format(self.random.randint(0, 9999))
        return made

    def _parameter(self, schema: Mapping[str, Any], name: str, detail: Mapping[str, Any]) -> str:
        if name == "filter":
            return self._filter(detail.get("filters", {}))
        match schema["type"]:
            case "array":
                allowed = schema["items"].get("enum", ["Some1d"])
                return ",".join(self.random.sample(allowed, min(len(allowed), self.random.randint(1, 3))))
            case "integer":
                return str(self.random.randint(schema["minimum"], schema["maximum"]))
            case _:
                return str(self.random.choice(schema.get("enum", ["Some1d"])))

    def _filter(self, allowed: Mapping[str, Any]) -> str:
        if "messages.channel" in allowed:
            return "equals(messages.channel,'email')"
        field = self.random.choice(list(allowed))
        rules = allowed[field]
        form = self.random.choice(list(rules["operators"]))
        operator = self.random.choice(rules["operators"][form])
        if form == "none":
            return f"{operator}({field})"
        value = self._filter_value(rules["value"])
        return f"{operator}({field},{f'[{value},{value}]' if form == 'list' else value})"

    def _filter_value(self, schema: Mapping[str, Any]) -> str:
        if "enum" in schema:
            return json.dumps(self.random.choice(schema["enum"]))
        if schema.get("format") == "date-time":
            return "2026-03-01T10:00:00Z"
        return {"boolean": "true", "integer": "5", "number": "5.5"}.get(schema["type"], '"Sale"')


@cache
def document(revision: str) -> Any:
    """What the package holds of a revision's published document."""
    return json.loads(Path(SPEC / f"{revision}.json").read_text(encoding="utf-8"))
