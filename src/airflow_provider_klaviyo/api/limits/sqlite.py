"""Bookings of one host, in an SQLite file."""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from array import array
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from airflow_provider_klaviyo.api.limits import schedule
from airflow_provider_klaviyo.api.limits.bookings import LOCK, Booking, BookingsError, clock, open_here
from airflow_provider_klaviyo.api.limits.schedule import DAY, Pool, Window

T = TypeVar("T")

BUSY_TIMEOUT = 1.0
"""Seconds to wait for another process that has the file locked; a booking locks it for some 50 microseconds."""

KEEP = 2 * DAY
"""Pools that nobody used for so long are dropped when a process opens the file."""

TABLE = """
CREATE TABLE IF NOT EXISTS pools (
    name TEXT PRIMARY KEY,
    seen INTEGER NOT NULL,
    blocked_until INTEGER NOT NULL,
    lag INTEGER NOT NULL,
    floor INTEGER NOT NULL,
    grants BLOB NOT NULL
)
"""


class SQLiteBookings:
    """Keeps bookings in one file for all processes of this host.

    The file is opened on first use, and again after a fork or when it was deleted or replaced. It has no secret in it
    and nothing that is of use for longer than a day: it may be deleted at any time.

    :param path: the file; missing directories are made. It is for one user, and a link in its place is not followed. It
        must lie on a local disk: processes share memory with its help, which network file systems do not offer.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    def __str__(self) -> str:
        return str(self.path)

    def book(self, pool: str, windows: Sequence[Window], max_wait: int) -> Booking:
        return Booking(*self._update(pool, lambda state, now: schedule.book(state, now, windows, max_wait)))

    def stands(self, pool: str, at: int) -> bool:
        return self._locked(lambda connection: _load(connection, pool).blocked_until <= at)

    def block(self, pool: str, length: int) -> None:
        self._update(pool, lambda state, now: schedule.block(state, now, length))

    def release(self, pool: str, at: int) -> None:
        self._update(pool, lambda state, _: schedule.release(state, at))

    def used(self, pool: str, length: int) -> int:
        return self._locked(lambda connection: schedule.used(_load(connection, pool), clock(), length))

    def close(self) -> None:
        """Let go of the file; the next use opens it again. The caller has the process's lock."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        open_here.discard(self)

    def _update(self, pool: str, step: Callable[[Pool, int], T]) -> T:
        """Change one pool. The clock is read while the file is locked: its readings are in the order of the steps."""

        def transaction(connection: sqlite3.Connection) -> T:
            connection.execute("BEGIN IMMEDIATE")
            state = _load(connection, pool)
            result = step(state, clock())
            _save(connection, pool, state)
            connection.execute("COMMIT")
            return result

        return self._locked(transaction)

    def _locked(self, step: Callable[[sqlite3.Connection], T]) -> T:
        if not LOCK.acquire(timeout=BUSY_TIMEOUT):
            raise BookingsError("other threads of this process are waiting for it already")
        try:
            return step(self._open())
        except BaseException as error:
            self.close()  # and with it a transaction that was cut short, by an error or by a signal
            if isinstance(error, sqlite3.Error | OSError):
                raise BookingsError(f"{type(error).__name__}: {error}") from error
            raise
        finally:
            LOCK.release()

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None and self._file == self._identity():
            return self._connection
        self.close()
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make(self.path)
        connection = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
        try:
            _prepare(connection)
        except BaseException:
            connection.close()
            raise
        self._connection, self._file = connection, self._identity()
        open_here.add(self)
        return connection

    def _identity(self) -> tuple[int, int] | None:
        try:
            status = os.lstat(self.path)
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino


def _make(path: Path) -> None:
    """Make the file for this user only; SQLite then gives those beside it the same mode.

    One that is there is not opened here: closing it would end the locks that this process holds on it.

    :raises OSError: a link is in its place, or in that of a file beside it.
    """
    for name in (path, *(Path(f"{path}{suffix}") for suffix in ("-wal", "-shm", "-journal"))):
        if name.is_symlink():
            raise OSError(errno.ELOOP, "a symbolic link, which is not followed", str(name))
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))


def _prepare(connection: sqlite3.Connection) -> None:
    _use_wal(connection)
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.text_factory = bytes  # a damaged row may hold text that is not UTF-8
    connection.execute(TABLE)
    now = clock()
    connection.execute("DELETE FROM pools WHERE seen < ? AND blocked_until < ?", (now - KEEP, now))


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch a new file to WAL. SQLite does not wait by itself when several processes do so at once."""
    latest = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > latest:
                raise
            time.sleep(0.005)
        else:
            return


def _load(connection: sqlite3.Connection, name: str) -> Pool:
    row = connection.execute(
        "SELECT grants, blocked_until, seen, lag, floor FROM pools WHERE name = ?", (name,)
    ).fetchone()
    if row is None:
        return Pool()
    packed, *rest = row
    if not isinstance(packed, bytes) or len(packed) % 8:
        return Pool()
    pool = Pool(array("q", packed).tolist(), *rest)
    return pool if schedule.is_sound(pool, clock()) else Pool()


def _save(connection: sqlite3.Connection, name: str, pool: Pool) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO pools (name, grants, blocked_until, seen, lag, floor) VALUES (?, ?, ?, ?, ?, ?)",
        (name, array("q", pool.grants).tobytes(), pool.blocked_until, pool.seen, pool.lag, pool.floor),
    )
