"""Runs a pytest of its own, in which the package's plugin is installed as pip installs it: by its entry points."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

Pytest = Callable[..., pytest.RunResult]


@pytest.fixture
def run_pytest(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, site: Path) -> Pytest:
    """Return a function that runs pytest in a process of its own, without what this one says about Airflow."""
    for name in list(os.environ):
        if name.startswith(("AIRFLOW", "PYTEST_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), str(ROOT / "src")]))

    def run(*arguments: str, timeout: float = 60) -> pytest.RunResult:
        return pytester.run(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments, timeout=timeout)

    return run
