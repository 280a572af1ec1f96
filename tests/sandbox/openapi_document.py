"""The package's distilled facts as an OpenAPI document again, for tools that read one."""

from __future__ import annotations

from typing import Any

from airflow_provider_klaviyo.api.operations import operations
from tests.sandbox.valid_requests import document


def rebuilt(revision: str) -> dict[str, Any]:
    """The document of a revision. ``oneOf`` is written ``anyOf``: the published alternatives overlap."""
    distilled = document(revision)
    paths: dict[str, dict[str, Any]] = {}
    for name, detail in distilled["operations"].items():
        operation = operations()[name]
        parameters = [
            {"name": part, "in": "path", "required": True, "schema": {"type": "string"}}
            for part in operation.path_parameters
        ]
        parameters += [
            {
                "name": parameter,
                "in": "query",
                "required": rules.get("required", False),
                "schema": rules["schema"],
                "style": "form",
                "explode": False,
            }
            for parameter, rules in detail["query"].items()
        ]
        described: dict[str, Any] = {
            "operationId": name,
            "parameters": parameters,
            "responses": {str(status): {"description": ""} for status in operation.success},
        }
        if "body" in detail:
            described["requestBody"] = {"required": True, "content": {detail["media_type"]: {"schema": detail["body"]}}}
        paths.setdefault(operation.path, {})[operation.method.lower()] = described
    return any_of(
        {
            "openapi": "3.0.2",
            "info": {"title": "Klaviyo", "version": revision},
            "paths": paths,
            "components": {"schemas": distilled["components"]["schemas"]},
        }
    )


def any_of(value: Any) -> Any:
    if isinstance(value, list):
        return [any_of(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {"anyOf" if key == "oneOf" else key: any_of(item) for key, item in value.items()}
