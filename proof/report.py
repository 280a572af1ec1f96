"""The outcome of many schedules as a Markdown table."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence

from proof import judge
from proof.run import Outcome
from proof.subjects import OTHERS, SUBJECTS

COLUMNS = (
    "lifecycle",
    "runs",
    "faults",
    "made twice",
    "sent twice",
    "lost",
    "surfaced",
    "failed, nothing sent",
    "recovered alone",
    "extra s (median)",
    "not fired",
)


def table(outcomes: Iterable[Outcome], undisturbed: Mapping[str, float]) -> str:
    """One row per lifecycle.

    *surfaced*: failed with an error that says what to look at. *recovered alone*: sent, without a person's help.
    """
    rows = [COLUMNS, tuple("---" if number == 0 else "---:" for number in range(len(COLUMNS)))]
    by_subject: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_subject.setdefault(outcome.schedule.subject, []).append(outcome)
    rows += [_row(key, by_subject[key], undisturbed[key]) for key in SUBJECTS if key in by_subject]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(subject: str, outcomes: Sequence[Outcome], undisturbed: float) -> tuple[str, ...]:
    def having(*kinds: str) -> str:
        return f"{sum(any(kind in outcome.violations for kind in kinds) for outcome in outcomes):,}"

    alone = [outcome for outcome in outcomes if outcome.ended == "sent" and not outcome.people]
    extra = statistics.median([outcome.seconds - undisturbed for outcome in alone]) if alone else 0.0
    return (
        SUBJECTS[subject].title,
        f"{len(outcomes):,}",
        f"{sum(len(outcome.happened) for outcome in outcomes):,}",
        having(judge.MADE_TWICE),
        having(judge.ACCEPTED_TWICE, judge.DELIVERED_TWICE),
        having(judge.LOST, judge.SHARED, judge.MUTE),
        f"{sum(outcome.ended == 'surfaced' for outcome in outcomes):,}",
        f"{sum(outcome.ended == 'not sent' for outcome in outcomes):,}",
        f"{len(alone):,}",
        f"{max(0.0, extra):.0f}",
        f"{sum(outcome.unfired > 0 for outcome in outcomes):,}",
    )


def wrongs(outcomes: Iterable[Outcome]) -> list[str]:
    """One line for each run of this package that must not have ended so, with how to make it again."""
    return [
        f"{', '.join(outcome.violations) or 'not every fault was had'}: {outcome.schedule}"
        f"\n    python -m proof {outcome.schedule.replay}"
        for outcome in outcomes
        if outcome.schedule.subject not in OTHERS and (outcome.violations or outcome.unfired)
    ]
