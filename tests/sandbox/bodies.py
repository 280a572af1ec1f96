"""Bodies of requests, as several of the sandbox's test files send them."""

from __future__ import annotations

from typing import Any


def resource(type_: str, attributes: Any = None, **more: Any) -> dict[str, Any]:
    return {"data": {"type": type_, "attributes": attributes or {}, **more}}


def event(email: str, metric: str = "Placed Order", **attributes: Any) -> dict[str, Any]:
    given = {
        "properties": {},
        "metric": {"data": {"type": "metric", "attributes": {"name": metric}}},
        "profile": {"data": {"type": "profile", "attributes": {"email": email}}},
        **attributes,
    }
    return resource("event", given)
