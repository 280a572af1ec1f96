"""A pytest plugin, ``-p tests.support.progress``: how far the tests are, in place of a dot for each of thousands.

A terminal has one line, which is drawn again and again; elsewhere a line follows every few seconds.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from typing import Any

import pytest

SECONDS = 15.0
"""Between two lines where there is no terminal."""

SECONDS_ON_A_TERMINAL = 0.5

Status = tuple[str, str, str | tuple[str, dict[str, bool]]]


def pytest_configure(config: pytest.Config) -> None:
    """Watch, unless this is a worker of pytest-xdist, which has nobody to show it to."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Progress(config), "progress of the tests")


class Progress:
    """Counts the tests that have ended, and names those that fail at once."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._began = time.monotonic()
        self._shown = self._began
        self._total = self._done = self._failed = 0

    @property
    def _terminal(self) -> Any:
        return self._config.pluginmanager.get_plugin("terminalreporter")

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Without pytest-xdist, this process knows the tests."""
        if session.items:
            self._begin(len(session.items))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: object, ids: Sequence[str]) -> None:
        """With it, each worker knows all of them."""
        if not self._total:
            self._begin(len(ids))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Every test, a skipped one too, has one report of its teardown."""
        if report.failed:
            self._failed += 1
            self._terminal.ensure_newline()
            self._terminal.write_line(f"FAILED {report.nodeid}", red=True)
        if report.when == "teardown":
            self._done += 1
            self._show()

    @pytest.hookimpl(wrapper=True)
    def pytest_report_teststatus(self) -> Generator[None, Status, Status]:
        """Take away the dot."""
        category, _, word = yield
        return category, "", word

    def _begin(self, total: int) -> None:
        self._total = total
        self._show(at_once=True)

    def _show(self, *, at_once: bool = False) -> None:
        on_terminal, now = self._terminal.isatty, time.monotonic()
        if not at_once and now - self._shown < (SECONDS_ON_A_TERMINAL if on_terminal else SECONDS):
            return
        self._shown = now
        minutes, seconds = divmod(int(now - self._began), 60)
        failed = f", {self._failed} failed" if self._failed else ""
        line = f"{self._done} of {self._total} tests, {minutes}:{seconds:02} min{failed}"
        if on_terminal:
            self._terminal.rewrite(line, erase=True)
        else:
            self._terminal.write_line(line)
