"""Runs code as Airflow would first meet it: in a fresh interpreter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

RunPython = Callable[[str], Any]


@pytest.fixture(scope="module")
def run_python(tmp_path_factory: pytest.TempPathFactory) -> RunPython:
    """Return a function that runs code with an Airflow home of its own and returns its last line, read as JSON.

    Byte code is kept, as it is for an installed package, so that only the first run compiles.
    """
    env = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    env["AIRFLOW_HOME"] = str(tmp_path_factory.mktemp("airflow"))

    def run(code: str) -> Any:
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run
