"""Many schedules over several processes; each process has a sandbox and a clock of its own."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor

from proof.run import Bench, Outcome, Schedule

_bench: Bench | None = None


def carry_out_all(schedules: Iterable[Schedule], jobs: int) -> Iterator[Outcome]:
    """Carry out schedules; the outcomes come in their order."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["AIRFLOW_HOME"] = home
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin) as pool:
            yield from pool.map(_one, schedules, chunksize=4)


def _begin() -> None:
    global _bench
    _bench = Bench().__enter__()
    atexit.register(_bench.__exit__, None, None, None)


def _one(schedule: Schedule) -> Outcome:
    assert _bench is not None
    return _bench.carry_out(schedule)
