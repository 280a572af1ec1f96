"""How many members a list or segment says it has, which follows its membership with a delay."""

from __future__ import annotations

from typing import Any

from airflow_provider_klaviyo.sandbox.clock import iso
from airflow_provider_klaviyo.sandbox.model import Entity

KEPT = 100
"""How many past counts a list or segment remembers."""


def noted(group: Entity, count: int, now: str) -> list[list[Any]]:
    """The counts of a group with a new one: when each began, and how many; oldest first."""
    known = group.internal.get("counts") or [["", len(group.relationships["profiles"])]]
    return [*known, [now, count]][-KEPT:]


def shown(group: Entity, now: float, lag: float) -> int:
    """The count as of ``lag`` seconds ago.

    :param now: seconds since 1970.
    """
    counts = group.internal.get("counts")
    if not counts:
        return len(group.relationships["profiles"])
    then = iso(now - lag)
    return int(next((count for at, count in reversed(counts) if at <= then), counts[0][1]))
