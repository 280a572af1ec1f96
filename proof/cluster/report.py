"""What came of a show, as Markdown."""

from __future__ import annotations

from collections import Counter

from airflow_provider_klaviyo.api.operations import operations
from proof.cluster.show import Outcome

SHARE = 0.9
"""Of Klaviyo's limits, that a connection uses by default."""


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
    lines += ["", "| operation | calls a lifecycle | calls a minute that the budget allows | lifecycles an hour |"]
    lines += ["|---|---:|---:|---:|"]
    lines += [
        f"| `{name}` | {calls:.1f} | {allowed:.0f} | {allowed / calls * 60:,.0f} |"
        for name, calls, allowed in bounds(outcome)
    ]
    return "\n".join(lines)


def bounds(outcome: Outcome) -> list[tuple[str, float, float]]:
    """Each operation of a lifecycle: calls a lifecycle, and calls a minute that the budget allows. Scarcest first."""
    found = []
    for name, number in outcome.calls.items():
        if name in operations() and _is_of_campaigns(name):
            limits = operations()[name].limits
            found.append((name, number / outcome.lifecycles, min(limits.steady, limits.burst * 60) * SHARE))
    return sorted(found, key=lambda bound: bound[2] / bound[1])


def row(outcome: Outcome) -> str:
    """One row of the curve: lifecycles at once, seconds, lifecycles an hour, calls a lifecycle."""
    return f"| {outcome.lifecycles} | {outcome.seconds:.0f} | {hourly(outcome):,.0f} | {per_lifecycle(outcome):.1f} |"


def hourly(outcome: Outcome) -> float:
    """Lifecycles an hour, at the pace that was seen."""
    return outcome.lifecycles / outcome.seconds * 3600


def limit(outcome: Outcome) -> float:
    """Lifecycles an hour that Klaviyo's limits allow one account."""
    _, calls, allowed = bounds(outcome)[0]
    return allowed / calls * 60


def per_lifecycle(outcome: Outcome) -> float:
    """Calls a lifecycle, without those of the audience."""
    return sum(number for name, number in outcome.calls.items() if _is_of_campaigns(name)) / outcome.lifecycles


def _is_of_campaigns(operation: str) -> bool:
    return not any(other in operation for other in ("import", "list", "profile"))
