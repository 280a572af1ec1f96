"""What came of a show, as Markdown."""

from __future__ import annotations

from collections import Counter

from proof.cluster.show import Outcome


def report(outcome: Outcome) -> str:
    """One row a fact, and one a blow."""
    assert outcome.ledger is not None
    facts = [
        ("lifecycles at once", outcome.lifecycles),
        ("runs that ended well", Counter(outcome.states.values())["success"]),
        ("seconds", round(outcome.seconds)),
        ("campaigns", len(outcome.ledger.made)),
        ("sends", len(outcome.ledger.deliveries)),
        ("calls a lifecycle", f"{per_lifecycle(outcome):.1f}"),
        ("calls answered 429", outcome.throttled),
        ("rows of the table", outcome.rows),
        ("profiles of them", outcome.profiles),
        ("rows taken, with those that a retry brought again", outcome.imported),
    ]
    lines = ["| what | number |", "|---|---:|"]
    lines += [f"| {what} | {f'{number:,}' if isinstance(number, int) else number} |" for what, number in facts]
    lines += ["", "| killed | after | sends so far | tasks that ended with it |", "|---|---:|---:|---:|"]
    lines += [f"| {blow.part} | {blow.after:.0f} s | {blow.sends} | {blow.busy} |" for blow in outcome.blows]
    return "\n".join(lines)


def row(outcome: Outcome) -> str:
    """One row of the curve: lifecycles at once, seconds, lifecycles an hour, calls a lifecycle."""
    hourly = outcome.lifecycles / outcome.seconds * 3600
    return f"| {outcome.lifecycles} | {outcome.seconds:.0f} | {hourly:,.0f} | {per_lifecycle(outcome):.1f} |"


def per_lifecycle(outcome: Outcome) -> float:
    """Calls a lifecycle, without those of the audience."""
    others = ("import", "list", "profile")
    calls = sum(number for name, number in outcome.calls.items() if not any(other in name for other in others))
    return calls / outcome.lifecycles
