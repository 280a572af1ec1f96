"""A PostgreSQL server of this process's own, for as long as it is needed."""

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

from harness.rest import HUNG

ACCOUNT = "postgres"
"""Whom Debian's package makes for the server, which refuses to run as root."""


class PostgresMissingError(Exception):
    """PostgreSQL is not installed, or may not be run by this user."""


@contextmanager
def postgres(*, port: int | None = None) -> Iterator[str]:
    """A server with one empty database, ``postgres``, that trusts everybody who reaches it.

    It listens on a socket in a folder of its own, which is what is returned: the ``host`` to connect to.

    :param port: of loopback, on which it listens besides.
    :raises PostgresMissingError: there is none to run.
    """
    programs = _programs()
    user = _account() if os.getuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="klaviyo-postgres-") as directory:
        data = f"{directory}/data"
        as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
        if user:
            os.chown(directory, user.pw_uid, user.pw_gid)
        made = ("--username", ACCOUNT, "--auth", "trust", "--no-sync", "-E", "UTF8")
        subprocess.run(
            [programs / "initdb", "--pgdata", data, *made],
            cwd=directory,
            check=True,
            capture_output=True,
            **as_user,  # type: ignore[arg-type]
        )
        settings = [f"unix_socket_directories={directory}", "fsync=off", "log_min_messages=fatal"]
        settings += ["max_connections=400", f"listen_addresses={'127.0.0.1' if port else ''}"]
        settings += [f"port={port}"] if port else []
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, *(part for setting in settings for part in ("-c", setting))],
            cwd=directory,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            **as_user,  # type: ignore[arg-type]
        )
        try:
            _wait_ready(programs, directory, port, server)
            yield directory
        finally:
            server.send_signal(signal.SIGQUIT)
            server.wait()


def _programs() -> Path:
    """Where ``initdb`` and ``postgres`` are: on the PATH, or where Debian has them."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        return folder
    raise PostgresMissingError("PostgreSQL (initdb) is neither on the PATH nor in /usr/lib/postgresql")


def _account() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(ACCOUNT)
    except KeyError:
        raise PostgresMissingError(f"PostgreSQL does not run as root, and there is no account {ACCOUNT}") from None


def _wait_ready(programs: Path, directory: str, port: int | None, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + HUNG
    ask = [programs / "pg_isready", "--quiet", "--host", directory, *(("--port", str(port)) if port else ())]
    while subprocess.run(ask, check=False).returncode:
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("PostgreSQL did not start")
        time.sleep(0.05)
