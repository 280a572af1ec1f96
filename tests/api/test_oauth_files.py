"""The file in which the processes of a host keep their OAuth token, its lock, and event loops that wait for it."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_klaviyo.api import oauth
from airflow_provider_klaviyo.api.errors import (
    KlaviyoTransientError,
)
from airflow_provider_klaviyo.api.tokens import TokenFile
from tests.support.oauth import file_in, make
from tests.support.oauth_server import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, SECRETS, OAuthServer

pytestmark = pytest.mark.usefixtures("other_process")

LOOP_MAY_STALL = 0.05
"""Seconds for which an event loop may be kept from its work."""

HOLD_LOCK = """
import sys, time
from pathlib import Path
from airflow_provider_klaviyo.api.tokens import TokenFile

with TokenFile(Path(sys.argv[1])).locked(5):
    print("held", flush=True)
    time.sleep(60)
"""


# --- the file --------------------------------------------------------------------------------------------------------


def test_only_the_user_can_read_the_file_and_it_holds_no_secret_of_the_connection(
    server: OAuthServer, tmp_path: Path
) -> None:
    directory = tmp_path / "home" / "tokens"
    make(server.url, directory).header()
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o600}
    for path in directory.iterdir():
        assert not any(secret in path.name for secret in (CLIENT_ID, *SECRETS))
        assert not any(secret in path.read_text() for secret in (CLIENT_SECRET, REFRESH_TOKEN))


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"access": 1, "good_until": 9e99}', '{"access": "access-0"}', "\xff"]
)
def test_a_file_that_is_not_understood_is_replaced(server: OAuthServer, tmp_path: Path, content: str) -> None:
    make(server.url, tmp_path).header()
    path = file_in(tmp_path)
    path.write_text(content, encoding="latin-1")
    assert make(server.url, tmp_path).header(refused="Bearer access-1") == "Bearer access-2"
    assert TokenFile(path).read() is not None


def test_a_directory_that_others_can_write_is_passed_over(server: OAuthServer, tmp_path: Path) -> None:
    shared, own = tmp_path / "shared", tmp_path / "own"
    shared.mkdir()
    shared.chmod(0o777)
    make(server.url, shared, own).header()
    assert not list(shared.iterdir())
    assert file_in(own)


def test_without_a_usable_directory_the_process_keeps_the_token_and_says_so(
    server: OAuthServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    auth = make(server.url, blocked / "tokens")
    assert auth.header() == auth.header() == "Bearer access-1"
    [warning] = [record.message for record in caplog.records if record.name == oauth.__name__]
    assert "cannot be shared" in warning
    assert str(blocked / "tokens") in warning


def test_a_directory_that_cannot_be_written_any_more_costs_the_sharing_only(
    server: OAuthServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    auth = make(server.url, tmp_path)
    refused = auth.header()
    path = file_in(tmp_path)
    path.unlink()
    path.mkdir()
    assert auth.header(refused) == "Bearer access-2"
    assert auth.header() == "Bearer access-2"
    assert "cannot be shared" in caplog.text


def test_the_lock_of_a_killed_process_holds_up_nobody(server: OAuthServer, tmp_path: Path) -> None:
    auth = make(server.url, tmp_path)
    refused = auth.header()
    with hold_lock(file_in(tmp_path)) as holder:
        waiting = threading.Thread(target=auth.header, args=(refused,))
        waiting.start()
        waiting.join(timeout=0.3)
        assert waiting.is_alive(), "the lock was not waited for"
        holder.send_signal(signal.SIGKILL)
        waiting.join(timeout=5)
        assert not waiting.is_alive()
    assert len(server.refreshes) == 2


def test_a_lock_that_does_not_become_free_is_a_passing_failure(
    server: OAuthServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oauth, "PATIENCE", 0.2)
    auth = make(server.url, tmp_path)
    refused = auth.header()
    with hold_lock(file_in(tmp_path)), pytest.raises(KlaviyoTransientError, match="has been refreshing"):
        auth.header(refused)
    assert len(server.refreshes) == 1


def test_a_fork_while_another_thread_refreshes_does_not_hang_the_child(server: OAuthServer, tmp_path: Path) -> None:
    code = (
        "import os, sys, threading\n"
        "from airflow_provider_klaviyo.api.oauth import OAuth\n"
        "auth = OAuth('c', base_url=sys.argv[1], client_id='the-client-id', client_secret='the-client-secret',"
        " refresh_token='the-refresh-token')\n"
        "threading.Thread(target=auth.header).start()\n"
        "sys.stdin.readline()\n"
        "pid = os.fork()\n"
        "if not pid:\n"
        "    auth.header()\n"
        "    os._exit(0)\n"
        "sys.exit(os.waitpid(pid, 0)[1])\n"
    )
    server.delay = 0.5
    command = [sys.executable, "-c", code, server.url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert server.asked.wait(20)
        try:
            _, errors = process.communicate("fork\n", timeout=20)
        finally:
            process.kill()
    assert process.returncode == 0, errors
    assert len(server.refreshes) == 2, "the fork came after the refresh"


# --- event loops -----------------------------------------------------------------------------------------------------


async def test_an_event_loop_stays_free_while_many_clients_wait_for_one_refresh(
    server: OAuthServer, tmp_path: Path, other_process: Callable[[], None]
) -> None:
    async def stalled(attempt: int) -> float:
        async with asyncio.TaskGroup() as group:
            stall = group.create_task(longest_stall(0.6))
            directory = tmp_path / str(attempt)
            headers = [group.create_task(make(server.url, directory).aheader()) for _ in range(100)]
        assert {header.result() for header in headers} == {f"Bearer access-{attempt}"}
        assert len(server.refreshes) == attempt
        other_process()
        return stall.result()

    server.delay = 0.4
    assert await least(stalled) < LOOP_MAY_STALL


async def test_an_event_loop_stays_free_while_another_process_holds_the_lock(
    server: OAuthServer, tmp_path: Path
) -> None:
    auth = make(server.url, tmp_path)
    auth.header()

    async def stalled(attempt: int) -> float:
        with hold_lock(file_in(tmp_path)) as holder:
            async with asyncio.TaskGroup() as group:
                stall = group.create_task(longest_stall(0.6))
                header = group.create_task(auth.aheader(refused=f"Bearer access-{attempt}"))
                await asyncio.sleep(0.3)
                assert not header.done()
                holder.send_signal(signal.SIGKILL)
        assert header.result() == f"Bearer access-{attempt + 1}"
        return stall.result()

    assert await least(stalled) < LOOP_MAY_STALL


async def test_a_cancelled_wait_holds_up_nobody(server: OAuthServer, tmp_path: Path) -> None:
    server.delay = 0.3
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(make(server.url, tmp_path).aheader(), 0.1)
    assert await asyncio.wait_for(make(server.url, tmp_path).aheader(), 5) == "Bearer access-1"
    assert len(server.refreshes) == 1


async def least(measure: Callable[[int], Awaitable[float]]) -> float:
    """The best of up to three attempts: other programs on this machine cause stalls as well."""
    found: list[float] = []
    while len(found) < 3 and min(found, default=LOOP_MAY_STALL) >= LOOP_MAY_STALL:
        found.append(await measure(len(found) + 1))
    return min(found)


async def longest_stall(seconds: float) -> float:
    """The longest time for which the loop did not come back to a task that always wants to run."""
    longest, last = 0.0, time.perf_counter()
    end = last + seconds
    while last < end:
        await asyncio.sleep(0.001)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    return longest


class hold_lock:  # noqa: N801 - reads as a function
    """Another process holds the lock of a token file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", HOLD_LOCK, str(self._path)]
        self._holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == "held\n"
        return self._holder

    def __exit__(self, *_: Any) -> None:
        self._holder.kill()
        self._holder.communicate()
