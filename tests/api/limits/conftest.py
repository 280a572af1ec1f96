"""Real bookings: a file, and a Redis server of the tests' own."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from airflow_provider_klaviyo.api.limits.bookings import Bookings, MemoryBookings
from airflow_provider_klaviyo.api.limits.redis import RedisBookings
from airflow_provider_klaviyo.api.limits.sqlite import SQLiteBookings

REDIS = shutil.which("redis-server")


def start_redis(directory: Path) -> subprocess.Popen[bytes]:
    """A Redis server that listens on ``directory/socket`` only and keeps nothing on disk."""
    assert REDIS, "this test needs redis-server on the PATH"
    server = subprocess.Popen(
        [REDIS, "--port", "0", "--unixsocket", str(directory / "socket"), "--save", "", "--appendonly", "no"],
        cwd=directory,
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 10
    while not (directory / "socket").exists():
        assert server.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return server


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    if not REDIS:
        pytest.skip("redis-server is not on the PATH")
    with tempfile.TemporaryDirectory() as directory:
        server = start_redis(Path(directory))
        try:
            yield f"unix://{directory}/socket"
        finally:
            server.kill()
            server.wait()


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
