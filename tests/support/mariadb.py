"""A MariaDB server of the tests' own, which is asked as MySQL is."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

READY_SECONDS = 120


@contextmanager
def mariadb() -> Iterator[str]:
    """A server with one empty database, ``test``, that trusts everybody who reaches its socket, which is returned.

    Where MariaDB is not installed, the test is skipped.
    """
    server, install = shutil.which("mariadbd", path=_path()), shutil.which("mariadb-install-db", path=_path())
    if server is None or install is None:
        pytest.skip("MariaDB (mariadbd) is not installed")
    with tempfile.TemporaryDirectory(prefix="klaviyo-mariadb-") as directory:
        data, socket = f"{directory}/data", f"{directory}/socket"
        made = ("--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal")
        as_user = ("--user=root",) if os.getuid() == 0 else ()
        subprocess.run([install, *made, *as_user], check=True, capture_output=True)
        settings = (f"--datadir={data}", f"--socket={socket}", f"--pid-file={directory}/pid", "--skip-networking")
        running = subprocess.Popen(
            [server, "--no-defaults", *settings, *as_user, "--skip-grant-tables", "--innodb-flush-log-at-trx-commit=0"],
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + READY_SECONDS
            while not os.path.exists(socket):
                if running.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("MariaDB did not start")
                time.sleep(0.05)
            yield socket
        finally:
            running.kill()
            running.wait()


def _path() -> str:
    """Debian has the server where only root looks."""
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
