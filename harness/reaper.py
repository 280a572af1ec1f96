"""Ends whole process sessions: every process that a component of Airflow started, whatever group it moved to.

Run as a program it is the guard of :class:`harness.processes.Processes`: it reads lines ``+<session id>`` and
``-<session id>`` and, when its input ends, kills the sessions that are left. Its input ends when its parent does, even
if that was killed with SIGKILL.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Collection

import psutil


def session_members(session_ids: Collection[int]) -> list[int]:
    """Return the ids of the living processes that belong to one of the sessions."""
    members = []
    for pid in psutil.pids():
        try:
            if os.getsid(pid) in session_ids and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                members.append(pid)
        except (OSError, psutil.NoSuchProcess):
            continue
    return members


def signal_sessions(session_ids: Collection[int], sig: signal.Signals) -> None:
    """Send a signal to every member of the sessions; SIGKILL is repeated until no member is left."""
    while members := session_members(session_ids):
        for pid in members:
            try:
                os.kill(pid, sig)
            except ProcessLookupError:
                continue
        if sig != signal.SIGKILL:
            return
        time.sleep(0.01)


def main() -> None:
    """Keep the list of sessions until the parent is gone, then end what is on it."""
    session_ids: set[int] = set()
    for line in sys.stdin:
        change = session_ids.add if line[0] == "+" else session_ids.discard
        change(int(line[1:]))
    if session_ids:
        signal_sessions(session_ids, signal.SIGKILL)


if __name__ == "__main__":
    main()
