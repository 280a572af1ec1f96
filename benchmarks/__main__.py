"""Run the benchmarks and write the page: ``python -m benchmarks [--quick] [--only NAME] [--output FILE]``.

All of them take some 25 minutes; ``--quick`` shows in two that they work, and writes no page unless told where.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from benchmarks.report import load, machine, render, write

NAMES = ("throughput", "waiting", "overhead", "imports", "lifecycle", "limiter", "audience", "mirror", "load")
PAGE = Path("docs/benchmarks.md")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure this package against others.")
    parser.add_argument("--quick", action="store_true", help="show that they work; the figures mean nothing")
    parser.add_argument("--only", action="append", choices=NAMES, metavar="NAME", help=f"one of {', '.join(NAMES)}")
    parser.add_argument("--output", type=Path, help=f"the page to write (default: {PAGE}; with --quick none)")
    options = parser.parse_args(arguments)
    page = options.output or (None if options.quick else PAGE)
    measured: dict[str, str] = {}
    print(f"{machine()}, load {load()}", flush=True)
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"AIRFLOW_HOME": home, "AIRFLOW__LOGGING__LOGGING_LEVEL": "CRITICAL"}
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a package that was installed has its byte code
        for name in options.only or NAMES:
            before = load()
            print(f"{name} ...", flush=True)
            found = import_module(f"benchmarks.{name}").section(
                options.quick, lambda line: print(f"  {line}", flush=True)
            )
            measured[name] = render(name, found, before, quick=options.quick)
            print(f"\n{measured[name]}", flush=True)
            if page:
                write(page, NAMES, measured)
    if page:
        print(f"Written to {page}")


if __name__ == "__main__":
    main()
