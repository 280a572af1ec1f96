"""Bookings that cannot be used never stop a call: one warning, pacing in this process, and back again."""

from __future__ import annotations

import logging
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_provider_klaviyo.api.errors import KlaviyoRateLimitError, KlaviyoValidationError
from airflow_provider_klaviyo.api.limits import Budget, shared_bookings
from airflow_provider_klaviyo.api.limits.bookings import FallbackBookings
from airflow_provider_klaviyo.api.limits.redis import RedisBookings
from airflow_provider_klaviyo.api.limits.sqlite import SQLiteBookings
from airflow_provider_klaviyo.api.operations import Limits
from tests.api.limits.operation import operation
from tests.support.redis import REDIS, start_redis

LOGGER = "airflow_provider_klaviyo.api.limits"
TWO_PER_MINUTE = operation(Limits(burst=2, steady=2))


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage() for record in caplog.records if record.name == LOGGER and record.levelno == logging.WARNING
    ]


def paces_in_process(budget: Budget) -> bool:
    """True if two calls go through and the third is refused."""
    budget.acquire(TWO_PER_MINUTE)
    budget.acquire(TWO_PER_MINUTE)
    with pytest.raises(KlaviyoRateLimitError):
        budget.acquire(TWO_PER_MINUTE)
    return True


def corrupt(path: Path) -> None:
    path.write_bytes(b"this is not a database" * 500)


def a_directory_in_its_place(path: Path) -> None:
    path.mkdir()


def a_file_instead_of_its_directory(path: Path) -> None:
    path.parent.rmdir()
    path.parent.write_text("no directory")


def another_layout(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE pools (something TEXT)")


@pytest.mark.parametrize("spoil", [corrupt, a_directory_in_its_place, a_file_instead_of_its_directory, another_layout])
def test_a_file_that_cannot_be_used_costs_one_warning_that_names_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, spoil: Callable[[Path], None]
) -> None:
    path = tmp_path / "home" / "budget.db"
    path.parent.mkdir()
    spoil(path)
    assert paces_in_process(Budget("account", shared_bookings(str(path)), share=1.0, max_wait=5))
    assert len(warnings(caplog)) == 1
    assert str(path) in warnings(caplog)[0]


def test_a_directory_that_may_not_be_written_costs_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    """``/proc`` refuses new files even to root."""
    if sys.platform != "linux":
        pytest.skip("needs /proc")
    assert paces_in_process(Budget("account", shared_bookings("/proc/klaviyo/budget.db"), share=1.0, max_wait=5))
    assert len(warnings(caplog)) == 1


def test_a_full_disk_costs_one_warning(tmp_path: Path) -> None:
    """In a process of its own whose files may not grow beyond 20 KB, as on a full disk."""
    program = """
        import logging, resource, signal, sys
        from airflow_provider_klaviyo.api.limits import Budget, shared_bookings
        from airflow_provider_klaviyo.api.operations import get
        logging.basicConfig(format="%(levelname)s %(message)s")
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        budget = Budget("account", shared_bookings(sys.argv[1]), share=1.0)
        for _ in range(10):
            budget.acquire(get("get_profiles"))
        print("went on")
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "budget.db")],
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert run.stdout == "went on\n", run.stderr
    assert run.stderr.count("WARNING") == 1
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 20_000


def test_a_file_that_stays_locked_delays_calls_by_seconds_once_however_many_wait(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "budget.db"
    budget = Budget("account", shared_bookings(str(path)), share=1.0, max_wait=5)
    budget.acquire(operation(Limits(100, 1000)))
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    started = time.monotonic()
    threads = [threading.Thread(target=budget.acquire, args=(operation(Limits(100, 1000)),)) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0.9 < time.monotonic() - started < 5, "10 s if each waited by itself"
    assert paces_in_process(Budget("other account", shared_bookings(str(path)), share=1.0, max_wait=5))
    assert time.monotonic() - started < 6
    assert len(warnings(caplog)) == 1
    assert str(path) in warnings(caplog)[0]
    holder.close()


@pytest.mark.parametrize("sidecars", [True, False])
def test_a_file_that_was_deleted_is_made_again_and_shared_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, sidecars: bool
) -> None:
    path = tmp_path / "home" / "budget.db"
    one, other = (Budget("account", FallbackBookings(SQLiteBookings(path)), share=1.0, max_wait=5) for _ in range(2))
    one.acquire(TWO_PER_MINUTE)
    other.acquire(TWO_PER_MINUTE)
    for name in [path, *path.parent.glob("budget.db-*")] if sidecars else [path]:
        name.unlink()
    granted = 0
    for budget in (one, other, one, other):
        try:
            budget.acquire(TWO_PER_MINUTE)
            granted += 1
        except KlaviyoRateLimitError:
            continue
    assert path.exists()
    assert granted <= 2
    assert not warnings(caplog)


def test_a_file_that_works_again_is_used_again_and_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "budget.db"
    caplog.set_level(logging.INFO, LOGGER)
    corrupt(path)
    bookings = FallbackBookings(SQLiteBookings(path), try_again=0.1)
    budget = Budget("account", bookings, share=1.0, max_wait=5)
    roomy = operation(Limits(100, 1000))
    for _ in range(3):
        budget.acquire(roomy)
        time.sleep(0.12)
    path.unlink()
    time.sleep(0.12)
    budget.acquire(roomy)
    Budget("account", SQLiteBookings(path), share=1.0).blocked(roomy, 60)
    with pytest.raises(KlaviyoRateLimitError):
        budget.acquire(roomy)
    assert len(warnings(caplog)) == 1
    assert any("can be used again" in record.getMessage() for record in caplog.records)


@pytest.mark.skipif(not REDIS, reason="redis-server is not on the PATH")
@pytest.mark.parametrize("fault", ["gone", "stopped"])
def test_redis_that_goes_away_costs_one_warning_until_it_is_back(caplog: pytest.LogCaptureFixture, fault: str) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    with tempfile.TemporaryDirectory() as directory:
        server = start_redis(Path(directory))
        try:
            bookings = FallbackBookings(RedisBookings(f"unix://{directory}/socket"), try_again=0.2)
            budget = Budget("account", bookings, share=1.0, max_wait=5)
            budget.acquire(operation(Limits(100, 1000)))
            assert not warnings(caplog)
            if fault == "gone":
                server.kill()
                server.wait()
            else:
                server.send_signal(signal.SIGSTOP)
            started = time.monotonic()
            assert paces_in_process(budget)
            assert time.monotonic() - started < 6
            assert len(warnings(caplog)) == 1
            if fault == "gone":
                (Path(directory) / "socket").unlink()
                server = start_redis(Path(directory))
            else:
                server.send_signal(signal.SIGCONT)
            time.sleep(0.3)
            budget.acquire(operation(Limits(100, 1000)))
            assert len(warnings(caplog)) == 1
            assert any("can be used again" in record.getMessage() for record in caplog.records)
        finally:
            server.kill()
            server.wait()


def test_no_warning_shows_the_password_of_redis(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("redis")
    budget = Budget("account", shared_bookings("redis://someone:hunter2@127.0.0.1:1/0"), share=1.0, max_wait=5)
    assert paces_in_process(budget)
    assert len(warnings(caplog)) == 1
    assert "redis://127.0.0.1:1/0" in warnings(caplog)[0]
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize(
    "url", ["redis://:hunter/2@host:1/0", "redis://:hunter#2@host", "redis://host:99999", "redis://u:hunter2@h?bogus=1"]
)
def test_a_redis_url_that_cannot_be_read_is_refused_without_showing_it(url: str) -> None:
    pytest.importorskip("redis")
    with pytest.raises(KlaviyoValidationError, match="percent-encoded") as caught:
        shared_bookings(url)
    assert "hunter" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_stores_are_made_without_touching_anything(tmp_path: Path) -> None:
    path = tmp_path / "home" / "budget.db"
    assert shared_bookings(str(path)) is shared_bookings(str(path))
    assert not path.parent.exists()
