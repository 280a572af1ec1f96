"""``python -m proof.live``: kill a real Airflow's processes at random moments, and count sends.

One sandbox and one Airflow on this machine; no mail is sent. A seed fixes which blows fall in which lifecycle and what
the sandbox does to calls; when exactly a blow falls is up to the machine, so that a seed is a schedule, not a film.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from proof.live.report import report
from proof.live.show import WAYS, carry_out


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    :return: 0 if nothing was made or sent twice, nothing was lost, and all that was planned came to pass; else 1, and
        Airflow's home with all logs is kept.
    """
    parser = argparse.ArgumentParser(prog="python -m proof.live", description=__doc__)
    parser.add_argument("--subject", choices=WAYS, default="package", help="whose lifecycle (default: %(default)s)")
    parser.add_argument("--lifecycles", type=int, default=30, help="runs, at least (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="what the plan follows from (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=5, help="runs in flight (default: %(default)s)")
    options = parser.parse_args(argv)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    home = Path(tempfile.mkdtemp(prefix="never-twice-"))
    outcome = carry_out(options.subject, options.lifecycles, options.seed, options.jobs, home, _tell)
    print(report(outcome))
    if outcome.violations or outcome.missed:
        print(f"\nAirflow's home is kept: {home}")
        return 1
    shutil.rmtree(home)
    return 0


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
