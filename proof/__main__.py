"""``python -m proof``: run schedules of faults and print what came of them."""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from proof.faults import Plan
from proof.pool import carry_out_all
from proof.report import table, wrongs
from proof.run import Outcome, Schedule
from proof.schedules import exhaustive, passages, seeded
from proof.subjects import OTHERS, OURS, SUBJECTS

UNDISTURBED = 5


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    :return: 0 if this package did nothing twice and lost nothing, and the others did; else 1.
    """
    options = _parser().parse_args(argv)
    subjects = options.subject or [*OURS, *OTHERS]
    calm = list(
        carry_out_all(
            [Schedule(key, Plan, "undisturbed") for key in subjects for _ in range(UNDISTURBED)], options.jobs
        )
    )
    usual = {
        key: statistics.median([outcome.seconds for outcome in calm if outcome.schedule.subject == key])
        for key in subjects
    }
    points = {outcome.schedule.subject: passages(outcome.seen) for outcome in calm}
    if options.seed is not None:
        return _tell([seeded(options.seed, key, len(points[key])) for key in subjects])
    if options.case is not None:
        return _tell([exhaustive(key, points[key])[options.case] for key in subjects])
    began = time.monotonic()
    schedules: list[Schedule] = []
    if not options.random or options.exhaustive:
        schedules += [schedule for key in subjects for schedule in exhaustive(key, points[key])]
    if not options.exhaustive or options.random:
        count = options.random or 1_000
        schedules += [seeded(seed, key, len(points[key])) for key in subjects for seed in range(count)]
    outcomes = list(carry_out_all(schedules, options.jobs))
    text, failed = _report(outcomes, usual, time.monotonic() - began)
    print(text)
    if options.output:
        options.output.write_text(text + "\n")
    return int(failed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m proof", description=__doc__)
    parser.add_argument("--exhaustive", action="store_true", help="every fault at every point, one a run")
    parser.add_argument("--random", type=int, metavar="N", help="N seeds, 1 to 3 faults a run")
    parser.add_argument("--seed", type=int, help="one seed again, telling what happens")
    parser.add_argument("--case", type=int, help="one case of --exhaustive again, telling what happens")
    parser.add_argument("--subject", action="append", choices=SUBJECTS, help="only this lifecycle (repeatable)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: %(default)s)")
    parser.add_argument("--output", type=Path, help="write the report to this file as well")
    return parser


def _tell(schedules: list[Schedule]) -> int:
    wrong = False
    for outcome in carry_out_all(schedules, 1):
        print(outcome.schedule)
        for point, effect in outcome.happened:
            print(f"  {point}: {effect}")
        print(f"  made {outcome.made}, sends accepted {outcome.accepted}, ended: {outcome.ended}")
        for line in [*outcome.errors, *outcome.violations]:
            print(f"  {line}")
        wrong |= bool(outcome.violations or outcome.unfired)
    return int(wrong)


def _report(outcomes: list[Outcome], usual: dict[str, float], seconds: float) -> tuple[str, bool]:
    """The report, and True if it is a bad one."""
    groups = {
        "One fault, everywhere": [o for o in outcomes if not _is_random(o) and not o.schedule.overlaps],
        "One to three faults at random": [o for o in outcomes if _is_random(o)],
        "Two tries of a task alive at the same time": [o for o in outcomes if o.schedule.overlaps],
    }
    parts = [f"### {title}\n\n{table(group, usual)}" for title, group in groups.items() if group]
    wrong = wrongs(outcome for outcome in outcomes if not outcome.schedule.overlaps)
    if wrong:
        parts.append("### What must not be\n\n```\n" + "\n".join(wrong) + "\n```")
    spared = [
        key
        for key in OTHERS
        if (own := [outcome for outcome in outcomes if outcome.schedule.subject == key])
        and not any(outcome.violations for outcome in own)
    ]
    if spared:
        parts.append(f"Nothing was found wrong with {', '.join(spared)}: the test proves nothing.")
    parts.append(f"{len(outcomes):,} runs in {seconds:,.0f} s.")
    return "\n\n".join(parts), bool(wrong or spared)


def _is_random(outcome: Outcome) -> bool:
    return "--seed" in outcome.schedule.replay


if __name__ == "__main__":
    sys.exit(main())
