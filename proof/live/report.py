"""The outcome of a show as a Markdown table."""

from __future__ import annotations

import statistics

from proof import judge
from proof.live.plan import FAULTS, Blow
from proof.live.show import MUTE, OTHER_CAMPAIGN, STUCK, Outcome


def report(outcome: Outcome) -> str:
    """One row per fact; below it how each failed run failed, and what must not be."""
    succeeded = [lifecycle for lifecycle in outcome.lifecycles if lifecycle.succeeded]
    failed = [lifecycle for lifecycle in outcome.lifecycles if not lifecycle.succeeded]
    wronged = {violation.lifecycle.name for violation in outcome.violations if violation.lifecycle}
    alone = [
        lifecycle
        for lifecycle in succeeded
        if lifecycle.had and not lifecycle.cleared and lifecycle.name not in wronged
    ]

    def having(*kinds: str) -> int:
        return sum(
            any(violation.lifecycle is lifecycle and violation.what in kinds for violation in outcome.violations)
            for lifecycle in outcome.lifecycles
        )

    rows = [
        ("lifecycles", len(outcome.lifecycles)),
        *((blow, outcome.blows[blow]) for blow in Blow),
        ("planned, but never came to pass", len(outcome.missed)),
        ("components that ended by themselves", len(outcome.ended)),
        ("tasks that a person had to clear, before Airflow 3.1", outcome.clears),
        *((f"POST {name}", outcome.faults[name]) for name in FAULTS),
        (judge.MADE_TWICE, having(judge.MADE_TWICE)),
        ("sent twice", having(judge.ACCEPTED_TWICE, judge.DELIVERED_TWICE)),
        ("lost", having(judge.LOST, OTHER_CAMPAIGN)),
        (f"failed, or {STUCK}", len(failed)),
        (MUTE, having(MUTE)),
        ("struck, and recovered without a human", len(alone)),
    ]
    if succeeded:
        rows.append(("median seconds", round(statistics.median(lifecycle.seconds for lifecycle in succeeded))))
    table = "\n".join(["| what | number |", "|---|---:|", *(f"| {what} | {number:,} |" for what, number in rows)])
    parts = [table, f"{outcome.seconds:,.0f} s in all."]
    if failed:
        parts.append("### Failed\n\n" + "\n".join(f"- {lifecycle}: {lifecycle.error}" for lifecycle in failed))
    if wrong := [*outcome.violations, *(f"never came to pass: {planned}" for planned in outcome.missed)]:
        parts.append("### What must not be\n\n" + "\n".join(f"- {line}" for line in wrong))
    return "\n\n".join(parts)
