"""The body of a bulk import: how large it may be, and a quick look at its rows."""

from __future__ import annotations

import json
from typing import Any

from airflow_provider_klaviyo.sandbox.people import ATTRIBUTES
from airflow_provider_klaviyo.sandbox.refusals import invalid, refusal

IMPORT = "bulk_import_profiles"
PROFILES = "/data/attributes/profiles/data"
LARGEST_BODY, LARGEST_PROFILE = 5_000_000, 100_000
"""In bytes: of a request, and of a profile in it (as compact JSON)."""
COMPACT = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)
TEXTS = frozenset(ATTRIBUTES)
PARTS_OF_A_ROW = frozenset(("type", "id", "attributes"))
PLACES = frozenset(("address1", "address2", "city", "country", "region", "zip", "timezone", "ip"))


def check_size(content: object) -> None:
    """Refuse a body that is too large.

    :raises RefusedError: 413. That Klaviyo answers this status is a choice.
    """
    if isinstance(content, bytes) and len(content) > LARGEST_BODY:
        detail = f"The body has {len(content)} bytes; at most {LARGEST_BODY} are allowed."
        raise refusal(413, "request_too_large", "Request too large.", detail)


def check_profiles(rows: list[Any]) -> None:
    """Refuse rows of which one is too large.

    :raises RefusedError: 400 that points at it.
    """
    for number, row in enumerate(rows):
        size = len(COMPACT.encode(row).encode())
        if size > LARGEST_PROFILE:
            detail = f"The profile has {size} bytes; at most {LARGEST_PROFILE} are allowed."
            raise invalid(detail, pointer=f"{PROFILES}/{number}")


def abridged(body: Any) -> Any:
    """A body for the published schema to be checked with: the same one, or with one row only when all rows are plain.

    The schema takes milliseconds for a row, and has nothing to say of a plain one.
    """
    try:
        rows = body["data"]["attributes"]["profiles"]["data"]
    except (KeyError, TypeError):
        return body
    if not isinstance(rows, list) or not all(map(_is_plain, rows)):
        return body
    data = body["data"]
    profiles = {**data["attributes"]["profiles"], "data": rows[:1]}
    return {**body, "data": {**data, "attributes": {**data["attributes"], "profiles": profiles}}}


def _is_plain(row: object) -> bool:
    """True if a row has a type, perhaps an id, and texts, nulls, a plain location and properties only."""
    if not isinstance(row, dict) or row.get("type") != "profile" or not row.keys() <= PARTS_OF_A_ROW:
        return False
    attributes = row.get("attributes")
    return (
        isinstance(attributes, dict)
        and isinstance(row.get("id", ""), str)
        and all(_is_plain_value(name, value) for name, value in attributes.items())
    )


def _is_plain_value(name: str, value: object) -> bool:
    if name in TEXTS:
        return isinstance(value, str) or value is None
    if name == "location":
        return isinstance(value, dict) and all(part in PLACES and isinstance(text, str) for part, text in value.items())
    return name == "properties" and isinstance(value, dict)
