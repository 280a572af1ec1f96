"""All schedules of one fault, and seeded ones of several."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial

from benchmarks.never_twice.faults import COMMITTED, CUTS, Effect, Exact, Point, Random, possible
from benchmarks.never_twice.run import Schedule
from benchmarks.never_twice.subjects import OURS

STALE = (0, 1, 3)
"""How many reads do not yet show a write that was committed."""


def passages(seen: Iterable[Point]) -> list[tuple[Point, int]]:
    """Every point that an undisturbed run passed, with which passage of it that was."""
    counts: Counter[Point] = Counter()
    found = []
    for point in seen:
        found.append((point, counts[point]))
        counts[point] += 1
    return found


def exhaustive(subject: str, points: list[tuple[Point, int]]) -> list[Schedule]:
    """Each effect at each point, with each restart."""
    found: list[Schedule] = []
    for point, passage in points:
        for effect in _effects(point):
            for restart in _restarts(subject, point, effect):
                found.append(
                    Schedule(
                        subject,
                        partial(Exact, wanted=[(point, passage, effect)]),
                        f"{effect} {point}" + (f" (passage {passage + 1})" if passage else ""),
                        replay=f"--subject {subject} --case {len(found)}",
                        restart=restart,
                        overlaps=effect.kind == "pause",
                    )
                )
    return found


def _effects(point: Point) -> Iterator[Effect]:
    for kind in possible(point):
        stale = STALE if point.is_write and (kind in COMMITTED or (kind == "kill" and point.side == "after")) else (0,)
        for reads in stale:
            yield Effect(kind, reads)


def _restarts(subject: str, point: Point, effect: Effect) -> tuple[str, ...]:
    if subject not in OURS:
        return ("retry",)
    if effect.kind in CUTS and not point.is_polling:
        return ("retry", "clear", "second run", "mapped")
    if effect.kind == "kill" and not point.is_polling:
        return ("retry", "clear", "clear all", "second run", "mapped")
    return ("retry", "clear all")


def seeded(seed: int, subject: str, points: int) -> Schedule:
    """The schedule of a seed: one to three effects at random points.

    :param points: how many points an undisturbed run of the subject passes.
    """
    rng = random.Random(f"{seed} {subject}")
    return Schedule(
        subject,
        partial(Random, seed=seed, points=points),
        f"seed {seed}",
        replay=f"--subject {subject} --seed {seed}",
        restart=rng.choice(("retry", "retry", "clear", "clear all")),
        retry_delay=rng.choice((1.0, 1.0, 30.0, 300.0)),
    )
