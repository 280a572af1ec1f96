"""Real bookings: a file, and a Redis server of the tests' own."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_provider_klaviyo.api.limits.bookings import Bookings, MemoryBookings
from airflow_provider_klaviyo.api.limits.redis import RedisBookings
from airflow_provider_klaviyo.api.limits.sqlite import SQLiteBookings


@pytest.fixture(params=["sqlite", "redis"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Bookings]:
    """Opens the same shared bookings again, as each process does."""
    if request.param == "sqlite":
        return lambda: SQLiteBookings(tmp_path / "limits" / "budget.db")
    url = request.getfixturevalue("redis_url")
    return lambda: RedisBookings(url)


@pytest.fixture(params=["memory", "sqlite", "redis"])
def bookings(request: pytest.FixtureRequest, tmp_path: Path) -> Bookings:
    if request.param == "memory":
        return MemoryBookings()
    if request.param == "sqlite":
        return SQLiteBookings(tmp_path / "budget.db")
    return RedisBookings(request.getfixturevalue("redis_url"))


@pytest.fixture
def account() -> str:
    """An account that no other test uses."""
    return uuid.uuid4().hex
