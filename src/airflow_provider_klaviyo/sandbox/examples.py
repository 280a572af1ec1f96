"""Answers made up from the published answer schemas, for what the sandbox keeps no state of.

An example is the same every time: one resource per type, whose id follows from the type, so that what relationships
point at can be read too. Texts are the names of their fields, enumerations their first value, times the beginning of
the sandbox's account. What may be null and is more than a single value is null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_klaviyo.api.schemas import component
from airflow_provider_klaviyo.sandbox.model import KINDS
from airflow_provider_klaviyo.sandbox.store import id_from

Schema = Mapping[str, Any]

FORMATS: Mapping[str, str] = {
    "date-time": "2026-01-05T09:00:00.000000+00:00",
    "date": "2026-01-05",
    "time": "09:00:00",
    "uri": "https://shop.example.com/",
}
SCALARS: Mapping[str, Any] = {"integer": 1, "number": 1.0, "boolean": False}


def example_id(type_: str) -> str:
    """The id of the one example of a resource type."""
    return id_from(type_, "example")


def path_of(type_: str) -> str:
    """The segment of a resource type's path: ``catalog-category`` has ``catalog-categories``."""
    if type_ in KINDS:
        return KINDS[type_].path
    return type_.removesuffix("y") + "ies" if type_.endswith("y") else type_ + "s"


class Examples:
    """Makes examples in one revision.

    :param base: scheme and host for links.
    """

    def __init__(self, revision: str, base: str) -> None:
        self.revision = revision
        self.base = base

    def resources(self, answer: Schema) -> tuple[list[dict[str, Any]], bool]:
        """The ``data`` of an answer: one resource in a list, and True if the answer has a list of them."""
        data = self._plain(self._plain(answer)["properties"]["data"])
        if data.get("type") == "array":
            return [self.resource(data["items"])], True
        return [self.resource(data)], False

    def fixed_ids(self, answer: Schema) -> Sequence[str]:
        """The ids there can be of an answer's resource; empty when there can be any."""
        data = self._plain(self._plain(answer)["properties"]["data"])
        resource = self._plain(data.get("items", data))
        return self._enumerated(resource["properties"].get("id", {}))

    def included(self, answer: Schema) -> list[dict[str, Any]]:
        """An example of every type that an answer may include."""
        included = self._plain(answer)["properties"].get("included")
        if included is None:
            return []
        items = included["items"]
        return [self.resource(schema) for schema in items.get("oneOf", [items])]

    def resource(self, schema: Schema) -> dict[str, Any]:
        """A resource object with links and attributes; relationships point at examples of other types."""
        published = self._plain(schema)["properties"]
        type_ = self.value(published["type"], "type")
        own = f"{self.base}/api/{path_of(type_)}/{example_id(type_)}/"
        made: dict[str, Any] = {"type": type_}
        for name, part in published.items():
            match name:
                case "id":
                    made["id"] = next(iter(self._enumerated(part)), example_id(type_))
                case "attributes":
                    made["attributes"] = self.value(part, name)
                case "relationships":
                    made["relationships"] = {
                        relation: {
                            "data": self._linkage(relation_schema),
                            "links": {"self": f"{own}relationships/{relation}/", "related": f"{own}{relation}/"},
                        }
                        for relation, relation_schema in self._plain(part)["properties"].items()
                    }
                case "links":
                    made["links"] = {"self": own}
        return made

    def value(self, schema: Schema, name: str) -> Any:
        """An example of anything.

        :param name: of the field, for a text.
        """
        plain = self._plain(schema)
        if "enum" in plain:
            return plain["enum"][0]
        match plain.get("type"):
            case "object":
                return {field: self._field(part, field) for field, part in plain.get("properties", {}).items()}
            case "array":
                return [self.value(plain["items"], name)]
            case "string":
                return FORMATS.get(plain.get("format", ""), name.replace("_", " "))
            case kind:
                return SCALARS.get(kind or "")

    def _enumerated(self, schema: Schema) -> Sequence[str]:
        allowed: Sequence[str] = self._plain(schema).get("enum", ())
        return allowed

    def _field(self, schema: Schema, name: str) -> Any:
        plain = self._plain(schema)
        is_single = "enum" in plain or plain.get("type") in ("string", *SCALARS)
        return None if _nullable(schema, plain) and not is_single else self.value(plain, name)

    def _linkage(self, relation: Schema) -> Any:
        data = self._plain(self._plain(relation)["properties"].get("data", {}))
        if not data:
            return None
        is_many = data.get("type") == "array"
        type_ = self.value(self._plain(data["items"] if is_many else data)["properties"]["type"], "type")
        identifier = {"type": type_, "id": example_id(type_)}
        return [identifier] if is_many else identifier

    def _plain(self, schema: Schema) -> Schema:
        """The schema without indirection. Of alternatives it is the first; of parts the last, which is the whole: the
        part before it returns the fields that are only returned on request."""
        while True:
            if "$ref" in schema:
                schema = component(schema["$ref"], self.revision)
            elif "allOf" in schema:
                schema = schema["allOf"][-1]
            elif "oneOf" in schema:
                schema = schema["oneOf"][0]
            else:
                return schema


def _nullable(*schemas: Schema) -> bool:
    return any(schema.get("nullable") for schema in schemas)
