"""A MariaDB server of the tests' own, which is asked as MySQL is."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import mysql.connector
import pymysql
import pytest
from airflow.providers.common.sql.hooks.sql import DbApiHook

from harness.rest import HUNG

DRIVERS = ("pymysql", "mysql.connector")
"""PyMySQL has the cursor classes of MySQLdb; the other one is MySQL's own."""


class MariaHook(DbApiHook):
    """What Airflow's hook for MySQL does, whose package needs a compiler: statements may be several."""

    conn_name_attr = "conn_id"
    supports_autocommit = True
    placeholder = "%s"

    def __init__(self, driver: str, socket: str) -> None:
        super().__init__(conn_id="warehouse")
        self._driver, self._socket = driver, socket

    def get_conn(self) -> Any:
        to = {"unix_socket": self._socket, "user": "root", "database": "test"}
        if self._driver == "pymysql":
            return pymysql.connect(**to, client_flag=pymysql.constants.CLIENT.MULTI_STATEMENTS)
        return mysql.connector.connect(**to)

    def set_autocommit(self, conn: Any, autocommit: bool) -> None:
        """As Airflow's: a method of one, an attribute of the other."""
        if self._driver == "pymysql":
            conn.autocommit(autocommit)
        else:
            conn.autocommit = autocommit


def warehouse(driver: str, socket: str) -> Any:
    """What a module has as Airflow's ``BaseHook``: its connection ``warehouse`` is the server, over this driver."""

    class Connection:
        @staticmethod
        def get_hook() -> MariaHook:
            return MariaHook(driver, socket)

    class Hooks:
        @staticmethod
        def get_connection(conn_id: str) -> type[Connection]:
            assert conn_id == "warehouse"
            return Connection

    return Hooks


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
            deadline = time.monotonic() + HUNG
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
