"""A PostgreSQL server of the tests' own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ACCOUNT = "postgres"
"""Whom Debian's package makes for the server, which refuses to run as root."""


def _programs() -> Path | None:
    """Where ``initdb`` and ``postgres`` are: on the PATH, or where Debian has them."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    return next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)


@contextmanager
def postgres() -> Iterator[dict[str, str]]:
    """A server with one empty database, which listens on a socket in a folder of its own and trusts everybody.

    A test that uses it is skipped where PostgreSQL is not installed.

    :returns: its Airflow connection.
    """
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL (initdb) is neither on the PATH nor in /usr/lib/postgresql")
    user = None
    if os.getuid() == 0:
        try:
            user = pwd.getpwnam(ACCOUNT)
        except KeyError:
            pytest.skip(f"PostgreSQL does not run as root, and there is no account {ACCOUNT}")
    with tempfile.TemporaryDirectory(prefix="klaviyo-postgres-") as directory:
        data = f"{directory}/data"
        as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
        if user:
            os.chown(directory, user.pw_uid, user.pw_gid)
        subprocess.run(
            [
                programs / "initdb",
                "--pgdata",
                data,
                "--username",
                ACCOUNT,
                "--auth",
                "trust",
                "--no-sync",
                "-E",
                "UTF8",
            ],
            cwd=directory,
            check=True,
            capture_output=True,
            **as_user,  # type: ignore[arg-type]
        )
        settings = ("listen_addresses=", f"unix_socket_directories={directory}", "fsync=off", "log_min_messages=fatal")
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, *(part for setting in settings for part in ("-c", setting))],
            cwd=directory,
            stderr=subprocess.DEVNULL,
            **as_user,  # type: ignore[arg-type]
        )
        try:
            _wait_ready(programs, directory, server)
            yield {"conn_type": "postgres", "host": directory, "login": ACCOUNT, "schema": ACCOUNT}
        finally:
            server.send_signal(signal.SIGQUIT)
            server.wait()


def _wait_ready(programs: Path, directory: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while subprocess.run([programs / "pg_isready", "--quiet", "--host", directory], check=False).returncode:
        assert server.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
