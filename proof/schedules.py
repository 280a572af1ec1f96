"""All schedules of one fault, and seeded ones of several."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial

from proof.faults import (
    ANSWERS,
    COMMITTED,
    CUTS,
    LOCAL,
    PERSON,
    SLOW,
    Effect,
    Exact,
    Point,
    Random,
    possible,
)
from proof.gateway import REPLIES
from proof.run import LISTS, Schedule
from proof.subjects import OURS

STALE = (1, 3)
"""How many reads do not yet show a write that was committed."""

CHANGING = ("reset before commit", "committed, then 504", "committed, then silence")
"""Cuts that are also had where the list of mapped tasks changes afterwards."""

UNTOLD = frozenset(name for name, (reply, _) in ANSWERS.items() if REPLIES[reply].status < 300 or reply == "409")
"""Answers that say nothing of a POST of which nothing is known; a 409 in Klaviyo's own format is a refusal then."""

APART = 600.0
SKEWS = ((APART, APART), (APART,), (-APART, -APART), (-APART,))
"""Seconds by which clocks of workers are ahead: of the first two tries, or of the first, whose retry has the time."""


def passages(seen: Iterable[Point]) -> list[tuple[Point, int]]:
    """Every point that an undisturbed run passed, with which passage of it that was."""
    counts: Counter[Point] = Counter()
    found = []
    for point in seen:
        found.append((point, counts[point]))
        counts[point] += 1
    return found


def exhaustive(subject: str, points: list[tuple[Point, int]]) -> list[Schedule]:
    """Each effect at each point, with each restart, and with each set of clocks where a clock could matter."""
    found: list[Schedule] = []
    for point, passage in points:
        for effect in _effects(subject, point):
            for restart, skews in _circumstances(subject, point, effect):
                found.append(
                    Schedule(
                        subject,
                        partial(Exact, wanted=[(point, passage, effect)]),
                        f"{effect} {point}" + (f" (passage {passage + 1})" if passage else ""),
                        replay=f"--subject {subject} --case {len(found)}",
                        restart=restart,
                        overlaps=effect.kind == "pause",
                        skews=skews,
                    )
                )
    return found


def _effects(subject: str, point: Point) -> Iterator[Effect]:
    for kind in possible(point):
        if kind in (*ANSWERS, *LOCAL, SLOW, PERSON) and subject not in OURS:
            continue
        if kind in UNTOLD and subject == "posts":
            continue
        yield Effect(kind)
        if point.is_write and (kind in COMMITTED or (kind == "kill" and point.side == "after")):
            yield from (Effect(kind, reads) for reads in STALE if kind in CUTS or reads == STALE[-1])


def _circumstances(subject: str, point: Point, effect: Effect) -> Iterator[tuple[str, tuple[float, ...]]]:
    """Restarts, and the clocks of workers. Below Airflow 3.3 nothing tells which audience the killed try had."""
    yield from ((restart, ()) for restart in _restarts(subject, point, effect))
    is_answered_oddly = effect.kind in CUTS or effect.kind in ANSWERS
    if subject in OURS and subject != "posts" and point.is_write and (is_answered_oddly or effect.kind == "kill"):
        yield from (("retry", skews) for skews in SKEWS)


def _restarts(subject: str, point: Point, effect: Effect) -> tuple[str, ...]:
    if subject not in OURS:
        return ("retry",)
    if subject == "two-3.4":
        return ("clear", "clear all")
    if point.is_polling or effect.kind in (*LOCAL, SLOW, PERSON, "pause", "store refuses", "clear"):
        return ("retry", "clear all")
    if effect.kind in ANSWERS:
        return ("retry", "clear")
    if subject in ("posts", "two"):
        return ("retry", "clear", "clear all")
    found = ["retry", "clear", "mapped"] if effect.kind in CUTS else ["retry", "clear", "clear all", "mapped"]
    if not subject.endswith("-3.4"):
        found.append("second run")
    if point.task == "create" and not subject.endswith("-3.0"):
        found.append("other audience")
    if subject != "guard" and (effect.kind == "kill" or (point.is_write and effect.kind in CHANGING)):
        found += LISTS
    return tuple(found)


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
        restart=rng.choice(_at_random(subject)),
        retry_delay=rng.choice((1.0, 1.0, 30.0, 300.0)),
        skews=rng.choice(((), (), (), *SKEWS)) if subject in OURS and subject != "posts" else (),
    )


def _at_random(subject: str) -> tuple[str, ...]:
    usual = ("retry", "retry", "clear", "clear all")
    if subject not in OURS or subject in ("guard", "posts", "two", "two-3.4"):
        return usual
    return (*usual, *LISTS, *(("other audience",) if not subject.endswith("-3.0") else ()))
