"""Answers of Klaviyo's that get lost, as the tests of single writes have them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.context import dag_run

COMMITTED: list[dict[str, Any]] = [
    {"fault": "drop_after_commit"},
    {"fault": "status_after_commit", "status": 504},
    {"fault": "garbage"},
]
LOST: list[dict[str, Any]] = [
    {"fault": "drop_before_commit"},
    {"fault": "status_before_commit", "status": 500},
]
STORES = pytest.mark.parametrize("durable", [True, False], ids=["store", "no store"])


def named(rule: dict[str, Any]) -> str:
    return " ".join(str(value) for value in rule.values())


committed = pytest.mark.parametrize("rule", COMMITTED, ids=named)
lost = pytest.mark.parametrize("rule", LOST, ids=named)


def early() -> Any:
    """A run that began long before this try: retried after a while, or queued for long."""
    return dag_run(run_after=datetime.now(UTC) - timedelta(minutes=30))
