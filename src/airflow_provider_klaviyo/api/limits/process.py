"""One lock for all stores of this process, and what a fork has to do with it.

A child must inherit neither a lock that some other thread of its parent held (redis-py has some of its own), nor an
open SQLite connection: using or closing that could corrupt the file. So a fork waits for the lock and closes what is
open; parent and child then each open what they need again.
"""

from __future__ import annotations

import os
import threading
from typing import Protocol
from weakref import WeakSet


class Closeable(Protocol):
    def close(self) -> None: ...


LOCK = threading.RLock()
"""Held for microseconds, or as long as a file is locked by another process; never while a caller sleeps. Reentrant,
because Airflow calls ``on_kill`` from a signal handler, which may strike while its thread holds the lock."""

open_here: WeakSet[Closeable] = WeakSet()
"""Stores with something open that a child must not inherit. Guarded by :data:`LOCK`."""


def _before_fork() -> None:
    LOCK.acquire()
    for store in list(open_here):
        store.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=LOCK.release, after_in_child=LOCK.release)
