"""How much memory something takes, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

MB = 1024
"""Of memory, in the kB of ``/proc``."""


def peak() -> int:
    """The most memory that this process ever had, in kB."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


def grown(script: str, *arguments: object) -> int:
    """Run a script in a process of its own, and return the kB that it prints last."""
    child = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert child.returncode == 0, child.stderr
    return int(child.stdout.splitlines()[-1])
