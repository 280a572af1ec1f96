"""Named child processes that can be killed and started again, and that never outlive this one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from harness import reaper

LONGEST_END = 20
"""Seconds that a child has to end, if it is asked."""

PASSED_ON_BY_THE_CHILD = {signal.SIGTERM, signal.SIGINT}


class Processes:
    """Child processes, each in a session of its own, each writing to ``<log_dir>/<name>.log``.

    A guard process kills them when this process ends for whatever reason, SIGKILL included.

    :param log_dir: an existing directory for the output of the children.
    """

    def __init__(self, log_dir: Path) -> None:
        self._log_dir = log_dir
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._guard = subprocess.Popen(
            [sys.executable, reaper.__file__], stdin=subprocess.PIPE, text=True, start_new_session=True
        )

    def start(self, name: str, command: Sequence[str], env: Mapping[str, str]) -> None:
        """Start a child under a name; its output is appended to that name's log."""
        if name in self._children:
            raise RuntimeError(f"{name} has been started already; kill it first")
        with self.log_path(name).open("ab") as log:
            child = subprocess.Popen(
                command, env=dict(env), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._children[name] = child
        self._tell_guard(f"+{child.pid}")

    def kill(self, name: str, sig: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to the child.

        SIGTERM and SIGINT go to the child alone, which ends its own children in order; every other signal goes to all
        its descendants too, as if the host died (SIGKILL) or froze (SIGSTOP, SIGCONT). After SIGKILL, SIGTERM and
        SIGINT the child has ended when this returns and its name can be started again.
        """
        child = self._children[name]
        if sig in PASSED_ON_BY_THE_CHILD:
            child.send_signal(sig)
            child.wait()
        else:
            reaper.signal_sessions([child.pid], sig)
        if sig in PASSED_ON_BY_THE_CHILD or sig == signal.SIGKILL:
            self.collect(name)

    def collect(self, name: str) -> int:
        """Wait for the child to end, end what it left behind, and return its exit code."""
        child = self._children[name]
        exit_code = child.wait()
        reaper.signal_sessions([child.pid], signal.SIGKILL)
        del self._children[name]
        self._tell_guard(f"-{child.pid}")
        return exit_code

    def pid(self, name: str) -> int:
        """Return the process id of the child, which is also the id of its session."""
        return self._children[name].pid

    def ended(self) -> dict[str, int]:
        """Return name and exit code of the children that ended without being asked to."""
        return {name: child.returncode for name, child in self._children.items() if child.poll() is not None}

    def stop(self) -> None:
        """End all children and the guard at once. May be called twice.

        Where coverage is measured (``make coverage``), they are asked to end first: what is killed leaves no figures.
        """
        if "COVERAGE_PROCESS_CONFIG" in os.environ:
            self._ask_to_end()
        reaper.signal_sessions([child.pid for child in self._children.values()], signal.SIGKILL)
        for name in list(self._children):
            self.collect(name)
        self._guard.communicate()

    def _ask_to_end(self) -> None:
        """Send SIGTERM to each child, and wait for them for a while."""
        for child in self._children.values():
            child.terminate()
        for child in self._children.values():
            with suppress(subprocess.TimeoutExpired):
                child.wait(timeout=LONGEST_END)

    def log_path(self, name: str) -> Path:
        """Return the file that holds the child's output."""
        return self._log_dir / f"{name}.log"

    def log_tail(self, name: str, lines: int = 30) -> str:
        """Return the last lines of the child's output."""
        return "\n".join(self.log_path(name).read_text(errors="replace").splitlines()[-lines:])

    def _tell_guard(self, line: str) -> None:
        assert self._guard.stdin is not None
        print(line, file=self._guard.stdin, flush=True)
