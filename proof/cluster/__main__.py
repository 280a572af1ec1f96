"""``python -m proof.cluster``: campaigns and an audience sync on a cluster whose parts are killed on the way.

One sandbox with Klaviyo's limits, one account, and on this machine: two schedulers, two triggerers, two Celery
workers, PostgreSQL and Redis. With ``--curve`` nothing is killed: so many lifecycles at once, one number after
another, and how long they took.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from airflow_provider_klaviyo.sandbox.embedded import Sandbox
from proof.cluster.picture import picture
from proof.cluster.report import hourly, limit, report, row
from proof.cluster.show import BLOWS, Show, cluster


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    :return: 0 if everything was made, sent and imported once, and no call was answered 429; else 1, and the cluster's
        home with all logs is kept.
    """
    parser = argparse.ArgumentParser(prog="python -m proof.cluster", description=__doc__)
    parser.add_argument("--lifecycles", type=int, default=60, help="at once (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=160_000, help="of the table, in 8 parts (default: %(default)s)")
    parser.add_argument("--curve", type=int, nargs="+", metavar="N", help="numbers of lifecycles at once")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="where to draw the curve, as SVG")
    options = parser.parse_args(argv)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    home = Path(tempfile.mkdtemp(prefix="klaviyo-cluster-"))
    wrong: list[str] = []
    with (
        Sandbox() as sandbox,
        cluster(home, sandbox.url, at_once=max(options.curve or [options.lifecycles])) as airflow,
    ):
        if options.curve:
            points = []
            for number in options.curve:
                outcome = Show(airflow, sandbox.url, number, 0, _tell).run(blows={})
                print(row(outcome), flush=True)
                points.append((number, hourly(outcome)))
                wrong += outcome.wrong
            if options.picture:
                options.picture.write_text(picture(points, limit(outcome)), encoding="utf-8")
        else:
            outcome = Show(airflow, sandbox.url, options.lifecycles, options.rows, _tell).run(blows=BLOWS)
            print(report(outcome))
            wrong = outcome.wrong
    if wrong:
        print("\n".join(["", "What must not be:", *wrong, "", f"The cluster's home is kept: {home}"]))
        return 1
    shutil.rmtree(home)
    return 0


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
