"""The line that shows how far the tests are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
THREE = """
import pytest

@pytest.mark.parametrize("number", [1, 2, 3])
def test_it_is_small(number):
    assert number < 3
"""


@pytest.mark.parametrize("processes", ["0", "2"])
def test_it_counts_all_tests_and_names_at_once_what_fails(tmp_path: Path, processes: str) -> None:
    (tmp_path / "test_three.py").write_text(THREE)
    plugins = ["-p", "tests.support.progress", "-p", "xdist", "--numprocesses", processes]
    command = [sys.executable, "-m", "pytest", "-q", *plugins, "-c", "/dev/null", str(tmp_path)]
    quickly = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, cwd=ROOT, env=quickly, capture_output=True, text=True, check=False)
    shown = done.stdout.splitlines()
    begun = next(number for number, line in enumerate(shown) if line.startswith("0 of 3 tests, "))
    failed = next(number for number, line in enumerate(shown) if line.endswith("test_it_is_small[3]"))
    assert begun < failed < shown.index(next(line for line in shown if "FAILURES" in line))
    assert shown[-1].startswith("1 failed, 2 passed")
